#include "ops/conv_depth.h"

#include "base/limits.h"

/* Concat of this many slices; kernels seen have 3 to 7. */
#define MAX_KERNEL 64u

static bool set_depth(wai_lower *l, wai_conv_depth *d, const wai_window *w, int64_t out) {
    if (w->kernel[0] < 1 || w->kernel[0] > MAX_KERNEL) {
        WAI_LOWER_DECLINE(l, "a kernel %u deep, 1 to %u are supported", w->kernel[0], MAX_KERNEL);
        return false;
    }
    if (out < 0) {
        WAI_LOWER_REFUSE(l, "kernel %u and pads leave no output along the depth", w->kernel[0]);
        return false;
    }
    d->kernel = w->kernel[0];
    d->stride = w->stride[0];
    d->dilation = w->dilation[0];
    d->before = w->before[0];
    d->out = wai_lower_dim(l, out, "the output's depth");
    return !wai_lower_failed(l);
}

bool wai_conv_depth_read(wai_lower *l, wai_conv_depth *d, const wai_window *w, uint32_t in) {
    const int64_t room =
        (int64_t)in + w->before[0] + w->after[0] - (int64_t)wai_window_extent(w, 0);
    d->transposed = false;
    return set_depth(l, d, w, room < 0 ? -1 : room / w->stride[0] + 1);
}

bool wai_deconv_depth_read(wai_lower *l, wai_conv_depth *d, const wai_window *w, uint32_t in,
                           uint32_t adjust) {
    const int64_t whole = ((int64_t)in - 1) * w->stride[0] + (int64_t)wai_window_extent(w, 0);
    d->transposed = true;
    return set_depth(l, d, w, in == 0 ? 0 : whole + adjust - w->before[0] - w->after[0]);
}

/* Zeros along `axis`. */
static wai_value *emit_pad(wai_lower *l, wai_value *x, uint32_t axis, int64_t before,
                           int64_t after) {
    wai_pad_params p = {.mode = WAI_PAD_CONSTANT};
    p.before[axis] = wai_lower_dim(l, before > 0 ? before : 0, "padding");
    p.after[axis] = wai_lower_dim(l, after > 0 ? after : 0, "padding");
    return p.before[axis] == 0 && p.after[axis] == 0 ? x
                                                     : wai_emit(l->graph, &wai_op_pad, &p, &x, 1);
}

/* Slices first, first + step, ... of axis 1, `out` of them. */
static wai_value *emit_slice(wai_lower *l, const wai_conv_depth *d, wai_value *x, int64_t first,
                             uint32_t step) {
    wai_slice_params p = {.start = {0}};
    if (x == NULL) {
        return NULL;
    }
    for (uint32_t i = 0; i < 5; i++) {
        p.step[i] = 1;
        p.dims[i] = x->type.dims[i];
    }
    p.start[1] = wai_lower_dim(l, first, "the start of a slice");
    p.step[1] = (int32_t)step;
    p.dims[1] = d->out;
    return wai_emit(l->graph, &wai_op_slice, &p, &x, 1);
}

/* x [N,D,H,W,C] with stride - 1 slices of zeros behind each. */
static wai_value *spread(wai_lower *l, wai_value *x, uint32_t stride) {
    if (stride == 1 || x == NULL) {
        return x;
    }
    const uint32_t *dims = x->type.dims;
    const uint32_t apart[6] = {dims[0], dims[1], 1, dims[2], dims[3], dims[4]};
    const uint32_t together[5] = {dims[0], wai_lower_dim(l, (int64_t)dims[1] * stride, "the depth"),
                                  dims[2], dims[3], dims[4]};
    x = emit_pad(l, wai_emit_reshape(l->graph, x, 6, apart), 2, 0, (int64_t)stride - 1);
    return wai_emit_reshape(l->graph, x, 5, together);
}

wai_value *wai_conv_depth_enter(wai_lower *l, const wai_conv_depth *d, wai_value *x,
                                uint32_t groups) {
    wai_graph *g = l->graph;
    /* A transposed convolution is one of the spread input, kernel turned round. */
    const uint32_t stride = d->transposed ? 1 : d->stride;
    const int64_t reach = ((int64_t)d->kernel - 1) * d->dilation;
    const int64_t front = d->transposed ? reach - d->before : d->before;
    x = wai_emit_channels_last(g, x);
    x = d->transposed ? spread(l, x, d->stride) : x;
    if (x == NULL) {
        return NULL;
    }
    const int64_t needed = d->out != 0 ? ((int64_t)d->out - 1) * stride + reach + 1 : 0;
    x = emit_pad(l, x, 1, front, needed - front - x->type.dims[1]);
    if (x == NULL) {
        return NULL;
    }
    const uint32_t *dims = x->type.dims, in = dims[4] / groups;
    const uint32_t images = wai_lower_dim(l, (int64_t)dims[0] * d->out, "images times depth");
    const uint32_t slice[5] = {images, dims[2], dims[3], groups, in};
    const uint32_t all[4] = {
        images, dims[2], dims[3],
        wai_lower_dim(l, (int64_t)dims[4] * d->kernel, "channels times depth")};
    wai_value *slices[MAX_KERNEL];
    for (uint32_t k = 0; k < d->kernel; k++) {
        int64_t first = (int64_t)(d->transposed ? d->kernel - 1 - k : k) * d->dilation;
        slices[k] = emit_slice(l, d, x, first + (front < 0 ? -front : 0), stride);
        slices[k] = wai_emit_reshape(g, slices[k], 5, slice);
    }
    const wai_concat_params p = {.axis = 4};
    x = d->kernel > 1 ? wai_emit(g, &wai_op_concat, &p, slices, d->kernel) : slices[0];
    return wai_emit_reshape(g, x, 4, all);
}

wai_value *wai_conv_depth_weights(wai_lower *l, const wai_conv_depth *d, wai_value *w,
                                  uint32_t groups) {
    static const uint32_t perm[6] = {0, 1, 4, 5, 3, 2}, transposed[6] = {0, 2, 4, 5, 3, 1};
    const uint32_t *dims = w->type.dims;
    const uint32_t apart[6] = {groups, dims[0] / groups, dims[1], dims[2], dims[3], dims[4]};
    const uint32_t in = d->transposed ? apart[1] : apart[2];
    const uint32_t out = d->transposed ? apart[2] : apart[1];
    const uint32_t together[4] = {
        wai_lower_dim(l, (int64_t)groups * out, "output channels"), dims[3], dims[4],
        wai_lower_dim(l, (int64_t)d->kernel * in, "channels times depth")};
    w = wai_emit_reshape(l->graph, w, 6, apart);
    w = wai_emit_transpose(l->graph, w, d->transposed ? transposed : perm);
    return wai_emit_reshape(l->graph, w, 4, together);
}

wai_value *wai_conv_depth_leave(wai_lower *l, const wai_conv_depth *d, wai_value *y, uint32_t n) {
    if (y == NULL) {
        return NULL;
    }
    const uint32_t dims[5] = {n, d->out, y->type.dims[1], y->type.dims[2], y->type.dims[3]};
    return wai_emit_channels_first(l->graph, wai_emit_reshape(l->graph, y, 5, dims));
}
