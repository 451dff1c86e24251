// What the NEON files share. Every AArch64 processor has these instructions; only those of `neon_dot.h` are asked for at
// run time.
#pragma once
#if defined(__aarch64__)
#include "CKernels.h"
#include "panels.h"
#include <arm_neon.h>

#define XK_NEON_INLINE static inline __attribute__((always_inline))

/// Loops that must leave no index behind: lanes and shifts are parts of instructions.
#if defined(__clang__)
#define UNROLL _Pragma("clang loop unroll(full)")
#else
#define UNROLL _Pragma("GCC unroll 16")
#endif

/// Vectors of four outputs in a panel.
enum { XK_FOURS = XK_PANEL / 4 };

XK_NEON_INLINE float32x4_t xk_load_halves(const void *halves) {
  return vcvt_f32_f16(vreinterpret_f16_u8(vld1_u8(halves)));
}

XK_NEON_INLINE void xk_load_bytes(const uint8_t *bytes, float32x4_t out[XK_FOURS]) {
  uint8x16_t all = vld1q_u8(bytes);
  uint16x8_t low = vmovl_u8(vget_low_u8(all)), high = vmovl_high_u8(all);
  out[0] = vcvtq_f32_u32(vmovl_u16(vget_low_u16(low)));
  out[1] = vcvtq_f32_u32(vmovl_high_u16(low));
  out[2] = vcvtq_f32_u32(vmovl_u16(vget_low_u16(high)));
  out[3] = vcvtq_f32_u32(vmovl_high_u16(high));
}

XK_NEON_INLINE void xk_load_signed_bytes(const uint8_t *bytes, float32x4_t out[XK_FOURS]) {
  int8x16_t all = vreinterpretq_s8_u8(vld1q_u8(bytes));
  int16x8_t low = vmovl_s8(vget_low_s8(all)), high = vmovl_high_s8(all);
  out[0] = vcvtq_f32_s32(vmovl_s16(vget_low_s16(low)));
  out[1] = vcvtq_f32_s32(vmovl_high_s16(low));
  out[2] = vcvtq_f32_s32(vmovl_s16(vget_low_s16(high)));
  out[3] = vcvtq_f32_s32(vmovl_high_s16(high));
}

/// Scales and minima of a panel, for the 16 inputs from 16 · `span` on (only Q6_K's differ from span to span).
XK_NEON_INLINE void xk_load_scales(uint32_t format, xk_stretch s, size_t span, float32x4_t d[XK_FOURS],
                                   float32x4_t m[XK_FOURS]) {
  float32x4_t own[XK_FOURS], own_minima[XK_FOURS];
  if (format == XK_Q6_K) xk_load_signed_bytes(s.own + span * XK_PANEL, own);
  if (format == XK_Q4_K || format == XK_Q5_K) {
    xk_load_bytes(s.own, own);
    xk_load_bytes(s.own + XK_PANEL, own_minima);
  }
  UNROLL for (int v = 0; v < XK_FOURS; v++) {
    d[v] = xk_load_halves(s.block + 8 * v);
    m[v] = xk_stores_minima(format) ? xk_load_halves(s.block + 2 * XK_PANEL + 8 * v)
           : format == XK_Q4_0      ? vmulq_n_f32(d[v], -8)
                                    : vdupq_n_f32(0);
    if (xk_is_k(format)) d[v] = vmulq_f32(d[v], own[v]);
    if (format == XK_Q4_K || format == XK_Q5_K) m[v] = vmulq_f32(m[v], vnegq_f32(own_minima[v]));
  }
}

/// Eight rows of eight halves, `stride` halves apart, to eight columns.
XK_NEON_INLINE void transpose_eight(const uint16_t *rows, size_t stride, float16x8_t columns[8]) {
  uint16x8_t r[8];
  uint32x4_t s[8];
  UNROLL for (int i = 0; i < 8; i++) r[i] = vld1q_u16(rows + (size_t)i * stride);
  UNROLL for (int i = 0; i < 8; i += 2) {
    s[i] = vreinterpretq_u32_u16(vzip1q_u16(r[i], r[i + 1]));
    s[i + 1] = vreinterpretq_u32_u16(vzip2q_u16(r[i], r[i + 1]));
  }
  UNROLL for (int half = 0; half < 2; half++) {
    uint64x2_t a = vreinterpretq_u64_u32(vzip1q_u32(s[half], s[2 + half]));
    uint64x2_t b = vreinterpretq_u64_u32(vzip2q_u32(s[half], s[2 + half]));
    uint64x2_t c = vreinterpretq_u64_u32(vzip1q_u32(s[4 + half], s[6 + half]));
    uint64x2_t d = vreinterpretq_u64_u32(vzip2q_u32(s[4 + half], s[6 + half]));
    columns[4 * half] = vreinterpretq_f16_u64(vzip1q_u64(a, c));
    columns[4 * half + 1] = vreinterpretq_f16_u64(vzip2q_u64(a, c));
    columns[4 * half + 2] = vreinterpretq_f16_u64(vzip1q_u64(b, d));
    columns[4 * half + 3] = vreinterpretq_f16_u64(vzip2q_u64(b, d));
  }
}

/// A panel is read from end to end, so neighbouring panels are one stream.
XK_NEON_INLINE void prefetch_ahead(const uint8_t *block, size_t bytes) {
  for (size_t line = 0; line < bytes; line += 64) __builtin_prefetch(block + 2048 + line);
}

void xk_neon_unpack(uint32_t format, const uint8_t *panel, size_t first, size_t count, float *tile);
void xk_neon_tile_product(const float *const *x, size_t rows, const float *tile, size_t tile_stride, size_t count,
                          float *sums, size_t stride, int add);
void xk_neon_vector_product(uint32_t format, const float *x, const uint8_t *panel, size_t panels, size_t columns,
                            float *out);
void xk_neon_quantize_int16(const float *x, size_t count, xk_int16_block *out);
void xk_neon_unpack_int16(uint32_t format, const uint8_t *panel, size_t first, size_t count, xk_int16_tile *tile);
void xk_neon_int16_tile_product(uint32_t format, const xk_int16_block *const *x, size_t rows, const xk_int16_tile *tile,
                                size_t count, float *sums, size_t stride, int add);
void xk_neon_int16_rows_product(uint32_t format, const xk_int16_block *x, size_t rows, const uint8_t *panel,
                                size_t panels, size_t columns, float *out, size_t stride);
void xk_neon_dot_quantize_int8(const float *x, size_t count, xk_int8_block *out);
void xk_neon_dot_unpack_int8(uint32_t format, const uint8_t *panel, size_t first, size_t count, xk_int8_tile *tile);
void xk_neon_dot_int8_tile_product(uint32_t format, const xk_int8_block *const *x, size_t rows,
                                   const xk_int8_tile *tile, size_t count, float *sums, size_t stride, int add);
void xk_neon_dot_int8_vector_product(uint32_t format, const xk_int8_block *x, const uint8_t *panel, size_t panels,
                                     size_t columns, float *out);
void xk_neon_dot_quantize_int16(const float *x, size_t count, xk_int16_block *out);
void xk_neon_dot_unpack_int16(uint32_t format, const uint8_t *panel, size_t first, size_t count, xk_int16_tile *tile);
void xk_neon_dot_int16_tile_product(uint32_t format, const xk_int16_block *const *x, size_t rows,
                                    const xk_int16_tile *tile, size_t count, float *sums, size_t stride, int add);
void xk_neon_dot_int16_rows_product(uint32_t format, const xk_int16_block *x, size_t rows, const uint8_t *panel,
                                    size_t panels, size_t columns, float *out, size_t stride);
void xk_neon_rms_norm(const float *x, const float *weight, float epsilon, size_t count, float *out);
void xk_neon_rotate(float *head, size_t half, const float *cosines, const float *sines, int halves);
void xk_neon_swiglu(const float *gate, const float *up, float *out, size_t count);
void xk_neon_add(const float *x, float *out, size_t count);
void xk_neon_scale(float factor, float *out, size_t count);
void xk_neon_blend(float a, float *out, float b, const float *x, size_t count);
void xk_neon_exponential(const float *x, float *out, size_t count);
void xk_neon_narrow(const float *x, uint16_t *out, size_t count);
void xk_neon_widen(const uint16_t *x, float *out, size_t count);
void xk_neon_transpose_keys(const void *keys, int is_half, size_t slots, size_t dim, float *tile);
void xk_neon_half_scores(const float *const *x, size_t rows, const uint16_t *keys, size_t slots, size_t dim,
                         float *scores, size_t stride);
void xk_neon_add_half_values(const float *const *weights, size_t rows, const uint16_t *values, size_t slots, size_t dim,
                             float *sums);
void xk_neon_softmax_steps(size_t rows, float *scores, size_t stride, const size_t *counts, float scale, float *maxima,
                           float *totals, float *sums, size_t width);
#endif
