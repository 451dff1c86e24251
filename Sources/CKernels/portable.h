// The entries of the portable table that have files of their own.
#pragma once
#include "CKernels.h"

void xk_portable_quantize_int8(const float *x, size_t count, xk_int8_block *out);
void xk_portable_unpack_int8(uint32_t format, const uint8_t *panel, size_t first, size_t count, xk_int8_tile *tile);
void xk_portable_int8_tile_product(uint32_t format, const xk_int8_block *const *x, size_t rows, const xk_int8_tile *tile,
                                   size_t count, float *sums, size_t stride, int add);
void xk_portable_int8_vector_product(uint32_t format, const xk_int8_block *x, const uint8_t *panel, size_t panels,
                                     size_t columns, float *out);
void xk_portable_quantize_int16(const float *x, size_t count, xk_int16_block *out);
void xk_portable_unpack_int16(uint32_t format, const uint8_t *panel, size_t first, size_t count, xk_int16_tile *tile);
void xk_portable_int16_tile_product(uint32_t format, const xk_int16_block *const *x, size_t rows, const xk_int16_tile *tile,
                                    size_t count, float *sums, size_t stride, int add);
void xk_portable_int16_rows_product(uint32_t format, const xk_int16_block *x, size_t rows, const uint8_t *panel,
                                    size_t panels, size_t columns, float *out, size_t stride);
/// Of 32.
float xk_portable_greatest_magnitude(const float *x);
