// The layout of a packed panel: 16 outputs side by side, so that one vector load holds one input of eight outputs.
//
// A panel is a row of blocks along the inputs, each as many bytes as 16 blocks of its format:
// - F32, F16, BF16: `[k][16]`.
// - Q4_0, Q4_1: `[d: 16 halves][m: 16 halves, Q4_1 only]`, then the nibbles as `[k / 8][16]` 32-bit words; word j of
//   group g holds inputs 8g…8g+7 of output j, the lowest nibble first.
// - Q8_0: `[d: 16 halves]`, then signed bytes as `[k / 4][16]` 32-bit words; of each eight inputs, the first word holds
//   the even ones and the second the odd ones, as a word of nibbles gives them, masked and shifted.
// - Q5_0 becomes Q8_0: its five bits are in two places of the file, and decode would take ten times as long.
// - Q5_1: `[d: 16 halves][m: 16 halves]`, then bytes as in Q8_0.
// - Q4_K and Q5_K, blocks of 256: `[d: 16 halves][dmin: 16 halves]`, then eight times `[scales: 16 bytes][minima: 16
//   bytes]` and nibbles as in Q4_0 (Q5_K: bytes as in Q8_0).
// - Q6_K, blocks of 256: `[d: 16 halves]`, then eight times `[scales: 2 × 16 signed bytes]` and bytes as in Q8_0.
#include "CKernels.h"
#include "k_blocks.h"
#include "panels.h"

uint32_t xk_panel_format(uint32_t format) { return format == XK_Q5_0 ? XK_Q8_0 : format; }

size_t xk_panel_bytes(uint32_t format, size_t columns) {
  size_t elements = xk_block_elements(format);
  if (elements <= 1) return columns * elements * xk_block_bytes(format) * XK_PANEL;
  return columns / elements * xk_panel_block_bytes(xk_panel_format(format));
}

int xk_has_int16(uint32_t format) { return xk_block_elements(format) > 1 && format != XK_Q6_K; }
int xk_has_int8(uint32_t format) { return format == XK_Q4_0 || format == XK_Q4_1 || format == XK_Q8_0; }

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

/// `quants`: 32 of output j.
static void pack_bytes(const int8_t *quants, size_t j, uint8_t *out) {
  for (size_t k = 0; k < 32; k++) {
    size_t place = k / 8 * 8 + xk_even_first(k % 8);
    out[(place / 4 * XK_PANEL + j) * 4 + place % 4] = (uint8_t)quants[k];
  }
}

/// Q5_0's or Q5_1's: four bits each behind the bits above them.
static void five_bits(const uint8_t *bits, int zero, int8_t *quants) {
  uint32_t high;
  memcpy(&high, bits, sizeof high);
  for (size_t k = 0; k < 32; k++) {
    int low = bits[4 + k % 16] >> 4 * (k / 16) & 15;
    quants[k] = (int8_t)((low | (int)(high >> k & 1) << 4) - zero);
  }
}

/// Formats of 32 weights whose quants become bytes; `header`: bytes of scales before the file's quants.
static void pack_byte_block(uint32_t format, const uint8_t *block, size_t header, size_t j, uint8_t *out) {
  int8_t quants[32];
  if (format == XK_Q8_0) memcpy(quants, block + header, 32);
  else five_bits(block + header, format == XK_Q5_0 ? 16 : 0, quants);
  for (size_t i = 0; i < header; i += 2) memcpy(out + i * XK_PANEL + 2 * j, block + i, 2);
  pack_bytes(quants, j, out + header * XK_PANEL);
}

/// 32 weights of a K format: their quants, and what goes before them.
static void k_stretch(uint32_t format, const uint8_t *block, int part, uint8_t own[2], int8_t *quants) {
  int scale = 0, minimum = 0;
  if (format == XK_Q6_K) {
    memcpy(own, block + 192 + 2 * part, 2);
  } else {
    xk_k_scale_and_minimum(block + 4, part, &scale, &minimum);
    own[0] = (uint8_t)scale;
    own[1] = (uint8_t)minimum;
  }
  for (int i = 0; i < 32; i++) {
    quants[i] = (int8_t)(format == XK_Q6_K   ? xk_q6_K_quant(block, part, i)
                         : format == XK_Q5_K ? xk_q45_K_quant(block + 16, block + 48, part, i)
                                             : xk_q45_K_quant(NULL, block + 16, part, i));
  }
}

static void pack_k_block(uint32_t format, const uint8_t *block, size_t j, uint8_t *out) {
  memcpy(out + 2 * j, block + (format == XK_Q6_K ? 208 : 0), 2);
  if (format != XK_Q6_K) memcpy(out + 2 * XK_PANEL + 2 * j, block + 2, 2);
  for (int part = 0; part < 8; part++) {
    uint8_t own[2];
    int8_t quants[32];
    k_stretch(format, block, part, own, quants);
    xk_stretch s = xk_stretch_at(format, out, 32 * (size_t)part);
    uint8_t *header = out + (s.own - out), *words = out + (s.quants - out);
    header[j] = own[0];
    header[XK_PANEL + j] = own[1];
    if (!xk_is_nibbles(format)) {
      pack_bytes(quants, j, words);
      continue;
    }
    for (size_t k = 0; k < 32; k += 2) {
      words[(k / 8 * XK_PANEL + j) * 4 + k % 8 / 2] = (uint8_t)(quants[k] | quants[k + 1] << 4);
    }
  }
}

void xk_pack(uint32_t format, const uint8_t *file, size_t rows, size_t columns, uint8_t *panel) {
  size_t bytes = xk_block_bytes(format), blocks = columns / xk_block_elements(format), row_bytes = blocks * bytes;
  if (rows < XK_PANEL) memset(panel, 0, xk_panel_bytes(format, columns));
  if (format == XK_F32 || format == XK_F16 || format == XK_BF16) {
    pack_plain(bytes, file, rows, row_bytes, columns, panel);
    return;
  }
  for (size_t b = 0; b < blocks; b++) {
    uint8_t *out = panel + b * xk_panel_block_bytes(xk_panel_format(format));
    for (size_t j = 0; j < rows; j++) {
      const uint8_t *block = file + j * row_bytes + b * bytes;
      switch (format) {
      case XK_Q4_0: pack_nibbles(block, 2, j, out); break;
      case XK_Q4_1: pack_nibbles(block, 4, j, out); break;
      case XK_Q5_1: pack_byte_block(format, block, 4, j, out); break;
      case XK_Q5_0: case XK_Q8_0: pack_byte_block(format, block, 2, j, out); break;
      default: pack_k_block(format, block, j, out);
      }
    }
  }
}
