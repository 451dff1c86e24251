// ggml's block formats, one after the other (source: ggml/src/ggml-common.h, ggml-quants.c): each writes a block's
// weights.
//
// Every product `scale · quant` is exact in float (at most 24 bits), so each weight is rounded at most once, when a
// minimum is added: that is why a fused multiply-add gives the same bits.
#include "CKernels.h"
#include "half.h"
#include "k_blocks.h"

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

/// Q4_K, and Q5_K if `high` (one more bit per weight) is there.
static void q45_K(const uint8_t *b, const uint8_t *high, const uint8_t *quants, float *y) {
  float d = xk_widen_half(xk_load16(b)), dmin = xk_widen_half(xk_load16(b + 2));
  for (int j = 0; j < 8; j++) {
    int scale, minimum;
    xk_k_scale_and_minimum(b + 4, j, &scale, &minimum);
    float step = d * (float)scale, offset = dmin * (float)minimum;
    for (int i = 0; i < 32; i++) y[32 * j + i] = step * (float)xk_q45_K_quant(high, quants, j, i) - offset;
  }
}

static void q6_K(const uint8_t *b, float *y) {
  const int8_t *scales = (const int8_t *)b + 192;
  float d = xk_widen_half(xk_load16(b + 208));
  for (int part = 0; part < 8; part++) {
    for (int l = 0; l < 32; l++) y[32 * part + l] = d * (float)scales[2 * part + l / 16] * (float)xk_q6_K_quant(b, part, l);
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

size_t xk_block_elements(uint32_t format) {
  switch (format) {
  case XK_F32: case XK_F16: case XK_BF16: return 1;
  case XK_Q4_0: case XK_Q4_1: case XK_Q5_0: case XK_Q5_1: case XK_Q8_0: return 32;
  case XK_Q4_K: case XK_Q5_K: case XK_Q6_K: return 256;
  default: return 0;
  }
}

size_t xk_block_bytes(uint32_t format) {
  switch (format) {
  case XK_F32: return 4;
  case XK_F16: case XK_BF16: return 2;
  case XK_Q4_0: return 18;
  case XK_Q4_1: return 20;
  case XK_Q5_0: return 22;
  case XK_Q5_1: return 24;
  case XK_Q8_0: return 34;
  case XK_Q4_K: return 144;
  case XK_Q5_K: return 176;
  case XK_Q6_K: return 210;
  default: return 0;
  }
}

void xk_dequantize(uint32_t format, const uint8_t *blocks, size_t count, float *out) {
  size_t elements = xk_block_elements(format), bytes = xk_block_bytes(format);
  for (size_t i = 0; i < count; i += elements, blocks += bytes) block(format, blocks, out + i);
}
