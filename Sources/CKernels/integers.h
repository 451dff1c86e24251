// What the int8 and int16 products of all instruction sets share.
//
// An output's sum goes block by block, in order: the block's 32 products of integers are added exactly, so in any
// order; then `sum = fmaf((float)dot, scale_w · scale_x, sum)`, and where weights have a minimum
// `sum = fmaf(minimum_w, sum_x, sum)`. That is the whole of its floating-point arithmetic, on every instruction set.
#pragma once
#include "CKernels.h"
#include "panels.h"

/// Below it a block's greatest number counts as zero: `XK_INT16_MAX` / it must not overflow.
#define XK_SMALLEST 0x1p-100f

/// The quant of a block's greatest number.
#define XK_INT8_MAX 127
#define XK_INT16_MAX 32767
