#include "CKernels.h"
#include "neon.h"

#if defined(__aarch64__)
#include "portable.h"
#include <sys/auxv.h>

/// Linux's bit for the dot products of bytes (`asm/hwcap.h`).
#define XK_HWCAP_ASIMDDP (1ul << 20)

#define XK_NEON_ENTRIES                                                                                                \
  .unpack = xk_neon_unpack, .tile_product = xk_neon_tile_product, .vector_product = xk_neon_vector_product,            \
  .rms_norm = xk_neon_rms_norm, .rotate = xk_neon_rotate, .swiglu = xk_neon_swiglu, .add = xk_neon_add,                \
  .scale = xk_neon_scale, .blend = xk_neon_blend, .exponential = xk_neon_exponential, .narrow = xk_neon_narrow,        \
  .widen = xk_neon_widen, .transpose_keys = xk_neon_transpose_keys, .half_scores = xk_neon_half_scores,                \
  .add_half_values = xk_neon_add_half_values, .softmax_steps = xk_neon_softmax_steps

static const xk_table with_dot_products = {
    XK_NEON_ENTRIES,
    .quantize_int8 = xk_neon_dot_quantize_int8,
    .unpack_int8 = xk_neon_dot_unpack_int8,
    .int8_tile_product = xk_neon_dot_int8_tile_product,
    .int8_vector_product = xk_neon_dot_int8_vector_product,
    .quantize_int16 = xk_neon_dot_quantize_int16,
    .unpack_int16 = xk_neon_dot_unpack_int16,
    .int16_tile_product = xk_neon_dot_int16_tile_product,
    .int16_rows_product = xk_neon_dot_int16_rows_product,
};

/// Processors before ARMv8.2, or without its dot products (Cortex-A72): int8, which gains nothing there, in plain C.
static const xk_table without_dot_products = {
    XK_NEON_ENTRIES,
    .quantize_int8 = xk_portable_quantize_int8,
    .unpack_int8 = xk_portable_unpack_int8,
    .int8_tile_product = xk_portable_int8_tile_product,
    .int8_vector_product = xk_portable_int8_vector_product,
    .quantize_int16 = xk_neon_quantize_int16,
    .unpack_int16 = xk_neon_unpack_int16,
    .int16_tile_product = xk_neon_int16_tile_product,
    .int16_rows_product = xk_neon_int16_rows_product,
};

const xk_table *xk_neon(void) {
  return getauxval(AT_HWCAP) & XK_HWCAP_ASIMDDP ? &with_dot_products : &without_dot_products;
}
#else
const xk_table *xk_neon(void) { return NULL; }
#endif
