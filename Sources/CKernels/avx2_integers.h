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

/// A panel is read from end to end, so neighbouring panels are one stream.
XK_AVX2_INLINE void prefetch_ahead(const uint8_t *block, size_t bytes) {
  const char *ahead = (const char *)block + 2048;
  for (size_t line = 0; line < bytes; line += 64) _mm_prefetch(ahead + line, _MM_HINT_T0);
}
#endif
