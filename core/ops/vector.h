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

#include <math.h>
#include <stdint.h>
#include <string.h>

#if defined(__clang__)
/* Sanitizer and -O0 builds do not vectorise; that is no news. */
#pragma clang diagnostic ignored "-Wpass-failed"
#define WAI_VECTOR_LOOP _Pragma("clang loop vectorize(assume_safety) interleave(enable)")
#else
#define WAI_VECTOR_LOOP
#endif

/* Elements that a thread computes at a time: 32 KB of f32, a multiple of every vector. */
#define WAI_PIECE 8192u

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

/* e^x - 1 within about 2 ulp for x <= 0, as wai_exp; not for x > 0. */
static inline float wai_expm1_negative(float x) {
    float clipped = x < -30.0f ? -30.0f : x; /* where it is -1 already */
    float shifted = clipped * 1.44269504f + 12582912.0f;
    uint32_t n = wai_float_bits(shifted) - 0x4b400000u;
    float whole = shifted - 12582912.0f;
    float r = clipped - whole * 0.693359375f;
    r = r - whole * -2.12194440e-4f;
    float p = 1.9875691500e-4f;
    p = p * r + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    p = p * (r * r) + r;
    float scale = wai_float_from_bits((n + 127u) << 23);
    return p * scale + (scale - 1.0f);
}

/*
 * Natural logarithm within about 1 ulp: x = m 2^e with m in sqrt(1/2)..sqrt(2),
 * and the polynomial of Moshier's Cephes logf for m.
 */
static inline float wai_log(float x) {
    float scaled = x < 0x1p-126f ? x * 0x1p23f : x; /* subnormals */
    uint32_t bits = wai_float_bits(scaled);
    int32_t e = (int32_t)(bits - 0x3f3504f3u) >> 23;
    float m = wai_float_from_bits(bits - ((uint32_t)e << 23));
    float exponent = (float)(x < 0x1p-126f ? e - 23 : e);
    float z = m - 1.0f;
    float p = 7.0376836292e-2f;
    p = p * z - 1.1514610310e-1f;
    p = p * z + 1.1676998740e-1f;
    p = p * z - 1.2420140846e-1f;
    p = p * z + 1.4249322787e-1f;
    p = p * z - 1.6668057665e-1f;
    p = p * z + 2.0000714765e-1f;
    p = p * z - 2.4999993993e-1f;
    p = p * z + 3.3333331174e-1f;
    float square = z * z;
    float y = p * z * square + exponent * -2.12194440e-4f - 0.5f * square;
    y = z + y + exponent * 0.693359375f;
    y = x < INFINITY ? y : x; /* inf, NaN */
    y = x < 0.0f ? NAN : y;
    return x == 0.0f ? -INFINITY : y;
}

/* log(1 + x) for x in 0..1 within about 2 ulp. What 1 + x rounds away is put
 * back by the factor x / ((1 + x) - 1); after Kahan. */
static inline float wai_log1p(float x) {
    float u = 1.0f + x;
    float d = u - 1.0f;
    float y = wai_log(u) * (x / d);
    return d == 0.0f ? x : y;
}

/* 1 / (1 + e^-x), from the side on which nothing overflows. */
static inline float wai_sigmoid(float x) {
    float e = wai_exp(-wai_abs(x));
    float top = x < 0.0f ? e : 1.0f;
    return top / (1.0f + e);
}

#endif
