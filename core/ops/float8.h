/*
 * float8.h - the four 8-bit floats of ONNX to and from f32, one element at a
 * time (they are stored, never computed in). Formats: Micikevicius et al., "FP8
 * formats for deep learning" (FN, E5M2); Noune et al., "8-bit numerical formats
 * for deep neural networks" (FNUZ: one more in the bias, 0x80 is the only NaN).
 */
#ifndef WAI_FLOAT8_H
#define WAI_FLOAT8_H

#include <math.h>
#include <stdbool.h>

#include "ops/vector.h"
#include "wasmai.h"

typedef struct wai_float8 {
    int mantissa; /* bits                                                   */
    int bias;
    uint8_t max;      /* code of the largest number                         */
    uint8_t overflow; /* code of what is above it                           */
    uint8_t nan;
} wai_float8;

static inline wai_float8 wai_float8_format(wai_dtype dtype) {
    switch (dtype) {
    case WAI_F8E4M3FN:
        return (wai_float8){3, 7, 0x7e, 0x7f, 0x7f};
    case WAI_F8E4M3FNUZ:
        return (wai_float8){3, 8, 0x7f, 0x80, 0x80};
    case WAI_F8E5M2:
        return (wai_float8){2, 15, 0x7b, 0x7c, 0x7f};
    default:
        return (wai_float8){2, 16, 0x7f, 0x80, 0x80};
    }
}

/* 2^n, n from -126 to 127. */
static inline float wai_power_of_two(int n) {
    return wai_float_from_bits((uint32_t)(n + 127) << 23);
}

static inline float wai_float8_load(wai_dtype dtype, uint8_t code) {
    wai_float8 f = wai_float8_format(dtype);
    int rest = code & 0x7f;
    bool nan = f.nan == 0x80 ? code == 0x80 : rest > f.overflow || rest == f.nan;
    int exponent = rest >> f.mantissa, unit = 1 << f.mantissa;
    int steps = (rest & (unit - 1)) + (exponent > 0 ? unit : 0);
    exponent = exponent > 0 ? exponent : 1;
    float value = (float)steps * wai_power_of_two(exponent - f.bias - f.mantissa);
    value = nan ? NAN : rest == f.overflow ? INFINITY : value;
    return (code & 0x80) != 0 ? -value : value;
}

/* Nearest, ties to even; what is above the largest number becomes infinity, or
 * NaN in the formats that have none. */
static inline uint8_t wai_float8_store(wai_dtype dtype, float value) {
    wai_float8 f = wai_float8_format(dtype);
    uint32_t bits = wai_float_bits(value);
    uint8_t sign = (uint8_t)(bits >> 24 & 0x80u);
    if (value != value) {
        return f.nan | sign;
    }
    if (isinf(value)) {
        return f.overflow | sign;
    }
    int exponent = (int)(bits >> 23 & 0xffu) - 127;
    exponent = exponent < 1 - f.bias ? 1 - f.bias : exponent;
    /* Steps of the result's last bit: at most 2^(mantissa + 1), exact. */
    float steps = rintf(wai_abs(value) * wai_power_of_two(f.mantissa - exponent));
    int code = ((exponent + f.bias - 1) << f.mantissa) + (int)steps;
    if (code > f.max) {
        return f.overflow | sign;
    }
    return code == 0 && f.nan == 0x80 ? 0 : (uint8_t)code | sign;
}

static inline float wai_float8_max(wai_dtype dtype) {
    return wai_float8_load(dtype, wai_float8_format(dtype).max);
}

#endif
