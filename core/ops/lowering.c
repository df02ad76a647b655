#include "ops/lowering.h"

#include <string.h>

#include "onnx/read.h"

wai_value *wai_lower_compare_of(wai_lower *l, wai_compare_kind kind, wai_value *a, wai_value *b) {
    wai_compare_params p = {kind};
    wai_value *in[] = {a, b};
    return a != NULL && b != NULL ? wai_emit(l->graph, &wai_op_compare, &p, in, 2) : NULL;
}

wai_value *wai_lower_where_of(wai_lower *l, wai_value *condition, wai_value *a, wai_value *b) {
    wai_value *in[] = {condition, a, b};
    return condition != NULL && a != NULL && b != NULL
               ? wai_emit(l->graph, &wai_op_where, NULL, in, 3)
               : NULL;
}

wai_value *wai_lower_part(wai_lower *l, wai_value *x, uint32_t axis, uint32_t start,
                          uint32_t count) {
    if (x == NULL || (start == 0 && count == x->type.dims[axis])) {
        return x;
    }
    wai_slice_params p = {{0}, {0}, {0}};
    for (uint32_t i = 0; i < x->type.rank; i++) {
        p.start[i] = i == axis ? start : 0;
        p.step[i] = 1;
        p.dims[i] = i == axis ? count : x->type.dims[i];
    }
    return wai_emit(l->graph, &wai_op_slice, &p, &x, 1);
}

void wai_lower_as(wai_lower *l, wai_lower_function lower, const char *op_type, uint32_t opset,
                  wai_value **in, uint32_t in_count, wai_value **out, uint32_t out_count) {
    wai_lower inner = *l;
    inner.op_type = op_type;
    inner.opset = opset;
    inner.in = in;
    inner.in_count = in_count;
    inner.out = out;
    inner.out_count = out_count;
    for (uint32_t i = 0; i < out_count; i++) {
        out[i] = NULL;
    }
    if (!wai_lower_failed(l)) {
        lower(&inner);
        memcpy(l->attrs_read, inner.attrs_read, sizeof l->attrs_read);
    }
}

wai_value *wai_lower_one_as(wai_lower *l, wai_lower_function lower, const char *op_type,
                            uint32_t opset, wai_value **in, uint32_t in_count) {
    wai_value *out;
    wai_lower_as(l, lower, op_type, opset, in, in_count, &out, 1);
    return out;
}

static const wai_onnx_attr *list_attr(wai_lower *l, const char *name, int32_t type) {
    for (uint32_t i = 0; i < l->node->attr_count; i++) {
        const wai_onnx_attr *attr = &l->node->attrs[i];
        if (strcmp(attr->name, name) == 0 && attr->type == type) {
            wai_attr_ignore(l, name);
            return attr;
        }
    }
    return NULL;
}

const int64_t *wai_lower_int_list(wai_lower *l, const char *name, uint32_t *count) {
    const wai_onnx_attr *attr = list_attr(l, name, WAI_ONNX_ATTR_INTS);
    *count = attr != NULL ? attr->int_count : 0;
    return attr != NULL ? attr->ints : NULL;
}

const float *wai_lower_float_list(wai_lower *l, const char *name, uint32_t *count) {
    const wai_onnx_attr *attr = list_attr(l, name, WAI_ONNX_ATTR_FLOATS);
    *count = attr != NULL ? attr->float_count : 0;
    return attr != NULL ? attr->floats : NULL;
}
