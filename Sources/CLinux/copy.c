#include "CLinux.h"
#include "crc32c.h"

#if defined(__x86_64__)
#include <nmmintrin.h>

enum { line = 64, lanes = 4, page = 4096 };

/// Bytes up to the next line's start, at most `length`.
static size_t up_to_line(const void *address, size_t length) {
  size_t bytes = -(uintptr_t)address % line;
  return bytes < length ? bytes : length;
}

/// `to` is at a line's start. A plain store would first read the line that it overwrites.
static inline void stream_line(uint8_t *to, const uint8_t *from) {
  __m128i a = _mm_loadu_si128((const __m128i *)from), b = _mm_loadu_si128((const __m128i *)from + 1);
  __m128i c = _mm_loadu_si128((const __m128i *)from + 2), d = _mm_loadu_si128((const __m128i *)from + 3);
  _mm_stream_si128((__m128i *)to, a);
  _mm_stream_si128((__m128i *)to + 1, b);
  _mm_stream_si128((__m128i *)to + 2, c);
  _mm_stream_si128((__m128i *)to + 3, d);
}

void xs_copy_streaming(void *to, const void *from, size_t length) {
  uint8_t *target = to;
  const uint8_t *source = from;
  size_t head = up_to_line(target, length);
  memcpy(target, source, head);
  size_t lines = (length - head) / line;
  target += head, source += head;
  for (size_t i = 0; i < lines; i++, target += line, source += line) {
    _mm_prefetch((const char *)source + 8 * line, _MM_HINT_NTA);
    stream_line(target, source);
  }
  _mm_sfence();
  memcpy(target, source, (length - head) % line);
}

// The CRC instruction takes three cycles and starts every cycle, so four stripes side by side keep it busy while each
// line is in the nearest cache for the copy.
__attribute__((target("sse4.2"))) static uint32_t copy_lanes(
    uint32_t crc, uint8_t *to, const uint8_t *from, size_t stripe) {
  uint64_t state[lanes] = {~crc, 0, 0, 0};
  for (size_t i = 0; i < stripe; i += line) {
    for (int word = 0; word < line; word += 8)
      for (int lane = 0; lane < lanes; lane++)
        state[lane] = _mm_crc32_u64(state[lane], xs_load64(from + lane * stripe + i + word));
    for (int lane = 0; lane < lanes; lane++) {
      _mm_prefetch((const char *)from + lane * stripe + i + 8 * line, _MM_HINT_NTA);
      stream_line(to + lane * stripe + i, from + lane * stripe + i);
    }
  }
  _mm_sfence();
  uint32_t shift = xs_crc32c_shift(stripe), joined = (uint32_t)state[0];
  for (int lane = 1; lane < lanes; lane++) joined = xs_crc32c_multiply(shift, joined) ^ (uint32_t)state[lane];
  return ~joined;
}

/// Lines in stripes that are no whole pages apart: four addresses that are equal but for the page wait for each other.
static size_t stripe_of(size_t length) {
  size_t stripe = length / (lanes * line) * line;
  size_t beyond = stripe % page;
  if (stripe < page || (beyond >= 4 * line && beyond <= page - 4 * line)) return stripe;
  return stripe - beyond - page / 4;
}

uint32_t xs_copy_streaming_crc32c(uint32_t crc, void *to, const void *from, size_t length) {
  uint8_t *target = to;
  const uint8_t *source = from;
  size_t done = up_to_line(target, length);
  memcpy(target, source, done);
  crc = xs_crc32c(crc, source, done);
  while (__builtin_cpu_supports("sse4.2")) {
    size_t stripe = stripe_of(length - done);
    if (!stripe) break;
    crc = copy_lanes(crc, target + done, source + done, stripe);
    done += lanes * stripe;
  }
  memcpy(target + done, source + done, length - done);
  return xs_crc32c(crc, source + done, length - done);
}
#else
void xs_copy_streaming(void *to, const void *from, size_t length) { memcpy(to, from, length); }

uint32_t xs_copy_streaming_crc32c(uint32_t crc, void *to, const void *from, size_t length) {
  memcpy(to, from, length);
  return xs_crc32c(crc, from, length);
}
#endif
