// What the int8 and int16 products share in NEON.
#pragma once
#include "integers.h"
#include "neon.h"

#if defined(__aarch64__)

/// The greatest magnitude of 32.
XK_NEON_INLINE float greatest_magnitude(const float32x4_t v[8]) {
  float32x4_t most = vdupq_n_f32(0);
  UNROLL for (int i = 0; i < 8; i++) most = vmaxnmq_f32(most, vabsq_f32(v[i]));
  return vmaxnmvq_f32(most);
}

/// 32 activations to int16, each eight in order; the greatest of them becomes ± 32767.
XK_NEON_INLINE void to_int16(const float *x, int16x8_t quants[4], float *scale, float *sum) {
  float32x4_t v[8];
  UNROLL for (int i = 0; i < 8; i++) v[i] = vld1q_f32(x + 4 * i);
  float most = greatest_magnitude(v);
  int is_zero = !(most >= XK_SMALLEST);
  float factor = is_zero ? 0 : XK_INT16_MAX / most;
  float32x4_t least = vdupq_n_f32(-XK_INT16_MAX);
  int total = 0;
  UNROLL for (int i = 0; i < 4; i++) {
    int32x4_t low = vcvtnq_s32_f32(vmaxnmq_f32(vmulq_n_f32(v[2 * i], factor), least));
    int32x4_t high = vcvtnq_s32_f32(vmaxnmq_f32(vmulq_n_f32(v[2 * i + 1], factor), least));
    quants[i] = vcombine_s16(vmovn_s32(low), vmovn_s32(high));
    total += vaddlvq_s16(quants[i]);
  }
  *scale = is_zero ? 0 : most / XK_INT16_MAX;
  *sum = (float)total * *scale;
}

/// A block's integer sums into the float sums.
XK_NEON_INLINE float32x4_t fold(int has_minima, int32x4_t dot, float32x4_t d, float32x4_t m, float x_scale, float x_sum,
                                float32x4_t sum) {
  sum = vfmaq_f32(sum, vcvtq_f32_s32(dot), vmulq_n_f32(d, x_scale));
  return has_minima ? vfmaq_n_f32(sum, m, x_sum) : sum;
}
#endif
