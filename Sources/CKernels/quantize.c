#include "CKernels.h"
#include "half.h"
#include <math.h>

#pragma STDC FP_CONTRACT OFF

// Source: ggml/src/ggml-quants.c, quantize_row_q8_0_ref.
void xk_quantize_q8_0(const float *x, size_t count, uint8_t *blocks) {
  for (size_t b = 0; b < count / 32; b++, x += 32, blocks += 34) {
    float most = 0;
    for (size_t k = 0; k < 32; k++) most = fabsf(x[k]) > most ? fabsf(x[k]) : most;
    float scale = most / 127, factor = scale != 0 ? 1 / scale : 0;
    uint16_t half = xk_narrow_half(scale);
    memcpy(blocks, &half, sizeof half);
    for (size_t k = 0; k < 32; k++) {
      float quant = roundf(x[k] * factor);
      // In this order a NaN becomes -127: its conversion to an integer would be undefined.
      blocks[2 + k] = (uint8_t)(int8_t)(quant > -127 ? (quant < 127 ? quant : 127) : -127);
    }
  }
}
