// exp in float: the constants, shared by all instruction sets, and the plain C form.
//
// exp(x) = 2^n · e^r, n = round(x / ln 2), r = x - n ln 2 in two parts (Cody & Waite), e^r by a polynomial of degree 6
// (minimax on ±ln 2 / 2, after the Cephes library's expf). Below XK_EXP_MIN the result is 0, so no subnormals.
#pragma once
#include "half.h"
#include <math.h>

#define XK_EXP_MIN -87.0f
#define XK_EXP_MAX 88.0f
#define XK_LOG2E 1.44269504088896341f
/// 1.5 · 2^23: adding it rounds a float to an integer, which is then in the low bits.
#define XK_ROUND 12582912.0f
#define XK_LN2_HIGH 0.693359375f
#define XK_LN2_LOW -2.12194440e-4f
#define XK_EXP_5 1.9875691500e-4f
#define XK_EXP_4 1.3981999507e-3f
#define XK_EXP_3 8.3334519073e-3f
#define XK_EXP_2 4.1665795894e-2f
#define XK_EXP_1 1.6666665459e-1f
#define XK_EXP_0 5.0000001201e-1f

static inline float xk_exp(float x) {
  if (x < XK_EXP_MIN) return 0;
  if (x > XK_EXP_MAX) x = XK_EXP_MAX;
  float shifted = fmaf(x, XK_LOG2E, XK_ROUND);
  float n = shifted - XK_ROUND;
  float r = fmaf(n, -XK_LN2_HIGH, x);
  r = fmaf(n, -XK_LN2_LOW, r);
  float p = XK_EXP_5;
  p = fmaf(p, r, XK_EXP_4);
  p = fmaf(p, r, XK_EXP_3);
  p = fmaf(p, r, XK_EXP_2);
  p = fmaf(p, r, XK_EXP_1);
  p = fmaf(p, r, XK_EXP_0);
  p = fmaf(p, r * r, r) + 1.0f;
  return p * xk_float_from_bits((xk_bits(shifted) + 127) << 23);
}
