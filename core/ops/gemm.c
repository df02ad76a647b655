/* ONNX Gemm and MatMul: to fully_connected where the right side is a constant
 * matrix, else to matmul. */
#include <math.h>

#include "ops/lowering.h"

static bool is_weights(const wai_value *b) {
    return wai_value_is_constant(b) && b->type.rank == 2 && b->type.dtype == WAI_F32;
}

/* x[...,K] * transpose(w[N,K]) + bias[N]. */
static wai_value *emit_fully_connected(wai_lower *l, wai_value *x, wai_value *w, wai_value *bias) {
    if (wai_lower_failed(l)) {
        return NULL;
    }
    wai_fully_connected_params p = {
        .in_features = w->type.dims[1],
        .out_features = w->type.dims[0],
        .min = -INFINITY,
        .max = INFINITY,
    };
    wai_value *in[3] = {x, w, bias};
    return wai_emit(l->graph, &wai_op_fully_connected, &p, in, 3);
}

static wai_value *emit_matmul(wai_lower *l, wai_value *a, wai_value *b, bool transpose_b) {
    wai_matmul_params p = {transpose_b};
    wai_value *in[2] = {a, b};
    return wai_emit(l->graph, &wai_op_matmul, &p, in, 2);
}

static wai_value *flip(wai_lower *l, wai_value *matrix) {
    static const uint32_t perm[2] = {1, 0};
    return wai_emit_transpose(l->graph, matrix, perm);
}

/* ---- MatMul ------------------------------------------------------------- */

/* A vector as a matrix of one row or column. */
static wai_value *widen(wai_lower *l, wai_value *v, bool column) {
    if (v->type.rank != 1) {
        return v;
    }
    uint32_t dims[2] = {column ? v->type.dims[0] : 1, column ? 1 : v->type.dims[0]};
    return wai_emit_reshape(l->graph, v, 2, dims);
}

/* Take the rows' dim (second to last) or the columns' (last) of 1 out. */
static wai_value *narrow(wai_lower *l, wai_value *y, bool no_rows, bool no_columns) {
    if (y == NULL || !(no_rows || no_columns)) {
        return y;
    }
    uint32_t dims[WAI_MAX_RANK], rank = 0;
    for (uint32_t i = 0; i < y->type.rank; i++) {
        bool row = i + 2 == y->type.rank, column = i + 1 == y->type.rank;
        if (!(row && no_rows) && !(column && no_columns)) {
            dims[rank++] = y->type.dims[i];
        }
    }
    return wai_emit_reshape(l->graph, y, rank, dims);
}

wai_value *wai_lower_product(wai_lower *l, wai_value *a, wai_value *b) {
    if (wai_lower_failed(l)) {
        return NULL;
    }
    if (a->type.rank == 0 || b->type.rank == 0) {
        WAI_LOWER_REFUSE(l, "an input is a scalar");
        return NULL;
    }
    const bool row = a->type.rank == 1, column = b->type.rank == 1;
    a = widen(l, a, false);
    b = widen(l, b, true);
    wai_value *y = is_weights(b) && a != NULL && a->type.dtype == WAI_F32
                       ? emit_fully_connected(l, a, flip(l, b), NULL)
                       : emit_matmul(l, a, b, false);
    return narrow(l, y, row, column);
}

void wai_lower_matmul(wai_lower *l) {
    wai_value *a = wai_lower_input(l, 0), *b = wai_lower_input(l, 1);
    l->out[0] = wai_lower_product(l, a, b);
}

/* ---- Gemm --------------------------------------------------------------- */

/* value * factor, in the value's dtype. */
static wai_value *scale(wai_lower *l, wai_value *value, float factor) {
    if (value == NULL || factor == 1) {
        return value;
    }
    if (value->type.dtype != WAI_F32) {
        WAI_LOWER_DECLINE(l, "alpha or beta other than 1 for %s",
                          wai_dtype_name(value->type.dtype));
        return NULL;
    }
    return wai_emit_binary(l->graph, WAI_BINARY_MUL, value, wai_emit_scalar_f32(l->graph, factor));
}

/* `c` as a vector of `columns` when it is the same for every row, else NULL. */
static wai_value *as_bias(wai_lower *l, wai_value *c, uint32_t columns) {
    if (!wai_value_is_constant(c)) {
        return NULL;
    }
    const wai_type *type = &c->type;
    const size_t count = wai_type_count(type);
    const uint32_t last = type->rank != 0 ? type->dims[type->rank - 1] : 1;
    if (type->dtype != WAI_F32 || type->rank > 2 || count != last ||
        (last != columns && last != 1)) {
        return NULL;
    }
    c = wai_emit_reshape(l->graph, c, 1, &last);
    if (c == NULL || last == columns) {
        return c;
    }
    wai_expand_params p = {1, {columns}};
    return wai_emit(l->graph, &wai_op_expand, &p, &c, 1);
}

static bool check_gemm(wai_lower *l, const wai_value *a, const wai_value *b, const wai_value *c,
                       bool flip_a, bool flip_b) {
    if (wai_lower_failed(l)) {
        return false;
    }
    if (a->type.rank != 2 || b->type.rank != 2) {
        WAI_LOWER_REFUSE(l, "Gemm of ranks %u and %u, both must be 2", a->type.rank, b->type.rank);
        return false;
    }
    const uint32_t dims[2] = {a->type.dims[flip_a], b->type.dims[!flip_b]};
    wai_type out = wai_type_make(a->type.dtype, 2, dims), sum;
    if (c != NULL && (!wai_type_broadcast(&sum, &out, &c->type) || !wai_type_equal(&sum, &out))) {
        char text[WAI_TYPE_TEXT];
        WAI_LOWER_REFUSE(l, "C is %s, which does not broadcast to [%u,%u]",
                         wai_type_text(&c->type, text), dims[0], dims[1]);
        return false;
    }
    return true;
}

void wai_lower_gemm(wai_lower *l) {
    wai_value *a = wai_lower_input(l, 0), *b = wai_lower_input(l, 1), *c = wai_lower_optional(l, 2);
    const float alpha = wai_attr_float(l, "alpha", 1), beta = wai_attr_float(l, "beta", 1);
    const bool flip_a = wai_attr_int(l, "transA", 0) != 0;
    const bool flip_b = wai_attr_int(l, "transB", 0) != 0;
    if (l->opset < 7) {
        wai_attr_ignore(l, "broadcast"); /* of C; it is checked as since opset 7 */
    }
    if (l->opset < 11 && c == NULL) {
        c = wai_lower_input(l, 2);
    }
    if (!check_gemm(l, a, b, c, flip_a, flip_b)) {
        return;
    }
    a = flip_a ? flip(l, a) : a;
    c = scale(l, c, beta);
    wai_value *y;
    if (is_weights(b) && a != NULL && a->type.dtype == WAI_F32) {
        wai_value *w = scale(l, flip_b ? b : flip(l, b), alpha);
        wai_value *bias = w != NULL ? as_bias(l, c, w->type.dims[0]) : NULL;
        y = emit_fully_connected(l, a, w, bias);
        c = bias != NULL ? NULL : c;
    } else {
        y = scale(l, emit_matmul(l, a, b, flip_b), alpha);
    }
    l->out[0] = c != NULL ? wai_emit_binary(l->graph, WAI_BINARY_ADD, y, c) : y;
}
