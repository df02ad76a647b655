/* ONNX Conv and ConvTranspose. 1-D ones become 2-D ones of height 1; 3-D ones: see
 * conv_depth.h. */
#include <math.h>

#include "base/limits.h"
#include "ops/conv_depth.h"
#include "ops/conv_lower.h"
#include "ops/window.h"

uint32_t wai_conv_lower_spatial(wai_lower *l, const wai_value *x, const wai_value *w) {
    if (wai_lower_failed(l)) {
        return 0;
    }
    const uint32_t rank = x->type.rank;
    if (rank < 3 || w->type.rank != rank) {
        WAI_LOWER_REFUSE(l, "input of rank %u and weights of rank %u", rank, w->type.rank);
        return 0;
    }
    if (rank > 4) {
        WAI_LOWER_DECLINE(l, "%s with %u spatial axes", l->op_type, rank - 2);
        return 0;
    }
    return rank - 2;
}

/* Rank and dtype of a convolution's operands; the number of spatial axes, or 0
 * after a failure. */
static uint32_t check_operands(wai_lower *l, const wai_value *x, const wai_value *w) {
    const bool deep = !wai_lower_failed(l) && x->type.rank == 5 && w->type.rank == 5;
    const uint32_t spatial = deep ? 3 : wai_conv_lower_spatial(l, x, w);
    if (spatial != 0 && (x->type.dtype != WAI_F32 || w->type.dtype != WAI_F32)) {
        WAI_LOWER_DECLINE(l, "%s of %s", l->op_type, wai_dtype_name(x->type.dtype));
        return 0;
    }
    return spatial;
}

/* Spatial axis i of 2: the last two; a 1-D convolution has its one axis as the
 * width. */
static uint32_t of(const uint32_t *numbers, uint32_t spatial, uint32_t i, uint32_t absent) {
    return spatial + i >= 2 ? numbers[spatial + i - 2] : absent;
}

static void set_window(wai_conv_params *p, const wai_window *w) {
    const uint32_t n = w->spatial;
    p->kernel_h = of(w->kernel, n, 0, 1);
    p->kernel_w = of(w->kernel, n, 1, 1);
    p->stride_h = of(w->stride, n, 0, 1);
    p->stride_w = of(w->stride, n, 1, 1);
    p->dilation_h = of(w->dilation, n, 0, 1);
    p->dilation_w = of(w->dilation, n, 1, 1);
    p->pad_top = of(w->before, n, 0, 0);
    p->pad_left = of(w->before, n, 1, 0);
    p->pad_bottom = of(w->after, n, 0, 0);
    p->pad_right = of(w->after, n, 1, 0);
    p->min = -INFINITY;
    p->max = INFINITY;
}

wai_value *wai_conv_lower_enter(wai_lower *l, wai_value *x) {
    x = wai_emit_channels_last(l->graph, x);
    if (x == NULL || x->type.rank == 4) {
        return x;
    }
    uint32_t dims[4] = {x->type.dims[0], 1, x->type.dims[1], x->type.dims[2]};
    return wai_emit_reshape(l->graph, x, 4, dims);
}

wai_value *wai_conv_lower_leave(wai_lower *l, wai_value *y, uint32_t spatial) {
    if (y != NULL && spatial == 1) {
        uint32_t dims[3] = {y->type.dims[0], y->type.dims[2], y->type.dims[3]};
        y = wai_emit_reshape(l->graph, y, 3, dims);
    }
    return wai_emit_channels_first(l->graph, y);
}

static wai_value *emit_conv(wai_lower *l, const wai_op *op, const wai_conv_params *p, wai_value *x,
                            wai_value *w, wai_value *bias) {
    wai_value *in[3] = {x, w, bias};
    return wai_emit(l->graph, op, p, in, 3);
}

static bool read_groups(wai_lower *l, const wai_value *x, wai_conv_params *p) {
    int64_t groups = wai_attr_int(l, "group", 1);
    if (wai_lower_failed(l)) {
        return false;
    }
    if (groups < 1 || groups > WAI_MAX_DIM || x->type.dims[1] % groups != 0) {
        WAI_LOWER_REFUSE(l, "%u channels in %lld groups", x->type.dims[1], (long long)groups);
        return false;
    }
    p->groups = (uint32_t)groups;
    p->group_in = x->type.dims[1] / p->groups;
    return true;
}

static bool read_conv(wai_lower *l, const wai_value *x, const wai_value *w, wai_window *window,
                      uint32_t spatial, wai_conv_params *p) {
    if (!read_groups(l, x, p) || !wai_window_read(l, window, spatial, w->type.dims + 2)) {
        return false;
    }
    const uint32_t *dims = w->type.dims;
    if (dims[1] != p->group_in || dims[0] % p->groups != 0) {
        WAI_LOWER_REFUSE(l, "weights [%u,%u,...] do not fit %u groups of %u channels", dims[0],
                         dims[1], p->groups, p->group_in);
        return false;
    }
    p->group_out = dims[0] / p->groups;
    if (window->auto_pad >= WAI_AUTO_PAD_SAME_UPPER) {
        wai_window_same(window, x->type.dims + 2);
    }
    set_window(p, window);
    return true;
}

bool wai_conv_lower_read(wai_lower *l, const wai_value *x, const wai_value *w, uint32_t spatial,
                         wai_conv_params *p) {
    wai_window window;
    return read_conv(l, x, w, &window, spatial, p);
}

/* A 3-D convolution, given the params of its last two axes. */
static wai_value *emit_deep(wai_lower *l, const wai_op *op, const wai_conv_depth *d,
                            wai_conv_params p, wai_value *x, wai_value *w, wai_value *bias) {
    const uint32_t n = x->type.dims[0];
    x = wai_conv_depth_enter(l, d, x, p.groups);
    w = wai_conv_depth_weights(l, d, w, p.groups);
    p.group_in = wai_lower_dim(l, (int64_t)p.group_in * d->kernel, "channels times depth");
    return wai_conv_depth_leave(l, d, emit_conv(l, op, &p, x, w, bias), n);
}

void wai_lower_conv(wai_lower *l) {
    wai_value *x = wai_lower_input(l, 0), *w = wai_lower_input(l, 1);
    wai_value *bias = wai_lower_optional(l, 2);
    const uint32_t spatial = check_operands(l, x, w);
    wai_conv_params p = {0};
    wai_window window;
    if (spatial == 0 || !read_conv(l, x, w, &window, spatial, &p)) {
        return;
    }
    wai_conv_depth depth;
    if (spatial == 3) {
        if (wai_conv_depth_read(l, &depth, &window, x->type.dims[2])) {
            l->out[0] = emit_deep(l, &wai_op_conv2d, &depth, p, x, w, bias);
        }
        return;
    }
    x = wai_conv_lower_enter(l, x);
    w = wai_conv_lower_enter(l, w);
    l->out[0] = wai_conv_lower_leave(l, emit_conv(l, &wai_op_conv2d, &p, x, w, bias), spatial);
}

/* ---- ConvTranspose ------------------------------------------------------ */

/* [G*I,O,S...] -> [G*O,H,W,I]. */
static wai_value *turn_weights(wai_lower *l, wai_value *w, const wai_conv_params *p) {
    static const uint32_t perm[5] = {0, 2, 3, 4, 1};
    uint32_t apart[5] = {p->groups, p->group_in, p->group_out, p->kernel_h, p->kernel_w};
    uint32_t together[4] = {p->groups * p->group_out, p->kernel_h, p->kernel_w, p->group_in};
    w = wai_emit_reshape(l->graph, w, 5, apart);
    w = wai_emit_transpose(l->graph, w, perm);
    return wai_emit_reshape(l->graph, w, 4, together);
}

/*
 * Pads of axis i so that the output has `wanted` elements. They come out
 * negative where the output is longer than the input reaches; then `adjust`
 * grows. The odd pad stands in front, but behind for SAME_UPPER.
 */
static void fit_pads(wai_window *w, uint32_t i, uint32_t in, uint32_t *adjust, int64_t wanted) {
    int64_t whole = ((int64_t)in - 1) * w->stride[i] + (int64_t)wai_window_extent(w, i) + *adjust;
    int64_t pads = whole - wanted;
    if (pads < 0) {
        int64_t longer = *adjust - pads;
        *adjust = (uint32_t)(longer < WAI_MAX_DIM ? longer : WAI_MAX_DIM);
        pads = 0;
    }
    pads = pads < WAI_MAX_DIM ? pads : WAI_MAX_DIM;
    int64_t less = pads / 2, more = pads - pads / 2;
    w->before[i] = (uint32_t)(w->auto_pad == WAI_AUTO_PAD_SAME_UPPER ? less : more);
    w->after[i] = (uint32_t)(w->auto_pad == WAI_AUTO_PAD_SAME_UPPER ? more : less);
}

/* output_padding and output_shape. */
static bool read_output(wai_lower *l, wai_window *w, const uint32_t *in, uint32_t adjust[3]) {
    int64_t padding[3], shape[5];
    uint32_t paddings = wai_attr_ints(l, "output_padding", padding, 3);
    uint32_t shapes = wai_attr_ints(l, "output_shape", shape, 5);
    if (wai_lower_failed(l)) {
        return false;
    }
    /* output_shape may name batch and channels too. */
    const uint32_t skip = shapes == w->spatial + 2 ? 2 : 0;
    if ((paddings != 0 && paddings != w->spatial) || (shapes != 0 && shapes != w->spatial + skip)) {
        WAI_LOWER_REFUSE(l, "output_padding or output_shape has not one number per axis");
        return false;
    }
    for (uint32_t i = 0; i < w->spatial; i++) {
        adjust[i] = paddings != 0 ? wai_lower_dim(l, padding[i], "output_padding") : 0;
        if (shapes != 0) {
            fit_pads(w, i, in[i], &adjust[i], wai_lower_dim(l, shape[skip + i], "output_shape"));
        } else if (w->auto_pad >= WAI_AUTO_PAD_SAME_UPPER) {
            fit_pads(w, i, in[i], &adjust[i], (int64_t)in[i] * w->stride[i]);
        }
    }
    return !wai_lower_failed(l);
}

void wai_lower_conv_transpose(wai_lower *l) {
    wai_value *x = wai_lower_input(l, 0), *w = wai_lower_input(l, 1);
    wai_value *bias = wai_lower_optional(l, 2);
    const uint32_t spatial = check_operands(l, x, w);
    wai_conv_params p = {0};
    wai_window window;
    uint32_t adjust[3] = {0};
    if (spatial == 0 || !read_groups(l, x, &p) ||
        !wai_window_read(l, &window, spatial, w->type.dims + 2) ||
        !read_output(l, &window, x->type.dims + 2, adjust)) {
        return;
    }
    p.group_out = w->type.dims[1];
    if (w->type.dims[0] != x->type.dims[1] || (uint64_t)p.groups * p.group_out > WAI_MAX_DIM) {
        WAI_LOWER_REFUSE(l, "weights [%u,%u,...] do not fit %u channels in %u groups",
                         w->type.dims[0], w->type.dims[1], x->type.dims[1], p.groups);
        return;
    }
    set_window(&p, &window);
    p.adjust_h = of(adjust, spatial, 0, 0);
    p.adjust_w = of(adjust, spatial, 1, 0);
    wai_conv_depth depth;
    if (spatial == 3) {
        if (wai_deconv_depth_read(l, &depth, &window, x->type.dims[2], adjust[0])) {
            l->out[0] = emit_deep(l, &wai_op_deconv2d, &depth, p, x, w, bias);
        }
        return;
    }
    l->out[0] = wai_conv_lower_leave(l,
                                     emit_conv(l, &wai_op_deconv2d, &p, wai_conv_lower_enter(l, x),
                                               turn_weights(l, w, &p), bias),
                                     spatial);
}
