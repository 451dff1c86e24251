// Norm, rotary embedding, SwiGLU, softmax and conversions. The tail of a row goes through the same operations in scalar
// form, so its bits are those of plain C.
#include "neon.h"

#if defined(__aarch64__)
#include "exponential.h"

#pragma STDC FP_CONTRACT OFF

/// Lanes 0…3 and 4…7 of eight.
typedef struct {
  float32x4_t low, high;
} eight_lanes;

XK_NEON_INLINE float sum_of_lanes(eight_lanes lanes) {
  float32x4_t four = vaddq_f32(lanes.low, lanes.high);
  return vpadds_f32(vadd_f32(vget_low_f32(four), vget_high_f32(four)));
}

/// All ones in lanes `first`… that are below `count`.
XK_NEON_INLINE uint32x4_t lanes_below(size_t count, uint32_t first) {
  return vcltq_u32((uint32x4_t){first, first + 1, first + 2, first + 3}, vdupq_n_u32((uint32_t)count));
}

/// `xk_exp` of four.
XK_NEON_INLINE float32x4_t exponentials(float32x4_t x) {
  uint32x4_t too_small = vcltq_f32(x, vdupq_n_f32(XK_EXP_MIN));
  x = vminq_f32(x, vdupq_n_f32(XK_EXP_MAX));
  float32x4_t round = vdupq_n_f32(XK_ROUND);
  float32x4_t shifted = vfmaq_f32(round, x, vdupq_n_f32(XK_LOG2E));
  float32x4_t n = vsubq_f32(shifted, round);
  float32x4_t r = vfmaq_f32(x, n, vdupq_n_f32(-XK_LN2_HIGH));
  r = vfmaq_f32(r, n, vdupq_n_f32(-XK_LN2_LOW));
  float32x4_t p = vdupq_n_f32(XK_EXP_5);
  p = vfmaq_f32(vdupq_n_f32(XK_EXP_4), p, r);
  p = vfmaq_f32(vdupq_n_f32(XK_EXP_3), p, r);
  p = vfmaq_f32(vdupq_n_f32(XK_EXP_2), p, r);
  p = vfmaq_f32(vdupq_n_f32(XK_EXP_1), p, r);
  p = vfmaq_f32(vdupq_n_f32(XK_EXP_0), p, r);
  p = vaddq_f32(vfmaq_f32(r, p, vmulq_f32(r, r)), vdupq_n_f32(1));
  uint32x4_t power = vshlq_n_u32(vaddq_u32(vreinterpretq_u32_f32(shifted), vdupq_n_u32(127)), 23);
  p = vmulq_f32(p, vreinterpretq_f32_u32(power));
  return vreinterpretq_f32_u32(vbicq_u32(vreinterpretq_u32_f32(p), too_small));
}

void xk_neon_rms_norm(const float *x, const float *weight, float epsilon, size_t count, float *out) {
  eight_lanes squares = {vdupq_n_f32(0), vdupq_n_f32(0)};
  size_t i = 0;
  for (; i + 8 <= count; i += 8) {
    float32x4_t low = vld1q_f32(x + i), high = vld1q_f32(x + i + 4);
    squares = (eight_lanes){vfmaq_f32(squares.low, low, low), vfmaq_f32(squares.high, high, high)};
  }
  float lanes[8];
  vst1q_f32(lanes, squares.low);
  vst1q_f32(lanes + 4, squares.high);
  for (; i < count; i++) lanes[i % 8] = fmaf(x[i], x[i], lanes[i % 8]);
  float sum = sum_of_lanes((eight_lanes){vld1q_f32(lanes), vld1q_f32(lanes + 4)});
  float factor = 1 / sqrtf(sum / (float)count + epsilon);
  for (i = 0; i < count; i++) out[i] = x[i] * factor * weight[i];
}

/// Turns four pairs.
XK_NEON_INLINE float32x4x2_t rotated(float32x4x2_t pairs, const float *cosines, const float *sines) {
  float32x4_t c = vld1q_f32(cosines), s = vld1q_f32(sines);
  float32x4_t first = vfmaq_f32(vnegq_f32(vmulq_f32(pairs.val[1], s)), pairs.val[0], c);
  float32x4_t second = vfmaq_f32(vmulq_f32(pairs.val[0], s), pairs.val[1], c);
  return (float32x4x2_t){{first, second}};
}

void xk_neon_rotate(float *head, size_t half, const float *cosines, const float *sines, int halves) {
  size_t i = 0;
  for (; i + 4 <= half; i += 4) {
    if (halves) {
      float32x4x2_t pairs = {{vld1q_f32(head + i), vld1q_f32(head + half + i)}};
      pairs = rotated(pairs, cosines + i, sines + i);
      vst1q_f32(head + i, pairs.val[0]);
      vst1q_f32(head + half + i, pairs.val[1]);
    } else {
      vst2q_f32(head + 2 * i, rotated(vld2q_f32(head + 2 * i), cosines + i, sines + i));
    }
  }
  for (; i < half; i++) {
    float *a = halves ? head + i : head + 2 * i, *b = halves ? a + half : a + 1;
    float x = *a, y = *b;
    *a = fmaf(x, cosines[i], -(y * sines[i]));
    *b = fmaf(y, cosines[i], x * sines[i]);
  }
}

void xk_neon_swiglu(const float *gate, const float *up, float *out, size_t count) {
  size_t i = 0;
  for (; i + 4 <= count; i += 4) {
    float32x4_t g = vld1q_f32(gate + i);
    float32x4_t silu = vdivq_f32(g, vaddq_f32(vdupq_n_f32(1), exponentials(vnegq_f32(g))));
    vst1q_f32(out + i, vmulq_f32(silu, vld1q_f32(up + i)));
  }
  for (; i < count; i++) out[i] = gate[i] / (1 + xk_exp(-gate[i])) * up[i];
}

void xk_neon_add(const float *x, float *out, size_t count) {
  for (size_t i = 0; i < count; i++) out[i] += x[i];
}

void xk_neon_scale(float factor, float *out, size_t count) {
  for (size_t i = 0; i < count; i++) out[i] *= factor;
}

void xk_neon_blend(float a, float *out, float b, const float *x, size_t count) {
  for (size_t i = 0; i < count; i++) out[i] = out[i] * a + x[i] * b;
}

void xk_neon_exponential(const float *x, float *out, size_t count) {
  size_t i = 0;
  for (; i + 4 <= count; i += 4) vst1q_f32(out + i, exponentials(vld1q_f32(x + i)));
  for (; i < count; i++) out[i] = xk_exp(x[i]);
}

void xk_neon_narrow(const float *x, uint16_t *out, size_t count) {
  size_t i = 0;
  for (; i + 4 <= count; i += 4) vst1_u16(out + i, vreinterpret_u16_f16(vcvt_f16_f32(vld1q_f32(x + i))));
  for (; i < count; i++) out[i] = xk_narrow_half(x[i]);
}

void xk_neon_widen(const uint16_t *x, float *out, size_t count) {
  size_t i = 0;
  for (; i + 4 <= count; i += 4) vst1q_f32(out + i, xk_load_halves(x + i));
  for (; i < count; i++) out[i] = xk_widen_half(x[i]);
}

/// The greatest of `peak` and the scaled scores.
XK_NEON_INLINE float greatest(const float *scores, size_t count, float factor, float peak) {
  float32x4_t peaks = vdupq_n_f32(peak);
  size_t i = 0;
  for (; i + 4 <= count; i += 4) peaks = vmaxnmq_f32(peaks, vmulq_n_f32(vld1q_f32(scores + i), factor));
  if (i < count) {
    float32x4_t last = vmulq_n_f32(vld1q_f32(scores + i), factor);
    peaks = vmaxnmq_f32(peaks, vbslq_f32(lanes_below(count - i, 0), last, peaks));
  }
  return vmaxnmvq_f32(peaks);
}

/// Four scores to exponentials.
XK_NEON_INLINE float32x4_t in_place(float *scores, float factor, float32x4_t minus_peaks) {
  float32x4_t e = exponentials(vfmaq_n_f32(minus_peaks, vld1q_f32(scores), factor));
  vst1q_f32(scores, e);
  return e;
}

XK_NEON_INLINE float32x4_t masked(float32x4_t x, uint32x4_t mask) {
  return vreinterpretq_f32_u32(vandq_u32(vreinterpretq_u32_f32(x), mask));
}

/// Scores to exponentials; returns their sum.
XK_NEON_INLINE float exponentials_in_place(float *scores, size_t count, float factor, float peak) {
  float32x4_t minus_peaks = vdupq_n_f32(-peak);
  eight_lanes sums = {vdupq_n_f32(0), vdupq_n_f32(0)};
  size_t i = 0;
  for (; i + 8 <= count; i += 8) {
    sums.low = vaddq_f32(sums.low, in_place(scores + i, factor, minus_peaks));
    sums.high = vaddq_f32(sums.high, in_place(scores + i + 4, factor, minus_peaks));
  }
  if (i < count) {
    float32x4_t low = in_place(scores + i, factor, minus_peaks), high = in_place(scores + i + 4, factor, minus_peaks);
    sums.low = vaddq_f32(sums.low, masked(low, lanes_below(count - i, 0)));
    sums.high = vaddq_f32(sums.high, masked(high, lanes_below(count - i, 4)));
  }
  return sum_of_lanes(sums);
}

/// All maxima first: each waits for a chain of operations, and so do the exponentials of the changes.
void xk_neon_softmax_steps(size_t rows, float *scores, size_t stride, const size_t *counts, float scale, float *maxima,
                           float *totals, float *sums, size_t width) {
  float changes[8] = {0};
  for (size_t i = 0; i < rows; i++) {
    float peak = greatest(scores + i * stride, counts[i], scale, maxima[i]);
    changes[i] = maxima[i] - peak;
    maxima[i] = peak;
  }
  for (size_t i = 0; i < 8; i += 4) vst1q_f32(changes + i, exponentials(vld1q_f32(changes + i)));
  for (size_t i = 0; i < rows; i++) {
    float sum = exponentials_in_place(scores + i * stride, counts[i], scale, maxima[i]);
    totals[i] = fmaf(totals[i], changes[i], sum);
    if (changes[i] != 1) xk_neon_scale(changes[i], sums + i * width, width);
  }
}
#endif
