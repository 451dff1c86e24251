// What the AVX2 files share. Each function names its target, so that the package builds for any x86-64 and the table is
// chosen at run time.
#pragma once
#if defined(__x86_64__)
#include "CKernels.h"
#include "panels.h"
#include <immintrin.h>

#define XK_AVX2 __attribute__((target("avx2,fma,f16c")))
#define XK_AVX2_INLINE static inline __attribute__((always_inline, target("avx2,fma,f16c")))

XK_AVX2_INLINE __m256 xk_load_halves(const void *halves) {
  return _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)halves));
}

XK_AVX2_INLINE __m256 xk_load_bytes(const uint8_t *bytes) {
  return _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)bytes)));
}

/// Scales and minima of eight outputs, for the 16 inputs from 16 · `span` on (only Q6_K's differ from span to span).
XK_AVX2_INLINE void xk_load_scales(uint32_t format, xk_stretch s, int span, int half, __m256 *d, __m256 *m) {
  *d = xk_load_halves(s.block + 16 * half);
  *m = xk_stores_minima(format) ? xk_load_halves(s.block + 2 * XK_PANEL + 16 * half)
       : format == XK_Q4_0      ? _mm256_mul_ps(*d, _mm256_set1_ps(-8))
                                : _mm256_setzero_ps();
  if (format == XK_Q6_K) {
    __m128i scales = _mm_loadl_epi64((const __m128i *)(s.own + span * XK_PANEL + 8 * half));
    *d = _mm256_mul_ps(*d, _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(scales)));
  }
  if (format == XK_Q4_K || format == XK_Q5_K) {
    *d = _mm256_mul_ps(*d, xk_load_bytes(s.own + 8 * half));
    __m256 minima = _mm256_xor_ps(xk_load_bytes(s.own + XK_PANEL + 8 * half), _mm256_set1_ps(-0.0f));
    *m = _mm256_mul_ps(*m, minima);
  }
}

/// Eight rows of eight halves, `stride` halves apart, to eight columns.
XK_AVX2_INLINE void transpose_eight(const uint16_t *rows, size_t stride, __m128i columns[8]) {
  __m128i r[8], s[8];
  for (int i = 0; i < 8; i++) r[i] = _mm_loadu_si128((const __m128i *)(rows + (size_t)i * stride));
  for (int i = 0; i < 8; i += 2) {
    s[i] = _mm_unpacklo_epi16(r[i], r[i + 1]);
    s[i + 1] = _mm_unpackhi_epi16(r[i], r[i + 1]);
  }
  for (int half = 0; half < 2; half++) {
    __m128i a = _mm_unpacklo_epi32(s[half], s[2 + half]), b = _mm_unpackhi_epi32(s[half], s[2 + half]);
    __m128i c = _mm_unpacklo_epi32(s[4 + half], s[6 + half]), d = _mm_unpackhi_epi32(s[4 + half], s[6 + half]);
    columns[4 * half] = _mm_unpacklo_epi64(a, c);
    columns[4 * half + 1] = _mm_unpackhi_epi64(a, c);
    columns[4 * half + 2] = _mm_unpacklo_epi64(b, d);
    columns[4 * half + 3] = _mm_unpackhi_epi64(b, d);
  }
}

void xk_avx2_unpack(uint32_t format, const uint8_t *panel, size_t first, size_t count, float *tile);
void xk_avx2_tile_product(const float *const *x, size_t rows, const float *tile, size_t tile_stride, size_t count,
                          float *sums, size_t stride, int add);
void xk_avx2_vector_product(uint32_t format, const float *x, const uint8_t *panel, size_t panels, size_t columns,
                            float *out);
void xk_avx2_quantize_int8(const float *x, size_t count, xk_int8_block *out);
void xk_avx2_unpack_int8(uint32_t format, const uint8_t *panel, size_t first, size_t count, xk_int8_tile *tile);
void xk_avx2_int8_tile_product(uint32_t format, const xk_int8_block *const *x, size_t rows, const xk_int8_tile *tile,
                               size_t count, float *sums, size_t stride, int add);
void xk_avx2_int8_vector_product(uint32_t format, const xk_int8_block *x, const uint8_t *panel, size_t panels,
                                 size_t columns, float *out);
void xk_avx2_quantize_int16(const float *x, size_t count, xk_int16_block *out);
void xk_avx2_unpack_int16(uint32_t format, const uint8_t *panel, size_t first, size_t count, xk_int16_tile *tile);
void xk_avx2_int16_tile_product(uint32_t format, const xk_int16_block *const *x, size_t rows, const xk_int16_tile *tile,
                                size_t count, float *sums, size_t stride, int add);
void xk_avx2_int16_rows_product(uint32_t format, const xk_int16_block *x, size_t rows, const uint8_t *panel,
                                size_t panels, size_t columns, float *out, size_t stride);
void xk_avx2_rms_norm(const float *x, const float *weight, float epsilon, size_t count, float *out);
void xk_avx2_rotate(float *head, size_t half, const float *cosines, const float *sines, int halves);
void xk_avx2_swiglu(const float *gate, const float *up, float *out, size_t count);
void xk_avx2_add(const float *x, float *out, size_t count);
void xk_avx2_scale(float factor, float *out, size_t count);
void xk_avx2_blend(float a, float *out, float b, const float *x, size_t count);
void xk_avx2_exponential(const float *x, float *out, size_t count);
void xk_avx2_narrow(const float *x, uint16_t *out, size_t count);
void xk_avx2_widen(const uint16_t *x, float *out, size_t count);
void xk_avx2_transpose_keys(const void *keys, int is_half, size_t slots, size_t dim, float *tile);
void xk_avx2_half_scores(const float *const *x, size_t rows, const uint16_t *keys, size_t slots, size_t dim,
                         float *scores, size_t stride);
void xk_avx2_add_half_values(const float *const *weights, size_t rows, const uint16_t *values, size_t slots, size_t dim,
                             float *sums);
void xk_avx2_softmax_steps(size_t rows, float *scores, size_t stride, const size_t *counts, float scale, float *maxima,
                           float *totals, float *sums, size_t width);
#endif
