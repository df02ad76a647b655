/*
 * sigmoid.h - 1 / (1 + e^-x) and x / (1 + e^-x) within 3 ulp. NaN stays NaN; below -87.336, where
 * the result is no normal number, the sigmoid is 0. `out` may be `in`. Up to WAI_SPARE_SIZE bytes
 * behind `in` are read.
 *
 * With n = round(-x / ln 2) and r = -x - n ln 2, e^-x = 2^n (c + r) / (c - r), c = r coth(r / 2),
 * which is even in r: two coefficients suffice for |r| <= ln(2) / 2 (error 5e-10), and the division
 * that a sigmoid needs anyway divides this too.
 */
#ifndef WAI_SIGMOID_H
#define WAI_SIGMOID_H

#include <stddef.h>

void wai_sigmoids(float *out, const float *in, size_t count);
void wai_silus(float *out, const float *in, size_t count);

#endif
