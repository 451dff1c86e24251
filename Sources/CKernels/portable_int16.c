// Int16 products in plain C.
#include "integers.h"
#include "portable.h"
#include <math.h>

#pragma STDC FP_CONTRACT OFF

void xk_portable_quantize_int16(const float *x, size_t count, xk_int16_block *out) {
  for (size_t b = 0; b < count / 32; b++, x += 32, out++) {
    float most = xk_portable_greatest_magnitude(x);
    int is_zero = !(most >= XK_SMALLEST);
    float factor = is_zero ? 0 : XK_INT16_MAX / most;
    int sum = 0;
    for (size_t k = 0; k < 32; k++) {
      float scaled = x[k] * factor;
      int quant = (int)lrintf(scaled > -XK_INT16_MAX ? scaled : -XK_INT16_MAX);
      out->quants[k / 8 * 4 + k % 4][k % 8 / 4] = (int16_t)quant;
      sum += quant;
    }
    out->scale = is_zero ? 0 : most / XK_INT16_MAX;
    out->sum = (float)sum * out->scale;
  }
}

void xk_portable_unpack_int16(uint32_t format, const uint8_t *panel, size_t first, size_t count, xk_int16_tile *tile) {
  for (size_t b = 0; b < count / 32; b++, tile++) {
    xk_stretch s = xk_stretch_at(format, panel, first + 32 * b);
    for (size_t j = 0; j < XK_PANEL; j++) {
      xk_scale_and_minimum(format, s, 0, j, tile->scales + j, tile->minima + j);
      for (size_t k = 0; k < 32; k++) tile->quants[k / 8 * 4 + k % 4][j][k % 8 / 4] = (int16_t)xk_quant(format, s, k, j);
    }
  }
}

void xk_portable_int16_tile_product(uint32_t format, const xk_int16_block *const *x, size_t rows,
                                    const xk_int16_tile *tile, size_t count, float *sums, size_t stride, int add) {
  for (size_t i = 0; i < rows; i++) {
    for (size_t j = 0; j < XK_PANEL; j++) {
      float sum = add ? sums[i * stride + j] : 0;
      for (size_t b = 0; b < count / 32; b++) {
        const xk_int16_block *row = x[i] + b;
        int dot = 0;
        for (size_t pair = 0; pair < 16; pair++) {
          const int16_t *weights = tile[b].quants[pair][j];
          dot += weights[0] * row->quants[pair][0] + weights[1] * row->quants[pair][1];
        }
        sum = fmaf((float)dot, tile[b].scales[j] * row->scale, sum);
        if (xk_has_minima(format)) sum = fmaf(tile[b].minima[j], row->sum, sum);
      }
      sums[i * stride + j] = sum;
    }
  }
}

void xk_portable_int16_rows_product(uint32_t format, const xk_int16_block *x, size_t rows, const uint8_t *panel,
                                    size_t panels, size_t columns, float *out, size_t stride) {
  size_t bytes = xk_panel_bytes(format, columns), blocks = columns / 32;
  for (size_t p = 0; p < panels; p++, panel += bytes, out += XK_PANEL) {
    for (size_t b = 0; b < blocks; b++) {
      xk_int16_tile tile;
      xk_portable_unpack_int16(format, panel, 32 * b, 32, &tile);
      for (size_t i = 0; i < rows; i++) {
        const xk_int16_block *row = x + i * blocks + b;
        xk_portable_int16_tile_product(format, &row, 1, &tile, 32, out + i * stride, XK_PANEL, b > 0);
      }
    }
  }
}
