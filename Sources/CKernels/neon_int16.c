// Int16 products where there are no dot products of bytes: rows by an unpacked tile, and a few rows straight from the
// packed weights. Two neighbouring lanes are two inputs of one output, and are added at a block's end.
#include "neon_integers.h"

#if defined(__aarch64__)
#pragma STDC FP_CONTRACT OFF

/// Most rows whose sums, eight vectors each, stay in registers: with weights from a tile, and unpacked in registers.
enum { XK_SOME_ROWS = 3, XK_FEW_ROWS = 2 };

/// Sums of sixteen outputs in two parts each.
typedef struct {
  int32x4_t low[XK_FOURS], high[XK_FOURS];
} pair_sums;

// MARK: activations

void xk_neon_quantize_int16(const float *x, size_t count, xk_int16_block *out) {
  for (size_t b = 0; b < count / 32; b++, x += 32, out++) {
    int16x8_t q[4];
    to_int16(x, q, &out->scale, &out->sum);
    UNROLL for (int i = 0; i < 4; i++) {
      vst1q_s16(out->quants[4 * i], vzip1q_s16(q[i], vextq_s16(q[i], q[i], 4)));
    }
  }
}

// MARK: weights

/// The four pairs of inputs of group g of four outputs, in the order of a quantised row.
XK_NEON_INLINE void load_pairs(uint32_t format, xk_stretch s, size_t group, size_t v, int16x8_t pairs[4]) {
  if (xk_is_nibbles(format)) {
    uint16x8_t nibbles = vreinterpretq_u16_u8(vld1q_u8(s.quants + group * 4 * XK_PANEL + 16 * v));
    uint16x8_t low = vdupq_n_u16(15);
    pairs[0] = vreinterpretq_s16_u16(vandq_u16(nibbles, low));
    pairs[1] = vreinterpretq_s16_u16(vandq_u16(vshrq_n_u16(nibbles, 4), low));
    pairs[2] = vreinterpretq_s16_u16(vandq_u16(vshrq_n_u16(nibbles, 8), low));
    pairs[3] = vreinterpretq_s16_u16(vshrq_n_u16(nibbles, 12));
  } else {
    const uint8_t *quants = s.quants + group * 8 * XK_PANEL + 16 * v;
    UNROLL for (int odd = 0; odd < 2; odd++) {
      int16x8_t bytes = vreinterpretq_s16_u8(vld1q_u8(quants + 4 * XK_PANEL * odd));
      pairs[odd] = vshrq_n_s16(vshlq_n_s16(bytes, 8), 8);
      pairs[odd + 2] = vshrq_n_s16(bytes, 8);
    }
  }
}

XK_NEON_INLINE void unpack_blocks(uint32_t format, const uint8_t *panel, size_t first, size_t count,
                                  xk_int16_tile *tile) {
  for (size_t k = first; k < first + count; k += 32, tile++) {
    xk_stretch s = xk_stretch_at(format, panel, k);
    float32x4_t d[XK_FOURS], m[XK_FOURS];
    xk_load_scales(format, s, 0, d, m);
    UNROLL for (size_t v = 0; v < XK_FOURS; v++) {
      vst1q_f32(tile->scales + 4 * v, d[v]);
      vst1q_f32(tile->minima + 4 * v, m[v]);
      UNROLL for (size_t group = 0; group < 4; group++) {
        int16x8_t pairs[4];
        load_pairs(format, s, group, v, pairs);
        UNROLL for (int p = 0; p < 4; p++) vst1q_s16(tile->quants[4 * group + p][4 * v], pairs[p]);
      }
    }
  }
}

void xk_neon_unpack_int16(uint32_t format, const uint8_t *panel, size_t first, size_t count, xk_int16_tile *tile) {
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

/// Adds the products of a pair of inputs of four outputs.
XK_NEON_INLINE void add_pair(int16x8_t weights, const xk_int16_block *x, size_t pair, size_t v, pair_sums *sums) {
  int32_t quants;
  memcpy(&quants, x->quants[pair], sizeof quants);
  int16x8_t inputs = vreinterpretq_s16_s32(vdupq_n_s32(quants));
  sums->low[v] = vmlal_s16(sums->low[v], vget_low_s16(weights), vget_low_s16(inputs));
  sums->high[v] = vmlal_high_s16(sums->high[v], weights, inputs);
}

XK_NEON_INLINE void clear(const int rows, pair_sums sums[]) {
  UNROLL for (int i = 0; i < rows; i++) {
    UNROLL for (int v = 0; v < XK_FOURS; v++) sums[i].low[v] = sums[i].high[v] = vdupq_n_s32(0);
  }
}

/// Up to three rows: 24 integer sums are in registers.
XK_NEON_INLINE void rows_by_tile(const int has_minima, const int rows, const xk_int16_block *const *x,
                                 const xk_int16_tile *tile, size_t blocks, float *sums, size_t stride, int add) {
  float32x4_t total[XK_SOME_ROWS][XK_FOURS];
  UNROLL for (int i = 0; i < rows; i++) {
    UNROLL for (int v = 0; v < XK_FOURS; v++) {
      total[i][v] = add ? vld1q_f32(sums + (size_t)i * stride + 4 * v) : vdupq_n_f32(0);
    }
  }
  for (size_t b = 0; b < blocks; b++, tile++) {
    pair_sums dot[XK_SOME_ROWS];
    clear(rows, dot);
    for (size_t pair = 0; pair < 16; pair++) {
      UNROLL for (size_t v = 0; v < XK_FOURS; v++) {
        int16x8_t weights = vld1q_s16(tile->quants[pair][4 * v]);
        UNROLL for (int i = 0; i < rows; i++) add_pair(weights, x[i] + b, pair, v, dot + i);
      }
    }
    UNROLL for (int v = 0; v < XK_FOURS; v++) {
      float32x4_t d = vld1q_f32(tile->scales + 4 * v), m = vld1q_f32(tile->minima + 4 * v);
      UNROLL for (int i = 0; i < rows; i++) {
        int32x4_t sum = vpaddq_s32(dot[i].low[v], dot[i].high[v]);
        total[i][v] = fold(has_minima, sum, d, m, x[i][b].scale, x[i][b].sum, total[i][v]);
      }
    }
  }
  UNROLL for (int i = 0; i < rows; i++) {
    UNROLL for (int v = 0; v < XK_FOURS; v++) vst1q_f32(sums + (size_t)i * stride + 4 * v, total[i][v]);
  }
}

void xk_neon_int16_tile_product(uint32_t format, const xk_int16_block *const *x, size_t rows, const xk_int16_tile *tile,
                                size_t count, float *sums, size_t stride, int add) {
  const int has_minima = xk_has_minima(format);
  for (size_t blocks = count / 32; rows;) {
    size_t some = rows < XK_SOME_ROWS ? rows : XK_SOME_ROWS;
    switch (some) {
    case 1: rows_by_tile(has_minima, 1, x, tile, blocks, sums, stride, add); break;
    case 2: rows_by_tile(has_minima, 2, x, tile, blocks, sums, stride, add); break;
    default: rows_by_tile(has_minima, 3, x, tile, blocks, sums, stride, add);
    }
    rows -= some, x += some, sums += some * stride;
  }
}

// MARK: few rows, without a tile

XK_NEON_INLINE void few_rows_by_panel(uint32_t format, const int rows, const xk_int16_block *x, const uint8_t *panel,
                                      size_t blocks, float *out, size_t stride) {
  float32x4_t total[XK_FEW_ROWS][XK_FOURS], d[XK_FOURS], m[XK_FOURS];
  UNROLL for (int i = 0; i < rows; i++) {
    UNROLL for (int v = 0; v < XK_FOURS; v++) total[i][v] = vdupq_n_f32(0);
  }
  for (size_t b = 0; b < blocks; b++) {
    xk_stretch s = xk_stretch_at(format, panel, 32 * b);
    prefetch_ahead(s.own, (size_t)(s.quants - s.own) + xk_quant_bytes(format));
    pair_sums dot[XK_FEW_ROWS];
    clear(rows, dot);
    for (size_t group = 0; group < 4; group++) {
      UNROLL for (size_t v = 0; v < XK_FOURS; v++) {
        int16x8_t pairs[4];
        load_pairs(format, s, group, v, pairs);
        UNROLL for (size_t p = 0; p < 4; p++) {
          UNROLL for (int i = 0; i < rows; i++) {
            add_pair(pairs[p], x + (size_t)i * blocks + b, 4 * group + p, v, dot + i);
          }
        }
      }
    }
    xk_load_scales(format, s, 0, d, m);
    UNROLL for (int v = 0; v < XK_FOURS; v++) {
      UNROLL for (int i = 0; i < rows; i++) {
        const xk_int16_block *row = x + (size_t)i * blocks + b;
        int32x4_t sum = vpaddq_s32(dot[i].low[v], dot[i].high[v]);
        total[i][v] = fold(xk_has_minima(format), sum, d[v], m[v], row->scale, row->sum, total[i][v]);
      }
    }
  }
  UNROLL for (int i = 0; i < rows; i++) {
    UNROLL for (int v = 0; v < XK_FOURS; v++) vst1q_f32(out + (size_t)i * stride + 4 * v, total[i][v]);
  }
}

/// Each panel is in the first cache from its first few rows on.
XK_NEON_INLINE void rows_by_panels(uint32_t format, const xk_int16_block *x, size_t rows, const uint8_t *panel,
                                   size_t panels, size_t columns, float *out, size_t stride) {
  const size_t blocks = columns / 32;
  const size_t bytes = columns / (xk_is_k(format) ? 256 : 32) * xk_panel_block_bytes(format);
  for (size_t p = 0; p < panels; p++, panel += bytes, out += XK_PANEL) {
    for (size_t first = 0; first < rows; first += XK_FEW_ROWS) {
      const xk_int16_block *some = x + first * blocks;
      float *sums = out + first * stride;
      if (rows - first == 1) few_rows_by_panel(format, 1, some, panel, blocks, sums, stride);
      else few_rows_by_panel(format, XK_FEW_ROWS, some, panel, blocks, sums, stride);
    }
  }
}

void xk_neon_int16_rows_product(uint32_t format, const xk_int16_block *x, size_t rows, const uint8_t *panel,
                                size_t panels, size_t columns, float *out, size_t stride) {
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
