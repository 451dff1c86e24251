// Calls one function of a table some times: `work plain|neon NAME TIMES`. Without arguments: the names.
#include "../inputs.h"
#include "CKernels.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { format = XK_Q4_1, columns = 512, rows = 6, slots = 64, dim = 64, queries = 3 };

static const float *x[rows];
static float *tile, *out, *scores, maxima[rows], totals[rows];
static const uint8_t *panel;
static xk_int16_block *int16;
static xk_int8_block *int8;
static const xk_int16_block *int16_rows[rows];
static const xk_int8_block *int8_rows[rows];
static xk_int16_tile *int16_tile;
static xk_int8_tile *int8_tile;
static uint16_t *halves;
static const size_t counts[rows] = {slots, slots, slots, slots, slots, slots};

static void prepare(const xk_table *t) {
  size_t blocks = columns / 32;
  const float *all = random_floats(rows * columns, 1);
  tile = random_floats(columns * XK_PANEL, 1);
  out = random_floats(rows * columns, 1);
  scores = random_floats(rows * slots, 1);
  panel = random_panels(format, 1, columns);
  int16 = before_the_end(rows * blocks * sizeof *int16);
  int8 = before_the_end(rows * blocks * sizeof *int8);
  int16_tile = before_the_end(blocks * sizeof *int16_tile);
  int8_tile = before_the_end(blocks * sizeof *int8_tile);
  halves = before_the_end(slots * dim * sizeof *halves);
  for (size_t i = 0; i < slots * dim; i++) halves[i] = random_half();
  for (size_t i = 0; i < rows; i++) {
    x[i] = all + i * columns;
    int16_rows[i] = int16 + i * blocks;
    int8_rows[i] = int8 + i * blocks;
  }
  t->quantize_int16(all, rows * columns, int16);
  t->quantize_int8(all, rows * columns, int8);
  t->unpack_int16(format, panel, 0, columns, int16_tile);
  t->unpack_int8(format, panel, 0, columns, int8_tile);
}

static void unpack(const xk_table *t) { t->unpack(format, panel, 0, columns, tile); }
static void tile_product(const xk_table *t) { t->tile_product(x, rows, tile, XK_PANEL, columns, out, XK_PANEL, 0); }
static void vector_product(const xk_table *t) { t->vector_product(format, x[0], panel, 1, columns, out); }
static void quantize_int16(const xk_table *t) { t->quantize_int16(x[0], columns, int16); }
static void unpack_int16(const xk_table *t) { t->unpack_int16(format, panel, 0, columns, int16_tile); }
static void int16_tile_product(const xk_table *t) {
  t->int16_tile_product(format, int16_rows, rows, int16_tile, columns, out, XK_PANEL, 0);
}
static void one_int16_row(const xk_table *t) {
  t->int16_rows_product(format, int16, 1, panel, 1, columns, out, XK_PANEL);
}
static void four_int16_rows(const xk_table *t) {
  t->int16_rows_product(format, int16, 4, panel, 1, columns, out, XK_PANEL);
}
static void int8_tile_product(const xk_table *t) {
  t->int8_tile_product(format, int8_rows, rows, int8_tile, columns, out, XK_PANEL, 0);
}
static void int8_vector_product(const xk_table *t) { t->int8_vector_product(format, int8, panel, 1, columns, out); }
static void half_scores(const xk_table *t) { t->half_scores(x, queries, halves, slots, dim, scores, slots); }
static void add_half_values(const xk_table *t) { t->add_half_values(x, queries, halves, slots, dim, out); }
static void softmax_steps(const xk_table *t) {
  t->softmax_steps(queries, scores, slots, counts, 0.125f, maxima, totals, out, dim);
}
static void rms_norm(const xk_table *t) { t->rms_norm(x[0], x[1], 1e-5f, columns, out); }
static void swiglu(const xk_table *t) { t->swiglu(x[0], x[1], out, columns); }

static const struct {
  const char *name;
  void (*run)(const xk_table *);
} work[] = {
    {"unpack", unpack}, {"tile_product, 6 rows", tile_product}, {"vector_product", vector_product},
    {"quantize_int16", quantize_int16}, {"unpack_int16", unpack_int16},
    {"int16_tile_product, 6 rows", int16_tile_product}, {"int16_rows_product, 1 row", one_int16_row},
    {"int16_rows_product, 4 rows", four_int16_rows}, {"int8_tile_product, 6 rows", int8_tile_product},
    {"int8_vector_product", int8_vector_product}, {"half_scores, 3 queries", half_scores},
    {"add_half_values, 3 queries", add_half_values}, {"softmax_steps, 3 queries", softmax_steps},
    {"rms_norm", rms_norm}, {"swiglu", swiglu},
};

int main(int count, char **arguments) {
  for (size_t i = 0; count < 4 && i < sizeof work / sizeof *work; i++) puts(work[i].name);
  if (count < 4) return 0;
  const xk_table *table = strcmp(arguments[1], "plain") ? xk_neon() : xk_portable();
  prepare(table);
  for (size_t i = 0; i < sizeof work / sizeof *work; i++) {
    if (strcmp(arguments[2], work[i].name)) continue;
    for (int times = atoi(arguments[3]); times > 0; times--) work[i].run(table);
  }
  return 0;
}
