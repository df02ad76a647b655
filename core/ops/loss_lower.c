/* ONNX NegativeLogLikelihoodLoss and SoftmaxCrossEntropyLoss, by choosing the
 * target's class with a comparison: x is [N, C, D...], target [N, D...]. */
#include <string.h>

#include "ops/lowering.h"

typedef struct loss {
    bool ignores;
    int64_t ignored;
    enum { NONE, MEAN, SUM } reduction;
} loss;

static bool read_attributes(wai_lower *l, loss *a) {
    a->ignores = wai_attr_has(l, "ignore_index");
    a->ignored = wai_attr_int(l, "ignore_index", 0);
    const char *reduction = wai_attr_string(l, "reduction", "mean");
    a->reduction = strcmp(reduction, "none") == 0  ? NONE
                   : strcmp(reduction, "sum") == 0 ? SUM
                                                   : MEAN;
    if (a->reduction == MEAN && strcmp(reduction, "mean") != 0) {
        WAI_LOWER_REFUSE(l, "reduction is `%s`, not none, mean or sum", reduction);
    }
    return !wai_lower_failed(l);
}

static bool check_types(wai_lower *l, const wai_value *x, const wai_value *target) {
    const wai_type *a = &x->type, *b = &target->type;
    char text[2][WAI_TYPE_TEXT];
    bool fits = a->rank >= 2 && b->rank + 1 == a->rank && b->dims[0] == a->dims[0] &&
                (b->dtype == WAI_I32 || b->dtype == WAI_I64);
    for (uint32_t i = 2; i < a->rank && fits; i++) {
        fits = a->dims[i] == b->dims[i - 1];
    }
    if (!fits) {
        WAI_LOWER_REFUSE(l, "target %s does not fit scores %s", wai_type_text(b, text[0]),
                         wai_type_text(a, text[1]));
    }
    return fits;
}

/* x at the target's class, [N, D...]. */
static wai_value *pick(wai_lower *l, wai_value *x, wai_value *target) {
    uint32_t class_dims[WAI_MAX_RANK], target_dims[WAI_MAX_RANK];
    for (uint32_t i = 0; i < x->type.rank; i++) {
        class_dims[i] = i == 1 ? x->type.dims[1] : 1;
        target_dims[i] = i == 1 ? 1 : x->type.dims[i];
    }
    wai_value *classes = wai_lower_iota(l, target->type.dtype, x->type.dims[1]);
    classes = wai_emit_reshape(l->graph, classes, x->type.rank, class_dims);
    target = wai_emit_reshape(l->graph, target, x->type.rank, target_dims);
    wai_value *hit = wai_lower_compare_of(l, WAI_COMPARE_EQUAL, classes, target);
    wai_value *zero = wai_emit_scalar(l->graph, x->type.dtype, 0);
    return wai_emit_reduce(l->graph, WAI_REDUCE_SUM, wai_lower_where_of(l, hit, x, zero), 1u << 1,
                           false);
}

/* Weight of every target. Without weights gathered as well: gather is what
 * finds a class that does not exist. */
static wai_value *weigh(wai_lower *l, const wai_value *x, wai_value *weight, wai_value *target) {
    const uint32_t classes = x->type.dims[1];
    if (weight == NULL) {
        wai_expand_params p = {.rank = 1, .dims = {classes}};
        wai_value *one = wai_emit_scalar(l->graph, x->type.dtype, 1);
        weight = wai_emit(l->graph, &wai_op_expand, &p, &one, 1);
    } else if (weight->type.rank != 1 || weight->type.dims[0] != classes) {
        WAI_LOWER_REFUSE(l, "weights of %s must be a list of %u", l->op_type, classes);
        return NULL;
    }
    wai_gather_params p = {0};
    wai_value *in[] = {weight, target};
    return wai_emit(l->graph, &wai_op_gather, &p, in, 2);
}

static wai_value *emit_loss(wai_lower *l, const loss *a, wai_value *x, wai_value *target,
                            wai_value *weight) {
    wai_graph *g = l->graph;
    const wai_dtype index = target->type.dtype, dtype = x->type.dtype;
    const uint32_t all = (1u << target->type.rank) - 1;
    wai_value *ignored = NULL, *zero = wai_emit_scalar(g, dtype, 0);
    if (a->ignores) {
        ignored = wai_lower_compare_of(l, WAI_COMPARE_EQUAL, target,
                                       wai_emit_scalar(g, index, a->ignored));
        target = wai_lower_where_of(l, ignored, wai_emit_scalar(g, index, 0), target);
    }
    wai_value *weights = weigh(l, x, weight, target);
    wai_value *y = wai_emit_binary(g, WAI_BINARY_MUL, pick(l, x, target), weights);
    y = wai_emit_unary(g, WAI_UNARY_NEG, 0, 0, y);
    if (a->ignores) {
        weights = wai_lower_where_of(l, ignored, zero, weights);
        y = wai_lower_where_of(l, ignored, zero, y);
    }
    if (a->reduction == NONE) {
        return y;
    }
    y = wai_emit_reduce(g, WAI_REDUCE_SUM, y, all, false);
    weights = wai_emit_reduce(g, WAI_REDUCE_SUM, weights, all, false);
    return a->reduction == SUM ? y : wai_emit_binary(g, WAI_BINARY_DIV, y, weights);
}

void wai_lower_loss(wai_lower *l) {
    wai_value *x = wai_lower_input(l, 0), *target = wai_lower_input(l, 1);
    wai_value *weight = wai_lower_optional(l, 2);
    loss a;
    if (!read_attributes(l, &a) || wai_lower_failed(l) || !check_types(l, x, target)) {
        return;
    }
    if (strcmp(l->op_type, "SoftmaxCrossEntropyLoss") == 0) {
        wai_softmax_params p = {.axis = 1, .log = 1};
        x = wai_emit(l->graph, &wai_op_softmax, &p, &x, 1);
        if (l->out_count > 1) {
            l->out[1] = x;
        }
    }
    if (x != NULL) {
        l->out[0] = emit_loss(l, &a, x, target, weight);
    }
}
