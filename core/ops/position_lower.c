/* ONNX operators that compare positions: Trilu, EyeLike, OneHot, Hardmax. They
 * are a list 0, 1, 2 ... against something, and a choice by that. */
#include <string.h>

#include "base/limits.h"
#include "ops/lowering.h"

/* column - row against k, bool[rows, columns]; k is an i64 scalar. */
static wai_value *diagonal(wai_lower *l, wai_compare_kind kind, uint32_t rows, uint32_t columns,
                           wai_value *k) {
    wai_graph *g = l->graph;
    const uint32_t column_dims[] = {rows, 1};
    wai_value *row = wai_emit_reshape(g, wai_lower_iota(l, WAI_I64, rows), 2, column_dims);
    wai_value *column = wai_lower_iota(l, WAI_I64, columns);
    return wai_lower_compare_of(l, kind, column, wai_emit_binary(g, WAI_BINARY_ADD, row, k));
}

void wai_lower_trilu(wai_lower *l) {
    wai_value *x = wai_lower_input(l, 0), *k = wai_lower_optional(l, 1);
    const bool upper = wai_attr_int(l, "upper", 1) != 0;
    if (wai_lower_failed(l)) {
        return;
    }
    if (x->type.rank < 2) {
        WAI_LOWER_REFUSE(l, "Trilu of rank %u, which has no matrices", x->type.rank);
        return;
    }
    if (k != NULL && (k->type.dtype != WAI_I64 || wai_type_count(&k->type) != 1)) {
        WAI_LOWER_REFUSE(l, "k of Trilu must be one int64");
        return;
    }
    const uint32_t *dims = x->type.dims + x->type.rank - 2;
    k = k != NULL ? wai_emit_reshape(l->graph, k, 0, NULL) : wai_emit_scalar(l->graph, WAI_I64, 0);
    const wai_compare_kind kind = upper ? WAI_COMPARE_GREATER_OR_EQUAL : WAI_COMPARE_LESS_OR_EQUAL;
    wai_value *kept = diagonal(l, kind, dims[0], dims[1], k);
    l->out[0] = wai_lower_where_of(l, kept, x, wai_emit_scalar(l->graph, x->type.dtype, 0));
}

void wai_lower_eye_like(wai_lower *l) {
    wai_value *x = wai_lower_input(l, 0);
    const int64_t k = wai_attr_int(l, "k", 0);
    const bool given = wai_attr_has(l, "dtype");
    if (wai_lower_failed(l)) {
        return;
    }
    if (x->type.rank != 2) {
        WAI_LOWER_REFUSE(l, "EyeLike of rank %u, not 2", x->type.rank);
        return;
    }
    const wai_dtype dtype = given ? wai_lower_dtype(l, wai_attr_int(l, "dtype", 1)) : x->type.dtype;
    wai_value *shift = wai_emit_scalar(l->graph, WAI_I64, k);
    wai_value *ones = diagonal(l, WAI_COMPARE_EQUAL, x->type.dims[0], x->type.dims[1], shift);
    l->out[0] = wai_emit_cast(l->graph, ones, dtype);
}

/* ---- OneHot --------------------------------------------------------------- */

/* *scalar: the same as a value, which may follow from dims. */
static uint32_t read_depth(wai_lower *l, wai_value **scalar) {
    wai_value *depth = wai_emit_cast(l->graph, wai_lower_input(l, 1), WAI_I64);
    *scalar = NULL;
    if (wai_lower_failed(l)) {
        return 0;
    }
    if (!wai_value_is_constant(depth)) {
        WAI_LOWER_DECLINE(l, "depth of OneHot must be a constant");
        return 0;
    }
    if (wai_type_count(&depth->type) != 1) {
        WAI_LOWER_REFUSE(l, "depth of OneHot must be one number");
        return 0;
    }
    int64_t value;
    memcpy(&value, depth->data, sizeof value);
    if (value < 1) {
        WAI_LOWER_REFUSE(l, "depth of OneHot is %lld, not 1 or more", (long long)value);
        return 0;
    }
    *scalar = wai_emit_reshape(l->graph, depth, 0, NULL);
    return wai_lower_dim(l, value, "depth");
}

/* Element `index` of a list, as a scalar. */
static wai_value *element(wai_lower *l, wai_value *list, uint32_t index) {
    wai_slice_params p = {.start = {index}, .step = {1}, .dims = {1}};
    return wai_emit_reshape(l->graph, wai_emit(l->graph, &wai_op_slice, &p, &list, 1), 0, NULL);
}

/* Indices count from the end when negative; those outside name no element. */
void wai_lower_one_hot(wai_lower *l) {
    wai_graph *g = l->graph;
    wai_value *indices = wai_lower_input(l, 0), *values = wai_lower_input(l, 2);
    wai_value *depth_value;
    const uint32_t depth = read_depth(l, &depth_value);
    const int64_t given = wai_attr_int(l, "axis", -1);
    if (wai_lower_failed(l)) {
        return;
    }
    const uint32_t rank = indices->type.rank;
    if (rank >= WAI_MAX_RANK) {
        WAI_LOWER_DECLINE(l, "OneHot of rank %u", rank);
        return;
    }
    if (values->type.rank != 1 || values->type.dims[0] != 2) {
        WAI_LOWER_REFUSE(l, "values of OneHot must be a list of two");
        return;
    }
    const uint32_t axis = wai_lower_axis(l, given, rank + 1);
    uint32_t index_dims[WAI_MAX_RANK], depth_dims[WAI_MAX_RANK];
    for (uint32_t i = 0; i <= rank; i++) {
        index_dims[i] = i == axis ? 1 : indices->type.dims[i < axis ? i : i - 1];
        depth_dims[i] = i == axis ? depth : 1;
    }
    indices = wai_emit_cast(g, indices, WAI_I64);
    wai_value *zero = wai_emit_scalar(g, WAI_I64, 0);
    wai_value *from_end = wai_emit_binary(g, WAI_BINARY_ADD, indices, depth_value);
    indices = wai_lower_where_of(l, wai_lower_compare_of(l, WAI_COMPARE_LESS, indices, zero),
                                 from_end, indices);
    indices = wai_emit_reshape(g, indices, rank + 1, index_dims);
    wai_value *place = wai_emit_reshape(g, wai_lower_iota(l, WAI_I64, depth), rank + 1, depth_dims);
    wai_value *hit = wai_lower_compare_of(l, WAI_COMPARE_EQUAL, place, indices);
    l->out[0] = wai_lower_where_of(l, hit, element(l, values, 1), element(l, values, 0));
}

/* ---- Hardmax --------------------------------------------------------------- */

static wai_value *hardmax(wai_lower *l, wai_value *x, uint32_t axis) {
    wai_arg_reduce_params p = {.axis = axis, .keep_dims = 1, .max = 1};
    if (wai_type_count(&x->type) == 0) {
        return x;
    }
    wai_value *best = wai_emit(l->graph, &wai_op_arg_reduce, &p, &x, 1);
    uint32_t dims[WAI_MAX_RANK];
    for (uint32_t i = 0; i < x->type.rank; i++) {
        dims[i] = i == axis ? x->type.dims[i] : 1;
    }
    wai_value *place = wai_lower_iota(l, WAI_I64, x->type.dims[axis]);
    place = wai_emit_reshape(l->graph, place, x->type.rank, dims);
    wai_value *hit = wai_lower_compare_of(l, WAI_COMPARE_EQUAL, place, best);
    return wai_emit_cast(l->graph, hit, x->type.dtype);
}

/* Before opset 13 all axes from `axis` on are one. */
void wai_lower_hardmax(wai_lower *l) {
    wai_value *x = wai_lower_input(l, 0);
    const int64_t given = wai_attr_int(l, "axis", l->opset < 13 ? 1 : -1);
    if (wai_lower_failed(l)) {
        return;
    }
    const wai_type type = x->type;
    const uint32_t axis = wai_lower_axis(l, given, type.rank);
    if (wai_lower_failed(l)) {
        return;
    }
    if (l->opset >= 13) {
        l->out[0] = hardmax(l, x, axis);
        return;
    }
    const uint32_t dims[2] = {(uint32_t)wai_dims_product(type.dims, 0, axis),
                              (uint32_t)wai_dims_product(type.dims, axis, type.rank)};
    x = wai_emit_reshape(l->graph, x, 2, dims);
    if (x != NULL) {
        l->out[0] = wai_emit_reshape(l->graph, hardmax(l, x, 1), type.rank, type.dims);
    }
}
