/*
 * winograd.h - 3x3 convolution of stride 1 by Winograd's minimal filtering (A. Lavin and S. Gray,
 * "Fast Algorithms for Convolutional Neural Networks", 2015): an output tile of 2x2 or 4x4 is
 *
 *     transpose(A) [ (G w transpose(G)) * (transpose(B) x B) ] A
 *
 * summed over channels inside the brackets, which makes 16 or 36 matrix products of a sixteenth or
 * a 36th of the direct one's columns: 2.25 or 4 times fewer multiplications.
 *
 * Weights are those of conv2d, packed for XNNPACK's igemm (xnn.h, layout 1): tiles of 8 output
 * channels, each its 8 biases and then 9 x in rows of 8. They are transformed at run, 8 output
 * channels at a time, once per block of tiles: a few percent of a layer's time, and in return the
 * package, the download and the memory stay those of the direct convolution (transformed weights
 * are 1.78 or 4 times the bytes, which every run would read).
 *
 * Error against exact sums, as a share of the outputs' root mean square; normal inputs and weights,
 * 128 channels (direct: f32, one sum):
 *
 *                              root mean square     largest of 6400
 *     direct                        6.1e-7              4.4e-6
 *     2x2, points 0, 1, -1          3.6e-7              1.9e-6
 *     4x4, 0, +-5/8, +-3/2          1.05e-6             5.7e-6
 *     4x4, 0, +-1, +-2 (usual)      2.4e-6              4.2e-5
 *
 * What differs from a direct sum: an infinite or NaN input reaches all outputs of its tile, as NaN,
 * and so does one within a factor of 100 of the largest float.
 */
#ifndef WAI_WINOGRAD_H
#define WAI_WINOGRAD_H

struct pthreadpool;

#include "ops/emit.h"

/* Output channels that are computed together: what weights are packed for. */
#define WAI_WINOGRAD_COLUMNS 8u

/* Groups of them that have room of their own, so many threads can work on: room that is in the
 * certificate however many threads there are. */
#define WAI_WINOGRAD_SLOTS 4u

/* Input channels whose weights are transformed at a time. */
#define WAI_WINOGRAD_CHUNK 64u

/* One convolution, ready to run. */
typedef struct wai_winograd {
    const float *x, *weights;
    float *y;
    uint32_t height, width, in; /* of x; channels                            */
    uint32_t out_height, out_width, out;
    uint32_t pad_top, pad_left;
    uint32_t tile; /* 2 or 4                                                  */
    float min, max;
    size_t rows, columns, tiles; /* of tiles: in an image, in a row, in all  */
    size_t block;                /* tiles whose transformed inputs are kept  */
    size_t share;                /* groups of output channels per slot       */
    size_t depth;                /* channels rounded up to a vector          */
    /* Distances in floats: between matrices of inputs, of weights; between slots. */
    size_t input_stride, weight_stride, slot_stride;
    float *zeros, *inputs, *slots; /* in the workspace; a slot: weights, products */
    size_t first, count;           /* the block at hand                      */
} wai_winograd;

/* Sizes and strides for params that infer accepted; 0 if the workspace would be
 * larger than a tensor may be, else its bytes. */
size_t wai_winograd_plan(wai_winograd *w, const wai_winograd_params *p, const wai_type *x,
                         const wai_type *y);

/* Bytes of the packed weights. */
uint64_t wai_winograd_weights_size(uint32_t in, uint32_t out);

/* Everything but sizes: pointers and the clamp must be set. */
void wai_winograd_run(wai_winograd *w, struct pthreadpool *threads);

/* winograd_tile.c, the loops: transformed inputs of tile `index` of the block... */
void wai_winograd_input(void *winograd, size_t index);
/* ...and outputs of `count` groups of 8 channels, from group `first`, of all its tiles. */
void wai_winograd_outputs(void *winograd, size_t first, size_t count);

#endif
