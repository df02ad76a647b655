/* unary.c - elementwise functions of one tensor: meaning and lowering. */
#include <string.h>

#include "onnx/lower.h"
#include "ops/emit.h"

static const char *const kind_names[] = {
    NULL,
    [WAI_UNARY_ABS] = "abs",
    [WAI_UNARY_NEG] = "neg",
    [WAI_UNARY_SIGN] = "sign",
    [WAI_UNARY_CEIL] = "ceil",
    [WAI_UNARY_FLOOR] = "floor",
    [WAI_UNARY_ROUND] = "round",
    [WAI_UNARY_SQRT] = "sqrt",
    [WAI_UNARY_RSQRT] = "rsqrt",
    [WAI_UNARY_RECIPROCAL] = "reciprocal",
    [WAI_UNARY_EXP] = "exp",
    [WAI_UNARY_LOG] = "log",
    [WAI_UNARY_SIN] = "sin",
    [WAI_UNARY_COS] = "cos",
    [WAI_UNARY_TAN] = "tan",
    [WAI_UNARY_ASIN] = "asin",
    [WAI_UNARY_ACOS] = "acos",
    [WAI_UNARY_ATAN] = "atan",
    [WAI_UNARY_SINH] = "sinh",
    [WAI_UNARY_COSH] = "cosh",
    [WAI_UNARY_TANH] = "tanh",
    [WAI_UNARY_ASINH] = "asinh",
    [WAI_UNARY_ACOSH] = "acosh",
    [WAI_UNARY_ATANH] = "atanh",
    [WAI_UNARY_ERF] = "erf",
    [WAI_UNARY_SIGMOID] = "sigmoid",
    [WAI_UNARY_HARD_SIGMOID] = "hard_sigmoid",
    [WAI_UNARY_HARD_SWISH] = "hard_swish",
    [WAI_UNARY_LEAKY_RELU] = "leaky_relu",
    [WAI_UNARY_ELU] = "elu",
    [WAI_UNARY_SELU] = "selu",
    [WAI_UNARY_CELU] = "celu",
    [WAI_UNARY_THRESHOLDED_RELU] = "thresholded_relu",
    [WAI_UNARY_SOFTPLUS] = "softplus",
    [WAI_UNARY_SOFTSIGN] = "softsign",
    [WAI_UNARY_MISH] = "mish",
    [WAI_UNARY_GELU] = "gelu",
    [WAI_UNARY_GELU_TANH] = "gelu_tanh",
    [WAI_UNARY_IS_NAN] = "is_nan",
    [WAI_UNARY_IS_INF] = "is_inf",
    [WAI_UNARY_NOT] = "not",
    [WAI_UNARY_SILU] = "silu",
    NULL,
};

static const wai_field fields[] = {
    WAI_FIELD_ENUM(wai_unary_params, kind, kind_names),
    WAI_FIELD(wai_unary_params, WAI_FIELD_F32, alpha),
    WAI_FIELD(wai_unary_params, WAI_FIELD_F32, beta),
};

static bool takes(uint32_t kind, wai_dtype dtype) {
    if (kind == WAI_UNARY_NOT) {
        return dtype == WAI_BOOL;
    }
    bool integers = kind == WAI_UNARY_ABS || kind == WAI_UNARY_NEG || kind == WAI_UNARY_SIGN;
    bool doubles = kind <= WAI_UNARY_LOG && kind != WAI_UNARY_RSQRT;
    doubles = doubles || kind == WAI_UNARY_IS_NAN || kind == WAI_UNARY_IS_INF;
    return dtype == WAI_F32 || (integers && wai_dtype_is_integer(dtype)) ||
           (doubles && dtype == WAI_F64);
}

static wai_status infer(wai_signature *s) {
    const wai_unary_params *p = s->params;
    const wai_type *x = s->in[0];
    if (p->kind < WAI_UNARY_ABS || p->kind > WAI_UNARY_SILU) {
        return WAI_REFUSE(s, "kind %u is no unary function", p->kind);
    }
    if (x == NULL) {
        return WAI_REFUSE(s, "input 0 is absent");
    }
    if (!takes(p->kind, x->dtype)) {
        return WAI_DECLINE(s, "%s of %s is not supported", kind_names[p->kind],
                           wai_dtype_name(x->dtype));
    }
    s->out[0] = *x;
    if (p->kind == WAI_UNARY_IS_NAN || p->kind == WAI_UNARY_IS_INF) {
        s->out[0].dtype = WAI_BOOL;
    }
    return WAI_OK;
}

/* What takes an exponential, a logarithm or the like is some twenty operations. */
static uint64_t flops(const wai_signature *s) {
    static const uint32_t simple[] = {
        WAI_UNARY_ABS,          WAI_UNARY_NEG,    WAI_UNARY_SIGN,       WAI_UNARY_CEIL,
        WAI_UNARY_FLOOR,        WAI_UNARY_ROUND,  WAI_UNARY_SQRT,       WAI_UNARY_RSQRT,
        WAI_UNARY_RECIPROCAL,   WAI_UNARY_NOT,    WAI_UNARY_LEAKY_RELU, WAI_UNARY_THRESHOLDED_RELU,
        WAI_UNARY_HARD_SIGMOID, WAI_UNARY_IS_NAN, WAI_UNARY_IS_INF,     WAI_UNARY_HARD_SWISH,
        WAI_UNARY_SOFTSIGN};
    const uint32_t kind = ((const wai_unary_params *)s->params)->kind;
    for (size_t i = 0; i < sizeof simple / sizeof simple[0]; i++) {
        if (kind == simple[i]) {
            return wai_type_count(&s->out[0]);
        }
    }
    return 20 * wai_type_count(&s->out[0]);
}

const wai_op wai_op_unary = {
    .name = "unary",
    .params_size = sizeof(wai_unary_params),
    .fields = fields,
    .field_count = sizeof fields / sizeof fields[0],
    .min_in = 1,
    .max_in = 1,
    .min_out = 1,
    .max_out = 1,
    .in_place = 1u << 0,
    .infer = infer,
    .flops = flops,
};

/* ---- ONNX --------------------------------------------------------------- */

typedef struct unary_name {
    const char *name;
    wai_unary_kind kind;
    float alpha, beta;  /* ONNX defaults of the attributes */
    const char *second; /* name of the attribute that beta holds, or NULL */
} unary_name;

/* Attribute defaults: the ONNX operator specification. An alpha of
 * 0 here means that the operator has no attribute `alpha`. */
static const unary_name names[] = {
    {"Abs", WAI_UNARY_ABS, 0, 0, NULL},
    {"Acos", WAI_UNARY_ACOS, 0, 0, NULL},
    {"Acosh", WAI_UNARY_ACOSH, 0, 0, NULL},
    {"Asin", WAI_UNARY_ASIN, 0, 0, NULL},
    {"Asinh", WAI_UNARY_ASINH, 0, 0, NULL},
    {"Atan", WAI_UNARY_ATAN, 0, 0, NULL},
    {"Atanh", WAI_UNARY_ATANH, 0, 0, NULL},
    {"Ceil", WAI_UNARY_CEIL, 0, 0, NULL},
    {"Celu", WAI_UNARY_CELU, 1.0f, 0, NULL},
    {"Cos", WAI_UNARY_COS, 0, 0, NULL},
    {"Cosh", WAI_UNARY_COSH, 0, 0, NULL},
    {"Elu", WAI_UNARY_ELU, 1.0f, 0, NULL},
    {"Erf", WAI_UNARY_ERF, 0, 0, NULL},
    {"Exp", WAI_UNARY_EXP, 0, 0, NULL},
    {"Floor", WAI_UNARY_FLOOR, 0, 0, NULL},
    {"HardSigmoid", WAI_UNARY_HARD_SIGMOID, 0.2f, 0.5f, "beta"},
    {"HardSwish", WAI_UNARY_HARD_SWISH, 0, 0, NULL},
    {"IsNaN", WAI_UNARY_IS_NAN, 0, 0, NULL},
    {"LeakyRelu", WAI_UNARY_LEAKY_RELU, 0.01f, 0, NULL},
    {"Log", WAI_UNARY_LOG, 0, 0, NULL},
    {"Mish", WAI_UNARY_MISH, 0, 0, NULL},
    {"Neg", WAI_UNARY_NEG, 0, 0, NULL},
    {"Not", WAI_UNARY_NOT, 0, 0, NULL},
    {"Reciprocal", WAI_UNARY_RECIPROCAL, 0, 0, NULL},
    {"Round", WAI_UNARY_ROUND, 0, 0, NULL},
    {"Selu", WAI_UNARY_SELU, 1.67326319217681884765625f, 1.05070102214813232421875f, "gamma"},
    {"Sigmoid", WAI_UNARY_SIGMOID, 0, 0, NULL},
    {"Sign", WAI_UNARY_SIGN, 0, 0, NULL},
    {"Sin", WAI_UNARY_SIN, 0, 0, NULL},
    {"Sinh", WAI_UNARY_SINH, 0, 0, NULL},
    {"Softplus", WAI_UNARY_SOFTPLUS, 0, 0, NULL},
    {"Softsign", WAI_UNARY_SOFTSIGN, 0, 0, NULL},
    {"Sqrt", WAI_UNARY_SQRT, 0, 0, NULL},
    {"Tan", WAI_UNARY_TAN, 0, 0, NULL},
    {"Tanh", WAI_UNARY_TANH, 0, 0, NULL},
    {"ThresholdedRelu", WAI_UNARY_THRESHOLDED_RELU, 1.0f, 0, NULL},
};

void wai_lower_unary(wai_lower *l) {
    wai_value *x = wai_lower_input(l, 0);
    if (strcmp(l->op_type, "IsInf") == 0) {
        float above = wai_attr_int(l, "detect_positive", 1) != 0 ? 1.0f : 0.0f;
        float below = wai_attr_int(l, "detect_negative", 1) != 0 ? 1.0f : 0.0f;
        l->out[0] = wai_emit_unary(l->graph, WAI_UNARY_IS_INF, above, below, x);
        return;
    }
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        const unary_name *n = &names[i];
        if (strcmp(n->name, l->op_type) != 0) {
            continue;
        }
        float alpha = n->alpha != 0 ? wai_attr_float(l, "alpha", n->alpha) : 0;
        float beta = n->second != NULL ? wai_attr_float(l, n->second, n->beta) : 0;
        l->out[0] = wai_emit_unary(l->graph, n->kind, alpha, beta, x);
        return;
    }
    wai_graph_fail(l->graph, WAI_ERR_INTERNAL, "%s is in onnx.def but not in unary.c", l->op_type);
}

void wai_lower_gelu(wai_lower *l) {
    wai_value *x = wai_lower_input(l, 0);
    const char *approximate = wai_attr_string(l, "approximate", "none");
    if (strcmp(approximate, "none") == 0) {
        l->out[0] = wai_emit_unary(l->graph, WAI_UNARY_GELU, 0, 0, x);
    } else if (strcmp(approximate, "tanh") == 0) {
        l->out[0] = wai_emit_unary(l->graph, WAI_UNARY_GELU_TANH, 0, 0, x);
    } else {
        WAI_LOWER_REFUSE(l, "approximate is `%s`, not none or tanh", approximate);
    }
}
