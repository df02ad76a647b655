#include "ops/sigmoid.h"

#include <string.h>

#include "ops/simd.h"

#define SPLAT(number) wasm_f32x4_const_splat(number)
/* Adding it rounds to a whole number and leaves that, plus the bias of an exponent, in the low
 * bits. */
#define ROUND SPLAT(12582912.0f + 127.0f)

static inline v128_t sigmoid(v128_t x) {
    const v128_t above = wasm_f32x4_pmin(x, SPLAT(88.0f));
    const v128_t shifted = wai_madd(above, SPLAT(-1.44269504f), ROUND);
    const v128_t power = wasm_i32x4_shl(shifted, 23);
    const v128_t n = wasm_f32x4_sub(shifted, ROUND);
    v128_t r = wasm_f32x4_sub(wasm_f32x4_mul(n, SPLAT(-0.693359375f)), above);
    r = wai_madd(n, SPLAT(2.12194440e-4f), r);
    const v128_t square = wasm_f32x4_mul(r, r);
    v128_t c = wai_madd(square, SPLAT(-2.76599033e-3f), SPLAT(0.16666618f));
    c = wai_madd(square, c, SPLAT(2.0f));
    const v128_t top = wasm_f32x4_sub(c, r);
    const v128_t y = wasm_f32x4_div(top, wai_madd(power, wasm_f32x4_add(c, r), top));
    return wasm_v128_andnot(y, wasm_f32x4_lt(x, SPLAT(-0x1.5D589Ep+6f)));
}

static inline v128_t silu(v128_t x) {
    return wasm_f32x4_mul(x, sigmoid(x));
}

/* Two at a time, so that one is not idle while the other divides. */
#define LOOP(name, function)                                                                       \
    void name(float *out, const float *in, size_t count) {                                         \
        for (; count >= 8; count -= 8, in += 8, out += 8) {                                        \
            const v128_t low = function(wasm_v128_load(in));                                       \
            const v128_t high = function(wasm_v128_load(in + 4));                                  \
            wasm_v128_store(out, low);                                                             \
            wasm_v128_store(out + 4, high);                                                        \
        }                                                                                          \
        while (count > 0) {                                                                        \
            const size_t part = count < 4 ? count : 4;                                             \
            const v128_t last = function(wasm_v128_load(in));                                      \
            memcpy(out, &last, part * sizeof *out);                                                \
            count -= part, in += part, out += part;                                                \
        }                                                                                          \
    }
LOOP(wai_sigmoids, sigmoid)
LOOP(wai_silus, silu)
