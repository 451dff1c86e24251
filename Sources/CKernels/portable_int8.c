// Int8 products in plain C.
#include "integers.h"
#include "portable.h"
#include <math.h>

#pragma STDC FP_CONTRACT OFF

float xk_portable_greatest_magnitude(const float *x) {
  float most = 0;
  for (size_t k = 0; k < 32; k++) most = fabsf(x[k]) > most ? fabsf(x[k]) : most;
  return most;
}

void xk_portable_quantize_int8(const float *x, size_t count, xk_int8_block *out) {
  for (size_t b = 0; b < count / 32; b++, x += 32, out++) {
    float most = xk_portable_greatest_magnitude(x);
    int is_zero = !(most >= XK_SMALLEST);
    float factor = is_zero ? 0 : XK_INT8_MAX / most;
    int sum = 0;
    for (size_t k = 0; k < 32; k++) {
      long quant = lrintf(x[k] * factor);
      quant = quant < -127 ? -127 : quant > 127 ? 127 : quant;
      out->quants[k / 8 * 8 + xk_even_first(k % 8)] = (int8_t)quant;
      sum += (int)quant;
    }
    out->scale = is_zero ? 0 : most / XK_INT8_MAX;
    out->sum = (float)sum * out->scale;
  }
}

void xk_portable_unpack_int8(uint32_t format, const uint8_t *panel, size_t first, size_t count, xk_int8_tile *tile) {
  for (size_t b = 0; b < count / 32; b++, tile++) {
    xk_stretch s = xk_stretch_at(format, panel, first + 32 * b);
    for (size_t j = 0; j < XK_PANEL; j++) {
      xk_scale_and_minimum(format, s, 0, j, tile->scales + j, tile->minima + j);
      for (size_t k = 0; k < 32; k++) {
        size_t place = k / 8 * 8 + xk_even_first(k % 8);
        tile->quants[place / 4][j][place % 4] = (uint8_t)xk_quant(format, s, k, j);
      }
    }
  }
}

void xk_portable_int8_tile_product(uint32_t format, const xk_int8_block *const *x, size_t rows,
                                   const xk_int8_tile *tile, size_t count, float *sums, size_t stride, int add) {
  const int is_signed = !xk_is_nibbles(format);
  for (size_t i = 0; i < rows; i++) {
    for (size_t j = 0; j < XK_PANEL; j++) {
      float sum = add ? sums[i * stride + j] : 0;
      for (size_t b = 0; b < count / 32; b++) {
        const xk_int8_block *row = x[i] + b;
        int dot = 0;
        for (size_t k = 0; k < 32; k++) {
          uint8_t quant = tile[b].quants[k / 4][j][k % 4];
          dot += (is_signed ? (int8_t)quant : (int)quant) * row->quants[k];
        }
        sum = fmaf((float)dot, tile[b].scales[j] * row->scale, sum);
        if (xk_has_minima(format)) sum = fmaf(tile[b].minima[j], row->sum, sum);
      }
      sums[i * stride + j] = sum;
    }
  }
}

void xk_portable_int8_vector_product(uint32_t format, const xk_int8_block *x, const uint8_t *panel, size_t panels,
                                     size_t columns, float *out) {
  size_t bytes = xk_panel_bytes(format, columns);
  for (size_t p = 0; p < panels; p++, panel += bytes, out += XK_PANEL) {
    for (size_t k = 0; k < columns; k += 32) {
      xk_int8_tile tile;
      const xk_int8_block *row = x + k / 32;
      xk_portable_unpack_int8(format, panel, k, 32, &tile);
      xk_portable_int8_tile_product(format, &row, 1, &tile, 32, out, XK_PANEL, k > 0);
    }
  }
}
