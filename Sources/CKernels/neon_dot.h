// Dot products of bytes (ARMv8.2's optional `sdot`): each lane of a sum gets four products at once. Nibbles fit signed
// bytes, so all formats take the same way.
#pragma once
#include "neon_integers.h"

#if defined(__aarch64__)

#define XK_DOT __attribute__((target("arch=armv8.2-a+dotprod")))
#define XK_DOT_INLINE static inline __attribute__((always_inline, target("arch=armv8.2-a+dotprod")))

/// Adds the products of four outputs' four weights with word `word` of x.
XK_DOT_INLINE int32x4_t add_products(int32x4_t dot, int8x16_t weights, int8x16_t x, int word) {
  switch (word) {
  case 0: return vdotq_laneq_s32(dot, weights, x, 0);
  case 1: return vdotq_laneq_s32(dot, weights, x, 1);
  case 2: return vdotq_laneq_s32(dot, weights, x, 2);
  default: return vdotq_laneq_s32(dot, weights, x, 3);
  }
}

/// Adds the products of an unpacked block with 32 activations a row, `[word][output][4]` with `[word][4]`. At six rows
/// 24 integer sums are in registers; the float sums wait in the first cache.
XK_DOT_INLINE void add_block(const int rows, const void *tile, const int8_t *const *x,
                             int32x4_t dot[XK_TILE_ROWS][XK_FOURS]) {
  const int8_t *weights = tile;
#if defined(__clang__)
#pragma clang loop unroll(disable)
#endif
  for (size_t four = 0; four < 2; four++) {
    int8x16_t inputs[XK_TILE_ROWS];
    UNROLL for (int i = 0; i < rows; i++) inputs[i] = vld1q_s8(x[i] + 16 * four);
    UNROLL for (int word = 0; word < 4; word++) {
      UNROLL for (int v = 0; v < XK_FOURS; v++, weights += 16) {
        int8x16_t four_outputs = vld1q_s8(weights);
        UNROLL for (int i = 0; i < rows; i++) dot[i][v] = add_products(dot[i][v], four_outputs, inputs[i], word);
      }
    }
  }
}

/// Words 2g and 2g + 1 of four outputs, four quants each.
XK_NEON_INLINE void load_words(uint32_t format, xk_stretch s, size_t group, size_t v, int8x16_t words[2]) {
  if (xk_is_nibbles(format)) {
    uint8x16_t nibbles = vld1q_u8(s.quants + group * 4 * XK_PANEL + 16 * v);
    words[0] = vreinterpretq_s8_u8(vandq_u8(nibbles, vdupq_n_u8(15)));
    words[1] = vreinterpretq_s8_u8(vshrq_n_u8(nibbles, 4));
  } else {
    const uint8_t *quants = s.quants + group * 8 * XK_PANEL + 16 * v;
    words[0] = vreinterpretq_s8_u8(vld1q_u8(quants));
    words[1] = vreinterpretq_s8_u8(vld1q_u8(quants + 4 * XK_PANEL));
  }
}

/// Of each eight bytes, the even ones before the odd ones: the order of a quantised row.
XK_NEON_INLINE int8x16_t even_first(int8x16_t bytes) {
  return vqtbl1q_s8(bytes, (uint8x16_t){0, 2, 4, 6, 1, 3, 5, 7, 8, 10, 12, 14, 9, 11, 13, 15});
}
#endif
