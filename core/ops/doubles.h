/*
 * doubles.h - e^x in f64.
 *
 * f64 is rare in nets: one element at a time, and no libm where its tables would
 * cost more than they give.
 */
#ifndef WAI_DOUBLES_H
#define WAI_DOUBLES_H

#include <math.h>
#include <stdint.h>
#include <string.h>

/*
 * Within about 1 ulp; NaN stays NaN. Cody and Waite's reduction
 * x = n ln2 + r, |r| <= ln2/2, and the Taylor series of e^r to r^13; 2^n is
 * applied in two halves so that results may be subnormal.
 */
static inline double wai_exp_double(double x) {
    if (!(x > -746.0)) {
        return x != x ? x : 0.0;
    }
    if (x > 710.0) {
        return INFINITY;
    }
    double n = rint(x * 1.4426950408889634);
    double r = x - n * 0x1.62e42feep-1; /* 32 bits of ln2: n times it is exact */
    r = r - n * 0x1.a39ef35793c76p-33;
    double sum = 1.0;
    for (int k = 13; k > 0; k--) {
        sum = 1.0 + sum * r / k;
    }
    int64_t whole = (int64_t)n, half = whole / 2;
    uint64_t low = (uint64_t)(half + 1023) << 52;
    uint64_t high = (uint64_t)(whole - half + 1023) << 52;
    double scale_low, scale_high;
    memcpy(&scale_low, &low, 8);
    memcpy(&scale_high, &high, 8);
    return sum * scale_low * scale_high;
}

#endif
