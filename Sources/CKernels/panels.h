// Where things lie in a packed panel (`pack.c` has the layout), for all instruction sets.
#pragma once
#include "CKernels.h"
#include "half.h"

/// Formats whose panels have blocks of 256 inputs, with scales of their own for each 32 (Q6_K: 16) of them.
static inline int xk_is_k(uint32_t format) { return format == XK_Q4_K || format == XK_Q5_K || format == XK_Q6_K; }

/// Whether quants are nibbles from 0 on, else signed bytes.
static inline int xk_is_nibbles(uint32_t format) {
  return format == XK_Q4_0 || format == XK_Q4_1 || format == XK_Q4_K;
}

/// Whether weights are `quant · scale + minimum`, else `quant · scale`.
static inline int xk_has_minima(uint32_t format) {
  return xk_is_nibbles(format) || format == XK_Q5_1 || format == XK_Q5_K;
}

/// Whether minima lie in the panel. (Q4_0's are -8 · scale.)
static inline int xk_stores_minima(uint32_t format) { return xk_has_minima(format) && format != XK_Q4_0; }

/// Of 32 inputs.
static inline size_t xk_quant_bytes(uint32_t format) { return (xk_is_nibbles(format) ? 16 : 32) * XK_PANEL; }

/// Halves at the start of a block.
static inline size_t xk_header_bytes(uint32_t format) { return (xk_stores_minima(format) ? 4 : 2) * XK_PANEL; }

static inline size_t xk_panel_block_bytes(uint32_t format) {
  size_t stretches = xk_is_k(format) ? 8 : 1, own = xk_is_k(format) ? 2 * XK_PANEL : 0;
  return xk_header_bytes(format) + stretches * (own + xk_quant_bytes(format));
}

/// 32 inputs of a panel.
typedef struct {
  /// The block's scales, and minima behind them.
  const uint8_t *block;
  /// Of K formats: what the block's scales are to be multiplied by for these inputs, and the minima behind them (Q6_K:
  /// the second 16 inputs').
  const uint8_t *own;
  const uint8_t *quants;
} xk_stretch;

static inline xk_stretch xk_stretch_at(uint32_t format, const uint8_t *panel, size_t first) {
  if (!xk_is_k(format)) {
    const uint8_t *block = panel + first / 32 * xk_panel_block_bytes(format);
    return (xk_stretch){block, block, block + xk_header_bytes(format)};
  }
  const uint8_t *block = panel + first / 256 * xk_panel_block_bytes(format);
  const uint8_t *own =
      block + xk_header_bytes(format) + first % 256 / 32 * (2 * XK_PANEL + xk_quant_bytes(format));
  return (xk_stretch){block, own, own + 2 * XK_PANEL};
}

/// Where input k of eight lies in a packed word, and in a row of int8: even ones before odd ones.
static inline size_t xk_even_first(size_t k) { return (k & 1) * 4 + k / 2; }

/// Quant of input k (0…31) of output j.
static inline int xk_quant(uint32_t format, xk_stretch s, size_t k, size_t j) {
  size_t word = (xk_is_nibbles(format) ? k / 8 : k / 8 * 2 + k % 2) * XK_PANEL + j;
  if (xk_is_nibbles(format)) return s.quants[word * 4 + k % 8 / 2] >> 4 * (k & 1) & 15;
  return (int8_t)s.quants[word * 4 + k % 8 / 2];
}

/// Of the 16 inputs from 16 · `span` on, of output j.
static inline void xk_scale_and_minimum(uint32_t format, xk_stretch s, size_t span, size_t j, float *d, float *m) {
  *d = xk_widen_half(xk_load16(s.block + 2 * j));
  *m = xk_stores_minima(format) ? xk_widen_half(xk_load16(s.block + 2 * XK_PANEL + 2 * j))
       : format == XK_Q4_0      ? -8 * *d
                                : 0;
  if (format == XK_Q6_K) *d *= (float)(int8_t)s.own[span * XK_PANEL + j];
  if (format == XK_Q4_K || format == XK_Q5_K) {
    *d *= (float)s.own[j];
    *m *= -(float)s.own[XK_PANEL + j];
  }
}
