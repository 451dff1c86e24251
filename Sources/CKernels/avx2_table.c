#include "CKernels.h"
#include "avx2.h"

#if defined(__x86_64__)
static const xk_table table = {
    .unpack = xk_avx2_unpack,
    .tile_product = xk_avx2_tile_product,
    .vector_product = xk_avx2_vector_product,
    .quantize_int8 = xk_avx2_quantize_int8,
    .unpack_int8 = xk_avx2_unpack_int8,
    .int8_tile_product = xk_avx2_int8_tile_product,
    .int8_vector_product = xk_avx2_int8_vector_product,
    .quantize_int16 = xk_avx2_quantize_int16,
    .unpack_int16 = xk_avx2_unpack_int16,
    .int16_tile_product = xk_avx2_int16_tile_product,
    .int16_rows_product = xk_avx2_int16_rows_product,
    .rms_norm = xk_avx2_rms_norm,
    .rotate = xk_avx2_rotate,
    .swiglu = xk_avx2_swiglu,
    .add = xk_avx2_add,
    .scale = xk_avx2_scale,
    .blend = xk_avx2_blend,
    .exponential = xk_avx2_exponential,
    .narrow = xk_avx2_narrow,
    .widen = xk_avx2_widen,
    .transpose_keys = xk_avx2_transpose_keys,
    .half_scores = xk_avx2_half_scores,
    .add_half_values = xk_avx2_add_half_values,
    .softmax_steps = xk_avx2_softmax_steps,
};

const xk_table *xk_avx2(void) {
  __builtin_cpu_init();
  int has = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("f16c");
  return has ? &table : NULL;
}
#else
const xk_table *xk_avx2(void) { return NULL; }
#endif
