/* ONNX CenterCropPad and Shrink. */

#include "ops/lowering.h"

/* ---- Shrink ---------------------------------------------------------------- */

/* x + bias below -lambd, x - bias above lambd, else 0. */
void wai_lower_shrink(wai_lower *l) {
    wai_graph *g = l->graph;
    wai_value *x = wai_lower_input(l, 0);
    const float bias = wai_attr_float(l, "bias", 0), lambd = wai_attr_float(l, "lambd", 0.5f);
    if (wai_lower_failed(l)) {
        return;
    }
    if (x->type.dtype != WAI_F32) {
        WAI_LOWER_DECLINE(l, "Shrink of %s", wai_dtype_name(x->type.dtype));
        return;
    }
    wai_value *below = wai_lower_compare_of(l, WAI_COMPARE_LESS, x, wai_emit_scalar_f32(g, -lambd));
    wai_value *above =
        wai_lower_compare_of(l, WAI_COMPARE_GREATER, x, wai_emit_scalar_f32(g, lambd));
    wai_value *shift = wai_emit_scalar_f32(g, bias), *zero = wai_emit_scalar_f32(g, 0);
    wai_value *up = wai_emit_binary(g, WAI_BINARY_ADD, x, shift);
    wai_value *down = wai_emit_binary(g, WAI_BINARY_SUB, x, shift);
    l->out[0] = wai_lower_where_of(l, below, up, wai_lower_where_of(l, above, down, zero));
}

/* ---- CenterCropPad ----------------------------------------------------------- */

static wai_value *center(wai_lower *l, wai_value *x, uint32_t axis, uint32_t wanted) {
    if (x == NULL) {
        return NULL;
    }
    const uint32_t dim = x->type.dims[axis];
    if (wanted <= dim) {
        return wai_lower_part(l, x, axis, (dim - wanted) / 2, wanted);
    }
    wai_pad_params p = {.mode = WAI_PAD_CONSTANT};
    p.before[axis] = (wanted - dim) / 2;
    p.after[axis] = wanted - dim - p.before[axis];
    return wai_emit(l->graph, &wai_op_pad, &p, &x, 1);
}

void wai_lower_center_crop_pad(wai_lower *l) {
    wai_value *x = wai_lower_input(l, 0);
    int64_t shape[WAI_MAX_RANK], axes[WAI_MAX_RANK];
    bool there = false;
    const uint32_t count = wai_lower_ints(l, 1, shape, WAI_MAX_RANK, &there);
    const bool given = wai_attr_has(l, "axes");
    const uint32_t axis_count = wai_attr_ints(l, "axes", axes, WAI_MAX_RANK);
    if (wai_lower_failed(l)) {
        return;
    }
    if (!there || count != (given ? axis_count : x->type.rank)) {
        WAI_LOWER_REFUSE(l, "shape of CenterCropPad has %u numbers, not one per axis", count);
        return;
    }
    for (uint32_t i = 0; i < count; i++) {
        const uint32_t axis = wai_lower_axis(l, given ? axes[i] : (int64_t)i, x->type.rank);
        const uint32_t wanted = wai_lower_dim(l, shape[i], "shape");
        if (wai_lower_failed(l)) {
            return;
        }
        x = center(l, x, axis, wanted);
        if (x == NULL) {
            return;
        }
    }
    l->out[0] = x;
}
