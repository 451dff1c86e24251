// Half precision and bfloat16 in plain C: the same values as the hardware's conversions.
#pragma once
#include <stdint.h>
#include <string.h>

static inline float xk_float_from_bits(uint32_t bits) {
  float value;
  memcpy(&value, &bits, sizeof value);
  return value;
}

static inline uint32_t xk_bits(float value) {
  uint32_t bits;
  memcpy(&bits, &value, sizeof bits);
  return bits;
}

static inline uint16_t xk_load16(const uint8_t *bytes) {
  uint16_t value;
  memcpy(&value, bytes, sizeof value);
  return value;
}

/// A signalling NaN comes out quiet, as from `vcvtph2ps`.
static inline float xk_widen_half(uint16_t half) {
  uint32_t sign = (uint32_t)(half & 0x8000) << 16;
  uint32_t exponent = (half >> 10) & 31;
  uint32_t fraction = half & 1023;
  if (exponent == 31) return xk_float_from_bits(sign | 0x7f800000 | fraction << 13 | (fraction ? 0x400000 : 0));
  if (exponent) return xk_float_from_bits(sign | (exponent + 112) << 23 | fraction << 13);
  float magnitude = (float)fraction * 0x1p-24f;
  return xk_float_from_bits(sign | xk_bits(magnitude));
}

/// Nearest even, as `vcvtps2ph` with rounding mode 0.
static inline uint16_t xk_narrow_half(float value) {
  uint32_t bits = xk_bits(value);
  uint16_t sign = (uint16_t)(bits >> 16 & 0x8000);
  uint32_t magnitude = bits & 0x7fffffff;
  if (magnitude > 0x7f800000) return (uint16_t)(sign | 0x7e00 | (magnitude >> 13 & 0x3ff));
  if (magnitude >= 0x47800000) return sign | 0x7c00;
  if (magnitude < 0x38800000) {
    // Subnormal: adding 0.5 leaves the value in units of 2^-24 in the low bits, rounded by the addition.
    float shifted = xk_float_from_bits(magnitude) + 0.5f;
    return (uint16_t)(sign | (xk_bits(shifted) - 0x3f000000));
  }
  uint32_t rounded = magnitude + 0xfff + (magnitude >> 13 & 1);
  return (uint16_t)(sign | ((rounded - 0x38000000) >> 13));
}

static inline float xk_widen_bfloat(uint16_t bfloat) { return xk_float_from_bits((uint32_t)bfloat << 16); }
