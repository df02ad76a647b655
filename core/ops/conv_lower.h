/* conv_lower.h - what ONNX's convolutions share: geometry and the way between
 * channels first and [N,H,W,C]. Compiler only. */
#ifndef WAI_CONV_LOWER_H
#define WAI_CONV_LOWER_H

#include "onnx/lower.h"
#include "ops/emit.h"

/* Ranks of input and weights: the number of spatial axes (1 or 2), or 0 after a
 * failure. */
uint32_t wai_conv_lower_spatial(wai_lower *l, const wai_value *x, const wai_value *w);

/* Params of a convolution from attributes and dims; no clamp. False after a
 * failure. */
bool wai_conv_lower_read(wai_lower *l, const wai_value *x, const wai_value *w, uint32_t spatial,
                         wai_conv_params *p);

/* [N,C,S...] -> [N,H,W,C], weights [M,I,S...] -> [M,H,W,I]; and back. */
wai_value *wai_conv_lower_enter(wai_lower *l, wai_value *x);
wai_value *wai_conv_lower_leave(wai_lower *l, wai_value *y, uint32_t spatial);

#endif
