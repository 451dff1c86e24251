// Each table quantises the rows and unpacks the weights for itself: how they lie between is its own affair.
#include "compare.h"
#include <string.h>

enum { most_rows = 9 };

/// Blocks of ordinary numbers, and some of zeros, of next to nothing, of huge ones, and of one great number.
static float *random_activations(size_t count) {
  float *x = random_floats(count, 4);
  for (size_t b = 0; b < count; b += 32) {
    size_t kind = random_below(12);
    float factor = kind == 0 ? 0 : kind == 1 ? 0x1p-110f : kind == 2 ? 0x1p+100f : 1;
    for (size_t k = 0; k < 32; k++) x[b + k] *= factor;
    if (kind == 3) x[b + random_below(32)] = random_below(2) ? 1000 : -1000;
  }
  return x;
}

typedef struct {
  uint32_t format;
  size_t rows, columns, panels, stride;
  const float *x;
  const uint8_t *panel;
  int add;
} product;

static product random_product(uint32_t format, size_t rows, size_t panels) {
  size_t elements = xk_block_elements(format), columns = elements * (1 + random_below(elements == 32 ? 9 : 2));
  return (product){
      .format = format, .rows = rows, .columns = columns, .panels = panels,
      .stride = panels * XK_PANEL + random_below(5), .x = random_activations(rows * columns),
      .panel = random_panels(format, panels, columns), .add = random_below(2) != 0,
  };
}

static size_t out_bytes(product p) { return ((p.rows - 1) * p.stride + p.panels * XK_PANEL) * sizeof(float); }

static xk_int16_block *int16_rows(const xk_table *table, product p) {
  xk_int16_block *blocks = before_the_end(p.rows * p.columns / 32 * sizeof *blocks);
  for (size_t i = 0; i < p.rows; i++) {
    table->quantize_int16(p.x + i * p.columns, p.columns, blocks + i * p.columns / 32);
  }
  return blocks;
}

static xk_int8_block *int8_rows(const xk_table *table, product p) {
  xk_int8_block *blocks = before_the_end(p.rows * p.columns / 32 * sizeof *blocks);
  for (size_t i = 0; i < p.rows; i++) table->quantize_int8(p.x + i * p.columns, p.columns, blocks + i * p.columns / 32);
  return blocks;
}

static void int16_tile(const xk_table *table, product p, float *out) {
  xk_int16_tile *tile = before_the_end(p.columns / 32 * sizeof *tile);
  xk_int16_block *blocks = int16_rows(table, p);
  const xk_int16_block *x[XK_TILE_ROWS];
  for (size_t i = 0; i < p.rows; i++) x[i] = blocks + i * p.columns / 32;
  table->unpack_int16(p.format, p.panel, 0, p.columns, tile);
  table->int16_tile_product(p.format, x, p.rows, tile, p.columns, out, p.stride, p.add);
}

static void int8_tile(const xk_table *table, product p, float *out) {
  xk_int8_tile *tile = before_the_end(p.columns / 32 * sizeof *tile);
  xk_int8_block *blocks = int8_rows(table, p);
  const xk_int8_block *x[XK_TILE_ROWS];
  for (size_t i = 0; i < p.rows; i++) x[i] = blocks + i * p.columns / 32;
  table->unpack_int8(p.format, p.panel, 0, p.columns, tile);
  table->int8_tile_product(p.format, x, p.rows, tile, p.columns, out, p.stride, p.add);
}

static void int16_panels(const xk_table *table, product p, float *out) {
  table->int16_rows_product(p.format, int16_rows(table, p), p.rows, p.panel, p.panels, p.columns, out, p.stride);
}

static void int8_panels(const xk_table *table, product p, float *out) {
  table->int8_vector_product(p.format, int8_rows(table, p), p.panel, p.panels, p.columns, out);
}

static void compare(const char *what, void (*multiply)(const xk_table *, product, float *), const xk_table *plain,
                    const xk_table *special, product p) {
  float *expected = random_floats(out_bytes(p) / sizeof(float), 1), *actual = before_the_end(out_bytes(p));
  memcpy(actual, expected, out_bytes(p));
  multiply(plain, p, expected);
  multiply(special, p, actual);
  expect_same(what, expected, actual, out_bytes(p));
  release_all();
}

static void compare_quantized(const xk_table *plain, const xk_table *special) {
  product p = {.rows = 1, .columns = 320, .x = random_activations(320)};
  expect_same("quantize_int8", int8_rows(plain, p), int8_rows(special, p), 10 * sizeof(xk_int8_block));
  xk_int16_block *expected = int16_rows(plain, p), *actual = int16_rows(special, p);
  for (size_t b = 0; b < 10; b++) {
    expect_same("quantize_int16's scale", &expected[b].scale, &actual[b].scale, sizeof(float));
    expect_same("quantize_int16's sum", &expected[b].sum, &actual[b].sum, sizeof(float));
  }
  release_all();
}

void compare_integers(const xk_table *plain, const xk_table *special) {
  for (int round = 0; round < 20; round++) {
    compare_quantized(plain, special);
    for (size_t f = 0; f < format_count; f++) {
      uint32_t format = formats[f];
      for (size_t rows = 1; xk_has_int16(format) && rows <= most_rows; rows++) {
        if (rows <= XK_TILE_ROWS) {
          compare("int16_tile_product", int16_tile, plain, special, random_product(format, rows, 1));
        }
        compare("int16_rows_product", int16_panels, plain, special, random_product(format, rows, 1 + random_below(3)));
      }
      for (size_t rows = 1; xk_has_int8(format) && rows <= XK_TILE_ROWS; rows++) {
        compare("int8_tile_product", int8_tile, plain, special, random_product(format, rows, 1));
      }
      if (!xk_has_int8(format)) continue;
      compare("int8_vector_product", int8_panels, plain, special, random_product(format, 1, 3));
    }
  }
}
