/*
 * simd.h - four floats at a time by wasm's instructions, in every build (natively through SIMDe),
 * and what the variants of the runtime do each in their own way. A source that includes this file
 * is compiled a second time for the variant `relaxed` (CMakeLists.txt).
 */
#ifndef WAI_SIMD_H
#define WAI_SIMD_H

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

#endif
