// The layout of a packed panel: 16 outputs side by side, so that one vector load holds one input of eight outputs.
//
// A panel is a row of blocks along the inputs, each as many bytes as 16 blocks of its format:
// - F32, F16, BF16: `[k][16]`.
// - Q4_0, Q4_1: `[d: 16 halves][m: 16 halves, Q4_1 only]`, then the nibbles as `[k / 8][16]` 32-bit words; word j of
//   group g holds inputs 8g…8g+7 of output j, the lowest nibble first.
// - Q8_0: `[d: 16 halves]`, then signed bytes as `[k / 4][16]` 32-bit words; of each eight inputs, the first word holds
//   the even ones and the second the odd ones, as a word of nibbles gives them, masked and shifted.
// - Q5_0 becomes Q8_0: its five bits are in two places of the file, and decode would take ten times as long.
// - The others: the file's 16 blocks, one after the other.
#include "CKernels.h"
#include "integers.h"

uint32_t xk_panel_format(uint32_t format) { return format == XK_Q5_0 ? XK_Q8_0 : format; }

size_t xk_panel_bytes(uint32_t format, size_t columns) {
  size_t elements = xk_block_elements(format);
  return elements ? columns / elements * xk_block_bytes(xk_panel_format(format)) * XK_PANEL : 0;
}

int xk_has_integers(uint32_t format) { return format == XK_Q4_0 || format == XK_Q4_1 || format == XK_Q8_0; }
int xk_has_signed_quants(uint32_t format) { return format == XK_Q8_0; }

static void pack_plain(size_t bytes, const uint8_t *rows, size_t count, size_t row_bytes, size_t columns,
                       uint8_t *panel) {
  for (size_t j = 0; j < count; j++) {
    const uint8_t *row = rows + j * row_bytes;
    for (size_t k = 0; k < columns; k++) memcpy(panel + (k * XK_PANEL + j) * bytes, row + k * bytes, bytes);
  }
}

/// Spreads eight nibbles of the file (one in each byte, at bit 0 or 4) over a word.
static uint32_t nibbles(const uint8_t *bytes, int shift) {
  uint64_t spread;
  memcpy(&spread, bytes, 8);
  spread = spread >> shift & 0x0f0f0f0f0f0f0f0f;
  spread = (spread | spread >> 4) & 0x00ff00ff00ff00ff;
  spread = (spread | spread >> 8) & 0x0000ffff0000ffff;
  return (uint32_t)(spread | spread >> 16);
}

/// `header`: bytes of scales before the file's 16 bytes of nibbles.
static void pack_nibbles(const uint8_t *block, size_t header, size_t j, uint8_t *out) {
  for (size_t i = 0; i < header; i += 2) memcpy(out + i * XK_PANEL + 2 * j, block + i, 2);
  uint8_t *words = out + header * XK_PANEL + 4 * j;
  for (size_t group = 0; group < 4; group++) {
    uint32_t word = nibbles(block + header + 8 * (group & 1), group < 2 ? 0 : 4);
    memcpy(words + group * 4 * XK_PANEL, &word, 4);
  }
}

static void pack_bytes(const uint8_t *block, size_t j, uint8_t *out) {
  memcpy(out + 2 * j, block, 2);
  uint8_t *words = out + 2 * XK_PANEL + 4 * j;
  for (size_t k = 0; k < 32; k++) {
    size_t place = k / 8 * 8 + xk_even_first(k % 8);
    words[place / 4 * 4 * XK_PANEL + place % 4] = block[2 + k];
  }
}

/// From Q5_0.
static void pack_five_bits(const uint8_t *block, size_t j, uint8_t *out) {
  uint8_t bytes[34];
  uint32_t high;
  memcpy(bytes, block, 2);
  memcpy(&high, block + 2, sizeof high);
  for (size_t k = 0; k < 32; k++) {
    int low = block[6 + k % 16] >> 4 * (k / 16) & 15;
    bytes[2 + k] = (uint8_t)((low | (int)(high >> k & 1) << 4) - 16);
  }
  pack_bytes(bytes, j, out);
}

void xk_pack(uint32_t format, const uint8_t *file, size_t rows, size_t columns, uint8_t *panel) {
  size_t bytes = xk_block_bytes(format), blocks = columns / xk_block_elements(format), row_bytes = blocks * bytes;
  if (rows < XK_PANEL) memset(panel, 0, xk_panel_bytes(format, columns));
  if (format == XK_F32 || format == XK_F16 || format == XK_BF16) {
    pack_plain(bytes, file, rows, row_bytes, columns, panel);
    return;
  }
  for (size_t b = 0; b < blocks; b++) {
    uint8_t *out = panel + b * xk_block_bytes(xk_panel_format(format)) * XK_PANEL;
    for (size_t j = 0; j < rows; j++) {
      const uint8_t *block = file + j * row_bytes + b * bytes;
      switch (format) {
      case XK_Q4_0: pack_nibbles(block, 2, j, out); break;
      case XK_Q4_1: pack_nibbles(block, 4, j, out); break;
      case XK_Q5_0: pack_five_bits(block, j, out); break;
      case XK_Q8_0: pack_bytes(block, j, out); break;
      default: memcpy(out + j * bytes, block, bytes);
      }
    }
  }
}
