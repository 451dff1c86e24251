// Int8 products by dot products of bytes: rows by an unpacked tile, and one row straight from the packed weights.
#include "neon_dot.h"

#if defined(__aarch64__)
#pragma STDC FP_CONTRACT OFF

// MARK: activations

/// Sixteen.
XK_NEON_INLINE int8x16_t to_int8(const float32x4_t v[4], float factor) {
  int32x4_t q[4];
  UNROLL for (int i = 0; i < 4; i++) q[i] = vcvtnq_s32_f32(vmulq_n_f32(v[i], factor));
  int16x8_t low = vcombine_s16(vqmovn_s32(q[0]), vqmovn_s32(q[1]));
  int16x8_t high = vcombine_s16(vqmovn_s32(q[2]), vqmovn_s32(q[3]));
  int8x16_t bytes = vcombine_s8(vqmovn_s16(low), vqmovn_s16(high));
  return even_first(vmaxq_s8(bytes, vdupq_n_s8(-XK_INT8_MAX)));
}

void xk_neon_dot_quantize_int8(const float *x, size_t count, xk_int8_block *out) {
  for (size_t b = 0; b < count / 32; b++, x += 32, out++) {
    float32x4_t v[8];
    UNROLL for (int i = 0; i < 8; i++) v[i] = vld1q_f32(x + 4 * i);
    float most = greatest_magnitude(v);
    int is_zero = !(most >= XK_SMALLEST);
    float factor = is_zero ? 0 : XK_INT8_MAX / most;
    int8x16_t low = to_int8(v, factor), high = to_int8(v + 4, factor);
    vst1q_s8(out->quants, low);
    vst1q_s8(out->quants + 16, high);
    out->scale = is_zero ? 0 : most / XK_INT8_MAX;
    out->sum = (float)(vaddlvq_s8(low) + vaddlvq_s8(high)) * out->scale;
  }
}

// MARK: weights

XK_NEON_INLINE void unpack_blocks(uint32_t format, const uint8_t *panel, size_t first, size_t count,
                                  xk_int8_tile *tile) {
  for (size_t k = first; k < first + count; k += 32, tile++) {
    xk_stretch s = xk_stretch_at(format, panel, k);
    float32x4_t d[XK_FOURS], m[XK_FOURS];
    xk_load_scales(format, s, 0, d, m);
    UNROLL for (size_t v = 0; v < XK_FOURS; v++) {
      vst1q_f32(tile->scales + 4 * v, d[v]);
      vst1q_f32(tile->minima + 4 * v, m[v]);
      UNROLL for (size_t group = 0; group < 4; group++) {
        int8x16_t words[2];
        load_words(format, s, group, v, words);
        vst1q_u8(tile->quants[2 * group][4 * v], vreinterpretq_u8_s8(words[0]));
        vst1q_u8(tile->quants[2 * group + 1][4 * v], vreinterpretq_u8_s8(words[1]));
      }
    }
  }
}

void xk_neon_dot_unpack_int8(uint32_t format, const uint8_t *panel, size_t first, size_t count, xk_int8_tile *tile) {
  switch (format) {
  case XK_Q4_0: unpack_blocks(XK_Q4_0, panel, first, count, tile); break;
  case XK_Q4_1: unpack_blocks(XK_Q4_1, panel, first, count, tile); break;
  case XK_Q8_0: unpack_blocks(XK_Q8_0, panel, first, count, tile); break;
  }
}

// MARK: products

XK_DOT_INLINE void rows_by_tile(const int has_minima, const int rows, const xk_int8_block *const *x,
                                const xk_int8_tile *tile, size_t blocks, float *sums, size_t stride, int add) {
  float32x4_t total[XK_TILE_ROWS][XK_FOURS];
  UNROLL for (int i = 0; i < rows; i++) {
    UNROLL for (int v = 0; v < XK_FOURS; v++) {
      total[i][v] = add ? vld1q_f32(sums + (size_t)i * stride + 4 * v) : vdupq_n_f32(0);
    }
  }
  for (size_t b = 0; b < blocks; b++, tile++) {
    int32x4_t dot[XK_TILE_ROWS][XK_FOURS];
    const int8_t *inputs[XK_TILE_ROWS];
    UNROLL for (int i = 0; i < rows; i++) {
      inputs[i] = x[i][b].quants;
      UNROLL for (int v = 0; v < XK_FOURS; v++) dot[i][v] = vdupq_n_s32(0);
    }
    add_block(rows, tile->quants, inputs, dot);
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

XK_DOT_INLINE void some_rows_by_tile(const int has_minima, const xk_int8_block *const *x, size_t rows,
                                     const xk_int8_tile *tile, size_t blocks, float *sums, size_t stride, int add) {
  switch (rows) {
  case 1: rows_by_tile(has_minima, 1, x, tile, blocks, sums, stride, add); break;
  case 2: rows_by_tile(has_minima, 2, x, tile, blocks, sums, stride, add); break;
  case 3: rows_by_tile(has_minima, 3, x, tile, blocks, sums, stride, add); break;
  case 4: rows_by_tile(has_minima, 4, x, tile, blocks, sums, stride, add); break;
  case 5: rows_by_tile(has_minima, 5, x, tile, blocks, sums, stride, add); break;
  default: rows_by_tile(has_minima, 6, x, tile, blocks, sums, stride, add);
  }
}

XK_DOT void xk_neon_dot_int8_tile_product(uint32_t format, const xk_int8_block *const *x, size_t rows,
                                          const xk_int8_tile *tile, size_t count, float *sums, size_t stride, int add) {
  if (xk_has_minima(format)) some_rows_by_tile(1, x, rows, tile, count / 32, sums, stride, add);
  else some_rows_by_tile(0, x, rows, tile, count / 32, sums, stride, add);
}

XK_DOT_INLINE void row_by_panel(uint32_t format, const xk_int8_block *x, const uint8_t *panel, size_t blocks,
                                float *out) {
  float32x4_t total[XK_FOURS], d[XK_FOURS], m[XK_FOURS];
  UNROLL for (int v = 0; v < XK_FOURS; v++) total[v] = vdupq_n_f32(0);
  for (size_t b = 0; b < blocks; b++, x++) {
    xk_stretch s = xk_stretch_at(format, panel, 32 * b);
    prefetch_ahead(s.block, xk_panel_block_bytes(format));
    xk_load_scales(format, s, 0, d, m);
    int8x16_t inputs[2] = {vld1q_s8(x->quants), vld1q_s8(x->quants + 16)};
    UNROLL for (size_t v = 0; v < XK_FOURS; v++) {
      int32x4_t dot = vdupq_n_s32(0);
      UNROLL for (int group = 0; group < 4; group++) {
        int8x16_t words[2];
        load_words(format, s, (size_t)group, v, words);
        dot = add_products(dot, words[0], inputs[group / 2], 2 * (group % 2));
        dot = add_products(dot, words[1], inputs[group / 2], 2 * (group % 2) + 1);
      }
      total[v] = fold(xk_has_minima(format), dot, d[v], m[v], x->scale, x->sum, total[v]);
    }
  }
  UNROLL for (int v = 0; v < XK_FOURS; v++) vst1q_f32(out + 4 * v, total[v]);
}

XK_DOT_INLINE void row_by_panels(uint32_t format, const xk_int8_block *x, const uint8_t *panel, size_t panels,
                                 size_t columns, float *out) {
  const size_t blocks = columns / 32, bytes = blocks * xk_panel_block_bytes(format);
  for (size_t p = 0; p < panels; p++) row_by_panel(format, x, panel + p * bytes, blocks, out + p * XK_PANEL);
}

XK_DOT void xk_neon_dot_int8_vector_product(uint32_t format, const xk_int8_block *x, const uint8_t *panel,
                                            size_t panels, size_t columns, float *out) {
  switch (format) {
  case XK_Q4_0: row_by_panels(XK_Q4_0, x, panel, panels, columns, out); break;
  case XK_Q4_1: row_by_panels(XK_Q4_1, x, panel, panels, columns, out); break;
  case XK_Q8_0: row_by_panels(XK_Q8_0, x, panel, panels, columns, out); break;
  }
}
#endif
