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
  size_t bytes = xk_block_bytes(format) * XK_PANEL;
  const uint8_t *block = panel + first / 32 * bytes;
  for (size_t b = 0; b < count / 32; b++, block += bytes, tile++) {
    const uint8_t *words = block + bytes - (xk_has_signed_quants(format) ? 32 : 16) * XK_PANEL;
    for (size_t j = 0; j < XK_PANEL; j++) {
      tile->scales[j] = xk_widen_half(xk_load16(block + 2 * j));
      tile->minima[j] = format == XK_Q4_1   ? xk_widen_half(xk_load16(block + 2 * XK_PANEL + 2 * j))
                        : format == XK_Q4_0 ? -8 * tile->scales[j]
                                            : 0;
      for (size_t i = 0; i < 32; i++) {
        size_t word = i / 4, byte = i % 4;
        tile->quants[word][j][byte] = xk_has_signed_quants(format)
                                          ? words[(word * XK_PANEL + j) * 4 + byte]
                                          : words[(word / 2 * XK_PANEL + j) * 4 + byte] >> 4 * (word & 1) & 15;
      }
    }
  }
}

void xk_portable_int8_tile_product(const xk_int8_block *const *x, size_t rows, const xk_int8_tile *tile, int is_signed,
                                   size_t count, float *sums, size_t stride, int add) {
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
        if (!is_signed) sum = fmaf(tile[b].minima[j], row->sum, sum);
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
      xk_portable_int8_tile_product(&row, 1, &tile, xk_has_signed_quants(format), 32, out, XK_PANEL, k > 0);
    }
  }
}
