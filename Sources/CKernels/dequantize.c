#include "CKernels.h"
#include "blocks.h"

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
