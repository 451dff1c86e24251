#include "CPeaks.h"

typedef float v4 __attribute__((vector_size(16)));
typedef float v8 __attribute__((vector_size(32)));
typedef float v16 __attribute__((vector_size(64)));
typedef uint64_t u4 __attribute__((vector_size(32)));

/// Results go here, so that the compiler cannot leave the work out.
static _Thread_local volatile float sink;

// Twelve chains hide the latency of two multiply-adds a cycle, 24 that of four; both fit the registers where they are
// used. The product and the sum are one expression: the compiler contracts it where the target can.
#define MULTIPLY_ADD(name, vector, chains, ...)                                                                        \
  __VA_ARGS__ static double name(size_t rounds) {                                                                     \
    vector sums[chains], factor, term;                                                                                \
    const size_t lanes = sizeof(vector) / sizeof(float);                                                              \
    for (size_t i = 0; i < lanes; i++) factor[i] = 0.5f + sink, term[i] = 0.25f + sink;                               \
    for (size_t c = 0; c < chains; c++) sums[c] = term * (float)c;                                                    \
    for (size_t round = 0; round < rounds; round++) {                                                                 \
      _Pragma("clang loop unroll(full)") for (size_t c = 0; c < chains; c++) sums[c] = sums[c] * factor + term;       \
    }                                                                                                                 \
    float total = 0;                                                                                                  \
    for (size_t c = 0; c < chains; c++) total += sums[c][0];                                                          \
    sink = total * 0;                                                                                                 \
    return 2.0 * (double)(chains * lanes) * (double)rounds;                                                           \
  }

static inline __attribute__((always_inline)) uint64_t read_words(const void *bytes, size_t count) {
  const u4 *words = bytes;
  u4 sums[8] = {0};
  for (size_t i = 0; i < count / sizeof(u4); i += 8)
    for (size_t c = 0; c < 8; c++) sums[c] += words[i + c];
  for (size_t c = 1; c < 8; c++) sums[0] += sums[c];
  return sums[0][0] + sums[0][1] + sums[0][2] + sums[0][3];
}

static uint64_t read_baseline(const void *bytes, size_t count) { return read_words(bytes, count); }

#if defined(__x86_64__)
MULTIPLY_ADD(multiply_add_baseline, v4, 12)
MULTIPLY_ADD(multiply_add_avx2, v8, 12, __attribute__((target("avx2,fma"))))
MULTIPLY_ADD(multiply_add_avx512, v16, 12, __attribute__((target("avx512f"))))

__attribute__((target("avx2"))) static uint64_t read_avx2(const void *bytes, size_t count) {
  return read_words(bytes, count);
}

double xp_multiply_add(size_t rounds) {
  if (__builtin_cpu_supports("avx512f")) return multiply_add_avx512(rounds);
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return multiply_add_avx2(rounds);
  return multiply_add_baseline(rounds);
}

uint64_t xp_read(const void *bytes, size_t count) {
  return __builtin_cpu_supports("avx2") ? read_avx2(bytes, count) : read_baseline(bytes, count);
}
#else
MULTIPLY_ADD(multiply_add_baseline, v4, 24)

double xp_multiply_add(size_t rounds) { return multiply_add_baseline(rounds); }
uint64_t xp_read(const void *bytes, size_t count) { return read_baseline(bytes, count); }
#endif
