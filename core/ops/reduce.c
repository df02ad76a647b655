/* reduce.c - sums, means, extremes over axes: meaning and lowering. */
#include <string.h>

#include "onnx/lower.h"
#include "ops/emit.h"

static const char *const kind_names[] = {
    NULL,
    [WAI_REDUCE_SUM] = "sum",
    [WAI_REDUCE_MEAN] = "mean",
    [WAI_REDUCE_MAX] = "max",
    [WAI_REDUCE_MIN] = "min",
    [WAI_REDUCE_PROD] = "prod",
    [WAI_REDUCE_L1] = "l1",
    [WAI_REDUCE_L2] = "l2",
    [WAI_REDUCE_LOG_SUM] = "log_sum",
    [WAI_REDUCE_LOG_SUM_EXP] = "log_sum_exp",
    [WAI_REDUCE_SUM_SQUARE] = "sum_square",
    NULL,
};

static const wai_field fields[] = {
    WAI_FIELD_ENUM(wai_reduce_params, kind, kind_names),
    WAI_FIELD(wai_reduce_params, WAI_FIELD_U32, axes),
    WAI_FIELD(wai_reduce_params, WAI_FIELD_U32, keep_dims),
};

/* Roots and logarithms of integers would need a rounding rule that ONNX does
 * not give. */
static bool takes(uint32_t kind, wai_dtype dtype) {
    bool whole =
        kind != WAI_REDUCE_L2 && kind != WAI_REDUCE_LOG_SUM && kind != WAI_REDUCE_LOG_SUM_EXP;
    bool extreme = kind == WAI_REDUCE_MAX || kind == WAI_REDUCE_MIN;
    return dtype == WAI_F32 || dtype == WAI_F64 || (whole && wai_dtype_is_integer(dtype)) ||
           (extreme && dtype == WAI_BOOL);
}

static wai_status infer(wai_signature *s) {
    const wai_reduce_params *p = s->params;
    const wai_type *x = s->in[0];
    if (p->kind < WAI_REDUCE_SUM || p->kind > WAI_REDUCE_SUM_SQUARE) {
        return WAI_REFUSE(s, "kind %u is no reduction", p->kind);
    }
    if (x == NULL) {
        return WAI_REFUSE(s, "input 0 is absent");
    }
    if (p->axes >> x->rank != 0) {
        return WAI_REFUSE(s, "axes (as bits) are %u for rank %u", p->axes, x->rank);
    }
    if (p->keep_dims > 1) {
        return WAI_REFUSE(s, "keep_dims is %u, not 0 or 1", p->keep_dims);
    }
    if (!takes(p->kind, x->dtype)) {
        return WAI_DECLINE(s, "reduce %s of %s is not supported", kind_names[p->kind],
                           wai_dtype_name(x->dtype));
    }
    s->out[0] = (wai_type){.dtype = x->dtype};
    for (uint32_t i = 0; i < x->rank; i++) {
        bool reduced = (p->axes >> i & 1u) != 0;
        if (!reduced || p->keep_dims != 0) {
            s->out[0].dims[s->out[0].rank++] = reduced ? 1 : x->dims[i];
        }
    }
    return WAI_OK;
}

static uint64_t flops(const wai_signature *s) {
    return wai_type_count(s->in[0]);
}

const wai_op wai_op_reduce = {
    .name = "reduce",
    .params_size = sizeof(wai_reduce_params),
    .fields = fields,
    .field_count = sizeof fields / sizeof fields[0],
    .min_in = 1,
    .max_in = 1,
    .min_out = 1,
    .max_out = 1,
    .infer = infer,
    .flops = flops,
};

/* ---- ONNX ---------------------------------------------------------------- */

static const struct {
    const char *name;
    wai_reduce_kind kind;
    uint32_t input_since; /* opset from which axes are an input */
} names[] = {
    {"ReduceL1", WAI_REDUCE_L1, 18},          {"ReduceL2", WAI_REDUCE_L2, 18},
    {"ReduceLogSum", WAI_REDUCE_LOG_SUM, 18}, {"ReduceLogSumExp", WAI_REDUCE_LOG_SUM_EXP, 18},
    {"ReduceMax", WAI_REDUCE_MAX, 18},        {"ReduceMean", WAI_REDUCE_MEAN, 18},
    {"ReduceMin", WAI_REDUCE_MIN, 18},        {"ReduceProd", WAI_REDUCE_PROD, 18},
    {"ReduceSum", WAI_REDUCE_SUM, 13},        {"ReduceSumSquare", WAI_REDUCE_SUM_SQUARE, 18},
};

static uint32_t axes_of(wai_lower *l, const wai_value *x, bool from_input) {
    int64_t axes[WAI_MAX_RANK];
    uint32_t count, bits = 0, rank = x->type.rank;
    bool there, keep = false;
    if (from_input) {
        count = wai_lower_ints(l, 1, axes, WAI_MAX_RANK, &there);
        keep = wai_attr_int(l, "noop_with_empty_axes", 0) != 0;
    } else {
        count = wai_attr_ints(l, "axes", axes, WAI_MAX_RANK);
    }
    for (uint32_t i = 0; i < count && !wai_lower_failed(l); i++) {
        uint32_t bit = 1u << wai_lower_axis(l, axes[i], rank);
        if ((bits & bit) != 0) {
            WAI_LOWER_REFUSE(l, "axis %lld stands twice in axes", (long long)axes[i]);
        }
        bits |= bit;
    }
    return count > 0 || keep ? bits : (1u << rank) - 1;
}

void wai_lower_reduce(wai_lower *l) {
    wai_value *x = wai_lower_input(l, 0);
    for (size_t i = 0; x != NULL && i < sizeof names / sizeof names[0]; i++) {
        if (strcmp(names[i].name, l->op_type) == 0) {
            uint32_t axes = axes_of(l, x, l->opset >= names[i].input_since);
            bool keep_dims = wai_attr_int(l, "keepdims", 1) != 0;
            l->out[0] = wai_emit_reduce(l->graph, names[i].kind, x, axes, keep_dims);
        }
    }
}
