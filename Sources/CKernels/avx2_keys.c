// Keys lie slot by slot; scores of sixteen slots at a time need them element by element.
#include "avx2.h"

#if defined(__x86_64__)

/// Eight rows of eight halves, `stride` halves apart, to eight columns of floats.
XK_AVX2_INLINE void transpose_halves(const uint16_t *rows, size_t stride, float *tile) {
  __m128i columns[8];
  transpose_eight(rows, stride, columns);
  for (int i = 0; i < 8; i++) _mm256_storeu_ps(tile + (size_t)i * XK_KEY_TILE, _mm256_cvtph_ps(columns[i]));
}

/// Four rows of four floats.
XK_AVX2_INLINE void transpose_floats(const float *rows, size_t stride, float *tile) {
  __m128 a = _mm_loadu_ps(rows), b = _mm_loadu_ps(rows + stride);
  __m128 c = _mm_loadu_ps(rows + 2 * stride), d = _mm_loadu_ps(rows + 3 * stride);
  _MM_TRANSPOSE4_PS(a, b, c, d);
  _mm_storeu_ps(tile, a);
  _mm_storeu_ps(tile + XK_KEY_TILE, b);
  _mm_storeu_ps(tile + 2 * XK_KEY_TILE, c);
  _mm_storeu_ps(tile + 3 * XK_KEY_TILE, d);
}

XK_AVX2 void xk_avx2_transpose_keys(const void *keys, int is_half, size_t slots, size_t dim, float *tile) {
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
          is_half ? _cvtsh_ss(((const uint16_t *)keys)[s * dim + d]) : ((const float *)keys)[s * dim + d];
    }
  }
}
#endif
