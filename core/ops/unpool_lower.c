/* ONNX MaxUnpool: zeros, and x at the places that its indices name. */
#include <string.h>

#include "ops/emit.h"
#include "ops/index.h"
#include "ops/window.h"

/* Dims of the tensor that was pooled. */
static void pooled_dims(wai_lower *l, const wai_type *x, wai_type *out) {
    wai_window w;
    if (!wai_window_read(l, &w, x->rank - 2, NULL)) {
        return;
    }
    for (uint32_t i = 0; i < w.spatial; i++) {
        int64_t dim = ((int64_t)x->dims[i + 2] - 1) * w.stride[i] + w.kernel[i];
        dim -= (int64_t)w.before[i] + w.after[i];
        out->dims[i + 2] = wai_lower_dim(l, dim, "MaxUnpool's output");
    }
    if (!wai_lower_failed(l) && !wai_type_is_valid(out)) {
        WAI_LOWER_DECLINE(l, "the output of MaxUnpool is too large");
    }
}

/* output_shape, where it is given, is filled up at the end. */
static wai_value *grown(wai_lower *l, wai_value *x) {
    int64_t dims[WAI_MAX_RANK];
    bool there = false;
    uint32_t count = wai_lower_ints(l, 2, dims, WAI_MAX_RANK, &there);
    wai_pad_params params = {.mode = WAI_PAD_CONSTANT};
    bool grows = false;
    if (wai_lower_failed(l) || !there) {
        return x;
    }
    for (uint32_t i = 0; i < x->type.rank; i++) {
        if (count != x->type.rank || dims[i] < x->type.dims[i] || dims[i] > INT32_MAX) {
            char text[WAI_TYPE_TEXT];
            WAI_LOWER_REFUSE(l, "output_shape is smaller than %s", wai_type_text(&x->type, text));
            return NULL;
        }
        params.after[i] = (uint32_t)(dims[i] - x->type.dims[i]);
        grows |= params.after[i] != 0;
    }
    return grows ? wai_emit(l->graph, &wai_op_pad, &params, &x, 1) : x;
}

/* `count` zeros: nothing of x, filled up. A constant would be in the package. */
static wai_value *emit_zeros(wai_graph *g, wai_value *x, uint32_t count) {
    const wai_slice_params none = {.step = {1}};
    const wai_pad_params all = {.mode = WAI_PAD_CONSTANT, .after = {count}};
    x = wai_emit(g, &wai_op_slice, &none, &x, 1);
    return wai_emit(g, &wai_op_pad, &all, &x, 1);
}

void wai_lower_max_unpool(wai_lower *l) {
    wai_graph *g = l->graph;
    wai_value *x = wai_lower_input(l, 0), *indices = wai_lower_input(l, 1);
    if (wai_lower_failed(l)) {
        return;
    }
    if (x->type.rank < 3 || x->type.rank > 5 || indices->type.dtype != WAI_I64) {
        WAI_LOWER_DECLINE(l, "MaxUnpool of rank %u by indices of type %s", x->type.rank,
                          wai_dtype_name(indices->type.dtype));
        return;
    }
    wai_type type = x->type;
    pooled_dims(l, &x->type, &type);
    if (wai_lower_failed(l)) {
        return;
    }
    const uint32_t count = (uint32_t)wai_type_count(&x->type);
    const wai_scatter_elements_params params = {WAI_SCATTER_SET, 0};
    x = wai_emit_reshape(g, x, 1, &count);
    wai_value *in[3] = {emit_zeros(g, x, (uint32_t)wai_type_count(&type)),
                        wai_emit_reshape(g, indices, 1, &count), x};
    wai_value *y = wai_emit(g, &wai_op_scatter_elements, &params, in, 3);
    y = wai_emit_reshape(g, y, type.rank, type.dims);
    l->out[0] = y != NULL ? grown(l, y) : NULL;
}
