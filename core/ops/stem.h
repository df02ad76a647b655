/*
 * stem.h - convolution of few input channels, as in the first layers of networks. Rows of the
 * kernel are one run of numbers in memory, `kernel width x channels` long: an output is the sum
 * over so many runs, in the order of XNNPACK's igemm over the same packed weights (xnn.h, layout
 * 1), and so with the same bits, but without its pointers (four bytes per tap and output: 2.4 MB
 * for 7x7 over 224x224) and its loop over three channels.
 *
 * A few neighbouring outputs are computed together, 8 channels after 8. Where their inputs reach
 * into the padding these are copied first, with zeros around.
 */
#ifndef WAI_STEM_H
#define WAI_STEM_H

#include "ops/emit.h"

/* Output channels that are computed together: what weights are packed for. */
#define WAI_STEM_COLUMNS 8u

/* Neighbouring outputs that are computed together, at most: the same limit in every variant. */
#define WAI_STEM_TILE 6u

/* Floats that such a tile may read: they are on the stack where there is padding. */
#define WAI_STEM_PATCH 1024u

/* One convolution, ready to run. */
typedef struct wai_stem {
    const wai_conv_params *params;
    const float *x, *weights;
    float *y;
    uint32_t height, width, out_height, out_width;
} wai_stem;

/* What infer asks for beyond what it asks of conv2d; packed weights and one group among it. */
bool wai_stem_takes(const wai_conv_params *p);

/* A task of pthreadpool: row `y` of image `n`. */
void wai_stem_row(const wai_stem *s, size_t n, size_t y);

#endif
