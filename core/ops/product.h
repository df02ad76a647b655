/*
 * product.h - rows times weights that are packed for XNNPACK's GEMM (xnn.h, layout 1: tiles of 8
 * columns, each its 8 biases and then a row of 8 for every input), clamped.
 *
 * XNNPACK takes a few rows through all weights, then the next few: weights that do not fit the
 * second-level cache come from behind it once for every tile of rows. Here a tile of columns stays
 * in the first-level cache while all rows pass, some hundred inputs at a time, so that both it and
 * the rows fit. Sums wait in y meanwhile. Each is still one sum, of the bias and then of the inputs
 * in their order: XNNPACK's bits.
 */
#ifndef WAI_PRODUCT_H
#define WAI_PRODUCT_H

#include "ops/op.h"

typedef struct wai_product {
    const float *x, *weights;
    float *y; /* apart from x */
    size_t rows, depth, columns;
    float min, max;
} wai_product;

/* Bytes of the packed weights. */
size_t wai_product_weights_size(size_t depth, size_t columns);

void wai_product_run(const wai_product *product, struct pthreadpool *threads);

/* For a kernel whose weights are packed: a step of in[0] times in[1], given all but the pointers.
 */
wai_status wai_product_prepare(wai_step *step, const wai_product *product, wai_pool *pool,
                               wai_diag *diag);
wai_status wai_product_setup(wai_step *step, wai_diag *diag);
wai_status wai_product_step(wai_step *step, wai_diag *diag);

#endif
