/*
 * simd.h - four floats at a time by wasm's instructions, in every build (natively through SIMDe),
 * and what the variants of the runtime do each in their own way. A source that includes this file
 * is compiled a second time for the variant `relaxed` (CMakeLists.txt).
 */
#ifndef WAI_SIMD_H
#define WAI_SIMD_H

#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <wasm_simd128.h>

/* a * b + c. In simd it rounds twice, the same on every machine; in relaxed it is one instruction
 * that rounds once or twice, as the processor likes. */
#if defined(__wasm_relaxed_simd__)
#define WAI_RELAXED       1
#define wai_madd(a, b, c) wasm_f32x4_relaxed_madd(a, b, c)
#else
#define WAI_RELAXED       0
#define wai_madd(a, b, c) wasm_f32x4_add(wasm_f32x4_mul(a, b), c)
#endif

/* In front of a loop over inputs: unrolled, it is a tenth slower in V8, and three times as large.
 */
#if defined(__clang__)
#define WAI_ROLLED _Pragma("clang loop unroll(disable)")
#else
#define WAI_ROLLED
#endif

/* Bounds of an output, as XNNPACK's kernels do them: a ReLU keeps a NaN, others make it the lower
 * one, none do nothing. */
typedef struct wai_bounds {
    v128_t min, max;
    bool none, relu;
} wai_bounds;

static inline wai_bounds wai_bounds_make(float min, float max) {
    return (wai_bounds){wasm_f32x4_splat(min), wasm_f32x4_splat(max),
                        min == -INFINITY && max == INFINITY, min == 0 && max == INFINITY};
}

static inline v128_t wai_bounded(v128_t x, const wai_bounds *b) {
    if (b->none) {
        return x;
    }
    return b->relu ? wasm_v128_andnot(x, wasm_f32x4_le(x, b->min))
                   : wasm_f32x4_pmin(b->max, wasm_f32x4_pmax(b->min, x));
}

/* Adds `depth` inputs of each of `rows` rows, whose places go on with them, times 8 weights each to
 * the rows' 8 sums. `rows` is a constant where it is called. */
__attribute__((always_inline)) static inline void wai_add_products(size_t rows, size_t depth,
                                                                   const float **x, const float *w,
                                                                   v128_t (*sum)[2]) {
    WAI_ROLLED for (size_t k = depth; k > 0; k--, w += 8) {
        const v128_t low = wasm_v128_load(w), high = wasm_v128_load(w + 4);
        for (size_t r = 0; r < rows; r++) {
            const v128_t factor = wasm_v128_load32_splat(x[r]++);
            sum[r][0] = wai_madd(factor, low, sum[r][0]);
            sum[r][1] = wai_madd(factor, high, sum[r][1]);
        }
    }
}

#endif
