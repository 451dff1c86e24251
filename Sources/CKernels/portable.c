// Every primitive in plain C: what the other instruction sets must equal, bit for bit.
#include "CKernels.h"
#include "exponential.h"
#include "half.h"
#include "integers.h"
#include "portable.h"

#pragma STDC FP_CONTRACT OFF

// MARK: matrix product

static void unpack_plain(uint32_t format, const uint8_t *panel, size_t first, size_t count, float *tile) {
  size_t bytes = xk_block_bytes(format);
  xk_dequantize(format, panel + first * XK_PANEL * bytes, count * XK_PANEL, tile);
}

static void unpack_stretch(uint32_t format, xk_stretch s, float *tile) {
  for (size_t j = 0; j < XK_PANEL; j++) {
    for (size_t k = 0; k < 32; k++) {
      float d, m, quant = (float)xk_quant(format, s, k, j);
      xk_scale_and_minimum(format, s, k / 16, j, &d, &m);
      tile[k * XK_PANEL + j] = xk_has_minima(format) ? fmaf(quant, d, m) : quant * d;
    }
  }
}

static void unpack(uint32_t format, const uint8_t *panel, size_t first, size_t count, float *tile) {
  if (xk_block_elements(format) == 1) {
    unpack_plain(format, panel, first, count, tile);
    return;
  }
  for (size_t k = 0; k < count; k += 32) unpack_stretch(format, xk_stretch_at(format, panel, first + k), tile + k * XK_PANEL);
}

static void tile_product(const float *const *x, size_t rows, const float *tile, size_t tile_stride, size_t count,
                         float *sums, size_t stride, int add) {
  for (size_t i = 0; i < rows; i++) {
    float row[XK_PANEL] = {0};
    if (add) memcpy(row, sums + i * stride, sizeof row);
    for (size_t k = 0; k < count; k++) {
      for (size_t j = 0; j < XK_PANEL; j++) row[j] = fmaf(x[i][k], tile[k * tile_stride + j], row[j]);
    }
    memcpy(sums + i * stride, row, sizeof row);
  }
}

static void vector_product(uint32_t format, const float *x, const uint8_t *panel, size_t panels, size_t columns,
                           float *out) {
  enum { step = 256 };
  float tile[step * XK_PANEL];
  size_t bytes = xk_panel_bytes(format, columns);
  for (size_t p = 0; p < panels; p++) {
    for (size_t k = 0; k < columns; k += step) {
      size_t count = columns - k < step ? columns - k : step;
      const float *row = x + k;
      unpack(format, panel + p * bytes, k, count, tile);
      tile_product(&row, 1, tile, XK_PANEL, count, out + p * XK_PANEL, XK_PANEL, k > 0);
    }
  }
}

// MARK: rows

static float sum_of_lanes(const float lanes[8]) {
  return ((lanes[0] + lanes[4]) + (lanes[2] + lanes[6])) + ((lanes[1] + lanes[5]) + (lanes[3] + lanes[7]));
}

static void rms_norm(const float *x, const float *weight, float epsilon, size_t count, float *out) {
  float lanes[8] = {0};
  for (size_t i = 0; i < count; i++) lanes[i % 8] = fmaf(x[i], x[i], lanes[i % 8]);
  float factor = 1 / sqrtf(sum_of_lanes(lanes) / (float)count + epsilon);
  for (size_t i = 0; i < count; i++) out[i] = x[i] * factor * weight[i];
}

static void rotate(float *head, size_t half, const float *cosines, const float *sines, int halves) {
  for (size_t i = 0; i < half; i++) {
    float *a = halves ? head + i : head + 2 * i, *b = halves ? a + half : a + 1;
    float x = *a, y = *b;
    *a = fmaf(x, cosines[i], -(y * sines[i]));
    *b = fmaf(y, cosines[i], x * sines[i]);
  }
}

static void swiglu(const float *gate, const float *up, float *out, size_t count) {
  for (size_t i = 0; i < count; i++) out[i] = gate[i] / (1 + xk_exp(-gate[i])) * up[i];
}

static void add(const float *x, float *out, size_t count) {
  for (size_t i = 0; i < count; i++) out[i] += x[i];
}

static void scale(float factor, float *out, size_t count) {
  for (size_t i = 0; i < count; i++) out[i] *= factor;
}

static void blend(float a, float *out, float b, const float *x, size_t count) {
  for (size_t i = 0; i < count; i++) out[i] = out[i] * a + x[i] * b;
}

static void exponential(const float *x, float *out, size_t count) {
  for (size_t i = 0; i < count; i++) out[i] = xk_exp(x[i]);
}

static void narrow(const float *x, uint16_t *out, size_t count) {
  for (size_t i = 0; i < count; i++) out[i] = xk_narrow_half(x[i]);
}

static void widen(const uint16_t *x, float *out, size_t count) {
  for (size_t i = 0; i < count; i++) out[i] = xk_widen_half(x[i]);
}

// MARK: attention

static void transpose_keys(const void *keys, int is_half, size_t slots, size_t dim, float *tile) {
  for (size_t s = 0; s < slots; s++) {
    for (size_t d = 0; d < dim; d++) {
      tile[d * XK_KEY_TILE + s] =
          is_half ? xk_widen_half(((const uint16_t *)keys)[s * dim + d]) : ((const float *)keys)[s * dim + d];
    }
  }
}

static void half_scores(const float *const *x, size_t rows, const uint16_t *keys, size_t slots, size_t dim,
                        float *scores, size_t stride) {
  for (size_t i = 0; i < rows; i++) {
    for (size_t s = 0; s < slots; s++) {
      float sum = 0;
      for (size_t d = 0; d < dim; d++) sum = fmaf(x[i][d], xk_widen_half(keys[s * dim + d]), sum);
      scores[i * stride + s] = sum;
    }
  }
}

static void add_half_values(const float *const *weights, size_t rows, const uint16_t *values, size_t slots, size_t dim,
                            float *sums) {
  for (size_t s = 0; s < slots; s++) {
    for (size_t d = 0; d < dim; d++) {
      float value = xk_widen_half(values[s * dim + d]);
      for (size_t i = 0; i < rows; i++) sums[i * dim + d] = fmaf(weights[i][s], value, sums[i * dim + d]);
    }
  }
}

/// - Returns: The factor for what was summed before.
static float softmax_step(float *scores, size_t count, float factor, float *max, float *total) {
  float peak = *max;
  for (size_t i = 0; i < count; i++) {
    float score = scores[i] * factor;
    peak = score > peak ? score : peak;
  }
  float lanes[8] = {0};
  for (size_t i = 0; i < count; i++) {
    scores[i] = xk_exp(fmaf(scores[i], factor, -peak));
    lanes[i % 8] += scores[i];
  }
  float change = xk_exp(*max - peak);
  *max = peak;
  *total = fmaf(*total, change, sum_of_lanes(lanes));
  return change;
}

static void softmax_steps(size_t rows, float *scores, size_t stride, const size_t *counts, float factor, float *maxima,
                          float *totals, float *sums, size_t width) {
  for (size_t i = 0; i < rows; i++) {
    float change = softmax_step(scores + i * stride, counts[i], factor, maxima + i, totals + i);
    scale(change, sums + i * width, width);
  }
}

static const xk_table table = {
    .unpack = unpack,
    .tile_product = tile_product,
    .vector_product = vector_product,
    .quantize_int8 = xk_portable_quantize_int8,
    .unpack_int8 = xk_portable_unpack_int8,
    .int8_tile_product = xk_portable_int8_tile_product,
    .int8_vector_product = xk_portable_int8_vector_product,
    .quantize_int16 = xk_portable_quantize_int16,
    .unpack_int16 = xk_portable_unpack_int16,
    .int16_tile_product = xk_portable_int16_tile_product,
    .int16_rows_product = xk_portable_int16_rows_product,
    .rms_norm = rms_norm,
    .rotate = rotate,
    .swiglu = swiglu,
    .add = add,
    .scale = scale,
    .blend = blend,
    .exponential = exponential,
    .narrow = narrow,
    .widen = widen,
    .transpose_keys = transpose_keys,
    .half_scores = half_scores,
    .add_half_values = add_half_values,
    .softmax_steps = softmax_steps,
};

const xk_table *xk_portable(void) { return &table; }
