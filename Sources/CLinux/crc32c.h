// What the files that compute a CRC32C share.
#pragma once
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/// a · b modulo the polynomial.
uint32_t xs_crc32c_multiply(uint32_t a, uint32_t b);

/// x^(8 · bytes) modulo the polynomial: what moves a CRC past that many bytes.
uint32_t xs_crc32c_shift(size_t bytes);

static inline uint64_t xs_load64(const uint8_t *bytes) {
  uint64_t word;
  memcpy(&word, bytes, sizeof word);
  return word;
}
