// Matrix products over panels: weights to a float tile, tile by rows, and one row straight from the packed weights.
#include "avx2.h"

#if defined(__x86_64__)

#pragma STDC FP_CONTRACT OFF

// MARK: weights of a panel

/// The nibble at `index` of each word, as a number.
XK_AVX2_INLINE __m256 nibble(__m256i words, int index) {
  __m256i shifted = index ? _mm256_srli_epi32(words, 4 * index) : words;
  return _mm256_cvtepi32_ps(index < 7 ? _mm256_and_si256(shifted, _mm256_set1_epi32(15)) : shifted);
}

XK_AVX2_INLINE __m256i nibble_words(xk_stretch s, size_t group, int half) {
  return _mm256_loadu_si256((const __m256i *)(s.quants + group * 4 * XK_PANEL + 32 * half));
}

/// Scales and minima for what `signed_bytes` gives.
XK_AVX2_INLINE void byte_scales(uint32_t format, xk_stretch s, int span, int half, __m256 *d, __m256 *m) {
  xk_load_scales(format, s, span, half, d, m);
  *d = _mm256_mul_ps(*d, _mm256_set1_ps(0x1p-24f));
}

/// Quant k (0…7) of a group of eight outputs, times 2^24: one shuffle puts each where it is the number's highest byte.
XK_AVX2_INLINE __m256 signed_bytes(xk_stretch s, size_t group, size_t k, int half) {
  size_t place = xk_even_first(k);
  const uint8_t *words = s.quants + (2 * group + place / 4) * 4 * XK_PANEL + 32 * half;
  char b = (char)(place % 4), z = (char)0x80;
  __m128i to_top = _mm_setr_epi8(z, z, z, b, z, z, z, b + 4, z, z, z, b + 8, z, z, z, b + 12);
  __m256i bytes = _mm256_loadu_si256((const __m256i *)words);
  return _mm256_cvtepi32_ps(_mm256_shuffle_epi8(bytes, _mm256_broadcastsi128_si256(to_top)));
}

/// A product that is exact, and a minimum.
XK_AVX2_INLINE __m256 weight(uint32_t format, __m256 quant, __m256 d, __m256 m) {
  return xk_has_minima(format) ? _mm256_fmadd_ps(quant, d, m) : _mm256_mul_ps(quant, d);
}

/// Spans of inputs with scales of their own, among 32.
XK_AVX2_INLINE size_t span_count(uint32_t format) { return format == XK_Q6_K ? 2 : 1; }

/// Eight weights of a format without blocks.
XK_AVX2_INLINE __m256 plain(uint32_t format, const uint8_t *panel, size_t index) {
  switch (format) {
  case XK_F16: return xk_load_halves(panel + 2 * index);
  case XK_BF16: {
    __m128i half = _mm_loadu_si128((const __m128i *)(panel + 2 * index));
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(half), 16));
  }
  default: return _mm256_loadu_ps((const float *)(panel + 4 * index));
  }
}

XK_AVX2_INLINE void unpack_plain(uint32_t format, const uint8_t *panel, size_t first, size_t count, float *tile) {
  for (size_t i = 0; i < count * XK_PANEL; i += 8) _mm256_storeu_ps(tile + i, plain(format, panel, first * XK_PANEL + i));
}

XK_AVX2_INLINE void unpack_nibbles(uint32_t format, xk_stretch s, float *tile) {
  for (int half = 0; half < 2; half++) {
    __m256 d, m;
    xk_load_scales(format, s, 0, half, &d, &m);
    for (size_t group = 0; group < 4; group++) {
      __m256i words = nibble_words(s, group, half);
      float *out = tile + group * 8 * XK_PANEL + 8 * half;
#pragma clang loop unroll(full)
      for (int i = 0; i < 8; i++) _mm256_storeu_ps(out + i * XK_PANEL, _mm256_fmadd_ps(nibble(words, i), d, m));
    }
  }
}

XK_AVX2_INLINE void unpack_bytes(uint32_t format, xk_stretch s, float *tile) {
  for (int half = 0; half < 2; half++) {
    for (size_t group = 0; group < 4; group++) {
      __m256 d, m;
      byte_scales(format, s, (int)(group / 2), half, &d, &m);
      float *out = tile + group * 8 * XK_PANEL + 8 * half;
#pragma clang loop unroll(full)
      for (size_t i = 0; i < 8; i++) {
        _mm256_storeu_ps(out + i * XK_PANEL, weight(format, signed_bytes(s, group, i, half), d, m));
      }
    }
  }
}

XK_AVX2_INLINE void unpack_blocks(uint32_t format, const uint8_t *panel, size_t first, size_t count, float *tile) {
  for (size_t k = 0; k < count; k += 32, tile += 32 * XK_PANEL) {
    xk_stretch s = xk_stretch_at(format, panel, first + k);
    if (xk_is_nibbles(format)) unpack_nibbles(format, s, tile);
    else unpack_bytes(format, s, tile);
  }
}

XK_AVX2 void xk_avx2_unpack(uint32_t format, const uint8_t *panel, size_t first, size_t count, float *tile) {
  switch (format) {
  case XK_F32: unpack_plain(XK_F32, panel, first, count, tile); break;
  case XK_F16: unpack_plain(XK_F16, panel, first, count, tile); break;
  case XK_BF16: unpack_plain(XK_BF16, panel, first, count, tile); break;
  case XK_Q4_0: unpack_blocks(XK_Q4_0, panel, first, count, tile); break;
  case XK_Q4_1: unpack_blocks(XK_Q4_1, panel, first, count, tile); break;
  case XK_Q5_1: unpack_blocks(XK_Q5_1, panel, first, count, tile); break;
  case XK_Q8_0: unpack_blocks(XK_Q8_0, panel, first, count, tile); break;
  case XK_Q4_K: unpack_blocks(XK_Q4_K, panel, first, count, tile); break;
  case XK_Q5_K: unpack_blocks(XK_Q5_K, panel, first, count, tile); break;
  case XK_Q6_K: unpack_blocks(XK_Q6_K, panel, first, count, tile); break;
  }
}

// MARK: rows by a tile

/// Twelve sums in registers at six rows: 2 loads of weights and 6 broadcasts for 12 multiply-adds.
XK_AVX2_INLINE void rows_by_tile(const int rows, const float *const *x, const float *tile, size_t tile_stride,
                                 size_t count, float *sums, size_t stride, int add) {
  __m256 low[XK_TILE_ROWS], high[XK_TILE_ROWS];
  const float *row[XK_TILE_ROWS];
  for (int i = 0; i < rows; i++) {
    row[i] = x[i];
    if (!add) __builtin_prefetch(sums + (size_t)i * stride, 1);
    low[i] = add ? _mm256_loadu_ps(sums + (size_t)i * stride) : _mm256_setzero_ps();
    high[i] = add ? _mm256_loadu_ps(sums + (size_t)i * stride + 8) : _mm256_setzero_ps();
  }
  for (size_t k = 0; k < count; k++, tile += tile_stride) {
    __m256 a = _mm256_loadu_ps(tile), b = _mm256_loadu_ps(tile + 8);
    for (int i = 0; i < rows; i++) {
      __m256 v = _mm256_broadcast_ss(row[i] + k);
      low[i] = _mm256_fmadd_ps(v, a, low[i]);
      high[i] = _mm256_fmadd_ps(v, b, high[i]);
    }
  }
  for (int i = 0; i < rows; i++) {
    _mm256_storeu_ps(sums + (size_t)i * stride, low[i]);
    _mm256_storeu_ps(sums + (size_t)i * stride + 8, high[i]);
  }
}

XK_AVX2 void xk_avx2_tile_product(const float *const *x, size_t rows, const float *tile, size_t tile_stride,
                                  size_t count, float *sums, size_t stride, int add) {
  switch (rows) {
  case 1: rows_by_tile(1, x, tile, tile_stride, count, sums, stride, add); break;
  case 2: rows_by_tile(2, x, tile, tile_stride, count, sums, stride, add); break;
  case 3: rows_by_tile(3, x, tile, tile_stride, count, sums, stride, add); break;
  case 4: rows_by_tile(4, x, tile, tile_stride, count, sums, stride, add); break;
  case 5: rows_by_tile(5, x, tile, tile_stride, count, sums, stride, add); break;
  default: rows_by_tile(6, x, tile, tile_stride, count, sums, stride, add);
  }
}

// MARK: one row

/// Most panels that one row goes through together. A sum is one chain of multiply-adds of four cycles each: eight
/// chains keep both units busy.
enum { together = 4 };

/// How far ahead of its use a cache line is asked for.
enum { prefetch_bytes = 2048 };

#define UNROLL _Pragma("clang loop unroll(full)")

/// What lies ahead of these inputs. Behind the panel's end come the panels beside it, which are read already; what is read
/// next lies behind them.
XK_AVX2_INLINE void prefetch_stretch(uint32_t format, xk_stretch s, const uint8_t *panel_end, size_t panel_bytes,
                                     int panels) {
  const char *ahead = (const char *)s.own + prefetch_bytes;
  if (s.own + prefetch_bytes >= panel_end) ahead += (size_t)(panels - 1) * panel_bytes;
  size_t bytes = (size_t)(s.quants - s.own) + xk_quant_bytes(format);
  for (size_t line = 0; line < bytes; line += 64) _mm_prefetch(ahead + line, _MM_HINT_T0);
}

XK_AVX2_INLINE void store_sums(__m256 sums[][2], const int panels, float *out) {
  for (int p = 0; p < panels; p++) {
    _mm256_storeu_ps(out + p * XK_PANEL, sums[p][0]);
    _mm256_storeu_ps(out + p * XK_PANEL + 8, sums[p][1]);
  }
}

XK_AVX2_INLINE size_t blocks_bytes(uint32_t format, size_t columns) {
  return columns / (xk_is_k(format) ? 256 : 32) * xk_panel_block_bytes(format);
}

/// Two panels, or one: scales, sums and words fill the registers. The step loop must stay rolled, or the compiler
/// unpacks everything first and spills it.
XK_AVX2_INLINE void row_by_nibbles(uint32_t format, const int panels, const float *x, const uint8_t *panel,
                                   size_t columns, float *out) {
  const size_t panel_bytes = blocks_bytes(format, columns);
  const __m256i low_nibble = _mm256_set1_epi32(15);
  __m256 sums[2][2], d[2][2], m[2][2];
  for (int p = 0; p < panels; p++) sums[p][0] = sums[p][1] = _mm256_setzero_ps();
  for (size_t k = 0; k < columns; k += 32) {
    xk_stretch s[2];
    UNROLL for (int p = 0; p < panels; p++) {
      const uint8_t *start = panel + (size_t)p * panel_bytes;
      s[p] = xk_stretch_at(format, start, k);
      prefetch_stretch(format, s[p], start + panel_bytes, panel_bytes, panels);
      UNROLL for (int half = 0; half < 2; half++) xk_load_scales(format, s[p], 0, half, &d[p][half], &m[p][half]);
    }
#pragma clang loop unroll(disable)
    for (size_t group = 0; group < 4; group++) {
      __m256i words[2][2];
      UNROLL for (int p = 0; p < panels; p++) {
        UNROLL for (int half = 0; half < 2; half++) words[p][half] = nibble_words(s[p], group, half);
      }
#pragma clang loop unroll(disable)
      for (size_t i = 0; i < 8; i++) {
        __m256 v = _mm256_broadcast_ss(x + k + group * 8 + i);
        UNROLL for (int p = 0; p < panels; p++) {
          UNROLL for (int half = 0; half < 2; half++) {
            __m256 quant = _mm256_cvtepi32_ps(_mm256_and_si256(words[p][half], low_nibble));
            sums[p][half] = _mm256_fmadd_ps(v, _mm256_fmadd_ps(quant, d[p][half], m[p][half]), sums[p][half]);
            words[p][half] = _mm256_srli_epi32(words[p][half], 4);
          }
        }
      }
    }
  }
  store_sums(sums, panels, out);
}

XK_AVX2_INLINE void row_by_bytes(uint32_t format, const int panels, const float *x, const uint8_t *panel,
                                 size_t columns, float *out) {
  const size_t panel_bytes = blocks_bytes(format, columns), groups = 4 / span_count(format);
  __m256 sums[2][2], d[2][2], m[2][2];
  for (int p = 0; p < panels; p++) sums[p][0] = sums[p][1] = _mm256_setzero_ps();
  for (size_t k = 0; k < columns; k += 32) {
    xk_stretch s[2];
    UNROLL for (int p = 0; p < panels; p++) {
      const uint8_t *start = panel + (size_t)p * panel_bytes;
      s[p] = xk_stretch_at(format, start, k);
      prefetch_stretch(format, s[p], start + panel_bytes, panel_bytes, panels);
    }
#pragma clang loop unroll(disable)
    for (size_t group = 0; group < 4; group++) {
      if (group % groups == 0) {
        UNROLL for (int p = 0; p < panels; p++) {
          UNROLL for (int half = 0; half < 2; half++) {
            byte_scales(format, s[p], (int)(group / 2), half, &d[p][half], &m[p][half]);
          }
        }
      }
      UNROLL for (size_t i = 0; i < 8; i++) {
        __m256 v = _mm256_broadcast_ss(x + k + 8 * group + i);
        UNROLL for (int p = 0; p < panels; p++) {
          UNROLL for (int half = 0; half < 2; half++) {
            __m256 weights = weight(format, signed_bytes(s[p], group, i, half), d[p][half], m[p][half]);
            sums[p][half] = _mm256_fmadd_ps(v, weights, sums[p][half]);
          }
        }
      }
    }
  }
  store_sums(sums, panels, out);
}

XK_AVX2_INLINE void row_by_plain(uint32_t format, const int panels, const float *x, const uint8_t *panel,
                                 size_t columns, float *out) {
  const size_t panel_bytes = columns * XK_PANEL * (format == XK_F32 ? 4 : 2);
  __m256 sums[together][2];
  for (int p = 0; p < panels; p++) sums[p][0] = sums[p][1] = _mm256_setzero_ps();
  for (size_t k = 0; k < columns; k++) {
    __m256 v = _mm256_broadcast_ss(x + k);
    for (int p = 0; p < panels; p++) {
      const uint8_t *weights = panel + (size_t)p * panel_bytes;
      _mm_prefetch((const char *)weights + k * (format == XK_F32 ? 64 : 32) + prefetch_bytes, _MM_HINT_T0);
      sums[p][0] = _mm256_fmadd_ps(v, plain(format, weights, k * XK_PANEL), sums[p][0]);
      sums[p][1] = _mm256_fmadd_ps(v, plain(format, weights, k * XK_PANEL + 8), sums[p][1]);
    }
  }
  store_sums(sums, panels, out);
}

XK_AVX2_INLINE void row_by_panels(uint32_t format, const int panels, const float *x, const uint8_t *panel,
                                  size_t columns, float *out) {
  switch (format) {
  case XK_F32: row_by_plain(XK_F32, panels, x, panel, columns, out); break;
  case XK_F16: row_by_plain(XK_F16, panels, x, panel, columns, out); break;
  case XK_BF16: row_by_plain(XK_BF16, panels, x, panel, columns, out); break;
  }
}

XK_AVX2_INLINE void row_by_blocks(uint32_t format, const int panels, const float *x, const uint8_t *panel,
                                  size_t columns, float *out) {
  if (xk_is_nibbles(format)) row_by_nibbles(format, panels, x, panel, columns, out);
  else row_by_bytes(format, panels, x, panel, columns, out);
}

/// Formats with blocks: two panels together.
XK_AVX2_INLINE void row_by_block_panels(uint32_t format, const float *x, const uint8_t *panel, size_t panels,
                                        size_t columns, float *out) {
  for (; panels >= 2; panels -= 2, panel += 2 * blocks_bytes(format, columns), out += 2 * XK_PANEL) {
    row_by_blocks(format, 2, x, panel, columns, out);
  }
  if (panels) row_by_blocks(format, 1, x, panel, columns, out);
}

XK_AVX2 void xk_avx2_vector_product(uint32_t format, const float *x, const uint8_t *panel, size_t panels,
                                    size_t columns, float *out) {
  size_t bytes = xk_panel_bytes(format, columns);
  switch (format) {
  case XK_Q4_0: row_by_block_panels(XK_Q4_0, x, panel, panels, columns, out); break;
  case XK_Q4_1: row_by_block_panels(XK_Q4_1, x, panel, panels, columns, out); break;
  case XK_Q5_1: row_by_block_panels(XK_Q5_1, x, panel, panels, columns, out); break;
  case XK_Q8_0: row_by_block_panels(XK_Q8_0, x, panel, panels, columns, out); break;
  case XK_Q4_K: row_by_block_panels(XK_Q4_K, x, panel, panels, columns, out); break;
  case XK_Q5_K: row_by_block_panels(XK_Q5_K, x, panel, panels, columns, out); break;
  case XK_Q6_K: row_by_block_panels(XK_Q6_K, x, panel, panels, columns, out); break;
  default:
    for (; panels >= together; panels -= together, panel += together * bytes, out += together * XK_PANEL) {
      row_by_panels(format, together, x, panel, columns, out);
    }
    for (; panels; panels--, panel += bytes, out += XK_PANEL) row_by_panels(format, 1, x, panel, columns, out);
  }
}
#endif
