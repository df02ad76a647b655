/* binary.c - elementwise functions of two tensors: meaning and lowering. */
#include <string.h>

#include "onnx/lower.h"
#include "ops/broadcast.h"
#include "ops/emit.h"

static const char *const kind_names[] = {
    NULL,
    [WAI_BINARY_ADD] = "add",
    [WAI_BINARY_SUB] = "sub",
    [WAI_BINARY_MUL] = "mul",
    [WAI_BINARY_DIV] = "div",
    [WAI_BINARY_POW] = "pow",
    [WAI_BINARY_MIN] = "min",
    [WAI_BINARY_MAX] = "max",
    [WAI_BINARY_MOD] = "mod",
    [WAI_BINARY_FMOD] = "fmod",
    [WAI_BINARY_PRELU] = "prelu",
    [WAI_BINARY_AND] = "and",
    [WAI_BINARY_OR] = "or",
    [WAI_BINARY_XOR] = "xor",
    NULL,
};

static const wai_field fields[] = {
    WAI_FIELD_ENUM(wai_binary_params, kind, kind_names),
};

static bool takes(uint32_t kind, wai_dtype dtype) {
    if (kind >= WAI_BINARY_AND) {
        return dtype == WAI_BOOL;
    }
    return dtype == WAI_F32 || wai_dtype_is_integer(dtype) ||
           (dtype == WAI_F64 && kind != WAI_BINARY_POW);
}

static wai_status infer(wai_signature *s) {
    const wai_binary_params *p = s->params;
    if (p->kind < WAI_BINARY_ADD || p->kind > WAI_BINARY_XOR) {
        return WAI_REFUSE(s, "kind %u is no binary function", p->kind);
    }
    wai_status status = wai_broadcast_infer(s, kind_names[p->kind], 0);
    if (status != WAI_OK) {
        return status;
    }
    const wai_type *a = s->in[0], *b = s->in[1];
    if (!takes(p->kind, a->dtype)) {
        return WAI_DECLINE(s, "%s of %s is not supported", kind_names[p->kind],
                           wai_dtype_name(a->dtype));
    }
    if (p->kind == WAI_BINARY_PRELU && !wai_type_equal(&s->out[0], a)) {
        char text_a[WAI_TYPE_TEXT], text_b[WAI_TYPE_TEXT];
        return WAI_REFUSE(s, "slope %s does not broadcast to %s", wai_type_text(b, text_b),
                          wai_type_text(a, text_a));
    }
    return WAI_OK;
}

const wai_op wai_op_binary = {
    .name = "binary",
    .params_size = sizeof(wai_binary_params),
    .fields = fields,
    .field_count = sizeof fields / sizeof fields[0],
    .min_in = 2,
    .max_in = 2,
    .min_out = 1,
    .max_out = 1,
    .in_place = 1u << 0 | 1u << 1,
    .infer = infer,
};

/* ---- ONNX --------------------------------------------------------------- */

static const struct {
    const char *name;
    wai_binary_kind kind;
} names[] = {
    {"Add", WAI_BINARY_ADD}, {"And", WAI_BINARY_AND}, {"Div", WAI_BINARY_DIV},
    {"Mul", WAI_BINARY_MUL}, {"Or", WAI_BINARY_OR},   {"Sub", WAI_BINARY_SUB},
    {"Xor", WAI_BINARY_XOR}, {"Max", WAI_BINARY_MAX}, {"Mean", WAI_BINARY_ADD},
    {"Min", WAI_BINARY_MIN}, {"Sum", WAI_BINARY_ADD},
};

static wai_binary_kind kind_of(wai_lower *l) {
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (strcmp(names[i].name, l->op_type) == 0) {
            return names[i].kind;
        }
    }
    wai_graph_fail(l->graph, WAI_ERR_INTERNAL, "%s is in onnx.def but not in binary.c", l->op_type);
    return WAI_BINARY_ADD;
}

/* fmod = 0 is Python's %, for integers only; fmod = 1 is C's fmod. */
static wai_binary_kind mod_kind(wai_lower *l, const wai_value *a) {
    if (wai_attr_int(l, "fmod", 0) != 0) {
        return WAI_BINARY_FMOD;
    }
    if (a != NULL && (a->type.dtype == WAI_F32 || a->type.dtype == WAI_F64)) {
        WAI_LOWER_REFUSE(l, "fmod must be 1 for floating-point inputs");
    }
    return WAI_BINARY_MOD;
}

void wai_lower_binary(wai_lower *l) {
    wai_value *a = wai_lower_input(l, 0);
    wai_value *b = wai_lower_aligned(l, a, wai_lower_input(l, 1));
    wai_binary_kind kind = strcmp(l->op_type, "Mod") == 0 ? mod_kind(l, a) : kind_of(l);
    l->out[0] = wai_emit_binary(l->graph, kind, a, b);
}

void wai_lower_variadic(wai_lower *l) {
    wai_binary_kind kind = kind_of(l);
    wai_value *sum = wai_lower_input(l, 0);
    for (uint32_t i = 1; i < l->in_count; i++) {
        sum = wai_emit_binary(l->graph, kind, sum, wai_lower_input(l, i));
    }
    if (strcmp(l->op_type, "Mean") == 0 && l->in_count > 1) {
        wai_dtype dtype = sum != NULL ? sum->type.dtype : WAI_F32;
        wai_value *count = wai_emit_scalar(l->graph, dtype, l->in_count);
        sum = wai_emit_binary(l->graph, WAI_BINARY_DIV, sum, count);
    }
    l->out[0] = sum;
}

void wai_lower_prelu(wai_lower *l) {
    wai_value *x = wai_lower_input(l, 0);
    wai_value *slope = wai_lower_input(l, 1);
    if (l->opset < 7 && x != NULL && slope != NULL && slope->type.rank == 1 && x->type.rank > 1) {
        /* One per channel, or one for all. */
        uint32_t dims[WAI_MAX_RANK] = {slope->type.dims[0], 1, 1, 1, 1, 1, 1, 1};
        slope = wai_emit_reshape(l->graph, slope, x->type.rank - 1, dims);
    }
    l->out[0] = wai_emit_binary(l->graph, WAI_BINARY_PRELU, x, slope);
}

/* x to the power of a constant that needs no pow, or NULL. */
static wai_value *simple_power(wai_graph *g, wai_value *x, float exponent) {
    if (exponent == 1.0f) {
        return x;
    }
    if (exponent == 2.0f) {
        return wai_emit_binary(g, WAI_BINARY_MUL, x, x);
    }
    if (exponent == 3.0f) {
        return wai_emit_binary(g, WAI_BINARY_MUL, wai_emit_binary(g, WAI_BINARY_MUL, x, x), x);
    }
    if (exponent == 0.5f) {
        return wai_emit_unary(g, WAI_UNARY_SQRT, 0, 0, x);
    }
    if (exponent == -1.0f) {
        return wai_emit_unary(g, WAI_UNARY_RECIPROCAL, 0, 0, x);
    }
    return NULL;
}

/* The exponent may be of another dtype (opset 12); the result is of x's. */
void wai_lower_pow(wai_lower *l) {
    wai_value *x = wai_lower_input(l, 0);
    wai_value *exponent = wai_lower_aligned(l, x, wai_lower_input(l, 1));
    if (x == NULL || exponent == NULL) {
        return;
    }
    wai_dtype dtype = x->type.dtype;
    bool real = dtype == WAI_F32 || exponent->type.dtype == WAI_F32;
    wai_graph *g = l->graph;
    x = wai_emit_cast(g, x, real ? WAI_F32 : dtype);
    exponent = wai_emit_cast(g, exponent, real ? WAI_F32 : dtype);
    wai_value *y = NULL;
    /* One element of no higher rank: the result has x's dims. */
    if (real && wai_value_is_constant(exponent) && exponent->type.rank <= x->type.rank &&
        wai_type_count(&exponent->type) == 1) {
        float value;
        memcpy(&value, exponent->data, sizeof value);
        y = simple_power(g, x, value);
    }
    if (y == NULL) {
        y = wai_emit_binary(g, WAI_BINARY_POW, x, exponent);
    }
    l->out[0] = wai_emit_cast(g, y, dtype);
}
