/*
 * com.microsoft operators on 8-bit tensors: QLinear*, QGemm, and products of
 * 8-bit matrices that end in floats. QLinear is dequantize, the operator on
 * floats, quantize: between the two there is no number that floats do not hold.
 */
#include <string.h>

#include "ops/lowering.h"
#include "ops/quantize.h"

/* ---- on and off the grid -------------------------------------------------- */

/* Input `index` as the one number for all of a tensor. */
static wai_value *only(wai_lower *l, uint32_t index, const char *what) {
    wai_value *value = wai_lower_optional(l, index);
    if (value == NULL || wai_lower_failed(l)) {
        return NULL;
    }
    if (wai_type_count(&value->type) != 1) {
        char text[WAI_TYPE_TEXT];
        WAI_LOWER_DECLINE(l, "%s (input %u) of %s is %s, not one number", what, index, l->op_type,
                          wai_type_text(&value->type, text));
        return NULL;
    }
    return wai_emit_reshape(l->graph, value, 0, NULL);
}

/* Input `at` of integers, its scale and zero point behind it: floats. */
static wai_value *from_grid(wai_lower *l, uint32_t at) {
    wai_value *in[] = {wai_lower_input(l, at), wai_lower_input(l, at + 1), NULL};
    in[1] = only(l, at + 1, "the scale");
    in[2] = only(l, at + 2, "the zero point");
    const wai_dequantize_params p = {0};
    return wai_lower_failed(l) ? NULL : wai_emit(l->graph, &wai_op_dequantize, &p, in, 3);
}

/* Scale and zero point are inputs `at` and at + 1; without a zero point the
 * dtype is that of input `like`. */
static wai_value *to_grid(wai_lower *l, wai_value *y, uint32_t at, uint32_t like) {
    wai_lower_input(l, at);
    wai_value *in[] = {y, only(l, at, "the scale"), only(l, at + 1, "the zero point")};
    if (y == NULL || wai_lower_failed(l)) {
        return NULL;
    }
    const wai_quantize_params p = {.dtype = (in[2] != NULL ? in[2] : l->in[like])->type.dtype};
    return wai_emit(l->graph, &wai_op_quantize, &p, in, 3);
}

/* ---- QLinear of one operand: X, its scale, its zero point, scale, zero point - */

void wai_lower_qlinear_sigmoid(wai_lower *l) {
    wai_value *y = wai_emit_unary(l->graph, WAI_UNARY_SIGMOID, 0, 0, from_grid(l, 0));
    l->out[0] = to_grid(l, y, 3, 0);
}

void wai_lower_qlinear_leaky_relu(wai_lower *l) {
    const float alpha = wai_attr_float(l, "alpha", 0.01f);
    wai_value *y = wai_emit_unary(l->graph, WAI_UNARY_LEAKY_RELU, alpha, 0, from_grid(l, 0));
    l->out[0] = to_grid(l, y, 3, 0);
}

void wai_lower_qlinear_softmax(wai_lower *l) {
    const int64_t opset = wai_attr_int(l, "opset", 13);
    wai_value *x = from_grid(l, 0);
    wai_value *y = wai_lower_one_as(l, wai_lower_softmax, "Softmax", opset < 13 ? 11 : 13, &x, 1);
    l->out[0] = to_grid(l, y, 3, 0);
}

void wai_lower_qlinear_pool(wai_lower *l) {
    const bool global = strcmp(l->op_type, "QLinearGlobalAveragePool") == 0;
    const bool last = wai_attr_int(l, "channels_last", 0) != 0;
    wai_value *x = from_grid(l, 0);
    if (wai_lower_failed(l)) {
        return;
    }
    x = last && x->type.rank > 2 ? wai_emit_channels_first(l->graph, x) : x;
    wai_value *y = global
                       ? wai_lower_one_as(l, wai_lower_global_pool, "GlobalAveragePool", 1, &x, 1)
                       : wai_lower_one_as(l, wai_lower_pool, "AveragePool", 11, &x, 1);
    l->out[0] = to_grid(l, last ? wai_emit_channels_last(l->graph, y) : y, 3, 0);
}

/* ---- QLinear of several --------------------------------------------------- */

/* A, scale, zero point, B, scale, zero point, C's scale and zero point. */
void wai_lower_qlinear_binary(wai_lower *l) {
    const bool adds = strcmp(l->op_type, "QLinearAdd") == 0;
    wai_value *a = from_grid(l, 0), *b = from_grid(l, 3);
    wai_value *y = wai_emit_binary(l->graph, adds ? WAI_BINARY_ADD : WAI_BINARY_MUL, a, b);
    l->out[0] = to_grid(l, y, 6, 0);
}

void wai_lower_qlinear_where(wai_lower *l) {
    wai_value *condition = wai_lower_input(l, 0);
    wai_value *y = wai_lower_where_of(l, condition, from_grid(l, 1), from_grid(l, 4));
    l->out[0] = to_grid(l, y, 7, 1);
}

/* Y's scale and zero point, then the parts with theirs. */
void wai_lower_qlinear_concat(wai_lower *l) {
    const uint32_t parts = l->in_count < 2 ? 0 : (l->in_count - 2) / 3;
    if (parts == 0 || l->in_count != parts * 3 + 2) {
        WAI_LOWER_REFUSE(l, "%s has %u inputs, not 2 and a multiple of 3", l->op_type, l->in_count);
        return;
    }
    wai_value **in = wai_arena_array(l->graph->arena, parts, sizeof *in);
    if (in == NULL) {
        wai_graph_fail(l->graph, WAI_ERR_MEMORY, "out of memory in the compiler");
        return;
    }
    for (uint32_t i = 0; i < parts; i++) {
        in[i] = from_grid(l, 2 + i * 3);
    }
    wai_value *y = wai_lower_one_as(l, wai_lower_concat, "Concat", 13, in, parts);
    l->out[0] = to_grid(l, y, 0, 2);
}

/* ---- products ------------------------------------------------------------- */

enum { A, A_SCALE, A_ZERO, B, B_SCALE, B_ZERO, C, Y_SCALE, Y_ZERO };

static wai_value *turned(wai_lower *l, wai_value *x, const char *attr) {
    static const uint32_t perm[] = {1, 0};
    const bool turns = wai_attr_int(l, attr, 0) != 0;
    if (x == NULL || wai_lower_failed(l)) {
        return NULL;
    }
    if (x->type.rank != 2) {
        WAI_LOWER_REFUSE(l, "a matrix of %s has rank %u", l->op_type, x->type.rank);
        return NULL;
    }
    return turns ? wai_emit_transpose(l->graph, x, perm) : x;
}

static wai_value *multiply(wai_lower *l, wai_value *a, wai_value *b) {
    return wai_emit_binary(l->graph, WAI_BINARY_MUL, a, b);
}

/* alpha * A * B + C, where C is i32 on the grid of alpha * A's scale * B's. */
void wai_lower_qgemm(wai_lower *l) {
    wai_graph *g = l->graph;
    wai_value *in[] = {turned(l, wai_lower_input(l, A), "transA"),
                       turned(l, wai_lower_input(l, B), "transB"), wai_lower_input(l, A_ZERO),
                       wai_lower_input(l, B_ZERO)};
    wai_value *scale = multiply(l, wai_lower_input(l, A_SCALE), wai_lower_input(l, B_SCALE));
    wai_value *c = wai_lower_optional(l, C), *y_scale = wai_lower_optional(l, Y_SCALE);
    const float alpha = wai_attr_float(l, "alpha", 1);
    scale = alpha != 1 ? multiply(l, scale, wai_emit_scalar_f32(g, alpha)) : scale;
    wai_value *sums = wai_lower_one_as(l, wai_lower_matmul_integer, "MatMulInteger", 10, in, 4);
    sums = c != NULL ? wai_emit_binary(g, WAI_BINARY_ADD, sums, c) : sums;
    if (y_scale == NULL) {
        l->out[0] = multiply(l, wai_emit_cast(g, sums, WAI_F32), scale);
        return;
    }
    scale = wai_emit_binary(g, WAI_BINARY_DIV, scale, y_scale);
    l->out[0] = wai_emit_requantize(g, sums, scale, wai_lower_input(l, Y_ZERO));
}

/* (a - zero) * (b - zero) * a's scale * b's scale + bias */
static wai_value *real_product(wai_lower *l, wai_value **in, wai_value *a_scale, wai_value *b_scale,
                               wai_value *bias) {
    wai_value *y = wai_lower_one_as(l, wai_lower_matmul_integer, "MatMulInteger", 10, in, 4);
    y = multiply(l, wai_emit_cast(l->graph, y, WAI_F32), multiply(l, a_scale, b_scale));
    return bias != NULL ? wai_emit_binary(l->graph, WAI_BINARY_ADD, y, bias) : y;
}

/* A, B, a_scale, b_scale, a_zero, b_zero, bias */
void wai_lower_matmul_integer_to_float(wai_lower *l) {
    wai_value *in[] = {wai_lower_input(l, 0), wai_lower_input(l, 1), wai_lower_optional(l, 4),
                       wai_lower_optional(l, 5)};
    l->out[0] =
        real_product(l, in, wai_lower_input(l, 2), wai_lower_input(l, 3), wai_lower_optional(l, 6));
}

/* A f32, B, b_scale, b_zero, bias */
void wai_lower_dynamic_quantize_matmul(wai_lower *l) {
    wai_value *a = wai_lower_input(l, 0), *grid[3];
    wai_lower_as(l, wai_lower_dynamic_quantize_linear, "DynamicQuantizeLinear", 11, &a, 1, grid, 3);
    wai_value *in[] = {grid[0], wai_lower_input(l, 1), grid[2], wai_lower_optional(l, 3)};
    l->out[0] = real_product(l, in, grid[1], wai_lower_input(l, 2), wai_lower_optional(l, 4));
}

/* ---- DynamicQuantizeLSTM ---------------------------------------------------- */

/* Weights q[D, K, 4H] and one scale and zero point per direction ([D]) or per
 * column ([D, 4H]), as LSTM has them: f32[D, 4H, K]. */
static wai_value *real_weights(wai_lower *l, uint32_t index, uint32_t scale_at) {
    static const uint32_t perm[] = {0, 2, 1};
    wai_graph *g = l->graph;
    wai_value *q = wai_lower_input(l, index), *scale = wai_lower_input(l, scale_at);
    wai_value *zero = wai_lower_input(l, scale_at + 1);
    if (wai_lower_failed(l)) {
        return NULL;
    }
    const wai_type *type = &scale->type;
    if (q->type.rank != 3 || type->rank < 1 || type->rank > 2 || type->dims[0] != q->type.dims[0] ||
        (type->rank == 2 && type->dims[1] != q->type.dims[2]) ||
        wai_type_count(&zero->type) != wai_type_count(type)) {
        char text[WAI_TYPE_TEXT], of_scale[WAI_TYPE_TEXT], of_zero[WAI_TYPE_TEXT];
        WAI_LOWER_REFUSE(l, "weights %s of %s with scale %s and zero point %s",
                         wai_type_text(&q->type, text), l->op_type, wai_type_text(type, of_scale),
                         wai_type_text(&zero->type, of_zero));
        return NULL;
    }
    const uint32_t dims[] = {type->dims[0], 1, type->rank == 2 ? type->dims[1] : 1};
    wai_value *real = wai_emit_cast(g, q, WAI_F32);
    zero = wai_emit_reshape(g, wai_emit_cast(g, zero, WAI_F32), 3, dims);
    real = wai_emit_binary(g, WAI_BINARY_SUB, real, zero);
    return wai_emit_transpose(g, multiply(l, real, wai_emit_reshape(g, scale, 3, dims)), perm);
}

/*
 * LSTM of the dequantized weights. onnxruntime quantizes x and the state anew at
 * every step, which is coarser: results differ by that, to the better.
 */
void wai_lower_dynamic_quantize_lstm(wai_lower *l) {
    wai_value *in[8] = {wai_lower_input(l, 0), real_weights(l, 1, 8), real_weights(l, 2, 10)};
    for (uint32_t i = 3; i < 8; i++) {
        in[i] = wai_lower_optional(l, i);
    }
    wai_lower_as(l, wai_lower_lstm, "LSTM", 14, in, 8, l->out, l->out_count);
}
