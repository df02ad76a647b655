/*
 * conv_common.h - what conv2d and deconv2d share: the check of params and
 * types, the choice between XNNPACK and the plain loop, and the steps around
 * an XNNPACK operator.
 */
#ifndef WAI_CONV_COMMON_H
#define WAI_CONV_COMMON_H

#include "ops/emit.h"
#include "runtime/xnn_operator.h"

/* All params and inputs; fills s->out[0] given the output's height and width
 * by `extent`, which returns a negative number when there is none. */
typedef int64_t wai_conv_extent(int64_t in, int64_t kernel, int64_t stride, int64_t dilation,
                                int64_t pads, int64_t adjust);
wai_status wai_conv_infer(wai_signature *s, wai_conv_extent *extent);

extern const wai_field wai_conv_fields[];
#define WAI_CONV_FIELD_COUNT 18

/* What differs between the two. */
typedef struct wai_conv_kind {
    /* False: XNNPACK cannot, or its 32-bit sums would wrap. */
    bool (*fits)(const wai_step *step);
    wai_xnn_create *create;
    enum xnn_status (*reshape)(const wai_step *step, xnn_operator_t op, size_t *workspace_size,
                               size_t *height, size_t *width);
    enum xnn_status (*setup)(const wai_step *step, xnn_operator_t op);
    void (*plain)(const wai_step *step); /* raw weights, any geometry */
} wai_conv_kind;

wai_status wai_conv_prepare(wai_step *step, const wai_conv_kind *kind, wai_pool *pool,
                            wai_diag *diag);
wai_status wai_conv_setup(wai_step *step, const wai_conv_kind *kind, wai_diag *diag);
wai_status wai_conv_run(wai_step *step, const wai_conv_kind *kind, wai_diag *diag);

extern const wai_conv_kind wai_conv2d_kind, wai_deconv2d_kind;

/* `packed` in bytes and `entries` of the indirection buffer are both small
 * enough that XNNPACK's size_t does not wrap in wasm32. */
bool wai_conv_sizes_fit(const wai_conv_params *p, uint64_t entries, uint64_t subkernels);

static inline float wai_clamp_f32(float value, float min, float max) {
    value = value < min ? min : value;
    return value > max ? max : value;
}

#endif
