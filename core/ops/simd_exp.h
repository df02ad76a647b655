/* simd_exp.h - e^x for x <= 0, four at a time. */
#ifndef WAI_SIMD_EXP_H
#define WAI_SIMD_EXP_H

#include "ops/simd.h"

/*
 * Within 1.1 ulp for -87 <= x <= 0, 0 below (-inf included), NaN for NaN; not for x > 0.
 * Cody and Waite's reduction x = n ln2 + r as in vector.h; for |r| <= ln2/2 a polynomial
 * 1 + r + r^2 p(r) with the least largest relative error, 3e-9. What is subnormal becomes
 * 0, so one factor 2^n is enough.
 */
static inline v128_t wai_exp_below(v128_t x) {
    /* Adding 1.5 * 2^23 rounds to a whole number; 127 is the bias of exponents. */
    const v128_t magic = wasm_f32x4_const_splat(12583039.0f);
    v128_t n = wai_madd(x, wasm_f32x4_const_splat(1.44269504f), magic);
    const v128_t power = wasm_i32x4_shl(n, 23);
    n = wasm_f32x4_sub(n, magic);
    v128_t r = wai_madd(n, wasm_f32x4_const_splat(-0.693359375f), x);
    r = wai_madd(n, wasm_f32x4_const_splat(2.12194440e-4f), r);
    v128_t p = wasm_f32x4_const_splat(1.381446491e-3f);
    p = wai_madd(p, r, wasm_f32x4_const_splat(8.368780836e-3f));
    p = wai_madd(p, r, wasm_f32x4_const_splat(4.166839272e-2f));
    p = wai_madd(p, r, wasm_f32x4_const_splat(1.666651964e-1f));
    p = wai_madd(p, r, wasm_f32x4_const_splat(4.999999404e-1f));
    p = wai_madd(p, wasm_f32x4_mul(r, r), r);
    return wasm_v128_andnot(wai_madd(p, power, power),
                            wasm_f32x4_lt(x, wasm_f32x4_const_splat(-87.0f)));
}

#endif
