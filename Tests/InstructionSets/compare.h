// The parts of the comparison: each takes plain C's table and the other.
#pragma once
#include "CKernels.h"
#include "inputs.h"

void compare_products(const xk_table *plain, const xk_table *special);
void compare_integers(const xk_table *plain, const xk_table *special);
void compare_rows(const xk_table *plain, const xk_table *special);
void compare_attention(const xk_table *plain, const xk_table *special);

/// Bit by bit; differences are counted, and the first are told.
void expect_same(const char *what, const void *expected, const void *actual, size_t bytes);

/// The formats that panels have (Q5_0 becomes Q8_0).
static const uint32_t formats[] = {XK_F32,  XK_F16,  XK_BF16, XK_Q4_0, XK_Q4_1,
                                   XK_Q5_1, XK_Q8_0, XK_Q4_K, XK_Q5_K, XK_Q6_K};
enum { format_count = sizeof formats / sizeof *formats };
