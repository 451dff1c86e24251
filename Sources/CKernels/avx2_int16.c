// Int16 products: rows by an unpacked tile, and a few rows straight from the packed weights.
#include "avx2_integers.h"

#if defined(__x86_64__)
#pragma STDC FP_CONTRACT OFF

/// Most rows whose sums stay in registers.
enum { XK_FEW_ROWS = 4 };

// MARK: activations

XK_AVX2 void xk_avx2_quantize_int16(const float *x, size_t count, xk_int16_block *out) {
  for (size_t b = 0; b < count / 32; b++, x += 32, out++) {
    __m256 v[4];
    for (int i = 0; i < 4; i++) v[i] = _mm256_loadu_ps(x + 8 * i);
    float most = greatest_magnitude(v);
    int is_zero = !(most >= XK_SMALLEST);
    __m256 factor = _mm256_set1_ps(is_zero ? 0 : XK_INT16_MAX / most), least = _mm256_set1_ps(-XK_INT16_MAX);
    __m128i sums = _mm_setzero_si128();
    for (int i = 0; i < 4; i++) {
      __m256i q = _mm256_cvtps_epi32(_mm256_max_ps(_mm256_mul_ps(v[i], factor), least));
      __m128i low = _mm_and_si128(_mm256_castsi256_si128(q), _mm_set1_epi32(0xffff));
      __m128i pairs = _mm_or_si128(low, _mm_slli_epi32(_mm256_extracti128_si256(q, 1), 16));
      sums = _mm_add_epi32(sums, _mm_madd_epi16(pairs, _mm_set1_epi16(1)));
      _mm_storeu_si128((__m128i *)out->quants[4 * i], pairs);
    }
    sums = _mm_add_epi32(sums, _mm_shuffle_epi32(sums, 0x4e));
    sums = _mm_add_epi32(sums, _mm_shuffle_epi32(sums, 0xb1));
    out->scale = is_zero ? 0 : most / XK_INT16_MAX;
    out->sum = (float)_mm_cvtsi128_si32(sums) * out->scale;
  }
}

// MARK: weights

/// The four pairs of inputs of group g of eight outputs, in the order of a quantised row.
XK_AVX2_INLINE void load_pairs(uint32_t format, xk_stretch s, size_t group, int half, __m256i pairs[4]) {
  if (xk_is_nibbles(format)) {
    __m256i nibbles = _mm256_loadu_si256((const __m256i *)(s.quants + group * 4 * XK_PANEL + 32 * half));
    __m256i low = _mm256_set1_epi16(15);
    pairs[0] = _mm256_and_si256(nibbles, low);
    pairs[1] = _mm256_and_si256(_mm256_srli_epi16(nibbles, 4), low);
    pairs[2] = _mm256_and_si256(_mm256_srli_epi16(nibbles, 8), low);
    pairs[3] = _mm256_srli_epi16(nibbles, 12);
  } else {
    const __m256i *quants = (const __m256i *)(s.quants + group * 8 * XK_PANEL + 32 * half);
    for (int odd = 0; odd < 2; odd++) {
      __m256i bytes = _mm256_loadu_si256(quants + 2 * odd);
      pairs[odd] = _mm256_srai_epi16(_mm256_slli_epi16(bytes, 8), 8);
      pairs[odd + 2] = _mm256_srai_epi16(bytes, 8);
    }
  }
}

XK_AVX2_INLINE void unpack_blocks(uint32_t format, const uint8_t *panel, size_t first, size_t count,
                                  xk_int16_tile *tile) {
  for (size_t k = first; k < first + count; k += 32, tile++) {
    xk_stretch s = xk_stretch_at(format, panel, k);
    for (int half = 0; half < 2; half++) {
      __m256 d, m;
      xk_load_scales(format, s, 0, half, &d, &m);
      _mm256_storeu_ps(tile->scales + 8 * half, d);
      _mm256_storeu_ps(tile->minima + 8 * half, m);
      for (size_t group = 0; group < 4; group++) {
        __m256i pairs[4];
        load_pairs(format, s, group, half, pairs);
        for (int p = 0; p < 4; p++) _mm256_storeu_si256((__m256i *)tile->quants[4 * group + p][8 * half], pairs[p]);
      }
    }
  }
}

XK_AVX2 void xk_avx2_unpack_int16(uint32_t format, const uint8_t *panel, size_t first, size_t count,
                                  xk_int16_tile *tile) {
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

XK_AVX2_INLINE __m256i two_inputs(const xk_int16_block *x, size_t pair) {
  int quants;
  memcpy(&quants, x->quants[pair], sizeof quants);
  return _mm256_set1_epi32(quants);
}

/// A block's integer sums into the float sums.
XK_AVX2_INLINE __m256 fold(int has_minima, __m256i dot, __m256 d, __m256 m, const xk_int16_block *x, __m256 sum) {
  sum = _mm256_fmadd_ps(_mm256_cvtepi32_ps(dot), _mm256_mul_ps(d, _mm256_broadcast_ss(&x->scale)), sum);
  return has_minima ? _mm256_fmadd_ps(m, _mm256_broadcast_ss(&x->sum), sum) : sum;
}

/// At six rows twelve integer sums are in registers; the float sums wait in the first cache.
XK_AVX2_INLINE void rows_by_tile(const int has_minima, const int rows, const xk_int16_block *const *x,
                                 const xk_int16_tile *tile, size_t blocks, float *sums, size_t stride, int add) {
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
    for (size_t pair = 0; pair < 16; pair++) {
      __m256i low = _mm256_loadu_si256((const __m256i *)tile->quants[pair][0]);
      __m256i high = _mm256_loadu_si256((const __m256i *)tile->quants[pair][8]);
      UNROLL for (int i = 0; i < rows; i++) {
        __m256i v = two_inputs(x[i] + b, pair);
        dot[i][0] = _mm256_add_epi32(dot[i][0], _mm256_madd_epi16(low, v));
        dot[i][1] = _mm256_add_epi32(dot[i][1], _mm256_madd_epi16(high, v));
      }
    }
    UNROLL for (int i = 0; i < rows; i++) {
      UNROLL for (int h = 0; h < 2; h++) {
        __m256 d = _mm256_loadu_ps(tile->scales + 8 * h), m = _mm256_loadu_ps(tile->minima + 8 * h);
        total[i][h] = fold(has_minima, dot[i][h], d, m, x[i] + b, total[i][h]);
      }
    }
  }
  for (int i = 0; i < rows; i++) {
    for (int h = 0; h < 2; h++) _mm256_storeu_ps(sums + (size_t)i * stride + 8 * h, total[i][h]);
  }
}

XK_AVX2_INLINE void some_rows_by_tile(const int has_minima, const xk_int16_block *const *x, size_t rows,
                                      const xk_int16_tile *tile, size_t blocks, float *sums, size_t stride, int add) {
  switch (rows) {
  case 1: rows_by_tile(has_minima, 1, x, tile, blocks, sums, stride, add); break;
  case 2: rows_by_tile(has_minima, 2, x, tile, blocks, sums, stride, add); break;
  case 3: rows_by_tile(has_minima, 3, x, tile, blocks, sums, stride, add); break;
  case 4: rows_by_tile(has_minima, 4, x, tile, blocks, sums, stride, add); break;
  case 5: rows_by_tile(has_minima, 5, x, tile, blocks, sums, stride, add); break;
  default: rows_by_tile(has_minima, 6, x, tile, blocks, sums, stride, add);
  }
}

XK_AVX2 void xk_avx2_int16_tile_product(uint32_t format, const xk_int16_block *const *x, size_t rows,
                                        const xk_int16_tile *tile, size_t count, float *sums, size_t stride,
                                        int add) {
  if (xk_has_minima(format)) some_rows_by_tile(1, x, rows, tile, count / 32, sums, stride, add);
  else some_rows_by_tile(0, x, rows, tile, count / 32, sums, stride, add);
}

// MARK: few rows, without a tile

/// Adds the products of eight inputs.
XK_AVX2_INLINE void add_group(uint32_t format, const int rows, const xk_int16_block *x, size_t blocks, xk_stretch s,
                              size_t group, __m256i dot[][2]) {
  __m256i low[4], high[4];
  load_pairs(format, s, group, 0, low);
  load_pairs(format, s, group, 1, high);
  UNROLL for (size_t p = 0; p < 4; p++) {
    UNROLL for (int i = 0; i < rows; i++) {
      __m256i v = two_inputs(x + (size_t)i * blocks, 4 * group + p);
      dot[i][0] = _mm256_add_epi32(dot[i][0], _mm256_madd_epi16(low[p], v));
      dot[i][1] = _mm256_add_epi32(dot[i][1], _mm256_madd_epi16(high[p], v));
    }
  }
}

/// Eight integer sums at four rows; weights are unpacked in registers.
XK_AVX2_INLINE void few_rows_by_panel(uint32_t format, const int rows, const xk_int16_block *x, const uint8_t *panel,
                                      size_t blocks, float *out, size_t stride) {
  __m256 total[XK_FEW_ROWS][2];
  for (int i = 0; i < rows; i++) total[i][0] = total[i][1] = _mm256_setzero_ps();
  for (size_t b = 0; b < blocks; b++) {
    xk_stretch s = xk_stretch_at(format, panel, 32 * b);
    prefetch_ahead(s.own, s.quants + xk_quant_bytes(format) - s.own);
    __m256i dot[XK_FEW_ROWS][2];
    UNROLL for (int i = 0; i < rows; i++) dot[i][0] = dot[i][1] = _mm256_setzero_si256();
    if (rows == 1) {
      UNROLL for (size_t group = 0; group < 4; group++) add_group(format, rows, x + b, blocks, s, group, dot);
    } else {
#pragma clang loop unroll(disable)
      for (size_t group = 0; group < 4; group++) add_group(format, rows, x + b, blocks, s, group, dot);
    }
    UNROLL for (int h = 0; h < 2; h++) {
      __m256 d, m;
      xk_load_scales(format, s, 0, h, &d, &m);
      UNROLL for (int i = 0; i < rows; i++) {
        total[i][h] = fold(xk_has_minima(format), dot[i][h], d, m, x + (size_t)i * blocks + b, total[i][h]);
      }
    }
  }
  for (int i = 0; i < rows; i++) {
    for (int h = 0; h < 2; h++) _mm256_storeu_ps(out + (size_t)i * stride + 8 * h, total[i][h]);
  }
}

/// Each panel is in the first cache from its first few rows on.
XK_AVX2_INLINE void rows_by_panels(uint32_t format, const xk_int16_block *x, size_t rows, const uint8_t *panel,
                                   size_t panels, size_t columns, float *out, size_t stride) {
  const size_t blocks = columns / 32, groups = (rows + XK_FEW_ROWS - 1) / XK_FEW_ROWS;
  const size_t bytes = columns / (xk_is_k(format) ? 256 : 32) * xk_panel_block_bytes(format);
  for (size_t p = 0; p < panels; p++, panel += bytes, out += XK_PANEL) {
    for (size_t group = 0; group < groups; group++) {
      size_t first = rows * group / groups;
      const xk_int16_block *some = x + first * blocks;
      float *sums = out + first * stride;
      switch (rows * (group + 1) / groups - first) {
      case 1: few_rows_by_panel(format, 1, some, panel, blocks, sums, stride); break;
      case 2: few_rows_by_panel(format, 2, some, panel, blocks, sums, stride); break;
      case 3: few_rows_by_panel(format, 3, some, panel, blocks, sums, stride); break;
      default: few_rows_by_panel(format, 4, some, panel, blocks, sums, stride);
      }
    }
  }
}

XK_AVX2 void xk_avx2_int16_rows_product(uint32_t format, const xk_int16_block *x, size_t rows, const uint8_t *panel,
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
