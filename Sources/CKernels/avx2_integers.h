// What the int8 and int16 products share in AVX2.
#pragma once
#include "avx2.h"
#include "integers.h"

#if defined(__x86_64__)

#define UNROLL _Pragma("clang loop unroll(full)")

XK_AVX2_INLINE float greatest_magnitude(const __m256 v[4]) {
  __m256 sign = _mm256_set1_ps(-0.0f), most = _mm256_andnot_ps(sign, v[0]);
  for (int i = 1; i < 4; i++) most = _mm256_max_ps(_mm256_andnot_ps(sign, v[i]), most);
  __m128 four = _mm_max_ps(_mm256_castps256_ps128(most), _mm256_extractf128_ps(most, 1));
  four = _mm_max_ps(four, _mm_movehl_ps(four, four));
  return _mm_cvtss_f32(_mm_max_ss(four, _mm_movehdup_ps(four)));
}

/// Scales and minima of eight outputs of a packed block.
XK_AVX2_INLINE void block_scales(uint32_t format, const uint8_t *block, int half, __m256 *d, __m256 *m) {
  *d = xk_load_halves(block + 16 * half);
  if (format == XK_Q4_1) *m = xk_load_halves(block + 2 * XK_PANEL + 16 * half);
  if (format == XK_Q4_0) *m = _mm256_mul_ps(*d, _mm256_set1_ps(-8));
  if (format == XK_Q8_0) *m = _mm256_setzero_ps();
}

/// Bytes of a packed block.
XK_AVX2_INLINE size_t block_bytes(uint32_t format) {
  return (format == XK_Q8_0 ? 34 : format == XK_Q4_1 ? 20 : 18) * XK_PANEL;
}

/// A panel is read from end to end, so neighbouring panels are one stream.
XK_AVX2_INLINE void prefetch_ahead(const uint8_t *block, size_t bytes) {
  const char *ahead = (const char *)block + 2048;
  for (size_t line = 0; line < bytes; line += 64) _mm_prefetch(ahead + line, _MM_HINT_T0);
}
#endif
