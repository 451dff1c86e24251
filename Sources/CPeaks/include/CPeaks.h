// What a core can do at most: multiply-adds in registers, and bytes read. `xpyd bench engine` measures with it.
#pragma once
#include <stddef.h>
#include <stdint.h>

/// `rounds` rounds of independent fused multiply-adds on the widest float vectors of this machine, nothing in memory.
/// Returns the number of floating-point operations: two for each multiply-add and lane.
double xp_multiply_add(size_t rounds);

/// Reads `count` bytes once, in order, with vector loads. Returns their sum as 64-bit words, so that no load is left out.
/// `count` is a multiple of 256; `bytes` is aligned to 64.
uint64_t xp_read(const void *bytes, size_t count);
