/* Included before the kernels that end in a ReLU (-include). They take the larger of x and 0 as
 * whole numbers, so that a NaN with its sign set, as x86 makes them, becomes 0, and one without, as
 * ARM makes them, stays a NaN. Here every NaN stays one; all numbers come out as before, -0 as +0.
 */
#ifndef WAI_XNNPACK_RELU_H
#define WAI_XNNPACK_RELU_H

#include <wasm_simd128.h>

#undef wasm_i32x4_max
#define wasm_i32x4_max(x, zero) wasm_v128_andnot((x), wasm_f32x4_le((x), (zero)))

#endif
