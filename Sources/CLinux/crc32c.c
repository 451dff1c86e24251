#include "CLinux.h"
#include "crc32c.h"
#include <pthread.h>

// The polynomial 0x1EDC6F41, bits reversed: bit 31 is x^0.
#define POLYNOMIAL 0x82F63B78u

static uint32_t table[256];

static void fill_table(void) {
  for (uint32_t byte = 0; byte < 256; byte++) {
    uint32_t crc = byte;
    for (int bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >> 1) ^ POLYNOMIAL : crc >> 1;
    table[byte] = crc;
  }
}

uint32_t xs_crc32c_by_table(uint32_t crc, const void *bytes, size_t length) {
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  pthread_once(&once, fill_table);
  const uint8_t *byte = bytes;
  crc = ~crc;
  for (size_t i = 0; i < length; i++) crc = (crc >> 8) ^ table[(crc ^ byte[i]) & 0xFF];
  return ~crc;
}

uint32_t xs_crc32c_multiply(uint32_t a, uint32_t b) {
  uint32_t product = 0;
  for (uint32_t bit = 1u << 31; bit; bit >>= 1) {
    if (a & bit) product ^= b;
    b = b & 1 ? (b >> 1) ^ POLYNOMIAL : b >> 1;
  }
  return product;
}

uint32_t xs_crc32c_shift(size_t bytes) {
  uint32_t result = 1u << 31, square = 1u << 23;
  for (; bytes; bytes >>= 1) {
    if (bytes & 1) result = xs_crc32c_multiply(square, result);
    square = xs_crc32c_multiply(square, square);
  }
  return result;
}

#if defined(__x86_64__)
#include <nmmintrin.h>

__attribute__((target("sse4.2"))) static uint32_t one_lane(uint32_t crc, const uint8_t *bytes, size_t length) {
  uint64_t state = crc;
  for (; length >= 8; length -= 8, bytes += 8) state = _mm_crc32_u64(state, xs_load64(bytes));
  for (; length; length--, bytes++) state = _mm_crc32_u8((uint32_t)state, *bytes);
  return (uint32_t)state;
}

// The instruction takes 3 cycles and starts every cycle: three stripes side by side keep it busy, and are joined by shifts.
__attribute__((target("sse4.2"))) static uint32_t three_lanes(uint32_t crc, const uint8_t *bytes, size_t length) {
  size_t stripe = length / 24 * 8;
  uint64_t a = crc, b = 0, c = 0;
  for (size_t i = 0; i < stripe; i += 8) {
    a = _mm_crc32_u64(a, xs_load64(bytes + i));
    b = _mm_crc32_u64(b, xs_load64(bytes + stripe + i));
    c = _mm_crc32_u64(c, xs_load64(bytes + 2 * stripe + i));
  }
  uint32_t shift = xs_crc32c_shift(stripe);
  uint32_t joined = xs_crc32c_multiply(shift, xs_crc32c_multiply(shift, (uint32_t)a) ^ (uint32_t)b) ^ (uint32_t)c;
  return one_lane(joined, bytes + 3 * stripe, length - 3 * stripe);
}

uint32_t xs_crc32c(uint32_t crc, const void *bytes, size_t length) {
  if (!__builtin_cpu_supports("sse4.2")) return xs_crc32c_by_table(crc, bytes, length);
  return ~(length < 16384 ? one_lane(~crc, bytes, length) : three_lanes(~crc, bytes, length));
}
#else
uint32_t xs_crc32c(uint32_t crc, const void *bytes, size_t length) { return xs_crc32c_by_table(crc, bytes, length); }
#endif
