/* com.microsoft FusedConv and FusedGemm: ONNX's operator, what is added to it,
 * and a function behind. Passes fuse them again where a kernel can. */
#include <math.h>
#include <string.h>

#include "ops/lowering.h"

typedef struct function {
    const char *name;
    wai_unary_kind kind;
    float defaults[2]; /* where the node names no numbers */
    uint32_t count;    /* of numbers the function has */
} function;

static const function functions[] = {
    {"Elu", WAI_UNARY_ELU, {1, 0}, 1},
    {"HardSigmoid", WAI_UNARY_HARD_SIGMOID, {0.2f, 0.5f}, 2},
    {"HardSwish", WAI_UNARY_HARD_SWISH, {0, 0}, 0},
    {"LeakyRelu", WAI_UNARY_LEAKY_RELU, {0.01f, 0}, 1},
    {"Selu", WAI_UNARY_SELU, {1.67326319217681884765625f, 1.05070102214813232421875f}, 2},
    {"Sigmoid", WAI_UNARY_SIGMOID, {0, 0}, 0},
    {"Softplus", WAI_UNARY_SOFTPLUS, {0, 0}, 0},
    {"Softsign", WAI_UNARY_SOFTSIGN, {0, 0}, 0},
    {"Tanh", WAI_UNARY_TANH, {0, 0}, 0},
    {"ThresholdedRelu", WAI_UNARY_THRESHOLDED_RELU, {1, 0}, 1},
};

static wai_value *apply(wai_lower *l, wai_value *x, const char *name, const float *numbers,
                        uint32_t count) {
    wai_graph *g = l->graph;
    if (name[0] == 0 || wai_lower_failed(l)) {
        return x;
    }
    if (strcmp(name, "Relu") == 0) {
        return wai_emit_clamp(g, x, 0, INFINITY);
    }
    if (strcmp(name, "Clip") == 0) {
        return wai_emit_clamp(g, x, count > 0 ? numbers[0] : -INFINITY,
                              count > 1 ? numbers[1] : INFINITY);
    }
    for (size_t i = 0; i < sizeof functions / sizeof functions[0]; i++) {
        const function *f = &functions[i];
        if (strcmp(f->name, name) == 0) {
            const float alpha = f->count > 0 && count > 0 ? numbers[0] : f->defaults[0];
            const float beta = f->count > 1 && count > 1 ? numbers[1] : f->defaults[1];
            return wai_emit_unary(g, f->kind, alpha, beta, x);
        }
    }
    WAI_LOWER_DECLINE(l, "activation %s of %s", name, l->op_type);
    return NULL;
}

/* activation(conv(X, W) + B + Z) */
void wai_lower_fused_conv(wai_lower *l) {
    wai_value *in[] = {wai_lower_input(l, 0), wai_lower_input(l, 1), wai_lower_optional(l, 2)};
    wai_value *z = wai_lower_optional(l, 3);
    float numbers[2];
    const char *name = wai_attr_string(l, "activation", "");
    const uint32_t count = wai_attr_floats(l, "activation_params", numbers, 2);
    wai_value *y = wai_lower_one_as(l, wai_lower_conv, "Conv", 11, in, 3);
    if (z != NULL && y != NULL) {
        char have[WAI_TYPE_TEXT], want[WAI_TYPE_TEXT];
        if (!wai_type_equal(&z->type, &y->type)) {
            WAI_LOWER_REFUSE(l, "Z of %s is %s, expected %s", l->op_type,
                             wai_type_text(&z->type, have), wai_type_text(&y->type, want));
            return;
        }
        y = wai_emit_binary(l->graph, WAI_BINARY_ADD, y, z);
    }
    l->out[0] = apply(l, y, name, numbers, count);
}

/* The numbers of a function are attributes of their own here. */
void wai_lower_fused_gemm(wai_lower *l) {
    wai_value *in[] = {wai_lower_input(l, 0), wai_lower_input(l, 1), wai_lower_optional(l, 2)};
    const char *name = wai_attr_string(l, "activation", "");
    const bool selu = strcmp(name, "Selu") == 0;
    const bool first = wai_attr_has(l, "activation_alpha");
    const float numbers[] = {
        wai_attr_float(l, "activation_alpha", 0),
        selu ? wai_attr_float(l, "activation_gamma", 0) : wai_attr_float(l, "activation_beta", 0),
    };
    wai_attr_ignore(l, selu ? "activation_beta" : "activation_gamma"); /* it has none */
    const bool second = wai_attr_has(l, selu ? "activation_gamma" : "activation_beta");
    wai_value *y = wai_lower_one_as(l, wai_lower_gemm, "Gemm", 13, in, 3);
    l->out[0] = apply(l, y, name, numbers, first && second ? 2 : first ? 1 : 0);
}
