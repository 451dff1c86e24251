// Attention of one row: keys and values are used once, straight from the halves in the pool.
#include "avx2.h"

#if defined(__x86_64__)

#define UNROLL _Pragma("clang loop unroll(full)")

/// One or two groups of eight slots: two keep twice as many chains of multiply-adds going.
XK_AVX2_INLINE void group_scores(const int rows, const int groups, const float *const *x, const uint16_t *keys,
                                 size_t dim, float *scores, size_t stride) {
  __m256 sums[XK_TILE_ROWS][2];
  for (int i = 0; i < rows; i++) sums[i][0] = sums[i][1] = _mm256_setzero_ps();
  for (size_t d = 0; d < dim; d += 8) {
    UNROLL for (int g = 0; g < groups; g++) {
      __m128i columns[8];
      transpose_eight(keys + 8 * (size_t)g * dim + d, dim, columns);
      UNROLL for (int k = 0; k < 8; k++) {
        __m256 key = _mm256_cvtph_ps(columns[k]);
        UNROLL for (int i = 0; i < rows; i++) {
          sums[i][g] = _mm256_fmadd_ps(_mm256_broadcast_ss(x[i] + d + k), key, sums[i][g]);
        }
      }
    }
  }
  for (int i = 0; i < rows; i++) {
    for (int g = 0; g < groups; g++) _mm256_storeu_ps(scores + (size_t)i * stride + 8 * g, sums[i][g]);
  }
}

XK_AVX2_INLINE void row_scores(const int rows, const float *const *x, const uint16_t *keys, size_t slots, size_t dim,
                               float *scores, size_t stride) {
  size_t s = 0;
  for (; s + 8 < slots; s += 16) group_scores(rows, 2, x, keys + s * dim, dim, scores + s, stride);
  if (s < slots) group_scores(rows, 1, x, keys + s * dim, dim, scores + s, stride);
}

XK_AVX2 void xk_avx2_half_scores(const float *const *x, size_t rows, const uint16_t *keys, size_t slots, size_t dim,
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

/// At most twelve sums in registers: `vectors` of 8 elements for each row.
XK_AVX2_INLINE void row_values(const int rows, const int vectors, const float *const *weights, const uint16_t *values,
                               size_t slots, size_t dim, float *sums) {
  for (size_t d = 0; d < dim; d += 8 * vectors) {
    __m256 sum[XK_TILE_ROWS][4];
    for (int i = 0; i < rows; i++) {
      for (int v = 0; v < vectors; v++) sum[i][v] = _mm256_loadu_ps(sums + (size_t)i * dim + d + 8 * v);
    }
    for (size_t s = 0; s < slots; s++) {
      UNROLL for (int v = 0; v < vectors; v++) {
        __m256 value = xk_load_halves(values + s * dim + d + 8 * v);
        UNROLL for (int i = 0; i < rows; i++) {
          sum[i][v] = _mm256_fmadd_ps(_mm256_broadcast_ss(weights[i] + s), value, sum[i][v]);
        }
      }
    }
    for (int i = 0; i < rows; i++) {
      for (int v = 0; v < vectors; v++) _mm256_storeu_ps(sums + (size_t)i * dim + d + 8 * v, sum[i][v]);
    }
  }
}

XK_AVX2 void xk_avx2_add_half_values(const float *const *weights, size_t rows, const uint16_t *values, size_t slots,
                                     size_t dim, float *sums) {
  switch (rows) {
  case 1: row_values(1, 4, weights, values, slots, dim, sums); break;
  case 2: row_values(2, 4, weights, values, slots, dim, sums); break;
  case 3: row_values(3, 4, weights, values, slots, dim, sums); break;
  case 4: row_values(4, 2, weights, values, slots, dim, sums); break;
  case 5: row_values(5, 2, weights, values, slots, dim, sums); break;
  default: row_values(6, 2, weights, values, slots, dim, sums);
  }
}
#endif
