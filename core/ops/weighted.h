/*
 * weighted.h - the kernel of an XNNPACK operator over constant weights: what
 * conv2d, deconv2d and fully_connected share. Inputs are x, the weights and
 * the bias or none; packed weights (xnn.h) are read in place. A plain loop
 * does what XNNPACK cannot: odd sizes, and weights that are computed.
 */
#ifndef WAI_WEIGHTED_H
#define WAI_WEIGHTED_H

#include "runtime/xnn_operator.h"

/* What differs between the operators. */
typedef struct wai_weighted_kind {
    size_t packed; /* offset of the flag in params */
    /* False: XNNPACK cannot, or its 32-bit sums would wrap. */
    bool (*fits)(const wai_step *step);
    wai_xnn_create *create;
    wai_status (*reshape)(wai_step *step, xnn_operator_t op, wai_diag *diag);
    enum xnn_status (*setup)(const wai_step *step, xnn_operator_t op);
    void (*plain)(const wai_step *step); /* raw weights, any sizes */
} wai_weighted_kind;

/* weighted_plain.c */
void wai_conv2d_plain(const wai_step *step);
void wai_deconv2d_plain(const wai_step *step);
void wai_fully_connected_plain(const wai_step *step);

extern const wai_weighted_kind wai_conv2d_kind, wai_deconv2d_kind, wai_fully_connected_kind;

static inline bool wai_weighted_packed(const wai_weighted_kind *kind, const wai_step *step) {
    return *(const uint32_t *)((const uint8_t *)step->params + kind->packed) != 0;
}

wai_status wai_weighted_prepare(wai_step *step, const wai_weighted_kind *kind, wai_pool *pool,
                                wai_diag *diag);

/* As a kernel's setup and run. */
wai_status wai_weighted_setup(wai_step *step, wai_diag *diag);
wai_status wai_weighted_run(wai_step *step, wai_diag *diag);

/* For infer, where in[1] is there: packed weights are u8 of rank 1 and hold the
 * bias. */
wai_status wai_weighted_infer_packed(wai_signature *s);

static inline float wai_clamp_f32(float value, float min, float max) {
    value = value < min ? min : value;
    return value > max ? max : value;
}

#endif
