/*
 * conv_common.h - what conv2d and deconv2d share beyond weighted.h: params,
 * their check, and calls of XNNPACK that differ by a name.
 */
#ifndef WAI_CONV_COMMON_H
#define WAI_CONV_COMMON_H

#include "ops/emit.h"
#include "ops/weighted.h"

/* All params and inputs; fills s->out[0] given the output's height and width
 * by `extent`, which returns a negative number when there is none. */
typedef int64_t wai_conv_extent(int64_t in, int64_t kernel, int64_t stride, int64_t dilation,
                                int64_t pads, int64_t adjust);
wai_status wai_conv_infer(wai_signature *s, wai_conv_extent *extent);
wai_conv_extent wai_conv2d_extent;

extern const wai_field wai_conv_fields[];
#define WAI_CONV_FIELD_COUNT 18

/* `packed` in bytes and `entries` of the indirection buffer are both small
 * enough that XNNPACK's size_t does not wrap in wasm32. */
bool wai_conv_sizes_fit(const wai_conv_params *p, uint64_t entries, uint64_t subkernels);

/* Bytes that weights of one group are packed into for igemm (xnn.h, layout 1): tiles of 8 output
 * channels, each its 8 biases and then the taps in rows of 8. UINT64_MAX: more than a tensor has.
 */
uint64_t wai_conv_packed_size(const wai_conv_params *p);

/* A wai_xnn_create, by XNNPACK's function `make` (convolution or deconvolution). */
typedef __typeof__(xnn_create_convolution2d_nhwc_f32) wai_conv_make;
enum xnn_status wai_conv_create(const wai_step *step, const float *weights, const float *bias,
                                xnn_weights_cache_t cache, xnn_operator_t *out,
                                wai_conv_make *make);

/* The status of a reshape, and whether its output is infer's. */
wai_status wai_conv_check(const wai_step *step, enum xnn_status status, size_t height, size_t width,
                          wai_diag *diag);

#endif
