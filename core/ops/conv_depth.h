/*
 * conv_depth.h - 3-D convolutions as 2-D ones: the slices of the input that the
 * kernel's depth reads become channels, the depth of the output becomes more
 * images. Compiler only.
 */
#ifndef WAI_CONV_DEPTH_H
#define WAI_CONV_DEPTH_H

#include "onnx/lower.h"
#include "ops/emit.h"
#include "ops/window.h"

/* Axis 0 of a window of three axes; `out` is the depth of the output. False
 * after a failure. */
typedef struct wai_conv_depth {
    uint32_t kernel, stride, dilation, before, out;
    bool transposed;
} wai_conv_depth;

bool wai_conv_depth_read(wai_lower *l, wai_conv_depth *d, const wai_window *w, uint32_t in);
bool wai_deconv_depth_read(wai_lower *l, wai_conv_depth *d, const wai_window *w, uint32_t in,
                           uint32_t adjust);

/* x [N,G*I,D,H,W] -> [N*out,H,W,G*kernel*I]. */
wai_value *wai_conv_depth_enter(wai_lower *l, const wai_conv_depth *d, wai_value *x,
                                uint32_t groups);
/* Weights [G*O,I,K,KH,KW], or transposed [G*I,O,K,KH,KW] -> [G*O,KH,KW,K*I]. */
wai_value *wai_conv_depth_weights(wai_lower *l, const wai_conv_depth *d, wai_value *w,
                                  uint32_t groups);
/* y [N*out,H,W,C] -> [N,C,out,H,W]. */
wai_value *wai_conv_depth_leave(wai_lower *l, const wai_conv_depth *d, wai_value *y, uint32_t n);

#endif
