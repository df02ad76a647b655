/*
 * simplify: operators that do nothing, two in a row that are one, and costly
 * ones that are a cheaper one. Rules are exact: x + 0 stays, because -0 + 0 is
 * +0. (pow(x, 2) becomes x * x, which is the correctly rounded square; powf is
 * allowed an error in the last place.)
 */
#include <math.h>
#include <string.h>

#include "base/limits.h"
#include "passes/pass.h"

/* What the output of `node` can be replaced with, or NULL. New nodes go before
 * `node`. */
typedef wai_value *(*rule)(wai_graph *graph, wai_node *node);

static wai_value *same_type_input(const wai_node *node) {
    return wai_type_equal(&node->in[0]->type, &node->out[0]->type) ? node->in[0] : NULL;
}

static wai_value *simplify_reshape(wai_graph *graph, wai_node *node) {
    const wai_node *before = wai_pass_producer(node->in[0], &wai_op_reshape);
    const wai_type *out = &node->out[0]->type;
    if (before != NULL) {
        return wai_emit_reshape(graph, before->in[0], out->rank, out->dims);
    }
    return same_type_input(node);
}

static wai_value *simplify_transpose(wai_graph *graph, wai_node *node) {
    const wai_transpose_params *params = node->params;
    const wai_type *out = &node->out[0]->type;
    if (wai_pass_keeps_bytes(&node->in[0]->type, params->perm)) {
        return wai_emit_reshape(graph, node->in[0], out->rank, out->dims);
    }
    const wai_node *before = wai_pass_producer(node->in[0], &wai_op_transpose);
    if (before == NULL) {
        return NULL;
    }
    const wai_transpose_params *first = before->params;
    uint32_t perm[WAI_MAX_RANK];
    for (uint32_t i = 0; i < out->rank; i++) {
        perm[i] = first->perm[params->perm[i]];
    }
    return wai_emit_transpose(graph, before->in[0], perm);
}

/* One slice that does what `first` and `second` do; false if a number does not
 * fit. */
static bool join_slices(wai_slice_params *out, const wai_slice_params *first,
                        const wai_slice_params *second, uint32_t rank) {
    *out = *second;
    for (uint32_t i = 0; i < rank; i++) {
        int64_t start = first->start[i] + (int64_t)second->start[i] * first->step[i];
        int64_t step = (int64_t)first->step[i] * second->step[i];
        if (second->dims[i] <= 1) {
            step = 1; /* taken never */
        }
        if (second->dims[i] == 0) {
            start = 0;
        }
        if (start < 0 || start > WAI_MAX_DIM || step > INT32_MAX || step < -INT32_MAX) {
            return false;
        }
        out->start[i] = (uint32_t)start;
        out->step[i] = (int32_t)step;
    }
    return true;
}

static wai_value *simplify_slice(wai_graph *graph, wai_node *node) {
    const wai_slice_params *params = node->params;
    uint32_t rank = node->in[0]->type.rank;
    bool whole = graph->sample == 0; /* an example says nothing of other dims */
    for (uint32_t i = 0; i < rank; i++) {
        whole = whole && params->start[i] == 0 && params->step[i] == 1;
    }
    if (whole && same_type_input(node) != NULL) {
        return node->in[0];
    }
    wai_node *before = wai_pass_producer(node->in[0], &wai_op_slice);
    wai_slice_params joined;
    return before != NULL && join_slices(&joined, before->params, params, rank)
               ? wai_emit(graph, &wai_op_slice, &joined, before->in, 1)
               : NULL;
}

/* f(reshape(x)) is reshape(f(x)): reshapes sink until they meet and cancel, or
 * until what reads them wants them. */
static wai_value *sink_reshape(wai_graph *graph, wai_node *node) {
    wai_node *reshape = wai_pass_producer(node->in[0], &wai_op_reshape);
    if (reshape == NULL || wai_value_use_count(node->in[0]) != 1) {
        return NULL;
    }
    wai_value *out = wai_emit(graph, node->op, node->params, reshape->in, 1);
    const wai_type *type = &node->out[0]->type;
    return wai_emit_reshape(graph, out, type->rank, type->dims);
}

static wai_value *sink_reshapes(wai_graph *graph, wai_node *node) {
    wai_value *in[2];
    for (uint32_t i = 0; i < 2; i++) {
        const wai_node *reshape = wai_pass_producer(node->in[i], &wai_op_reshape);
        if (reshape == NULL || wai_value_use_count(node->in[i]) != 1 ||
            !wai_type_equal(&node->in[i]->type, &node->out[0]->type)) {
            return NULL;
        }
        in[i] = reshape->in[0];
    }
    const wai_type *type = &node->out[0]->type;
    return wai_type_equal(&in[0]->type, &in[1]->type)
               ? wai_emit_reshape(graph, wai_emit(graph, node->op, node->params, in, 2), type->rank,
                                  type->dims)
               : NULL;
}

static wai_value *simplify_same_type(wai_graph *graph, wai_node *node) {
    (void)graph;
    return same_type_input(node);
}

static wai_value *simplify_cast(wai_graph *graph, wai_node *node) {
    wai_value *same = same_type_input(node);
    return same != NULL ? same : sink_reshape(graph, node);
}

static wai_value *simplify_concat(wai_graph *graph, wai_node *node) {
    const wai_concat_params *params = node->params;
    wai_value *kept[WAI_MAX_OPERANDS];
    uint32_t count = 0;
    for (uint32_t i = 0; i < node->in_count; i++) {
        if (node->in[i]->type.dims[params->axis] != 0) {
            kept[count++] = node->in[i];
        }
    }
    if (count == 1) {
        return kept[0];
    }
    return count != 0 && count < node->in_count
               ? wai_emit(graph, &wai_op_concat, params, kept, count)
               : NULL;
}

static wai_value *simplify_resize(wai_graph *graph, wai_node *node) {
    (void)graph;
    const wai_resize_params *params = node->params;
    for (uint32_t i = 0; i < node->in[0]->type.rank; i++) {
        if (params->scale[i] != 1.0f) {
            return NULL;
        }
    }
    return params->coordinates != WAI_RESIZE_TF_CROP ? same_type_input(node) : NULL;
}

static wai_value *simplify_clamp(wai_graph *graph, wai_node *node) {
    const wai_clamp_params *outer = node->params;
    if (outer->min == -INFINITY && outer->max == INFINITY) {
        return node->in[0];
    }
    const wai_node *before = wai_pass_producer(node->in[0], &wai_op_clamp);
    if (before == NULL) {
        return sink_reshape(graph, node);
    }
    const wai_clamp_params *inner = before->params;
    if (!(inner->min <= inner->max && outer->min <= outer->max)) {
        return NULL;
    }
    return wai_emit_clamp(graph, before->in[0], fminf(fmaxf(inner->min, outer->min), outer->max),
                          fminf(fmaxf(inner->max, outer->min), outer->max));
}

/* max(x, c) and min(x, c) are clamps, which other passes know how to fuse. */
static wai_value *bound_to_clamp(wai_graph *graph, wai_value *x, uint32_t kind, double bound) {
    if (x->type.dtype != WAI_F32 || bound != bound) {
        return NULL;
    }
    return kind == WAI_BINARY_MAX ? wai_emit_clamp(graph, x, (float)bound, INFINITY)
                                  : wai_emit_clamp(graph, x, -INFINITY, (float)bound);
}

/* x (kind) c, where c is the same number everywhere and x has the output's
 * type. */
static wai_value *with_number(wai_graph *graph, wai_value *x, uint32_t kind, double c,
                              bool c_is_second) {
    bool is_float = x->type.dtype == WAI_F32;
    switch (kind) {
    case WAI_BINARY_ADD:
        return c == 0 && !is_float ? x : NULL;
    case WAI_BINARY_SUB:
        return c == 0 && !signbit(c) && c_is_second ? x : NULL;
    case WAI_BINARY_MUL:
        return c == 1 ? x : NULL;
    case WAI_BINARY_DIV:
        return c == 1 && c_is_second ? x : NULL;
    case WAI_BINARY_POW:
        if (!c_is_second) {
            return NULL;
        }
        return c == 1               ? x
               : c == 2 && is_float ? wai_emit_binary(graph, WAI_BINARY_MUL, x, x)
                                    : NULL;
    case WAI_BINARY_MAX:
    case WAI_BINARY_MIN:
        return bound_to_clamp(graph, x, kind, c);
    default:
        return NULL;
    }
}

/* An operand that was expanded first: the operator broadcasts by itself. The
 * node stays, with another operand. */
static void drop_expands(wai_graph *graph, wai_node *node) {
    for (uint32_t i = 0; i < node->in_count; i++) {
        const wai_node *expand = wai_pass_producer(node->in[i], &wai_op_expand);
        if (expand == NULL) {
            continue;
        }
        wai_type type = expand->in[0]->type;
        for (uint32_t k = 0; k < node->in_count; k++) {
            wai_type sum;
            if (k != i && wai_type_broadcast(&sum, &type, &node->in[k]->type)) {
                type.rank = sum.rank;
                memcpy(type.dims, sum.dims, sizeof type.dims);
            }
        }
        const wai_type *out = &node->out[0]->type;
        if (type.rank == out->rank && memcmp(type.dims, out->dims, sizeof type.dims) == 0) {
            wai_node_set_input(graph, node, i, expand->in[0]);
        }
    }
}

static wai_value *simplify_binary(wai_graph *graph, wai_node *node) {
    const wai_binary_params *params = node->params;
    /* prelu is not symmetric: its slope broadcasts to x, never x to it. */
    if (params->kind != WAI_BINARY_PRELU) {
        drop_expands(graph, node);
    }
    for (uint32_t i = 0; i < 2; i++) {
        double number;
        wai_value *x = node->in[1 - i];
        if (wai_type_equal(&x->type, &node->out[0]->type) &&
            wai_pass_uniform(node->in[i], &number)) {
            return with_number(graph, x, params->kind, number, i == 1);
        }
    }
    return sink_reshapes(graph, node);
}

static wai_value *simplify_broadcasting(wai_graph *graph, wai_node *node) {
    drop_expands(graph, node);
    return NULL;
}

/* The only slice of an axis of 1 is all there is. */
static wai_value *simplify_gather(wai_graph *graph, wai_node *node) {
    const uint32_t axis = ((const wai_gather_params *)node->params)->axis;
    const wai_type *out = &node->out[0]->type;
    double index;
    const bool sure = graph->sample == 0; /* 1 in an example may be more at run */
    return sure && node->in[0]->type.dims[axis] == 1 && wai_type_count(&node->in[1]->type) == 1 &&
                   wai_pass_uniform(node->in[1], &index) && (index == 0 || index == -1)
               ? wai_emit_reshape(graph, node->in[0], out->rank, out->dims)
               : NULL;
}

static const struct {
    const wai_op *op;
    rule apply;
} rules[] = {
    {&wai_op_reshape, simplify_reshape},    {&wai_op_transpose, simplify_transpose},
    {&wai_op_slice, simplify_slice},        {&wai_op_gather, simplify_gather},
    {&wai_op_cast, simplify_cast},          {&wai_op_expand, simplify_same_type},
    {&wai_op_tile, simplify_same_type},     {&wai_op_pad, simplify_same_type},
    {&wai_op_concat, simplify_concat},      {&wai_op_resize, simplify_resize},
    {&wai_op_clamp, simplify_clamp},        {&wai_op_unary, sink_reshape},
    {&wai_op_binary, simplify_binary},      {&wai_op_compare, simplify_broadcasting},
    {&wai_op_where, simplify_broadcasting},
};

static wai_value *simplify(wai_graph *graph, wai_node *node) {
    for (size_t i = 0; i < sizeof rules / sizeof rules[0]; i++) {
        if (rules[i].op == node->op) {
            wai_pass_at(graph, node);
            return rules[i].apply(graph, node);
        }
    }
    return NULL;
}

wai_status wai_pass_simplify(wai_graph *graph) {
    /* Chains fold up in one walk, since inputs come first. Each replacement
     * takes a node away or makes it cheaper, so this ends. */
    for (bool changed = true; changed && graph->status == WAI_OK;) {
        changed = false;
        wai_node *next;
        for (wai_node *node = graph->first; node != NULL && graph->status == WAI_OK; node = next) {
            next = node->next;
            wai_value *value = simplify(graph, node);
            if (value != NULL) {
                wai_pass_replace(graph, node, value);
                changed = true;
            }
        }
    }
    graph->cursor = NULL;
    return wai_pass_dead_code(graph);
}
