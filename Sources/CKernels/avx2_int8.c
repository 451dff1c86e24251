// Int8 products: rows by an unpacked tile, and one row straight from the packed weights.
#include "avx2_integers.h"

#if defined(__x86_64__)
#pragma STDC FP_CONTRACT OFF

// MARK: activations

/// To bytes, in the order of a quantised row.
XK_AVX2_INLINE __m256i quantized(const __m256 v[4], float factor) {
  __m256 factors = _mm256_set1_ps(factor);
  __m256i q[4];
  for (int i = 0; i < 4; i++) q[i] = _mm256_cvtps_epi32(_mm256_mul_ps(v[i], factors));
  __m256i bytes = _mm256_packs_epi16(_mm256_packs_epi32(q[0], q[1]), _mm256_packs_epi32(q[2], q[3]));
  bytes = _mm256_permutevar8x32_epi32(bytes, _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7));
  __m128i even_first = _mm_setr_epi8(0, 2, 4, 6, 1, 3, 5, 7, 8, 10, 12, 14, 9, 11, 13, 15);
  bytes = _mm256_shuffle_epi8(bytes, _mm256_broadcastsi128_si256(even_first));
  return _mm256_max_epi8(bytes, _mm256_set1_epi8(-127));
}

XK_AVX2_INLINE int sum_of_bytes(__m256i bytes) {
  __m256i pairs = _mm256_maddubs_epi16(_mm256_set1_epi8(1), bytes);
  __m256i eight = _mm256_madd_epi16(pairs, _mm256_set1_epi16(1));
  __m128i four = _mm_add_epi32(_mm256_castsi256_si128(eight), _mm256_extracti128_si256(eight, 1));
  four = _mm_add_epi32(four, _mm_shuffle_epi32(four, 0x4e));
  return _mm_cvtsi128_si32(_mm_add_epi32(four, _mm_shuffle_epi32(four, 0xb1)));
}

XK_AVX2 void xk_avx2_quantize_int8(const float *x, size_t count, xk_int8_block *out) {
  for (size_t b = 0; b < count / 32; b++, x += 32, out++) {
    __m256 v[4];
    for (int i = 0; i < 4; i++) v[i] = _mm256_loadu_ps(x + 8 * i);
    float most = greatest_magnitude(v);
    int is_zero = !(most >= XK_SMALLEST);
    __m256i bytes = quantized(v, is_zero ? 0 : XK_INT8_MAX / most);
    _mm256_storeu_si256((__m256i *)out->quants, bytes);
    out->scale = is_zero ? 0 : most / XK_INT8_MAX;
    out->sum = (float)sum_of_bytes(bytes) * out->scale;
  }
}

// MARK: weights

/// Words 2g and 2g + 1 of eight outputs, four quants each.
XK_AVX2_INLINE void load_words(uint32_t format, xk_stretch s, size_t group, int half, __m256i words[2]) {
  if (xk_is_nibbles(format)) {
    __m256i nibbles = _mm256_loadu_si256((const __m256i *)(s.quants + group * 4 * XK_PANEL + 32 * half));
    __m256i low = _mm256_set1_epi8(15);
    words[0] = _mm256_and_si256(nibbles, low);
    words[1] = _mm256_and_si256(_mm256_srli_epi16(nibbles, 4), low);
  } else {
    const __m256i *quants = (const __m256i *)(s.quants + group * 8 * XK_PANEL + 32 * half);
    words[0] = _mm256_loadu_si256(quants);
    words[1] = _mm256_loadu_si256(quants + 2);
  }
}

XK_AVX2_INLINE void unpack_blocks(uint32_t format, const uint8_t *panel, size_t first, size_t count,
                                  xk_int8_tile *tile) {
  for (size_t k = first; k < first + count; k += 32, tile++) {
    xk_stretch s = xk_stretch_at(format, panel, k);
    for (int half = 0; half < 2; half++) {
      __m256 d, m;
      xk_load_scales(format, s, 0, half, &d, &m);
      _mm256_storeu_ps(tile->scales + 8 * half, d);
      _mm256_storeu_ps(tile->minima + 8 * half, m);
      for (size_t group = 0; group < 4; group++) {
        __m256i words[2];
        load_words(format, s, group, half, words);
        _mm256_storeu_si256((__m256i *)tile->quants[2 * group][8 * half], words[0]);
        _mm256_storeu_si256((__m256i *)tile->quants[2 * group + 1][8 * half], words[1]);
      }
    }
  }
}

XK_AVX2 void xk_avx2_unpack_int8(uint32_t format, const uint8_t *panel, size_t first, size_t count, xk_int8_tile *tile) {
  switch (format) {
  case XK_Q4_0: unpack_blocks(XK_Q4_0, panel, first, count, tile); break;
  case XK_Q4_1: unpack_blocks(XK_Q4_1, panel, first, count, tile); break;
  case XK_Q8_0: unpack_blocks(XK_Q8_0, panel, first, count, tile); break;
  }
}

// MARK: products

XK_AVX2_INLINE __m256i four_inputs(const xk_int8_block *x, size_t word) {
  int quants;
  memcpy(&quants, x->quants + 4 * word, sizeof quants);
  return _mm256_set1_epi32(quants);
}

/// Adds four products for each of eight outputs. Nibbles: to sixteen sums of 16 bits, which hold a block's
/// (8 · 2 · 15 · 127 < 2^15). Signed: at once to eight of 32 bits, since 2 · 128 · 127 just fits 16.
XK_AVX2_INLINE __m256i add_products(int is_signed, __m256i weights, __m256i x, __m256i dot) {
  if (!is_signed) return _mm256_add_epi16(dot, _mm256_maddubs_epi16(weights, x));
  __m256i pairs = _mm256_maddubs_epi16(_mm256_abs_epi8(weights), _mm256_sign_epi8(x, weights));
  return _mm256_add_epi32(dot, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
}

/// A block's integer sums into the float sums.
XK_AVX2_INLINE __m256 fold(int is_signed, __m256i dot, __m256 d, __m256 m, const xk_int8_block *x, __m256 sum) {
  if (!is_signed) dot = _mm256_madd_epi16(dot, _mm256_set1_epi16(1));
  sum = _mm256_fmadd_ps(_mm256_cvtepi32_ps(dot), _mm256_mul_ps(d, _mm256_broadcast_ss(&x->scale)), sum);
  return is_signed ? sum : _mm256_fmadd_ps(m, _mm256_broadcast_ss(&x->sum), sum);
}

/// At six rows twelve integer sums are in registers; the float sums wait in the first cache.
XK_AVX2_INLINE void rows_by_tile(const int is_signed, const int rows, const xk_int8_block *const *x,
                                 const xk_int8_tile *tile, size_t blocks, float *sums, size_t stride, int add) {
  __m256 total[XK_TILE_ROWS][2];
  for (int i = 0; i < rows; i++) {
    for (int h = 0; h < 2; h++) {
      total[i][h] = add ? _mm256_loadu_ps(sums + (size_t)i * stride + 8 * h) : _mm256_setzero_ps();
    }
  }
  for (size_t b = 0; b < blocks; b++, tile++) {
    __m256i dot[XK_TILE_ROWS][2];
    UNROLL for (int i = 0; i < rows; i++) dot[i][0] = dot[i][1] = _mm256_setzero_si256();
#pragma clang loop unroll(disable)
    for (size_t word = 0; word < 8; word++) {
      __m256i low = _mm256_loadu_si256((const __m256i *)tile->quants[word][0]);
      __m256i high = _mm256_loadu_si256((const __m256i *)tile->quants[word][8]);
      UNROLL for (int i = 0; i < rows; i++) {
        __m256i v = four_inputs(x[i] + b, word);
        dot[i][0] = add_products(is_signed, low, v, dot[i][0]);
        dot[i][1] = add_products(is_signed, high, v, dot[i][1]);
      }
    }
    UNROLL for (int i = 0; i < rows; i++) {
      UNROLL for (int h = 0; h < 2; h++) {
        __m256 d = _mm256_loadu_ps(tile->scales + 8 * h), m = _mm256_loadu_ps(tile->minima + 8 * h);
        total[i][h] = fold(is_signed, dot[i][h], d, m, x[i] + b, total[i][h]);
      }
    }
  }
  for (int i = 0; i < rows; i++) {
    for (int h = 0; h < 2; h++) _mm256_storeu_ps(sums + (size_t)i * stride + 8 * h, total[i][h]);
  }
}

XK_AVX2_INLINE void some_rows_by_tile(const int is_signed, const xk_int8_block *const *x, size_t rows,
                                      const xk_int8_tile *tile, size_t blocks, float *sums, size_t stride, int add) {
  switch (rows) {
  case 1: rows_by_tile(is_signed, 1, x, tile, blocks, sums, stride, add); break;
  case 2: rows_by_tile(is_signed, 2, x, tile, blocks, sums, stride, add); break;
  case 3: rows_by_tile(is_signed, 3, x, tile, blocks, sums, stride, add); break;
  case 4: rows_by_tile(is_signed, 4, x, tile, blocks, sums, stride, add); break;
  case 5: rows_by_tile(is_signed, 5, x, tile, blocks, sums, stride, add); break;
  default: rows_by_tile(is_signed, 6, x, tile, blocks, sums, stride, add);
  }
}

XK_AVX2 void xk_avx2_int8_tile_product(uint32_t format, const xk_int8_block *const *x, size_t rows,
                                       const xk_int8_tile *tile, size_t count, float *sums, size_t stride, int add) {
  if (xk_is_nibbles(format)) some_rows_by_tile(0, x, rows, tile, count / 32, sums, stride, add);
  else some_rows_by_tile(1, x, rows, tile, count / 32, sums, stride, add);
}

XK_AVX2_INLINE void row_by_panels(uint32_t format, const xk_int8_block *x, const uint8_t *panel, size_t panels,
                                  size_t columns, float *out) {
  const int is_signed = !xk_is_nibbles(format);
  for (size_t p = 0; p < panels; p++, panel += columns / 32 * xk_panel_block_bytes(format), out += XK_PANEL) {
    __m256 total[2] = {_mm256_setzero_ps(), _mm256_setzero_ps()};
    for (size_t b = 0; b < columns / 32; b++) {
      xk_stretch s = xk_stretch_at(format, panel, 32 * b);
      prefetch_ahead(s.block, xk_panel_block_bytes(format));
      UNROLL for (int half = 0; half < 2; half++) {
        __m256 d, m;
        xk_load_scales(format, s, 0, half, &d, &m);
        __m256i dot = _mm256_setzero_si256();
        UNROLL for (size_t group = 0; group < 4; group++) {
          __m256i words[2];
          load_words(format, s, group, half, words);
          dot = add_products(is_signed, words[0], four_inputs(x + b, 2 * group), dot);
          dot = add_products(is_signed, words[1], four_inputs(x + b, 2 * group + 1), dot);
        }
        total[half] = fold(is_signed, dot, d, m, x + b, total[half]);
      }
    }
    _mm256_storeu_ps(out, total[0]);
    _mm256_storeu_ps(out + 8, total[1]);
  }
}

XK_AVX2 void xk_avx2_int8_vector_product(uint32_t format, const xk_int8_block *x, const uint8_t *panel, size_t panels,
                                         size_t columns, float *out) {
  switch (format) {
  case XK_Q4_0: row_by_panels(XK_Q4_0, x, panel, panels, columns, out); break;
  case XK_Q4_1: row_by_panels(XK_Q4_1, x, panel, panels, columns, out); break;
  case XK_Q8_0: row_by_panels(XK_Q8_0, x, panel, panels, columns, out); break;
  }
}
#endif
