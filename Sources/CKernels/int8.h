// What the int8 products of all instruction sets share.
//
// An output's sum goes block by block, in order: the block's 32 products of integers are added exactly, so in any
// order; then `sum = fmaf((float)dot, scale_w · scale_x, sum)`, and where weights have a minimum
// `sum = fmaf(minimum_w, sum_x, sum)`. That is the whole of its floating-point arithmetic, on every instruction set.
#pragma once
#include "CKernels.h"
#include "half.h"

/// Below it a block's greatest number counts as zero: 127 / it must not overflow.
#define XK_INT8_SMALLEST 0x1p-100f

/// Where input k of eight lies in a quantised row and in a packed word: even ones before odd ones.
static inline size_t xk_even_first(size_t k) { return (k & 1) * 4 + k / 2; }
