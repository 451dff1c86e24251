// What lies where in the file's blocks of 256 weights (source: ggml/src/ggml-quants.c).
#pragma once
#include <stddef.h>
#include <stdint.h>

/// The six-bit scale and minimum of sub-block j (0…7), out of the twelve packed bytes of Q4_K and Q5_K.
static inline void xk_k_scale_and_minimum(const uint8_t *packed, int j, int *scale, int *minimum) {
  if (j < 4) {
    *scale = packed[j] & 63;
    *minimum = packed[j + 4] & 63;
  } else {
    *scale = (packed[j + 4] & 15) | (packed[j - 4] >> 6) << 4;
    *minimum = (packed[j + 4] >> 4) | (packed[j] >> 6) << 4;
  }
}

/// Quant i of sub-block j of 32: of Q4_K, and of Q5_K if `high` (one more bit per weight) is there.
static inline int xk_q45_K_quant(const uint8_t *high, const uint8_t *quants, int j, int i) {
  int quant = quants[32 * (j / 2) + i] >> 4 * (j & 1) & 15;
  return high ? quant | (high[i] >> j & 1) << 4 : quant;
}

/// Quant l of part j of 32 of Q6_K. Each half of 128 weights has four quarters, whose low bits share 64 bytes and whose
/// high bits share 32.
static inline int xk_q6_K_quant(const uint8_t *block, int j, int l) {
  int quarter = j % 4;
  const uint8_t *low = block + 64 * (j / 4) + 32 * (quarter & 1), *high = block + 128 + 32 * (j / 4);
  return ((low[l] >> 4 * (quarter >> 1) & 15) | (high[l] >> 2 * quarter & 3) << 4) - 32;
}
