#include "compare.h"
#include <math.h>
#include <string.h>

static float *copy_of(const float *x, size_t count) {
  float *copy = before_the_end(count * sizeof *copy);
  return memcpy(copy, x, count * sizeof *copy);
}

static void compare_norm(const xk_table *plain, const xk_table *special, size_t count) {
  float *x = random_floats(count, 4), *weight = random_floats(count, 1);
  float *expected = random_floats(count, 1), *actual = random_floats(count, 1);
  plain->rms_norm(x, weight, 1e-5f, count, expected);
  special->rms_norm(x, weight, 1e-5f, count, actual);
  expect_same("rms_norm", expected, actual, count * sizeof *actual);
}

static void compare_rotate(const xk_table *plain, const xk_table *special, size_t half, int halves) {
  float *cosines = random_floats(half, 1), *sines = random_floats(half, 1);
  float *expected = random_floats(2 * half, 4), *actual = copy_of(expected, 2 * half);
  plain->rotate(expected, half, cosines, sines, halves);
  special->rotate(actual, half, cosines, sines, halves);
  expect_same("rotate", expected, actual, 2 * half * sizeof *actual);
}

/// The gate itself is overwritten, as the engine has it.
static void compare_swiglu(const xk_table *plain, const xk_table *special, size_t count) {
  float *up = random_floats(count, 4), *expected = random_floats(count, 100), *actual = copy_of(expected, count);
  plain->swiglu(expected, up, expected, count);
  special->swiglu(actual, up, actual, count);
  expect_same("swiglu", expected, actual, count * sizeof *actual);
}

static void compare_sums(const xk_table *plain, const xk_table *special, size_t count) {
  float *x = random_floats(count, 4), *expected = random_floats(count, 4), *actual = copy_of(expected, count);
  plain->add(x, expected, count);
  special->add(x, actual, count);
  expect_same("add", expected, actual, count * sizeof *actual);
  plain->scale(0.3f, expected, count);
  special->scale(0.3f, actual, count);
  expect_same("scale", expected, actual, count * sizeof *actual);
  plain->blend(0.7f, expected, 1.3f, x, count);
  special->blend(0.7f, actual, 1.3f, x, count);
  expect_same("blend", expected, actual, count * sizeof *actual);
}

static void compare_exponential(const xk_table *plain, const xk_table *special, size_t count) {
  static const float edges[] = {-INFINITY, -1000, -87.5f, -87, 0, -0.0f, 88, 88.5f, 1000, INFINITY, 1e-30f};
  float *x = random_floats(count, 95), *expected = random_floats(count, 1), *actual = random_floats(count, 1);
  x[random_below(count)] = edges[random_below(sizeof edges / sizeof *edges)];
  plain->exponential(x, expected, count);
  special->exponential(x, actual, count);
  expect_same("exponential", expected, actual, count * sizeof *actual);
}

/// Any bits: subnormal, infinite and not a number among them.
static void compare_narrow(const xk_table *plain, const xk_table *special, size_t count) {
  float *x = random_floats(count, 100000);
  for (size_t i = 0; i < count; i++) {
    uint32_t bits = (uint32_t)random_bits();
    if (i % 3 == 0) memcpy(x + i, &bits, sizeof bits);
    if (i % 3 == 1) x[i] *= 0x1p-34f;
  }
  uint16_t *expected = before_the_end(count * sizeof *expected), *actual = before_the_end(count * sizeof *actual);
  plain->narrow(x, expected, count);
  special->narrow(x, actual, count);
  expect_same("narrow", expected, actual, count * sizeof *actual);
}

static void compare_widen(const xk_table *plain, const xk_table *special) {
  enum { all = 65536, odd = 65533 };
  uint16_t *x = before_the_end(all * sizeof *x);
  for (size_t i = 0; i < all; i++) x[i] = (uint16_t)i;
  float *expected = before_the_end(all * sizeof *expected), *actual = before_the_end(all * sizeof *actual);
  plain->widen(x, expected, all);
  special->widen(x, actual, all);
  expect_same("widen", expected, actual, all * sizeof *actual);
  special->widen(x + 3, actual, odd);
  expect_same("widen at an odd place", expected + 3, actual, odd * sizeof *actual);
  release_all();
}

void compare_rows(const xk_table *plain, const xk_table *special) {
  compare_widen(plain, special);
  for (size_t round = 1; round <= 200; round++) {
    size_t count = round <= 40 ? round : 1 + random_below(700);
    compare_norm(plain, special, count);
    compare_rotate(plain, special, count, 0);
    compare_rotate(plain, special, count, 1);
    compare_swiglu(plain, special, count);
    compare_sums(plain, special, count);
    compare_exponential(plain, special, count);
    compare_narrow(plain, special, count);
    release_all();
  }
}
