/* ONNX MaxPool, AveragePool and the global pools. */
#include <math.h>
#include <string.h>

#include "base/limits.h"
#include "ops/pool.h"
#include "ops/window.h"

/* MaxPool of bytes: as f32, which holds them all. */
static bool is_byte_pool(const wai_lower *l, const wai_value *x) {
    return strcmp(l->op_type, "MaxPool") == 0 &&
           (x->type.dtype == WAI_I8 || x->type.dtype == WAI_U8);
}

static bool check_input(wai_lower *l, const wai_value *x) {
    if (wai_lower_failed(l)) {
        return false;
    }
    if (x->type.rank < 3) {
        WAI_LOWER_REFUSE(l, "an input of rank %u has no spatial axes", x->type.rank);
        return false;
    }
    if (x->type.dtype != WAI_F32 && !is_byte_pool(l, x)) {
        WAI_LOWER_DECLINE(l, "%s of %s", l->op_type, wai_dtype_name(x->type.dtype));
        return false;
    }
    return true;
}

/* Windows along one axis. With ceil_mode the last may run over the end, but
 * must not start in the padding behind it (said since opset 19, done by
 * onnxruntime before). */
static bool count_windows(wai_lower *l, const wai_window *w, uint32_t i, uint32_t in,
                          bool ceil_mode, uint32_t *out) {
    if (w->auto_pad >= WAI_AUTO_PAD_SAME_UPPER) {
        *out = (uint32_t)(((uint64_t)in + w->stride[i] - 1) / w->stride[i]);
        return true;
    }
    const int64_t stride = w->stride[i], front = (int64_t)in + w->before[i];
    const int64_t room = front + w->after[i] - (int64_t)wai_window_extent(w, i);
    if (room < 0) {
        WAI_LOWER_REFUSE(l, "a window of %u over %u inputs has no output", w->kernel[i], in);
        return false;
    }
    int64_t count = (ceil_mode ? room + stride - 1 : room) / stride + 1;
    if (ceil_mode && (count - 1) * stride >= front) {
        count--;
    }
    *out = (uint32_t)count;
    return true;
}

static wai_value *emit_index(wai_lower *l, wai_value *x, const wai_pool_params *p,
                             bool column_major) {
    wai_pool_index_params params = {.column_major = column_major, .spatial = p->spatial};
    memcpy(params.kernel, p->kernel, sizeof p->kernel);
    memcpy(params.stride, p->stride, sizeof p->stride);
    memcpy(params.dilation, p->dilation, sizeof p->dilation);
    memcpy(params.pad_before, p->pad_before, sizeof p->pad_before);
    memcpy(params.pad_after, p->pad_after, sizeof p->pad_after);
    memcpy(params.out, p->out, sizeof p->out);
    return wai_emit_channels_first(l->graph,
                                   wai_emit(l->graph, &wai_op_pool_index, &params, &x, 1));
}

void wai_lower_pool(wai_lower *l) {
    const bool max = strcmp(l->op_type, "MaxPool") == 0;
    wai_value *x = wai_lower_input(l, 0);
    const bool ceil_mode = wai_attr_int(l, "ceil_mode", 0) != 0;
    bool include_pad = false, column_major = false;
    if (max) {
        column_major = wai_attr_int(l, "storage_order", 0) != 0; /* of the indices */
    } else {
        include_pad = wai_attr_int(l, "count_include_pad", 0) != 0;
    }
    if (!check_input(l, x)) {
        return;
    }
    const uint32_t spatial = x->type.rank - 2;
    if (spatial > 3) {
        WAI_LOWER_DECLINE(l, "%s with %u spatial axes", l->op_type, spatial);
        return;
    }
    wai_window w;
    if (!wai_window_read(l, &w, spatial, NULL)) {
        return;
    }
    if (w.auto_pad >= WAI_AUTO_PAD_SAME_UPPER) {
        wai_window_same(&w, x->type.dims + 2);
    }
    wai_pool_params p = {
        .kind = max           ? WAI_POOL_MAX
                : include_pad ? WAI_POOL_AVERAGE_INCLUDE_PAD
                              : WAI_POOL_AVERAGE,
        .spatial = spatial,
        .min = -INFINITY,
        .max = INFINITY,
    };
    memcpy(p.kernel, w.kernel, sizeof p.kernel);
    memcpy(p.stride, w.stride, sizeof p.stride);
    memcpy(p.dilation, w.dilation, sizeof p.dilation);
    memcpy(p.pad_before, w.before, sizeof p.pad_before);
    memcpy(p.pad_after, w.after, sizeof p.pad_after);
    for (uint32_t i = 0; i < spatial; i++) {
        if (!count_windows(l, &w, i, x->type.dims[i + 2], ceil_mode, &p.out[i])) {
            return;
        }
    }
    const wai_dtype dtype = x->type.dtype;
    x = wai_emit_channels_last(l->graph, wai_emit_cast(l->graph, x, WAI_F32));
    wai_value *y = wai_emit(l->graph, &wai_op_pool, &p, &x, 1);
    l->out[0] = wai_emit_channels_first(l->graph, wai_emit_cast(l->graph, y, dtype));
    if (max && wai_lower_wants(l, 1)) {
        l->out[1] = emit_index(l, x, &p, column_major);
    }
}

/* ---- global ------------------------------------------------------------- */

static wai_value *emit_norm(wai_lower *l, wai_value *x, uint32_t axes, int64_t p) {
    if (p == 1 || p == 2) {
        return wai_emit_reduce(l->graph, p == 1 ? WAI_REDUCE_L1 : WAI_REDUCE_L2, x, axes, true);
    }
    const float exponent = (float)p;
    x = wai_emit_unary(l->graph, WAI_UNARY_ABS, 0, 0, x);
    x = wai_emit_binary(l->graph, WAI_BINARY_POW, x, wai_emit_scalar_f32(l->graph, exponent));
    x = wai_emit_reduce(l->graph, WAI_REDUCE_SUM, x, axes, true);
    return wai_emit_binary(l->graph, WAI_BINARY_POW, x,
                           wai_emit_scalar_f32(l->graph, 1 / exponent));
}

void wai_lower_global_pool(wai_lower *l) {
    wai_value *x = wai_lower_input(l, 0);
    const bool norm = strcmp(l->op_type, "GlobalLpPool") == 0;
    const int64_t p = norm ? wai_attr_int(l, "p", 2) : 0;
    if (!check_input(l, x)) {
        return;
    }
    if (norm && (p < 1 || p > 64)) {
        WAI_LOWER_DECLINE(l, "p of %lld", (long long)p);
        return;
    }
    /* In channels-last order the turns on both sides cancel. */
    const uint32_t axes = (1u << (x->type.rank - 1)) - 2;
    x = wai_emit_channels_last(l->graph, x);
    if (norm) {
        x = emit_norm(l, x, axes, p);
    } else {
        const bool max = strcmp(l->op_type, "GlobalMaxPool") == 0;
        x = wai_emit_reduce(l->graph, max ? WAI_REDUCE_MAX : WAI_REDUCE_MEAN, x, axes, true);
    }
    l->out[0] = wai_emit_channels_first(l->graph, x);
}
