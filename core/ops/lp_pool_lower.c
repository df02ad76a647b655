/* ONNX LpPool: an average pool of powers, whose pads are zeros and count. */
#include <math.h>
#include <string.h>

#include "base/limits.h"
#include "ops/lowering.h"
#include "ops/window.h"

/* |x|^p, or back by 1 / p. */
static wai_value *power(wai_lower *l, wai_value *x, int64_t p, bool back) {
    wai_graph *g = l->graph;
    if (back) {
        wai_value *root = p > 2 ? wai_emit_scalar_f32(g, 1 / (float)p) : NULL;
        return p == 1   ? x
               : p == 2 ? wai_emit_unary(g, WAI_UNARY_SQRT, 0, 0, x)
                        : wai_emit_binary(g, WAI_BINARY_POW, x, root);
    }
    if (p == 2) {
        return wai_emit_binary(g, WAI_BINARY_MUL, x, x);
    }
    x = wai_emit_unary(g, WAI_UNARY_ABS, 0, 0, x);
    return p == 1 ? x : wai_emit_binary(g, WAI_BINARY_POW, x, wai_emit_scalar_f32(g, (float)p));
}

/* Outputs along one axis. The pad behind is made to hold the whole last window,
 * so that all windows are divided by the same number of taps. */
static bool count_windows(wai_lower *l, wai_window *w, uint32_t i, uint32_t in, bool ceil_mode,
                          uint32_t *out) {
    const int64_t stride = w->stride[i], extent = (int64_t)wai_window_extent(w, i);
    const int64_t front = (int64_t)in + w->before[i], room = front + w->after[i] - extent;
    int64_t count = (ceil_mode ? room + stride - 1 : room) / stride + 1;
    if (w->auto_pad >= WAI_AUTO_PAD_SAME_UPPER) {
        count = ((int64_t)in + stride - 1) / stride;
    } else if (room < 0) {
        WAI_LOWER_REFUSE(l, "a window of %u over %u inputs has no output", w->kernel[i], in);
        return false;
    }
    if (ceil_mode && (count - 1) * stride >= front) {
        count--;
    }
    const int64_t after = (count - 1) * stride + extent - front;
    if (count > (int64_t)WAI_MAX_DIM || after > (int64_t)WAI_MAX_DIM) {
        wai_graph_fail(l->graph, WAI_ERR_LIMIT, "windows of %lld over %u inputs are too many",
                       (long long)extent, in);
        return false;
    }
    w->after[i] = after > 0 ? (uint32_t)after : 0;
    *out = (uint32_t)count;
    return true;
}

static bool read_params(wai_lower *l, const wai_value *x, wai_pool_params *p, float *taps) {
    const bool ceil_mode = wai_attr_int(l, "ceil_mode", 0) != 0;
    const uint32_t spatial = x->type.rank - 2;
    wai_window w;
    if (!wai_window_read(l, &w, spatial, NULL)) {
        return false;
    }
    if (w.auto_pad >= WAI_AUTO_PAD_SAME_UPPER) {
        wai_window_same(&w, x->type.dims + 2);
    }
    *p = (wai_pool_params){.kind = WAI_POOL_AVERAGE_INCLUDE_PAD,
                           .spatial = spatial,
                           .min = -INFINITY,
                           .max = INFINITY};
    *taps = 1;
    for (uint32_t i = 0; i < spatial; i++) {
        if (!count_windows(l, &w, i, x->type.dims[i + 2], ceil_mode, &p->out[i])) {
            return false;
        }
        *taps *= (float)w.kernel[i];
    }
    memcpy(p->kernel, w.kernel, sizeof p->kernel);
    memcpy(p->stride, w.stride, sizeof p->stride);
    memcpy(p->dilation, w.dilation, sizeof p->dilation);
    memcpy(p->pad_before, w.before, sizeof p->pad_before);
    memcpy(p->pad_after, w.after, sizeof p->pad_after);
    return true;
}

void wai_lower_lp_pool(wai_lower *l) {
    wai_graph *g = l->graph;
    wai_value *x = wai_lower_input(l, 0);
    const int64_t norm = wai_attr_int(l, "p", 2);
    if (wai_lower_failed(l)) {
        return;
    }
    if (x->type.rank < 3 || x->type.rank > 5 || x->type.dtype != WAI_F32 || norm < 1 || norm > 64) {
        WAI_LOWER_DECLINE(l, "LpPool of %s, rank %u, p = %lld", wai_dtype_name(x->type.dtype),
                          x->type.rank, (long long)norm);
        return;
    }
    wai_pool_params p;
    float taps;
    if (!read_params(l, x, &p, &taps)) {
        return;
    }
    x = power(l, wai_emit_channels_last(g, x), norm, false);
    x = x != NULL ? wai_emit(g, &wai_op_pool, &p, &x, 1) : NULL;
    x = wai_emit_binary(g, WAI_BINARY_MUL, x, wai_emit_scalar_f32(g, taps));
    l->out[0] = wai_emit_channels_first(g, power(l, x, norm, true));
}
