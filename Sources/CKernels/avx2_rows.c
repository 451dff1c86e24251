// Norm, rotary embedding, SwiGLU, softmax and conversions. The tail of a row goes through the same operations in scalar
// form, so its bits are those of plain C.
#include "avx2.h"

#if defined(__x86_64__)
#include "exponential.h"

#pragma STDC FP_CONTRACT OFF

XK_AVX2_INLINE float sum_of_lanes(__m256 lanes) {
  __m128 four = _mm_add_ps(_mm256_castps256_ps128(lanes), _mm256_extractf128_ps(lanes, 1));
  __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
  return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
}

/// All ones in the first `count` lanes.
XK_AVX2_INLINE __m256 first_lanes(size_t count) {
  __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
  return _mm256_castsi256_ps(_mm256_cmpgt_epi32(_mm256_set1_epi32((int)count), lane));
}

/// `xk_exp` of eight.
XK_AVX2_INLINE __m256 exponentials(__m256 x) {
  __m256 too_small = _mm256_cmp_ps(x, _mm256_set1_ps(XK_EXP_MIN), _CMP_LT_OQ);
  x = _mm256_min_ps(_mm256_set1_ps(XK_EXP_MAX), x);
  __m256 round = _mm256_set1_ps(XK_ROUND);
  __m256 shifted = _mm256_fmadd_ps(x, _mm256_set1_ps(XK_LOG2E), round);
  __m256 n = _mm256_sub_ps(shifted, round);
  __m256 r = _mm256_fmadd_ps(n, _mm256_set1_ps(-XK_LN2_HIGH), x);
  r = _mm256_fmadd_ps(n, _mm256_set1_ps(-XK_LN2_LOW), r);
  __m256 p = _mm256_set1_ps(XK_EXP_5);
  p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(XK_EXP_4));
  p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(XK_EXP_3));
  p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(XK_EXP_2));
  p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(XK_EXP_1));
  p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(XK_EXP_0));
  p = _mm256_add_ps(_mm256_fmadd_ps(p, _mm256_mul_ps(r, r), r), _mm256_set1_ps(1));
  __m256i power = _mm256_slli_epi32(_mm256_add_epi32(_mm256_castps_si256(shifted), _mm256_set1_epi32(127)), 23);
  return _mm256_andnot_ps(too_small, _mm256_mul_ps(p, _mm256_castsi256_ps(power)));
}

XK_AVX2 void xk_avx2_rms_norm(const float *x, const float *weight, float epsilon, size_t count, float *out) {
  __m256 squares = _mm256_setzero_ps();
  size_t i = 0;
  for (; i + 8 <= count; i += 8) {
    __m256 v = _mm256_loadu_ps(x + i);
    squares = _mm256_fmadd_ps(v, v, squares);
  }
  float lanes[8];
  _mm256_storeu_ps(lanes, squares);
  for (; i < count; i++) lanes[i % 8] = fmaf(x[i], x[i], lanes[i % 8]);
  float factor = 1 / sqrtf(sum_of_lanes(_mm256_loadu_ps(lanes)) / (float)count + epsilon);
  for (i = 0; i < count; i++) out[i] = x[i] * factor * weight[i];
}

XK_AVX2 void xk_avx2_rotate(float *head, size_t half, const float *cosines, const float *sines, int halves) {
  size_t i = 0;
  if (halves) {
    for (; i + 8 <= half; i += 8) {
      __m256 a = _mm256_loadu_ps(head + i), b = _mm256_loadu_ps(head + half + i);
      __m256 c = _mm256_loadu_ps(cosines + i), s = _mm256_loadu_ps(sines + i);
      _mm256_storeu_ps(head + i, _mm256_fmsub_ps(a, c, _mm256_mul_ps(b, s)));
      _mm256_storeu_ps(head + half + i, _mm256_fmadd_ps(b, c, _mm256_mul_ps(a, s)));
    }
  } else {
    __m256i twice = _mm256_setr_epi32(0, 0, 1, 1, 2, 2, 3, 3);
    for (; i + 4 <= half; i += 4) {
      __m256 pairs = _mm256_loadu_ps(head + 2 * i);
      __m256 c = _mm256_permutevar8x32_ps(_mm256_castps128_ps256(_mm_loadu_ps(cosines + i)), twice);
      __m256 s = _mm256_permutevar8x32_ps(_mm256_castps128_ps256(_mm_loadu_ps(sines + i)), twice);
      __m256 swapped = _mm256_permute_ps(pairs, 0xb1);
      _mm256_storeu_ps(head + 2 * i, _mm256_fmaddsub_ps(pairs, c, _mm256_mul_ps(swapped, s)));
    }
  }
  for (; i < half; i++) {
    float *a = halves ? head + i : head + 2 * i, *b = halves ? a + half : a + 1;
    float x = *a, y = *b;
    *a = fmaf(x, cosines[i], -(y * sines[i]));
    *b = fmaf(y, cosines[i], x * sines[i]);
  }
}

XK_AVX2 void xk_avx2_swiglu(const float *gate, const float *up, float *out, size_t count) {
  size_t i = 0;
  __m256 one = _mm256_set1_ps(1), sign = _mm256_set1_ps(-0.0f);
  for (; i + 8 <= count; i += 8) {
    __m256 g = _mm256_loadu_ps(gate + i);
    __m256 silu = _mm256_div_ps(g, _mm256_add_ps(one, exponentials(_mm256_xor_ps(g, sign))));
    _mm256_storeu_ps(out + i, _mm256_mul_ps(silu, _mm256_loadu_ps(up + i)));
  }
  for (; i < count; i++) out[i] = gate[i] / (1 + xk_exp(-gate[i])) * up[i];
}

XK_AVX2 void xk_avx2_add(const float *x, float *out, size_t count) {
  for (size_t i = 0; i < count; i++) out[i] += x[i];
}

XK_AVX2 void xk_avx2_scale(float factor, float *out, size_t count) {
  for (size_t i = 0; i < count; i++) out[i] *= factor;
}

XK_AVX2 void xk_avx2_blend(float a, float *out, float b, const float *x, size_t count) {
  for (size_t i = 0; i < count; i++) out[i] = out[i] * a + x[i] * b;
}

XK_AVX2 void xk_avx2_exponential(const float *x, float *out, size_t count) {
  size_t i = 0;
  for (; i + 8 <= count; i += 8) _mm256_storeu_ps(out + i, exponentials(_mm256_loadu_ps(x + i)));
  for (; i < count; i++) out[i] = xk_exp(x[i]);
}

XK_AVX2 void xk_avx2_narrow(const float *x, uint16_t *out, size_t count) {
  size_t i = 0;
  for (; i + 8 <= count; i += 8) {
    _mm_storeu_si128((__m128i *)(out + i), _mm256_cvtps_ph(_mm256_loadu_ps(x + i), _MM_FROUND_TO_NEAREST_INT));
  }
  for (; i < count; i++) out[i] = xk_narrow_half(x[i]);
}

XK_AVX2 void xk_avx2_widen(const uint16_t *x, float *out, size_t count) {
  size_t i = 0;
  for (; i + 8 <= count; i += 8) _mm256_storeu_ps(out + i, xk_load_halves(x + i));
  for (; i < count; i++) out[i] = xk_widen_half(x[i]);
}

/// The greatest lane, in all lanes.
XK_AVX2_INLINE __m256 maximum_of_lanes(__m256 lanes) {
  lanes = _mm256_max_ps(lanes, _mm256_permute2f128_ps(lanes, lanes, 1));
  lanes = _mm256_max_ps(lanes, _mm256_permute_ps(lanes, 0x4e));
  return _mm256_max_ps(lanes, _mm256_permute_ps(lanes, 0xb1));
}

/// The greatest of `peaks` and the scaled scores.
XK_AVX2_INLINE __m256 greatest(const float *scores, size_t count, __m256 factors, __m256 peaks) {
  size_t whole = count / 8 * 8;
  for (size_t i = 0; i < whole; i += 8) {
    peaks = _mm256_max_ps(_mm256_mul_ps(_mm256_loadu_ps(scores + i), factors), peaks);
  }
  if (whole < count) {
    __m256 score = _mm256_mul_ps(_mm256_loadu_ps(scores + whole), factors);
    peaks = _mm256_max_ps(_mm256_blendv_ps(peaks, score, first_lanes(count - whole)), peaks);
  }
  return maximum_of_lanes(peaks);
}

/// Scores to exponentials; returns their sum.
XK_AVX2_INLINE float exponentials_in_place(float *scores, size_t count, __m256 factors, __m256 peaks) {
  size_t whole = count / 8 * 8;
  __m256 sums = _mm256_setzero_ps();
  for (size_t i = 0; i < whole; i += 8) {
    __m256 e = exponentials(_mm256_fmsub_ps(_mm256_loadu_ps(scores + i), factors, peaks));
    _mm256_storeu_ps(scores + i, e);
    sums = _mm256_add_ps(sums, e);
  }
  if (whole < count) {
    __m256 e = exponentials(_mm256_fmsub_ps(_mm256_loadu_ps(scores + whole), factors, peaks));
    _mm256_storeu_ps(scores + whole, e);
    sums = _mm256_add_ps(sums, _mm256_and_ps(e, first_lanes(count - whole)));
  }
  return sum_of_lanes(sums);
}

/// All maxima first: each waits for a chain of operations, and so do the exponentials of the changes.
XK_AVX2 void xk_avx2_softmax_steps(size_t rows, float *scores, size_t stride, const size_t *counts, float scale,
                                   float *maxima, float *totals, float *sums, size_t width) {
  __m256 factors = _mm256_set1_ps(scale);
  float changes[8] = {0};
  for (size_t i = 0; i < rows; i++) {
    float peak = _mm256_cvtss_f32(greatest(scores + i * stride, counts[i], factors, _mm256_set1_ps(maxima[i])));
    changes[i] = maxima[i] - peak;
    maxima[i] = peak;
  }
  _mm256_storeu_ps(changes, exponentials(_mm256_loadu_ps(changes)));
  for (size_t i = 0; i < rows; i++) {
    float sum = exponentials_in_place(scores + i * stride, counts[i], factors, _mm256_set1_ps(maxima[i]));
    totals[i] = fmaf(totals[i], changes[i], sum);
    if (changes[i] != 1) xk_avx2_scale(changes[i], sums + i * width, width);
  }
}
#endif
