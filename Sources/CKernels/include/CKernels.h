// The arithmetic of the CPU engine: primitives in portable C, in AVX2 + FMA + F16C and in NEON behind one table.
//
// Rules for every entry of the table, so that a row's result does not depend on its batch, and so that all tables
// give the same bits:
// - A sum over k is one chain of fused multiply-adds in the order of k: `acc = fmaf(x[k], w[k], acc)`. (Products of
//   integers add a block's exactly, and then the blocks in order: `integers.h`.)
// - A sum over a row (norm, softmax) has eight lanes, element i in lane i % 8, reduced as ((0+4)+(2+6))+((1+5)+(3+7)).
// - Weights are what ggml's reference dequantisers give, bit for bit.
// No function allocates, blocks or keeps state. Pointers need no alignment beyond their element's.
#pragma once
#include <stddef.h>
#include <stdint.h>

/// Outputs per panel of a packed matrix.
#define XK_PANEL 16
/// Most rows that `tile_product` takes.
#define XK_TILE_ROWS 6
/// Slots per key tile.
#define XK_KEY_TILE 16

/// ggml's `ggml_type`.
enum {
  XK_F32 = 0,
  XK_F16 = 1,
  XK_Q4_0 = 2,
  XK_Q4_1 = 3,
  XK_Q5_0 = 6,
  XK_Q5_1 = 7,
  XK_Q8_0 = 8,
  XK_Q4_K = 12,
  XK_Q5_K = 13,
  XK_Q6_K = 14,
  XK_BF16 = 30,
};

/// 32 activations in int8: about `quants[i] · scale`, scale = the greatest magnitude / 127.
/// Of each eight inputs the even ones lie before the odd ones, as nibbles in a packed word do.
typedef struct {
  float scale;
  /// Of the quants, times `scale`.
  float sum;
  int8_t quants[32];
} xk_int8_block;

/// 32 inputs of a panel's outputs for int8 products: weight = `quant · scale + minimum`.
typedef struct {
  /// `[input, four at a time, in the order of `xk_int8_block`][output][input]`.
  uint8_t quants[8][XK_PANEL][4];
  float scales[XK_PANEL];
  float minima[XK_PANEL];
} xk_int8_tile;

/// As above in int16, scale = the greatest magnitude / 32767. Of each eight inputs, pair p holds p and p + 4. Only the
/// table that wrote the quants reads them: one may lay them out in its own way.
typedef struct {
  float scale;
  float sum;
  int16_t quants[16][2];
} xk_int16_block;

/// As above for int16 products; a table may lay it out in its own way too.
typedef struct {
  /// `[pair, in the order of `xk_int16_block`][output][input]`.
  int16_t quants[16][XK_PANEL][2];
  float scales[XK_PANEL];
  float minima[XK_PANEL];
} xk_int16_tile;

/// What one instruction set can do. All tables give the same bits.
typedef struct {
  /// `tile[k][j]` = weight of the panel's output j at input `first + k`, k in 0..<count, j in 0..<16.
  /// `first` and `count` are whole blocks of the format.
  void (*unpack)(uint32_t format, const uint8_t *panel, size_t first, size_t count, float *tile);

  /// `sums[i * stride + j] = (add ? sums[…] : 0) + Σ_k x[i][k] · tile[k * tile_stride + j]`, j in 0..<16,
  /// i in 0..<rows, rows in 1…6.
  void (*tile_product)(const float *const *x, size_t rows, const float *tile, size_t tile_stride, size_t count,
                       float *sums, size_t stride, int add);

  /// One row of activations by `panels` neighbouring panels: `out[16 p + j] = Σ_k x[k] · weight(p, j, k)`.
  /// The same bits as `unpack` and `tile_product`.
  void (*vector_product)(uint32_t format, const float *x, const uint8_t *panel, size_t panels, size_t columns,
                         float *out);

  /// Rounds activations to int8, block by block; to nearest even. `count` is a multiple of 32. A block of zeros, or of
  /// numbers below 2^-100, becomes zeros.
  void (*quantize_int8)(const float *x, size_t count, xk_int8_block *out);

  /// As `unpack`, for int8 products; `format` is one that `xk_has_int8` is true of.
  void (*unpack_int8)(uint32_t format, const uint8_t *panel, size_t first, size_t count, xk_int8_tile *tile);

  /// As `tile_product`, of quantised rows and a tile of `format`; `integers.h` has the order of its arithmetic. `count`
  /// inputs, whole blocks.
  void (*int8_tile_product)(uint32_t format, const xk_int8_block *const *x, size_t rows, const xk_int8_tile *tile,
                            size_t count, float *sums, size_t stride, int add);

  /// As `vector_product`, of a quantised row: the same bits as `unpack_int8` and `int8_tile_product`.
  void (*int8_vector_product)(uint32_t format, const xk_int8_block *x, const uint8_t *panel, size_t panels,
                              size_t columns, float *out);

  /// The same in int16, of formats that `xk_has_int16` is true of.
  void (*quantize_int16)(const float *x, size_t count, xk_int16_block *out);
  void (*unpack_int16)(uint32_t format, const uint8_t *panel, size_t first, size_t count, xk_int16_tile *tile);
  void (*int16_tile_product)(uint32_t format, const xk_int16_block *const *x, size_t rows, const xk_int16_tile *tile,
                             size_t count, float *sums, size_t stride, int add);

  /// `rows` rows of activations, `[rows][columns / 32]`, by `panels` neighbouring panels: `out[i * stride + 16 p + j]` =
  /// row i's product with output j of panel p. Meant for few rows: it unpacks weights anew for every four.
  void (*int16_rows_product)(uint32_t format, const xk_int16_block *x, size_t rows, const uint8_t *panel, size_t panels,
                             size_t columns, float *out, size_t stride);

  /// `out[i] = x[i] · (1 / √(mean(x²) + epsilon)) · weight[i]`.
  void (*rms_norm)(const float *x, const float *weight, float epsilon, size_t count, float *out);

  /// Rotates the pairs (2i, 2i+1), or (i, i + half) if `halves`, of one head in place by the angles whose cosines and
  /// sines are given, i in 0..<half.
  void (*rotate)(float *head, size_t half, const float *cosines, const float *sines, int halves);

  /// `out[i] = gate[i] / (1 + exp(-gate[i])) · up[i]`; `out` may be `gate` or `up`.
  void (*swiglu)(const float *gate, const float *up, float *out, size_t count);

  /// `out[i] += x[i]`.
  void (*add)(const float *x, float *out, size_t count);

  /// `out[i] *= factor`.
  void (*scale)(float factor, float *out, size_t count);

  /// `out[i] = out[i] · a + x[i] · b`, each product rounded.
  void (*blend)(float a, float *out, float b, const float *x, size_t count);

  /// `out[i] = exp(x[i])`, at most 2 ulp off for x in [-87, 88]; 0 below it, the value at 88 above it.
  void (*exponential)(const float *x, float *out, size_t count);

  /// To half precision, rounded to nearest even.
  void (*narrow)(const float *x, uint16_t *out, size_t count);

  /// From half precision.
  void (*widen)(const uint16_t *x, float *out, size_t count);

  /// `tile[d * 16 + s]` = element d of row s: transposes `slots` (1…16) rows of `dim` halves (`is_half`) or floats.
  void (*transpose_keys)(const void *keys, int is_half, size_t slots, size_t dim, float *tile);

  /// `scores[i * stride + s] = Σ_d x[i][d] · keys[s][d]`, keys: `[slots][dim]` halves, i in 0..<rows, rows in 1…6; the same
  /// bits as `transpose_keys` and `tile_product`. `dim` is a multiple of 32. Reads keys, and writes scores, up to the
  /// next multiple of 8 slots.
  void (*half_scores)(const float *const *x, size_t rows, const uint16_t *keys, size_t slots, size_t dim, float *scores,
                      size_t stride);

  /// `sums[i * dim + d] += Σ_s weights[i][s] · values[s][d]`, values: `[slots][dim]` halves; as above, and as `widen` and
  /// `tile_product`.
  void (*add_half_values)(const float *const *weights, size_t rows, const uint16_t *values, size_t slots, size_t dim,
                          float *sums);

  /// One step of the online softmax for each of `rows` (1…6) queries: over `counts[i]` (from 1) scores at
  /// `scores + i * stride`. In: raw scores; `maxima`, `totals` and weighted `sums` (`[rows][width]`) of what came before
  /// (-inf, 0, 0 at first). Out: `exp(score · scale - maximum)`; maxima and totals with these scores, sums scaled to
  /// that maximum. Scores up to the next multiple of 8 are clobbered.
  void (*softmax_steps)(size_t rows, float *scores, size_t stride, const size_t *counts, float scale, float *maxima,
                        float *totals, float *sums, size_t width);
} xk_table;

/// Works everywhere.
const xk_table *xk_portable(void);

/// AVX2, FMA and F16C; NULL where the machine has them not.
const xk_table *xk_avx2(void);

/// NEON, with dot products of bytes where the machine has them; NULL where it is no AArch64.
const xk_table *xk_neon(void);

/// The format that a panel packed from the file's `format` has, which the table's functions are told: itself, but Q8_0
/// for Q5_0, whose weights are such numbers too (quant − 16, and the same scale).
uint32_t xk_panel_format(uint32_t format);

/// Bytes of one packed panel of `columns` inputs. 0 for an unknown format.
size_t xk_panel_bytes(uint32_t format, size_t columns);

/// Weights per block of the format, and its bytes; 0 for an unknown format.
size_t xk_block_elements(uint32_t format);
size_t xk_block_bytes(uint32_t format);

/// Whether products of integers can take the (panel) format's weights.
int xk_has_int16(uint32_t format);
int xk_has_int8(uint32_t format);

/// Repacks `rows` (1…16) rows of the file, in its format, `columns` weights each, into one panel. Missing rows become
/// zeros.
void xk_pack(uint32_t format, const uint8_t *rows_of_file, size_t rows, size_t columns, uint8_t *panel);

/// ggml's reference dequantisers, bit for bit; `count` is whole blocks.
void xk_dequantize(uint32_t format, const uint8_t *blocks, size_t count, float *out);

/// ggml's reference quantiser of Q8_0, the same bits on every machine; `count` is whole blocks. Numbers that are none
/// become some quant.
void xk_quantize_q8_0(const float *x, size_t count, uint8_t *blocks);

/// Asks for memory that will be read soon.
static inline void xk_prefetch(const void *bytes, size_t count) {
  for (size_t i = 0; i < count; i += 64) __builtin_prefetch((const char *)bytes + i);
}

/// Tells the core that this thread spins.
static inline void xk_pause(void) {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ volatile("isb" ::: "memory");
#endif
}

/// Keeps a thread (a `pthread_t`) on one core; 0, or an error number. (`cpu_set_t` is made by macros.)
int xk_pin(uintptr_t thread, int cpu);
