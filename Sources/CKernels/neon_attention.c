// Attention's keys and values: transposed to a tile, and for one row used once, straight from the halves in the pool.
#include "neon.h"

#if defined(__aarch64__)

// MARK: key tiles

/// Eight rows of eight halves, `stride` halves apart, to eight columns of floats.
XK_NEON_INLINE void transpose_halves(const uint16_t *rows, size_t stride, float *tile) {
  float16x8_t columns[8];
  transpose_eight(rows, stride, columns);
  UNROLL for (int i = 0; i < 8; i++) {
    vst1q_f32(tile + (size_t)i * XK_KEY_TILE, vcvt_f32_f16(vget_low_f16(columns[i])));
    vst1q_f32(tile + (size_t)i * XK_KEY_TILE + 4, vcvt_high_f32_f16(columns[i]));
  }
}

/// Four rows of four floats.
XK_NEON_INLINE void transpose_floats(const float *rows, size_t stride, float *tile) {
  float32x4_t a = vld1q_f32(rows), b = vld1q_f32(rows + stride);
  float32x4_t c = vld1q_f32(rows + 2 * stride), d = vld1q_f32(rows + 3 * stride);
  float32x4x2_t even = vzipq_f32(a, c), odd = vzipq_f32(b, d);
  float32x4x2_t first = vzipq_f32(even.val[0], odd.val[0]), last = vzipq_f32(even.val[1], odd.val[1]);
  vst1q_f32(tile, first.val[0]);
  vst1q_f32(tile + XK_KEY_TILE, first.val[1]);
  vst1q_f32(tile + 2 * XK_KEY_TILE, last.val[0]);
  vst1q_f32(tile + 3 * XK_KEY_TILE, last.val[1]);
}

void xk_neon_transpose_keys(const void *keys, int is_half, size_t slots, size_t dim, float *tile) {
  size_t step = is_half ? 8 : 4, whole_slots = slots / step * step, whole_dim = dim / step * step;
  for (size_t s = 0; s < whole_slots; s += step) {
    for (size_t d = 0; d < whole_dim; d += step) {
      float *target = tile + d * XK_KEY_TILE + s;
      if (is_half) transpose_halves((const uint16_t *)keys + s * dim + d, dim, target);
      else transpose_floats((const float *)keys + s * dim + d, dim, target);
    }
  }
  for (size_t s = 0; s < slots; s++) {
    for (size_t d = s < whole_slots ? whole_dim : 0; d < dim; d++) {
      tile[d * XK_KEY_TILE + s] =
          is_half ? xk_widen_half(((const uint16_t *)keys)[s * dim + d]) : ((const float *)keys)[s * dim + d];
    }
  }
}

// MARK: one row

/// One or two groups of eight slots: two keep twice as many chains of multiply-adds going.
XK_NEON_INLINE void group_scores(const int rows, const int groups, const float *const *x, const uint16_t *keys,
                                 size_t dim, float *scores, size_t stride) {
  float32x4_t sums[XK_TILE_ROWS][4];
  UNROLL for (int i = 0; i < rows; i++) {
    UNROLL for (int v = 0; v < 2 * groups; v++) sums[i][v] = vdupq_n_f32(0);
  }
  for (size_t d = 0; d < dim; d += 8) {
    UNROLL for (int g = 0; g < groups; g++) {
      float16x8_t columns[8];
      transpose_eight(keys + 8 * (size_t)g * dim + d, dim, columns);
      UNROLL for (int k = 0; k < 8; k++) {
        float32x4_t low = vcvt_f32_f16(vget_low_f16(columns[k])), high = vcvt_high_f32_f16(columns[k]);
        UNROLL for (int i = 0; i < rows; i++) {
          sums[i][2 * g] = vfmaq_n_f32(sums[i][2 * g], low, x[i][d + k]);
          sums[i][2 * g + 1] = vfmaq_n_f32(sums[i][2 * g + 1], high, x[i][d + k]);
        }
      }
    }
  }
  UNROLL for (int i = 0; i < rows; i++) {
    UNROLL for (int v = 0; v < 2 * groups; v++) vst1q_f32(scores + (size_t)i * stride + 4 * v, sums[i][v]);
  }
}

/// More than three rows have chains enough in one group.
XK_NEON_INLINE void row_scores(const int rows, const float *const *x, const uint16_t *keys, size_t slots, size_t dim,
                               float *scores, size_t stride) {
  size_t s = 0;
  if (rows <= 3) {
    for (; s + 8 < slots; s += 16) group_scores(rows, 2, x, keys + s * dim, dim, scores + s, stride);
  }
  for (; s < slots; s += 8) group_scores(rows, 1, x, keys + s * dim, dim, scores + s, stride);
}

void xk_neon_half_scores(const float *const *x, size_t rows, const uint16_t *keys, size_t slots, size_t dim,
                         float *scores, size_t stride) {
  switch (rows) {
  case 1: row_scores(1, x, keys, slots, dim, scores, stride); break;
  case 2: row_scores(2, x, keys, slots, dim, scores, stride); break;
  case 3: row_scores(3, x, keys, slots, dim, scores, stride); break;
  case 4: row_scores(4, x, keys, slots, dim, scores, stride); break;
  case 5: row_scores(5, x, keys, slots, dim, scores, stride); break;
  default: row_scores(6, x, keys, slots, dim, scores, stride);
  }
}

/// Up to 24 sums in registers: `eights` times 8 elements for each row.
XK_NEON_INLINE void row_values(const int rows, const int eights, const float *const *weights, const uint16_t *values,
                               size_t slots, size_t dim, float *sums) {
  for (size_t d = 0; d < dim; d += 8 * (size_t)eights) {
    float32x4_t sum[XK_TILE_ROWS][8];
    UNROLL for (int i = 0; i < rows; i++) {
      UNROLL for (int v = 0; v < 2 * eights; v++) sum[i][v] = vld1q_f32(sums + (size_t)i * dim + d + 4 * v);
    }
    for (size_t s = 0; s < slots; s++) {
      UNROLL for (int v = 0; v < 2 * eights; v++) {
        float32x4_t value = xk_load_halves(values + s * dim + d + 4 * v);
        UNROLL for (int i = 0; i < rows; i++) sum[i][v] = vfmaq_n_f32(sum[i][v], value, weights[i][s]);
      }
    }
    UNROLL for (int i = 0; i < rows; i++) {
      UNROLL for (int v = 0; v < 2 * eights; v++) vst1q_f32(sums + (size_t)i * dim + d + 4 * v, sum[i][v]);
    }
  }
}

void xk_neon_add_half_values(const float *const *weights, size_t rows, const uint16_t *values, size_t slots, size_t dim,
                             float *sums) {
  switch (rows) {
  case 1: row_values(1, 4, weights, values, slots, dim, sums); break;
  case 2: row_values(2, 4, weights, values, slots, dim, sums); break;
  case 3: row_values(3, 2, weights, values, slots, dim, sums); break;
  case 4: row_values(4, 2, weights, values, slots, dim, sums); break;
  case 5: row_values(5, 2, weights, values, slots, dim, sums); break;
  default: row_values(6, 1, weights, values, slots, dim, sums);
  }
}
#endif
