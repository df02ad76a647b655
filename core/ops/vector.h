/*
 * vector.h - loops that clang turns into SIMD code, and the functions that may
 * stand in them.
 *
 * Kernels are plain C loops over elements. WAI_VECTOR_LOOP in front of one
 * promises clang that no iteration reads what another wrote, so that it needs
 * no overlap test; it holds for separate buffers and for a loop that reads and
 * writes element i of one buffer (in place), which a test at run time would
 * send down the slow path. Without fast-math and contraction the SIMD code
 * gives the bits that the scalar code gives, on every machine.
 */
#ifndef WAI_VECTOR_H
#define WAI_VECTOR_H

#include <stdint.h>
#include <string.h>

#if defined(__clang__)
/* Sanitizer and -O0 builds do not vectorise; that is no news. */
#pragma clang diagnostic ignored "-Wpass-failed"
#define WAI_VECTOR_LOOP _Pragma("clang loop vectorize(assume_safety) interleave(enable)")
#else
#define WAI_VECTOR_LOOP
#endif

static inline float wai_float_from_bits(uint32_t bits) {
    float value;
    memcpy(&value, &bits, 4);
    return value;
}

static inline uint32_t wai_float_bits(float value) {
    uint32_t bits;
    memcpy(&bits, &value, 4);
    return bits;
}

static inline float wai_abs(float x) {
    return wai_float_from_bits(wai_float_bits(x) & 0x7fffffffu);
}

/*
 * e^x within about 1 ulp, for every x; NaN stays NaN. Cody and Waite's
 * reduction x = n ln2 + r, |r| <= ln2/2, and the polynomial of Moshier's
 * Cephes expf; 2^n is applied in two halves so that results may be subnormal.
 */
static inline float wai_exp(float x) {
    float clipped = x < -105.0f ? -105.0f : x;
    clipped = clipped > 89.0f ? 89.0f : clipped;
    /* Adding 1.5 * 2^23 rounds to a whole number and leaves it in the low bits. */
    float shifted = clipped * 1.44269504f + 12582912.0f;
    int32_t n = (int32_t)(wai_float_bits(shifted) - 0x4b400000u);
    float whole = shifted - 12582912.0f;
    float r = clipped - whole * 0.693359375f;
    r = r - whole * -2.12194440e-4f;
    float p = 1.9875691500e-4f;
    p = p * r + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    p = p * (r * r) + r + 1.0f;
    int32_t half = n >> 1;
    float low = wai_float_from_bits((uint32_t)(half + 127) << 23);
    float high = wai_float_from_bits((uint32_t)(n - half + 127) << 23);
    return p * low * high;
}

/* 1 / (1 + e^-x), from the side on which nothing overflows. */
static inline float wai_sigmoid(float x) {
    float e = wai_exp(-wai_abs(x));
    float top = x < 0.0f ? e : 1.0f;
    return top / (1.0f + e);
}

#endif
