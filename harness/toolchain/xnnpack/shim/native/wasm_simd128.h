/* The wasm SIMD intrinsics natively, by SIMDe, and what XNNPACK's kernels use beyond it: the helper
 * types and the older names of clang's own header. */
#ifndef WAI_SHIM_WASM_SIMD128_H
#define WAI_SHIM_WASM_SIMD128_H

#define SIMDE_ENABLE_NATIVE_ALIASES
#include <simde/wasm/simd128.h>

typedef float __f32x4 __attribute__((__vector_size__(16), __aligned__(16)));
typedef int __i32x4 __attribute__((__vector_size__(16), __aligned__(16)));
typedef unsigned int __u32x4 __attribute__((__vector_size__(16), __aligned__(16)));
typedef short __i16x8 __attribute__((__vector_size__(16), __aligned__(16)));
typedef unsigned short __u16x8 __attribute__((__vector_size__(16), __aligned__(16)));

/* SIMDe 0.8.2: the integer forms end in a stray semicolon, the float form has no alias. */
#undef wasm_i8x16_const_splat
#undef wasm_i16x8_const_splat
#undef wasm_i32x4_const_splat
#undef wasm_i64x2_const_splat
#undef wasm_f32x4_const_splat
#define wasm_i8x16_const_splat(a) simde_wasm_i8x16_splat((a))
#define wasm_i16x8_const_splat(a) simde_wasm_i16x8_splat((a))
#define wasm_i32x4_const_splat(a) simde_wasm_i32x4_splat((a))
#define wasm_i64x2_const_splat(a) simde_wasm_i64x2_splat((a))
#define wasm_f32x4_const_splat(a) simde_wasm_f32x4_splat((a))
#ifndef wasm_u8x16_const_splat
#define wasm_u8x16_const_splat(a) simde_wasm_i8x16_splat((int8_t)(a))
#endif
#ifndef wasm_u16x8_const_splat
#define wasm_u16x8_const_splat(a) simde_wasm_i16x8_splat((int16_t)(a))
#endif
#ifndef wasm_u32x4_const_splat
#define wasm_u32x4_const_splat(a) simde_wasm_i32x4_splat((int32_t)(a))
#endif

/* The older shuffle names: indices count lanes of `a`, then lanes of `b`. */
typedef signed char wai_i8x16 __attribute__((__vector_size__(16), __aligned__(16)));
typedef long long wai_i64x2 __attribute__((__vector_size__(16), __aligned__(16)));
#define WAI_SHUFFLE(type, a, b, ...)                                                               \
    ((v128_t)__builtin_shufflevector((type)(a), (type)(b), __VA_ARGS__))
#define wasm_v8x16_shuffle(a, b, ...) WAI_SHUFFLE(wai_i8x16, a, b, __VA_ARGS__)
#define wasm_v16x8_shuffle(a, b, ...) WAI_SHUFFLE(__i16x8, a, b, __VA_ARGS__)
#define wasm_v32x4_shuffle(a, b, ...) WAI_SHUFFLE(__i32x4, a, b, __VA_ARGS__)
#define wasm_v64x2_shuffle(a, b, ...) WAI_SHUFFLE(wai_i64x2, a, b, __VA_ARGS__)
#undef wasm_i8x16_shuffle
#undef wasm_i16x8_shuffle
#undef wasm_i32x4_shuffle
#undef wasm_i64x2_shuffle
#define wasm_i8x16_shuffle wasm_v8x16_shuffle
#define wasm_i16x8_shuffle wasm_v16x8_shuffle
#define wasm_i32x4_shuffle wasm_v32x4_shuffle
#define wasm_i64x2_shuffle wasm_v64x2_shuffle

#endif
