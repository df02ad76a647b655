/*
 * depthwise.h - depthwise convolution, a row of the output at a time. Several neighbouring outputs
 * are computed together, four channels after four: each weight is loaded once for all of them, and
 * the inputs that they share once.
 */
#ifndef WAI_DEPTHWISE_H
#define WAI_DEPTHWISE_H

#include "ops/emit.h"

/* One convolution, ready to run. */
typedef struct wai_depthwise {
    const wai_depthwise_params *params;
    const float *x, *weights;
    float *y;
    const float *zeros; /* one pixel: what lies in the padding */
    uint32_t height, width, out_height, out_width;
    size_t channels;
} wai_depthwise;

/* A task of pthreadpool: row `y` of image `n`. */
void wai_depthwise_row(const wai_depthwise *d, size_t n, size_t y);

#endif
