#include "compare.h"
#include <string.h>

/// Some blocks; a number that is no multiple of anything for formats without.
static size_t some_columns(uint32_t format) {
  size_t elements = xk_block_elements(format);
  return elements == 1 ? 1 + random_below(300) : elements * (1 + random_below(elements == 32 ? 9 : 3));
}

static void compare_unpack(const xk_table *plain, const xk_table *special, uint32_t format) {
  size_t elements = xk_block_elements(format), columns = some_columns(format);
  size_t step = elements == 1 ? 1 : 32, first = random_below(columns / step) * step;
  size_t count = step * (1 + random_below((columns - first) / step));
  uint8_t *panel = random_panels(format, 1, columns);
  float *expected = random_floats(count * XK_PANEL, 1), *actual = random_floats(count * XK_PANEL, 1);
  plain->unpack(format, panel, first, count, expected);
  special->unpack(format, panel, first, count, actual);
  expect_same("unpack", expected, actual, count * XK_PANEL * sizeof *actual);
}

static void compare_vector(const xk_table *plain, const xk_table *special, uint32_t format) {
  size_t columns = some_columns(format), panels = 1 + random_below(6), count = panels * XK_PANEL;
  uint8_t *panel = random_panels(format, panels, columns);
  float *x = random_floats(columns, 3), *expected = random_floats(count, 1), *actual = random_floats(count, 1);
  plain->vector_product(format, x, panel, panels, columns, expected);
  special->vector_product(format, x, panel, panels, columns, actual);
  expect_same("vector_product", expected, actual, count * sizeof *actual);
}

static void compare_tile(const xk_table *plain, const xk_table *special, size_t rows, int add) {
  size_t count = 1 + random_below(70), stride = XK_PANEL + random_below(9), tile_stride = XK_PANEL + random_below(40);
  const float *x[XK_TILE_ROWS];
  for (size_t i = 0; i < rows; i++) x[i] = random_floats(count, 3);
  float *tile = random_floats((count - 1) * tile_stride + XK_PANEL, 1);
  size_t sums = (rows - 1) * stride + XK_PANEL;
  float *expected = random_floats(sums, 1), *actual = before_the_end(sums * sizeof *actual);
  memcpy(actual, expected, sums * sizeof *actual);
  plain->tile_product(x, rows, tile, tile_stride, count, expected, stride, add);
  special->tile_product(x, rows, tile, tile_stride, count, actual, stride, add);
  expect_same("tile_product", expected, actual, sums * sizeof *actual);
}

void compare_products(const xk_table *plain, const xk_table *special) {
  for (int round = 0; round < 20; round++) {
    for (size_t f = 0; f < format_count; f++) {
      compare_unpack(plain, special, formats[f]);
      compare_vector(plain, special, formats[f]);
      release_all();
    }
    for (size_t rows = 1; rows <= XK_TILE_ROWS; rows++) {
      compare_tile(plain, special, rows, 0);
      compare_tile(plain, special, rows, 1);
      release_all();
    }
  }
}
