// ggml's block formats, one after the other (source: ggml/src/ggml-common.h, ggml-quants.c): each writes a block's
// weights. Included by every file that wants them compiled for its instruction set.
//
// Every product `scale · quant` is exact in float (at most 24 bits), so each weight is rounded at most once, when a
// minimum is added: that is why a fused multiply-add gives the same bits.
#pragma once
#include "CKernels.h"
#include "half.h"

#pragma STDC FP_CONTRACT OFF

static void q4_0(const uint8_t *b, float *y) {
  float d = xk_widen_half(xk_load16(b));
  for (int i = 0; i < 16; i++) {
    y[i] = (float)((b[2 + i] & 15) - 8) * d;
    y[i + 16] = (float)((b[2 + i] >> 4) - 8) * d;
  }
}

static void q4_1(const uint8_t *b, float *y) {
  float d = xk_widen_half(xk_load16(b)), m = xk_widen_half(xk_load16(b + 2));
  for (int i = 0; i < 16; i++) {
    y[i] = (float)(b[4 + i] & 15) * d + m;
    y[i + 16] = (float)(b[4 + i] >> 4) * d + m;
  }
}

static void q5_0(const uint8_t *b, float *y) {
  float d = xk_widen_half(xk_load16(b));
  uint32_t high;
  memcpy(&high, b + 2, 4);
  for (int i = 0; i < 16; i++) {
    y[i] = (float)((int)((b[6 + i] & 15) | (high >> i & 1) << 4) - 16) * d;
    y[i + 16] = (float)((int)((b[6 + i] >> 4) | (high >> (i + 16) & 1) << 4) - 16) * d;
  }
}

static void q5_1(const uint8_t *b, float *y) {
  float d = xk_widen_half(xk_load16(b)), m = xk_widen_half(xk_load16(b + 2));
  uint32_t high;
  memcpy(&high, b + 4, 4);
  for (int i = 0; i < 16; i++) {
    y[i] = (float)((b[8 + i] & 15) | (high >> i & 1) << 4) * d + m;
    y[i + 16] = (float)((b[8 + i] >> 4) | (high >> (i + 16) & 1) << 4) * d + m;
  }
}

static void q8_0(const uint8_t *b, float *y) {
  float d = xk_widen_half(xk_load16(b));
  for (int i = 0; i < 32; i++) y[i] = (float)(int8_t)b[2 + i] * d;
}

/// The six-bit scale and minimum of sub-block j (0…7), out of the twelve packed bytes of Q4_K and Q5_K.
static void scale_and_minimum(const uint8_t *packed, int j, int *scale, int *minimum) {
  if (j < 4) {
    *scale = packed[j] & 63;
    *minimum = packed[j + 4] & 63;
  } else {
    *scale = (packed[j + 4] & 15) | (packed[j - 4] >> 6) << 4;
    *minimum = (packed[j + 4] >> 4) | (packed[j] >> 6) << 4;
  }
}

/// Q4_K, and Q5_K if `high` (one more bit per weight) is there.
static void q45_K(const uint8_t *b, const uint8_t *high, const uint8_t *quants, float *y) {
  float d = xk_widen_half(xk_load16(b)), dmin = xk_widen_half(xk_load16(b + 2));
  for (int j = 0; j < 8; j++) {
    int scale, minimum;
    scale_and_minimum(b + 4, j, &scale, &minimum);
    float step = d * (float)scale, offset = dmin * (float)minimum;
    for (int i = 0; i < 32; i++) {
      int quant = quants[32 * (j / 2) + i] >> 4 * (j & 1) & 15;
      if (high) quant |= (high[i] >> j & 1) << 4;
      y[32 * j + i] = step * (float)quant - offset;
    }
  }
}

/// Each half of 128 weights: four quarters of 32, whose low bits share 64 bytes and whose high bits share 32.
static void q6_K(const uint8_t *b, float *y) {
  const int8_t *scales = (const int8_t *)b + 192;
  float d = xk_widen_half(xk_load16(b + 208));
  for (int part = 0; part < 8; part++) {
    int quarter = part % 4;
    const uint8_t *low = b + 64 * (part / 4) + 32 * (quarter & 1), *high = b + 128 + 32 * (part / 4);
    for (int i = 0; i < 32; i += 16) {
      float step = d * (float)scales[2 * part + i / 16];
      for (int l = i; l < i + 16; l++) {
        int quant = (low[l] >> 4 * (quarter >> 1) & 15) | (high[l] >> 2 * quarter & 3) << 4;
        y[32 * part + l] = step * (float)(quant - 32);
      }
    }
  }
}

static void block(uint32_t format, const uint8_t *b, float *y) {
  switch (format) {
  case XK_F32: memcpy(y, b, 4); break;
  case XK_F16: *y = xk_widen_half(xk_load16(b)); break;
  case XK_BF16: *y = xk_widen_bfloat(xk_load16(b)); break;
  case XK_Q4_0: q4_0(b, y); break;
  case XK_Q4_1: q4_1(b, y); break;
  case XK_Q5_0: q5_0(b, y); break;
  case XK_Q5_1: q5_1(b, y); break;
  case XK_Q8_0: q8_0(b, y); break;
  case XK_Q4_K: q45_K(b, NULL, b + 16, y); break;
  case XK_Q5_K: q45_K(b, b + 16, b + 48, y); break;
  case XK_Q6_K: q6_K(b, y); break;
  }
}
