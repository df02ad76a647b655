/* Included before the kernels of relaxed SIMD (-include): they may differ from simd in how often a
 * multiply-add rounds, and in nothing else. Their clamps and ReLUs treat NaN as those of simd do.
 */
#ifndef WAI_XNNPACK_RELAXED_H
#define WAI_XNNPACK_RELAXED_H

#include "../common/relu.h"

#undef wasm_f32x4_relaxed_max
#undef wasm_f32x4_relaxed_min
#define wasm_f32x4_relaxed_max wasm_f32x4_pmax
#define wasm_f32x4_relaxed_min wasm_f32x4_pmin

#endif
