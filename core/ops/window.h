/* window.h - the attributes that ONNX's Conv, ConvTranspose and pools share.
 * Compiler only. */
#ifndef WAI_WINDOW_H
#define WAI_WINDOW_H

#include "onnx/lower.h"

typedef enum wai_auto_pad {
    WAI_AUTO_PAD_NOTSET,
    WAI_AUTO_PAD_VALID,
    WAI_AUTO_PAD_SAME_UPPER,
    WAI_AUTO_PAD_SAME_LOWER,
} wai_auto_pad;

typedef struct wai_window {
    uint32_t spatial; /* 1..3 */
    wai_auto_pad auto_pad;
    uint32_t kernel[3], stride[3], dilation[3], before[3], after[3];
} wai_window;

/*
 * Reads auto_pad, kernel_shape, strides, dilations and pads for `spatial` axes.
 * `kernel` holds the weights' extents, which kernel_shape must repeat; NULL:
 * kernel_shape is required. Pads are those of the attribute; SAME is for
 * wai_window_same. False after a failure.
 */
bool wai_window_read(wai_lower *l, wai_window *w, uint32_t spatial, const uint32_t *kernel);

/* Extent of the dilated kernel. */
uint64_t wai_window_extent(const wai_window *w, uint32_t axis);

/* For SAME: pads so that the output is ceil(in / stride). */
void wai_window_same(wai_window *w, const uint32_t *in);

#endif
