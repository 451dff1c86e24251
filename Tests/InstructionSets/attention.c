// Slots that a row may not see hold infinities and worse here, as stale blocks may.
#include "compare.h"
#include <math.h>
#include <string.h>

static size_t up_to_eight(size_t count) { return (count + 7) / 8 * 8; }

static uint16_t *random_halves(size_t slots, size_t stale, size_t dim) {
  uint16_t *halves = before_the_end((slots + stale) * dim * sizeof *halves);
  for (size_t i = 0; i < slots * dim; i++) halves[i] = (uint16_t)(random_half() + 0x1000);
  for (size_t i = slots * dim; i < (slots + stale) * dim; i++) halves[i] = i % 2 ? 0x7c00 : 0xfe01;
  return halves;
}

static void compare_transpose(const xk_table *plain, const xk_table *special, size_t slots, size_t dim, int is_half) {
  const void *keys = is_half ? (void *)random_halves(slots, 0, dim) : (void *)random_floats(slots * dim, 2);
  size_t bytes = dim * XK_KEY_TILE * sizeof(float);
  float *expected = random_floats(dim * XK_KEY_TILE, 1), *actual = before_the_end(bytes);
  memcpy(actual, expected, bytes);
  plain->transpose_keys(keys, is_half, slots, dim, expected);
  special->transpose_keys(keys, is_half, slots, dim, actual);
  expect_same("transpose_keys", expected, actual, bytes);
}

static void compare_scores(const xk_table *plain, const xk_table *special, size_t rows, size_t slots, size_t dim) {
  size_t whole = up_to_eight(slots), stride = whole + random_below(3);
  const float *x[XK_TILE_ROWS];
  for (size_t i = 0; i < rows; i++) x[i] = random_floats(dim, 2);
  uint16_t *keys = random_halves(slots, whole - slots, dim);
  size_t count = (rows - 1) * stride + whole;
  float *expected = random_floats(count, 1), *actual = random_floats(count, 1);
  plain->half_scores(x, rows, keys, slots, dim, expected, stride);
  special->half_scores(x, rows, keys, slots, dim, actual, stride);
  for (size_t i = 0; i < rows; i++) {
    expect_same("half_scores", expected + i * stride, actual + i * stride, slots * sizeof *actual);
  }
}

static void compare_values(const xk_table *plain, const xk_table *special, size_t rows, size_t slots, size_t dim) {
  const float *weights[XK_TILE_ROWS];
  for (size_t i = 0; i < rows; i++) weights[i] = random_floats(slots, 1);
  uint16_t *values = random_halves(slots, 3, dim);
  float *expected = random_floats(rows * dim, 1), *actual = before_the_end(rows * dim * sizeof *actual);
  memcpy(actual, expected, rows * dim * sizeof *actual);
  plain->add_half_values(weights, rows, values, slots, dim, expected);
  special->add_half_values(weights, rows, values, slots, dim, actual);
  expect_same("add_half_values", expected, actual, rows * dim * sizeof *actual);
}

/// What the steps of one table have done so far.
typedef struct {
  float *scores, *maxima, *totals, *sums;
} softmax;

enum { stride = 64 };

static softmax first_softmax(size_t rows, size_t width) {
  softmax s = {before_the_end(rows * stride * 4), before_the_end(rows * 4), before_the_end(rows * 4),
               before_the_end(rows * width * 4)};
  for (size_t i = 0; i < rows; i++) s.maxima[i] = -INFINITY, s.totals[i] = 0;
  memset(s.sums, 0, rows * width * 4);
  return s;
}

static void take_steps(const xk_table *table, softmax s, size_t rows, const size_t *counts, size_t width) {
  table->softmax_steps(rows, s.scores, stride, counts, 0.125f, s.maxima, s.totals, s.sums, width);
}

/// Two steps, so that the second has something to scale.
static void compare_softmax(const xk_table *plain, const xk_table *special, size_t rows, size_t width) {
  softmax expected = first_softmax(rows, width), actual = first_softmax(rows, width);
  for (int step = 0; step < 2; step++) {
    size_t counts[XK_TILE_ROWS];
    for (size_t i = 0; i < rows; i++) {
      counts[i] = 1 + random_below(stride);
      float *scores = expected.scores + i * stride;
      for (size_t s = 0; s < stride; s++) scores[s] = s < counts[i] ? random_float(30) : s % 2 ? INFINITY : NAN;
    }
    memcpy(actual.scores, expected.scores, rows * stride * 4);
    take_steps(plain, expected, rows, counts, width);
    take_steps(special, actual, rows, counts, width);
    for (size_t i = 0; i < rows; i++) {
      expect_same("softmax_steps' scores", expected.scores + i * stride, actual.scores + i * stride, counts[i] * 4);
    }
    expect_same("softmax_steps' maxima", expected.maxima, actual.maxima, rows * 4);
    expect_same("softmax_steps' totals", expected.totals, actual.totals, rows * 4);
    expect_same("softmax_steps' sums", expected.sums, actual.sums, rows * width * 4);
    for (size_t i = 0; i < rows * width; i++) expected.sums[i] = actual.sums[i] = random_float(5);
  }
}

void compare_attention(const xk_table *plain, const xk_table *special) {
  for (size_t slots = 1; slots <= XK_KEY_TILE; slots++) {
    for (size_t dim = 1; dim <= 40; dim += 3) {
      compare_transpose(plain, special, slots, dim, 0);
      compare_transpose(plain, special, slots, dim, 1);
      release_all();
    }
  }
  for (size_t rows = 1; rows <= XK_TILE_ROWS; rows++) {
    for (size_t slots = 1; slots <= 35; slots++) {
      compare_scores(plain, special, rows, slots, 32 * (1 + random_below(4)));
      compare_values(plain, special, rows, slots, 32 * (1 + random_below(4)));
      compare_softmax(plain, special, rows, 8 * (1 + random_below(16)));
      release_all();
    }
  }
}
