// Matrix products over panels: weights to a float tile, tile by rows, and one row straight from the packed weights.
#include "neon.h"

#if defined(__aarch64__)

#pragma STDC FP_CONTRACT OFF

// MARK: weights of a panel

/// The nibble at `index` of each word, as a number: masked where it is, and moved by the conversion.
XK_NEON_INLINE float32x4_t nibble(uint32x4_t words, int index) {
  uint32x4_t in_place = vandq_u32(words, vdupq_n_u32(15u << 4 * index));
  switch (index) {
  case 0: return vcvtq_f32_u32(in_place);
  case 1: return vcvtq_n_f32_u32(in_place, 4);
  case 2: return vcvtq_n_f32_u32(in_place, 8);
  case 3: return vcvtq_n_f32_u32(in_place, 12);
  case 4: return vcvtq_n_f32_u32(in_place, 16);
  case 5: return vcvtq_n_f32_u32(in_place, 20);
  case 6: return vcvtq_n_f32_u32(in_place, 24);
  default: return vcvtq_n_f32_u32(in_place, 28);
  }
}

/// Byte `index` of each word, as a number: one look-up makes it the word's highest, with zeros below.
XK_NEON_INLINE float32x4_t signed_byte(uint8x16_t words, int index) {
  uint8x16_t places = vreinterpretq_u8_u32((uint32x4_t){0x00ffffff, 0x04ffffff, 0x08ffffff, 0x0cffffff});
  uint32x4_t shift = vdupq_n_u32((uint32_t)index << 24);
  uint8x16_t to_top = vreinterpretq_u8_u32(vaddq_u32(vreinterpretq_u32_u8(places), shift));
  return vcvtq_n_f32_s32(vreinterpretq_s32_u8(vqtbl1q_u8(words, to_top)), 24);
}

/// Quants of eight inputs of four outputs.
typedef struct {
  uint8x16_t words[2];
} eight_inputs;

XK_NEON_INLINE eight_inputs load_group(uint32_t format, xk_stretch s, size_t group, size_t v) {
  if (xk_is_nibbles(format)) {
    uint8x16_t words = vld1q_u8(s.quants + group * 4 * XK_PANEL + 16 * v);
    return (eight_inputs){{words, words}};
  }
  const uint8_t *words = s.quants + group * 8 * XK_PANEL + 16 * v;
  return (eight_inputs){{vld1q_u8(words), vld1q_u8(words + 4 * XK_PANEL)}};
}

/// Weights of input k (0…7): a product that is exact, and a minimum.
XK_NEON_INLINE float32x4_t weights(uint32_t format, eight_inputs group, int k, float32x4_t d, float32x4_t m) {
  if (xk_is_nibbles(format)) return vfmaq_f32(m, nibble(vreinterpretq_u32_u8(group.words[0]), k), d);
  float32x4_t quants = signed_byte(group.words[k % 2], k / 2);
  return xk_has_minima(format) ? vfmaq_f32(m, quants, d) : vmulq_f32(quants, d);
}

/// Four weights of a format without blocks.
XK_NEON_INLINE float32x4_t plain(uint32_t format, const uint8_t *panel, size_t index) {
  switch (format) {
  case XK_F16: return xk_load_halves(panel + 2 * index);
  case XK_BF16: return vreinterpretq_f32_u32(vshll_n_u16(vreinterpret_u16_u8(vld1_u8(panel + 2 * index)), 16));
  default: return vreinterpretq_f32_u8(vld1q_u8(panel + 4 * index));
  }
}

XK_NEON_INLINE void unpack_plain(uint32_t format, const uint8_t *panel, size_t first, size_t count, float *tile) {
  for (size_t i = 0; i < count * XK_PANEL; i += 4) vst1q_f32(tile + i, plain(format, panel, first * XK_PANEL + i));
}

XK_NEON_INLINE void unpack_blocks(uint32_t format, const uint8_t *panel, size_t first, size_t count, float *tile) {
  for (size_t k = 0; k < count; k += 32) {
    xk_stretch s = xk_stretch_at(format, panel, first + k);
    float32x4_t d[XK_FOURS], m[XK_FOURS];
    xk_load_scales(format, s, 0, d, m);
    for (size_t group = 0; group < 4; group++, tile += 8 * XK_PANEL) {
      if (format == XK_Q6_K && group == 2) xk_load_scales(format, s, 1, d, m);
      UNROLL for (size_t v = 0; v < XK_FOURS; v++) {
        eight_inputs quants = load_group(format, s, group, v);
        UNROLL for (int i = 0; i < 8; i++) {
          vst1q_f32(tile + i * XK_PANEL + 4 * v, weights(format, quants, i, d[v], m[v]));
        }
      }
    }
  }
}

void xk_neon_unpack(uint32_t format, const uint8_t *panel, size_t first, size_t count, float *tile) {
  switch (format) {
  case XK_F32: unpack_plain(XK_F32, panel, first, count, tile); break;
  case XK_F16: unpack_plain(XK_F16, panel, first, count, tile); break;
  case XK_BF16: unpack_plain(XK_BF16, panel, first, count, tile); break;
  case XK_Q4_0: unpack_blocks(XK_Q4_0, panel, first, count, tile); break;
  case XK_Q4_1: unpack_blocks(XK_Q4_1, panel, first, count, tile); break;
  case XK_Q5_1: unpack_blocks(XK_Q5_1, panel, first, count, tile); break;
  case XK_Q8_0: unpack_blocks(XK_Q8_0, panel, first, count, tile); break;
  case XK_Q4_K: unpack_blocks(XK_Q4_K, panel, first, count, tile); break;
  case XK_Q5_K: unpack_blocks(XK_Q5_K, panel, first, count, tile); break;
  case XK_Q6_K: unpack_blocks(XK_Q6_K, panel, first, count, tile); break;
  }
}

// MARK: rows by a tile

/// 24 sums, six inputs by four, and the weights fill the 32 registers: 22 loads for 96 multiply-adds.
XK_NEON_INLINE void rows_by_tile(const int rows, const float *const *x, const float *tile, size_t tile_stride,
                                 size_t count, float *sums, size_t stride, int add) {
  float32x4_t total[XK_TILE_ROWS][XK_FOURS], four[XK_TILE_ROWS];
  UNROLL for (int i = 0; i < rows; i++) {
    UNROLL for (int v = 0; v < XK_FOURS; v++) {
      total[i][v] = add ? vld1q_f32(sums + (size_t)i * stride + 4 * v) : vdupq_n_f32(0);
    }
  }
  size_t k = 0;
  for (; k + 4 <= count; k += 4) {
    UNROLL for (int i = 0; i < rows; i++) four[i] = vld1q_f32(x[i] + k);
    UNROLL for (int lane = 0; lane < 4; lane++, tile += tile_stride) {
      UNROLL for (int v = 0; v < XK_FOURS; v++) {
        float32x4_t weights = vld1q_f32(tile + 4 * v);
        UNROLL for (int i = 0; i < rows; i++) total[i][v] = vfmaq_n_f32(total[i][v], weights, four[i][lane]);
      }
    }
  }
  for (; k < count; k++, tile += tile_stride) {
    UNROLL for (int v = 0; v < XK_FOURS; v++) {
      float32x4_t weights = vld1q_f32(tile + 4 * v);
      UNROLL for (int i = 0; i < rows; i++) total[i][v] = vfmaq_n_f32(total[i][v], weights, x[i][k]);
    }
  }
  UNROLL for (int i = 0; i < rows; i++) {
    UNROLL for (int v = 0; v < XK_FOURS; v++) vst1q_f32(sums + (size_t)i * stride + 4 * v, total[i][v]);
  }
}

void xk_neon_tile_product(const float *const *x, size_t rows, const float *tile, size_t tile_stride, size_t count,
                          float *sums, size_t stride, int add) {
  switch (rows) {
  case 1: rows_by_tile(1, x, tile, tile_stride, count, sums, stride, add); break;
  case 2: rows_by_tile(2, x, tile, tile_stride, count, sums, stride, add); break;
  case 3: rows_by_tile(3, x, tile, tile_stride, count, sums, stride, add); break;
  case 4: rows_by_tile(4, x, tile, tile_stride, count, sums, stride, add); break;
  case 5: rows_by_tile(5, x, tile, tile_stride, count, sums, stride, add); break;
  default: rows_by_tile(6, x, tile, tile_stride, count, sums, stride, add);
  }
}

// MARK: one row

/// Four chains of multiply-adds; what unpacks the weights takes longer than their latency.
XK_NEON_INLINE void row_by_blocks(uint32_t format, const float *x, const uint8_t *panel, size_t columns, float *out) {
  float32x4_t sums[XK_FOURS], d[XK_FOURS], m[XK_FOURS];
  UNROLL for (int v = 0; v < XK_FOURS; v++) sums[v] = vdupq_n_f32(0);
  for (size_t k = 0; k < columns; k += 32) {
    xk_stretch s = xk_stretch_at(format, panel, k);
    prefetch_ahead(s.own, (size_t)(s.quants - s.own) + xk_quant_bytes(format));
    xk_load_scales(format, s, 0, d, m);
    for (size_t group = 0; group < 4; group++) {
      if (format == XK_Q6_K && group == 2) xk_load_scales(format, s, 1, d, m);
      eight_inputs quants[XK_FOURS];
      UNROLL for (size_t v = 0; v < XK_FOURS; v++) quants[v] = load_group(format, s, group, v);
      float32x4_t inputs[2] = {vld1q_f32(x + k + 8 * group), vld1q_f32(x + k + 8 * group + 4)};
      UNROLL for (int i = 0; i < 8; i++) {
        UNROLL for (int v = 0; v < XK_FOURS; v++) {
          sums[v] = vfmaq_n_f32(sums[v], weights(format, quants[v], i, d[v], m[v]), inputs[i / 4][i % 4]);
        }
      }
    }
  }
  UNROLL for (int v = 0; v < XK_FOURS; v++) vst1q_f32(out + 4 * v, sums[v]);
}

/// Most panels that one row goes through together: their sixteen chains of multiply-adds keep four units busy.
enum { together = 4 };

XK_NEON_INLINE void row_by_plain(uint32_t format, const int panels, const float *x, const uint8_t *panel,
                                 size_t columns, float *out) {
  const size_t number = format == XK_F32 ? 4 : 2, panel_bytes = columns * XK_PANEL * number;
  float32x4_t sums[together][XK_FOURS];
  UNROLL for (int p = 0; p < panels; p++) {
    UNROLL for (int v = 0; v < XK_FOURS; v++) sums[p][v] = vdupq_n_f32(0);
  }
  for (size_t k = 0; k < columns; k++) {
    UNROLL for (int p = 0; p < panels; p++) {
      const uint8_t *weights = panel + (size_t)p * panel_bytes;
      prefetch_ahead(weights + k * XK_PANEL * number, 1);
      UNROLL for (size_t v = 0; v < XK_FOURS; v++) {
        sums[p][v] = vfmaq_n_f32(sums[p][v], plain(format, weights, k * XK_PANEL + 4 * v), x[k]);
      }
    }
  }
  UNROLL for (int p = 0; p < panels; p++) {
    UNROLL for (int v = 0; v < XK_FOURS; v++) vst1q_f32(out + p * XK_PANEL + 4 * v, sums[p][v]);
  }
}

XK_NEON_INLINE void row_by_plain_panels(uint32_t format, const float *x, const uint8_t *panel, size_t panels,
                                        size_t columns, float *out) {
  const size_t bytes = columns * XK_PANEL * (format == XK_F32 ? 4 : 2);
  for (; panels >= together; panels -= together, panel += together * bytes, out += together * XK_PANEL) {
    row_by_plain(format, together, x, panel, columns, out);
  }
  for (; panels; panels--, panel += bytes, out += XK_PANEL) row_by_plain(format, 1, x, panel, columns, out);
}

XK_NEON_INLINE void row_by_block_panels(uint32_t format, const float *x, const uint8_t *panel, size_t panels,
                                        size_t columns, float *out) {
  const size_t bytes = columns / (xk_is_k(format) ? 256 : 32) * xk_panel_block_bytes(format);
  for (size_t p = 0; p < panels; p++) row_by_blocks(format, x, panel + p * bytes, columns, out + p * XK_PANEL);
}

void xk_neon_vector_product(uint32_t format, const float *x, const uint8_t *panel, size_t panels, size_t columns,
                            float *out) {
  switch (format) {
  case XK_F32: row_by_plain_panels(XK_F32, x, panel, panels, columns, out); break;
  case XK_F16: row_by_plain_panels(XK_F16, x, panel, panels, columns, out); break;
  case XK_BF16: row_by_plain_panels(XK_BF16, x, panel, panels, columns, out); break;
  case XK_Q4_0: row_by_block_panels(XK_Q4_0, x, panel, panels, columns, out); break;
  case XK_Q4_1: row_by_block_panels(XK_Q4_1, x, panel, panels, columns, out); break;
  case XK_Q5_1: row_by_block_panels(XK_Q5_1, x, panel, panels, columns, out); break;
  case XK_Q8_0: row_by_block_panels(XK_Q8_0, x, panel, panels, columns, out); break;
  case XK_Q4_K: row_by_block_panels(XK_Q4_K, x, panel, panels, columns, out); break;
  case XK_Q5_K: row_by_block_panels(XK_Q5_K, x, panel, panels, columns, out); break;
  case XK_Q6_K: row_by_block_panels(XK_Q6_K, x, panel, panels, columns, out); break;
  }
}
#endif
