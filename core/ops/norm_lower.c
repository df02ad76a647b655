/* ONNX operators that normalize: LayerNormalization and onnxruntime's kin,
 * GroupNormalization, MeanVarianceNormalization, LpNormalization. */
#include <string.h>

#include "ops/layer_norm.h"
#include "ops/lowering.h"

static bool check_float(wai_lower *l, const wai_value *x, uint32_t min_rank) {
    if (wai_lower_failed(l)) {
        return false;
    }
    if (x->type.dtype != WAI_F32 || x->type.rank < min_rank) {
        WAI_LOWER_DECLINE(l, "%s of %s, rank %u", l->op_type, wai_dtype_name(x->type.dtype),
                          x->type.rank);
        return false;
    }
    return true;
}

/* The precision of the statistics: ours are f32, summed in f64. */
static void read_stash_type(wai_lower *l) {
    const int64_t type = wai_attr_int(l, "stash_type", 1);
    if (type != 1 && type != 10 && type != 16) {
        WAI_LOWER_DECLINE(l, "stash_type %lld of %s", (long long)type, l->op_type);
    }
}

static wai_value *emit_root(wai_lower *l, wai_value *square, float epsilon) {
    wai_value *added = wai_emit_scalar_f32(l->graph, epsilon);
    square = wai_emit_binary(l->graph, WAI_BINARY_ADD, square, added);
    return wai_emit_unary(l->graph, WAI_UNARY_SQRT, 0, 0, square);
}

/* ---- LayerNormalization ----------------------------------------------------- */

/* Do the dims of `list` repeat those of x from `axis` on? */
static bool is_row(const wai_value *list, const wai_value *x, uint32_t axis) {
    const uint32_t rank = x->type.rank - axis;
    return list->type.rank == rank &&
           memcmp(list->type.dims, x->type.dims + axis, rank * sizeof x->type.dims[0]) == 0;
}

static wai_value *emit_layer_norm(wai_lower *l, wai_value *x, wai_value *scale, wai_value *bias,
                                  const wai_layer_norm_params *p) {
    wai_graph *g = l->graph;
    if (x == NULL || wai_lower_failed(l)) {
        return NULL;
    }
    const uint32_t row = (uint32_t)wai_dims_product(x->type.dims, p->axis, x->type.rank);
    wai_value *in[3] = {x, NULL, NULL};
    const bool inside =
        (scale == NULL || is_row(scale, x, p->axis)) && (bias == NULL || is_row(bias, x, p->axis));
    if (inside) {
        in[1] = scale != NULL ? wai_emit_reshape(g, scale, 1, &row) : NULL;
        in[2] = bias != NULL ? wai_emit_reshape(g, bias, 1, &row) : NULL;
    }
    wai_value *y = wai_emit(g, &wai_op_layer_norm, p, in, 3);
    if (!inside && scale != NULL) {
        y = wai_emit_binary(g, WAI_BINARY_MUL, y, scale);
    }
    if (!inside && bias != NULL) {
        y = wai_emit_binary(g, WAI_BINARY_ADD, y, bias);
    }
    if (y != NULL && !wai_type_equal(&y->type, &x->type)) {
        WAI_LOWER_REFUSE(l, "scale or bias of %s stretches the input", l->op_type);
    }
    return y;
}

/* The optional outputs, which nobody but training asks for. */
static void emit_statistics(wai_lower *l, wai_value *x, const wai_layer_norm_params *p,
                            uint32_t mean_out, uint32_t root_out) {
    wai_graph *g = l->graph;
    const bool wants_mean = wai_lower_wants(l, mean_out), wants_root = wai_lower_wants(l, root_out);
    if (wai_lower_failed(l) || (!wants_mean && !wants_root)) {
        return;
    }
    const uint32_t axes = (1u << x->type.rank) - (1u << p->axis);
    wai_value *mean = p->rms ? NULL : wai_emit_reduce(g, WAI_REDUCE_MEAN, x, axes, true);
    if (wants_mean) {
        l->out[mean_out] = mean;
    }
    if (wants_root) {
        x = p->rms ? x : wai_emit_binary(g, WAI_BINARY_SUB, x, mean);
        wai_value *square = wai_emit_binary(g, WAI_BINARY_MUL, x, x);
        square = wai_emit_reduce(g, WAI_REDUCE_MEAN, square, axes, true);
        l->out[root_out] =
            wai_emit_unary(g, WAI_UNARY_RECIPROCAL, 0, 0, emit_root(l, square, p->epsilon));
    }
}

/* Also RMSNormalization, which onnxruntime called SimplifiedLayerNormalization. */
void wai_lower_layer_norm(wai_lower *l) {
    wai_value *x = wai_lower_input(l, 0), *scale = wai_lower_input(l, 1);
    wai_value *bias = wai_lower_optional(l, 2);
    wai_layer_norm_params p = {.epsilon = wai_attr_float(l, "epsilon", 1e-5f),
                               .rms = strcmp(l->op_type, "LayerNormalization") != 0};
    const int64_t axis = wai_attr_int(l, "axis", -1);
    read_stash_type(l);
    if (!check_float(l, x, 1)) {
        return;
    }
    p.axis = wai_lower_axis(l, axis, x->type.rank);
    l->out[0] = emit_layer_norm(l, x, scale, bias, &p);
    emit_statistics(l, x, &p, p.rms ? UINT32_MAX : 1, p.rms ? 1 : 2);
}

/* x + skip + bias, normalized; with SkipSimplified by the mean square and
 * without beta. Outputs 1 and 2 are the statistics, 3 is the sum. */
void wai_lower_skip_layer_norm(wai_lower *l) {
    const bool rms = strcmp(l->op_type, "SkipSimplifiedLayerNormalization") == 0;
    wai_value *x = wai_lower_input(l, 0), *skip = wai_lower_input(l, 1);
    wai_value *scale = wai_lower_input(l, 2), *beta = rms ? NULL : wai_lower_optional(l, 3);
    wai_value *bias = wai_lower_optional(l, rms ? 3 : 4);
    wai_layer_norm_params p = {.rms = rms, .epsilon = wai_attr_float(l, "epsilon", 1e-12f)};
    if (!check_float(l, x, 1)) {
        return;
    }
    p.axis = x->type.rank - 1;
    wai_value *sum = wai_emit_binary(l->graph, WAI_BINARY_ADD, x, skip);
    if (bias != NULL) {
        sum = wai_emit_binary(l->graph, WAI_BINARY_ADD, sum, bias);
    }
    l->out[0] = emit_layer_norm(l, sum, scale, beta, &p);
    if (sum != NULL) {
        emit_statistics(l, sum, &p, 1, 2);
    }
    if (l->out_count > 3) {
        l->out[3] = sum;
    }
}

/* Rows of table[N,H] for ids[B,S]: [B,S,H]. */
static wai_value *embed(wai_lower *l, wai_value *table, wai_value *ids) {
    const wai_gather_params p = {.axis = 0};
    wai_value *in[] = {table, ids};
    if (table == NULL || ids == NULL || wai_lower_failed(l)) {
        return NULL;
    }
    if (table->type.rank != 2 || ids->type.rank != 2) {
        char text[WAI_TYPE_TEXT], of_ids[WAI_TYPE_TEXT];
        WAI_LOWER_REFUSE(l, "%s of rows %s of a table %s", l->op_type,
                         wai_type_text(&ids->type, of_ids), wai_type_text(&table->type, text));
        return NULL;
    }
    return wai_emit(l->graph, &wai_op_gather, &p, in, 2);
}

/* ids, segments, the tables of words, positions and segments, gamma, beta, mask,
 * positions. Output 1 is the mask's number of ones per row, 2 the sum. */
void wai_lower_embed_layer_norm(wai_lower *l) {
    wai_graph *g = l->graph;
    wai_value *ids = wai_lower_input(l, 0), *segments = wai_lower_optional(l, 1);
    wai_value *mask = wai_lower_optional(l, 7), *positions = wai_lower_optional(l, 8);
    wai_layer_norm_params p = {.axis = 2, .epsilon = wai_attr_float(l, "epsilon", 1e-12f)};
    wai_attr_ignore(l, "mask_index_type"); /* 0 gives no other output 1 */
    wai_value *sum = embed(l, wai_lower_input(l, 2), ids);
    if (sum == NULL) {
        return;
    }
    const uint32_t row[] = {1, ids->type.dims[1]};
    if (positions == NULL) {
        positions = wai_emit_reshape(g, wai_lower_iota(l, WAI_I32, row[1]), 2, row);
    }
    sum = wai_emit_binary(g, WAI_BINARY_ADD, sum, embed(l, wai_lower_input(l, 3), positions));
    if (segments != NULL) {
        sum = wai_emit_binary(g, WAI_BINARY_ADD, sum, embed(l, wai_lower_input(l, 4), segments));
    }
    l->out[0] = emit_layer_norm(l, sum, wai_lower_input(l, 5), wai_lower_input(l, 6), &p);
    if (wai_lower_wants(l, 1)) {
        const wai_expand_params none = {1, {ids->type.dims[0]}};
        wai_value *zero = wai_emit_scalar(g, WAI_I32, 0);
        l->out[1] = mask != NULL   ? wai_emit_reduce(g, WAI_REDUCE_SUM, mask, 1u << 1, false)
                    : zero != NULL ? wai_emit(g, &wai_op_expand, &none, &zero, 1)
                                   : NULL;
    }
    if (l->out_count > 2) {
        l->out[2] = sum;
    }
}

/* ---- GroupNormalization ------------------------------------------------------ */

/* Before opset 21 scale and bias have one number per group, then per channel. */
static wai_value *spread(wai_lower *l, wai_value *list, const wai_value *x, uint32_t groups) {
    wai_graph *g = l->graph;
    const uint32_t channels = x->type.dims[1], rank = x->type.rank;
    const uint32_t length = l->opset >= 21 ? channels : groups;
    if (wai_lower_failed(l)) {
        return NULL;
    }
    if (list->type.rank != 1 || list->type.dims[0] != length) {
        WAI_LOWER_REFUSE(l, "scale and bias of %s must be lists of %u", l->op_type, length);
        return NULL;
    }
    if (length != channels) {
        wai_expand_params p = {.rank = 2, .dims = {groups, channels / groups}};
        const uint32_t column[] = {groups, 1};
        list = wai_emit_reshape(g, list, 2, column);
        list = list != NULL ? wai_emit(g, &wai_op_expand, &p, &list, 1) : NULL;
    }
    uint32_t dims[WAI_MAX_RANK];
    for (uint32_t i = 0; i < rank; i++) {
        dims[i] = i == 1 ? channels : 1;
    }
    return wai_emit_reshape(g, list, rank, dims);
}

void wai_lower_group_norm(wai_lower *l) {
    wai_graph *g = l->graph;
    wai_value *x = wai_lower_input(l, 0), *scale = wai_lower_input(l, 1);
    wai_value *bias = wai_lower_input(l, 2);
    const int64_t groups = wai_attr_int(l, "num_groups", 0);
    const wai_layer_norm_params p = {.axis = 1, .epsilon = wai_attr_float(l, "epsilon", 1e-5f)};
    read_stash_type(l);
    if (!check_float(l, x, 2)) {
        return;
    }
    const wai_type type = x->type;
    if (groups < 1 || groups > type.dims[1] || type.dims[1] % groups != 0) {
        WAI_LOWER_REFUSE(l, "num_groups of %s is %lld for %u channels", l->op_type,
                         (long long)groups, type.dims[1]);
        return;
    }
    scale = spread(l, scale, x, (uint32_t)groups);
    bias = spread(l, bias, x, (uint32_t)groups);
    if (wai_type_count(&type) == 0) {
        l->out[0] = x;
        return;
    }
    /* Less than the elements of x, which fit. */
    const uint32_t rows = type.dims[0] * (uint32_t)groups;
    const uint32_t dims[] = {rows, (uint32_t)(wai_type_count(&type) / rows)};
    x = wai_emit_reshape(g, x, 2, dims);
    x = x != NULL ? wai_emit(g, &wai_op_layer_norm, &p, &x, 1) : NULL;
    x = wai_emit_reshape(g, x, type.rank, type.dims);
    l->out[0] =
        wai_emit_binary(g, WAI_BINARY_ADD, wai_emit_binary(g, WAI_BINARY_MUL, x, scale), bias);
}

/* ---- the others -------------------------------------------------------------- */

/* (x - E[x]) / (sqrt(E[x^2] - E[x]^2) + 1e-9), the deviation by two passes. */
void wai_lower_mean_variance_norm(wai_lower *l) {
    wai_graph *g = l->graph;
    wai_value *x = wai_lower_input(l, 0);
    int64_t axes[WAI_MAX_RANK] = {0, 2, 3};
    uint32_t bits = 0, count = 3;
    if (wai_attr_has(l, "axes")) {
        count = wai_attr_ints(l, "axes", axes, WAI_MAX_RANK);
    }
    if (!check_float(l, x, 0)) {
        return;
    }
    for (uint32_t i = 0; i < count; i++) {
        bits |= 1u << wai_lower_axis(l, axes[i], x->type.rank);
    }
    wai_value *mean = wai_emit_reduce(g, WAI_REDUCE_MEAN, x, bits, true);
    x = wai_emit_binary(g, WAI_BINARY_SUB, x, mean);
    wai_value *square = wai_emit_binary(g, WAI_BINARY_MUL, x, x);
    square = wai_emit_reduce(g, WAI_REDUCE_MEAN, square, bits, true);
    wai_value *deviation = wai_emit_unary(g, WAI_UNARY_SQRT, 0, 0, square);
    deviation = wai_emit_binary(g, WAI_BINARY_ADD, deviation, wai_emit_scalar_f32(g, 1e-9f));
    l->out[0] = wai_emit_binary(g, WAI_BINARY_DIV, x, deviation);
}

/* Vectors of zeros stay zeros, as onnxruntime has it; ONNX says nothing. */
void wai_lower_lp_norm(wai_lower *l) {
    wai_graph *g = l->graph;
    wai_value *x = wai_lower_input(l, 0);
    const int64_t given = wai_attr_int(l, "axis", -1), p = wai_attr_int(l, "p", 2);
    if (!check_float(l, x, 1)) {
        return;
    }
    if (p != 1 && p != 2) {
        WAI_LOWER_REFUSE(l, "p of LpNormalization is %lld, not 1 or 2", (long long)p);
        return;
    }
    const uint32_t axis = wai_lower_axis(l, given, x->type.rank);
    wai_value *norm =
        wai_emit_reduce(g, p == 1 ? WAI_REDUCE_L1 : WAI_REDUCE_L2, x, 1u << axis, true);
    wai_value *zero = wai_emit_scalar_f32(g, 0), *one = wai_emit_scalar_f32(g, 1);
    wai_value *empty = wai_lower_compare_of(l, WAI_COMPARE_EQUAL, norm, zero);
    l->out[0] = wai_emit_binary(g, WAI_BINARY_DIV, x, wai_lower_where_of(l, empty, one, norm));
}
