/* half.h - IEEE binary16 to and from binary32 by bit arithmetic. */
#ifndef WAI_HALF_H
#define WAI_HALF_H

#include "ops/vector.h"

/* Exact. Subnormals by the difference of two normal numbers. */
static inline float wai_half_to_float(uint16_t half) {
    uint32_t sign = (uint32_t)(half & 0x8000u) << 16;
    uint32_t rest = (uint32_t)(half & 0x7fffu) << 13;
    uint32_t normal = rest + (112u << 23);
    uint32_t special = rest + (224u << 23); /* inf, NaN: exponent 255 */
    uint32_t tiny =
        wai_float_bits(wai_float_from_bits(rest + (113u << 23)) - wai_float_from_bits(113u << 23));
    uint32_t bits = rest >= 0x1fu << 23 ? special : normal;
    return wai_float_from_bits(sign | (rest < 1u << 23 ? tiny : bits));
}

/* Nearest, ties to even; over 65504 to infinity; every NaN to 0x7e00 with its sign. */
static inline uint16_t wai_float_to_half(float value) {
    uint32_t bits = wai_float_bits(value);
    uint32_t sign = bits >> 16 & 0x8000u;
    bits &= 0x7fffffffu;
    /* Adding half a unit less one, and one more if the result would be odd,
     * rounds; the carry runs into the exponent, up to infinity. */
    uint32_t normal = (bits - (112u << 23) + 0xfffu + (bits >> 13 & 1u)) >> 13;
    /* Below 2^-14: adding 0.5 lets the adder shift and round the mantissa. */
    uint32_t tiny = wai_float_bits(wai_float_from_bits(bits) + 0.5f) - (126u << 23);
    uint32_t half = bits < 113u << 23 ? tiny : normal;
    half = bits >= 143u << 23 ? 0x7c00u : half;
    half = bits > 255u << 23 ? 0x7e00u : half;
    return (uint16_t)(sign | half);
}

#endif
