// Int16 products by dot products of bytes: rows by an unpacked tile, and a few rows straight from the packed weights.
//
// A number of 16 bits is `256 · high + low + 128`, both of them signed bytes; so a block's sum is 256 times that of the
// high bytes, plus that of the low ones, plus 128 times that of the weights, which a tile holds. Two dot products take
// the place of four multiply-adds of four numbers.
#include "neon_dot.h"

#if defined(__aarch64__)
#pragma STDC FP_CONTRACT OFF

/// What an `xk_int16_block` holds here.
typedef struct {
  float scale, sum;
  /// In the order of `xk_int8_block`.
  int8_t high[32], low[32];
} split_block;

/// What an `xk_int16_tile` holds here.
typedef struct {
  /// As in `xk_int8_tile`.
  int8_t bytes[8][XK_PANEL][4];
  /// 128 times the sum of each output's.
  int32_t sums[XK_PANEL];
  float scales[XK_PANEL], minima[XK_PANEL];
} byte_tile;

_Static_assert(sizeof(split_block) == sizeof(xk_int16_block), "rows have as many bytes in every table");
_Static_assert(sizeof(byte_tile) <= sizeof(xk_int16_tile), "a tile has room");

/// Most rows whose sums of half a panel stay in registers.
enum { XK_FEW_ROWS = 4 };

// MARK: activations

void xk_neon_dot_quantize_int16(const float *x, size_t count, xk_int16_block *blocks) {
  split_block *out = (split_block *)blocks;
  for (size_t b = 0; b < count / 32; b++, x += 32, out++) {
    int16x8_t q[4];
    to_int16(x, q, &out->scale, &out->sum);
    UNROLL for (int i = 0; i < 2; i++) {
      int8x16_t high = vcombine_s8(vshrn_n_s16(q[2 * i], 8), vshrn_n_s16(q[2 * i + 1], 8));
      int8x16_t low = vcombine_s8(vmovn_s16(q[2 * i]), vmovn_s16(q[2 * i + 1]));
      vst1q_s8(out->high + 16 * i, even_first(high));
      vst1q_s8(out->low + 16 * i, even_first(veorq_s8(low, vdupq_n_s8(-128))));
    }
  }
}

// MARK: weights

XK_DOT_INLINE void unpack_blocks(uint32_t format, const uint8_t *panel, size_t first, size_t count,
                                 byte_tile *tile) {
  for (size_t k = first; k < first + count; k += 32, tile++) {
    xk_stretch s = xk_stretch_at(format, panel, k);
    float32x4_t d[XK_FOURS], m[XK_FOURS];
    xk_load_scales(format, s, 0, d, m);
    UNROLL for (size_t v = 0; v < XK_FOURS; v++) {
      vst1q_f32(tile->scales + 4 * v, d[v]);
      vst1q_f32(tile->minima + 4 * v, m[v]);
      int32x4_t sum = vdupq_n_s32(0);
      UNROLL for (size_t group = 0; group < 4; group++) {
        int8x16_t words[2];
        load_words(format, s, group, v, words);
        UNROLL for (size_t i = 0; i < 2; i++) {
          vst1q_s8(tile->bytes[2 * group + i][4 * v], words[i]);
          sum = vdotq_s32(sum, words[i], vdupq_n_s8(1));
        }
      }
      vst1q_s32(tile->sums + 4 * v, vshlq_n_s32(sum, 7));
    }
  }
}

XK_DOT void xk_neon_dot_unpack_int16(uint32_t format, const uint8_t *panel, size_t first, size_t count,
                                     xk_int16_tile *out) {
  byte_tile *tile = (byte_tile *)out;
  switch (format) {
  case XK_Q4_0: unpack_blocks(XK_Q4_0, panel, first, count, tile); break;
  case XK_Q4_1: unpack_blocks(XK_Q4_1, panel, first, count, tile); break;
  case XK_Q5_1: unpack_blocks(XK_Q5_1, panel, first, count, tile); break;
  case XK_Q8_0: unpack_blocks(XK_Q8_0, panel, first, count, tile); break;
  case XK_Q4_K: unpack_blocks(XK_Q4_K, panel, first, count, tile); break;
  case XK_Q5_K: unpack_blocks(XK_Q5_K, panel, first, count, tile); break;
  }
}

// MARK: products

/// High bytes first: their sums, shifted, are where those of the low bytes begin.
XK_DOT_INLINE void dot_block(const int rows, const byte_tile *tile, const split_block *const *x, size_t b,
                             int32x4_t dot[XK_TILE_ROWS][XK_FOURS]) {
  const int8_t *inputs[XK_TILE_ROWS];
  UNROLL for (int i = 0; i < rows; i++) {
    inputs[i] = x[i][b].high;
    UNROLL for (int v = 0; v < XK_FOURS; v++) dot[i][v] = vdupq_n_s32(0);
  }
  add_block(rows, tile->bytes, inputs, dot);
  UNROLL for (int v = 0; v < XK_FOURS; v++) {
    int32x4_t sums = vld1q_s32(tile->sums + 4 * v);
    UNROLL for (int i = 0; i < rows; i++) dot[i][v] = vaddq_s32(vshlq_n_s32(dot[i][v], 8), sums);
  }
  UNROLL for (int i = 0; i < rows; i++) inputs[i] = x[i][b].low;
  add_block(rows, tile->bytes, inputs, dot);
}

XK_DOT_INLINE void rows_by_tile(const int has_minima, const int rows, const split_block *const *x,
                                const byte_tile *tile, size_t blocks, float *sums, size_t stride, int add) {
  float32x4_t total[XK_TILE_ROWS][XK_FOURS];
  UNROLL for (int i = 0; i < rows; i++) {
    UNROLL for (int v = 0; v < XK_FOURS; v++) {
      total[i][v] = add ? vld1q_f32(sums + (size_t)i * stride + 4 * v) : vdupq_n_f32(0);
    }
  }
  for (size_t b = 0; b < blocks; b++, tile++) {
    int32x4_t dot[XK_TILE_ROWS][XK_FOURS];
    dot_block(rows, tile, x, b, dot);
    UNROLL for (int v = 0; v < XK_FOURS; v++) {
      float32x4_t d = vld1q_f32(tile->scales + 4 * v), m = vld1q_f32(tile->minima + 4 * v);
      UNROLL for (int i = 0; i < rows; i++) {
        total[i][v] = fold(has_minima, dot[i][v], d, m, x[i][b].scale, x[i][b].sum, total[i][v]);
      }
    }
  }
  UNROLL for (int i = 0; i < rows; i++) {
    UNROLL for (int v = 0; v < XK_FOURS; v++) vst1q_f32(sums + (size_t)i * stride + 4 * v, total[i][v]);
  }
}

XK_DOT_INLINE void some_rows_by_tile(const int has_minima, const split_block *const *x, size_t rows,
                                     const byte_tile *tile, size_t blocks, float *sums, size_t stride, int add) {
  switch (rows) {
  case 1: rows_by_tile(has_minima, 1, x, tile, blocks, sums, stride, add); break;
  case 2: rows_by_tile(has_minima, 2, x, tile, blocks, sums, stride, add); break;
  case 3: rows_by_tile(has_minima, 3, x, tile, blocks, sums, stride, add); break;
  case 4: rows_by_tile(has_minima, 4, x, tile, blocks, sums, stride, add); break;
  case 5: rows_by_tile(has_minima, 5, x, tile, blocks, sums, stride, add); break;
  default: rows_by_tile(has_minima, 6, x, tile, blocks, sums, stride, add);
  }
}

XK_DOT void xk_neon_dot_int16_tile_product(uint32_t format, const xk_int16_block *const *x, size_t rows,
                                           const xk_int16_tile *weights, size_t count, float *sums, size_t stride,
                                           int add) {
  const byte_tile *tile = (const byte_tile *)weights;
  const split_block *row[XK_TILE_ROWS];
  for (size_t i = 0; i < rows; i++) row[i] = (const split_block *)x[i];
  if (xk_has_minima(format)) some_rows_by_tile(1, row, rows, tile, count / 32, sums, stride, add);
  else some_rows_by_tile(0, row, rows, tile, count / 32, sums, stride, add);
}

// MARK: few rows, without a tile

/// A block of two vectors of outputs, from `first` on: 18 integer sums at four rows; weights are unpacked in registers.
XK_DOT_INLINE void dot_eight_outputs(uint32_t format, const int rows, xk_stretch s, size_t first,
                                     const split_block *x, size_t blocks, int32x4_t dot[XK_FEW_ROWS][2]) {
  int32x4_t low[XK_FEW_ROWS][2], weights[2] = {vdupq_n_s32(0), vdupq_n_s32(0)};
  UNROLL for (int i = 0; i < rows; i++) low[i][0] = low[i][1] = dot[i][0] = dot[i][1] = vdupq_n_s32(0);
  UNROLL for (size_t half = 0; half < 2; half++) {
    int8x16_t high_bytes[XK_FEW_ROWS], low_bytes[XK_FEW_ROWS];
    UNROLL for (int i = 0; i < rows; i++) {
      high_bytes[i] = vld1q_s8(x[(size_t)i * blocks].high + 16 * half);
      low_bytes[i] = vld1q_s8(x[(size_t)i * blocks].low + 16 * half);
    }
    UNROLL for (int group = 0; group < 2; group++) {
      UNROLL for (size_t v = 0; v < 2; v++) {
        int8x16_t words[2];
        load_words(format, s, 2 * half + (size_t)group, first + v, words);
        UNROLL for (int w = 0; w < 2; w++) {
          weights[v] = vdotq_s32(weights[v], words[w], vdupq_n_s8(1));
          UNROLL for (int i = 0; i < rows; i++) {
            dot[i][v] = add_products(dot[i][v], words[w], high_bytes[i], 2 * group + w);
            low[i][v] = add_products(low[i][v], words[w], low_bytes[i], 2 * group + w);
          }
        }
      }
    }
  }
  UNROLL for (int v = 0; v < 2; v++) {
    int32x4_t sum = vshlq_n_s32(weights[v], 7);
    UNROLL for (int i = 0; i < rows; i++) dot[i][v] = vaddq_s32(vaddq_s32(vshlq_n_s32(dot[i][v], 8), low[i][v]), sum);
  }
}

XK_DOT_INLINE void few_rows_by_panel(uint32_t format, const int rows, const split_block *x, const uint8_t *panel,
                                     size_t blocks, float *out, size_t stride) {
  float32x4_t total[XK_FEW_ROWS][XK_FOURS], d[XK_FOURS], m[XK_FOURS];
  UNROLL for (int i = 0; i < rows; i++) {
    UNROLL for (int v = 0; v < XK_FOURS; v++) total[i][v] = vdupq_n_f32(0);
  }
  for (size_t b = 0; b < blocks; b++) {
    xk_stretch s = xk_stretch_at(format, panel, 32 * b);
    prefetch_ahead(s.own, (size_t)(s.quants - s.own) + xk_quant_bytes(format));
    xk_load_scales(format, s, 0, d, m);
    UNROLL for (size_t first = 0; first < XK_FOURS; first += 2) {
      int32x4_t dot[XK_FEW_ROWS][2];
      dot_eight_outputs(format, rows, s, first, x + b, blocks, dot);
      UNROLL for (size_t v = 0; v < 2; v++) {
        UNROLL for (int i = 0; i < rows; i++) {
          const split_block *row = x + (size_t)i * blocks + b;
          total[i][first + v] = fold(xk_has_minima(format), dot[i][v], d[first + v], m[first + v], row->scale,
                                     row->sum, total[i][first + v]);
        }
      }
    }
  }
  UNROLL for (int i = 0; i < rows; i++) {
    UNROLL for (int v = 0; v < XK_FOURS; v++) vst1q_f32(out + (size_t)i * stride + 4 * v, total[i][v]);
  }
}

/// Each panel is in the first cache from its first few rows on.
XK_DOT_INLINE void rows_by_panels(uint32_t format, const split_block *x, size_t rows, const uint8_t *panel,
                                  size_t panels, size_t columns, float *out, size_t stride) {
  const size_t blocks = columns / 32, groups = (rows + XK_FEW_ROWS - 1) / XK_FEW_ROWS;
  const size_t bytes = columns / (xk_is_k(format) ? 256 : 32) * xk_panel_block_bytes(format);
  for (size_t p = 0; p < panels; p++, panel += bytes, out += XK_PANEL) {
    for (size_t group = 0; group < groups; group++) {
      size_t first = rows * group / groups;
      const split_block *some = x + first * blocks;
      float *sums = out + first * stride;
      switch (rows * (group + 1) / groups - first) {
      case 1: few_rows_by_panel(format, 1, some, panel, blocks, sums, stride); break;
      case 2: few_rows_by_panel(format, 2, some, panel, blocks, sums, stride); break;
      case 3: few_rows_by_panel(format, 3, some, panel, blocks, sums, stride); break;
      default: few_rows_by_panel(format, 4, some, panel, blocks, sums, stride);
      }
    }
  }
}

XK_DOT void xk_neon_dot_int16_rows_product(uint32_t format, const xk_int16_block *blocks, size_t rows,
                                           const uint8_t *panel, size_t panels, size_t columns, float *out,
                                           size_t stride) {
  const split_block *x = (const split_block *)blocks;
  switch (format) {
  case XK_Q4_0: rows_by_panels(XK_Q4_0, x, rows, panel, panels, columns, out, stride); break;
  case XK_Q4_1: rows_by_panels(XK_Q4_1, x, rows, panel, panels, columns, out, stride); break;
  case XK_Q5_1: rows_by_panels(XK_Q5_1, x, rows, panel, panels, columns, out, stride); break;
  case XK_Q8_0: rows_by_panels(XK_Q8_0, x, rows, panel, panels, columns, out, stride); break;
  case XK_Q4_K: rows_by_panels(XK_Q4_K, x, rows, panel, panels, columns, out, stride); break;
  case XK_Q5_K: rows_by_panels(XK_Q5_K, x, rows, panel, panels, columns, out, stride); break;
  }
}
#endif
