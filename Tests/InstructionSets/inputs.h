// Random inputs, in memory that ends where no other begins.
#pragma once
#include <stddef.h>
#include <stdint.h>

/// SplitMix64.
uint64_t random_bits(void);
/// 0..<bound.
size_t random_below(size_t bound);
/// -magnitude...magnitude.
float random_float(float magnitude);

/// `bytes` bytes before a page that cannot be read, so that a step too far is a fault. Given back by `release_all`.
void *before_the_end(size_t bytes);
float *random_floats(size_t count, float magnitude);
void release_all(void);

/// Halves of at most 2^-4, subnormal ones among them.
uint16_t random_half(void);
/// Whole blocks of a format, as a file has them.
uint8_t *random_blocks(uint32_t format, size_t count);
/// A panel of random weights.
uint8_t *random_panels(uint32_t format, size_t panels, size_t columns);
