/* Operators of com.microsoft that are several of ours: FusedMatMul, BiasGelu,
 * FastGelu, QuickGelu. Those that normalize are in norm_lower.c. */
#include <string.h>

#include "ops/lowering.h"

/* With both of the last two axes swapped; vectors stay. */
static wai_value *flip(wai_lower *l, wai_value *x) {
    uint32_t perm[WAI_MAX_RANK];
    const uint32_t rank = x->type.rank;
    if (rank < 2) {
        return x;
    }
    for (uint32_t i = 0; i < rank; i++) {
        perm[i] = i + 2 == rank ? i + 1 : i + 1 == rank ? i - 1 : i;
    }
    return wai_emit_transpose(l->graph, x, perm);
}

void wai_lower_fused_matmul(wai_lower *l) {
    wai_value *a = wai_lower_input(l, 0), *b = wai_lower_input(l, 1);
    const float alpha = wai_attr_float(l, "alpha", 1);
    const bool flip_a = wai_attr_int(l, "transA", 0) != 0;
    const bool flip_b = wai_attr_int(l, "transB", 0) != 0;
    if (wai_attr_int(l, "transBatchA", 0) != 0 || wai_attr_int(l, "transBatchB", 0) != 0) {
        WAI_LOWER_DECLINE(l, "FusedMatMul with transBatchA or transBatchB");
    }
    if (wai_lower_failed(l)) {
        return;
    }
    a = flip_a ? flip(l, a) : a;
    b = flip_b ? flip(l, b) : b;
    wai_value *y = wai_lower_product(l, a, b);
    if (alpha != 1) {
        y = wai_emit_binary(l->graph, WAI_BINARY_MUL, y, wai_emit_scalar_f32(l->graph, alpha));
    }
    l->out[0] = y;
}

/* BiasGelu is exact, FastGelu by tanh; FastGelu's bias is optional. */
void wai_lower_bias_gelu(wai_lower *l) {
    const bool fast = strcmp(l->op_type, "FastGelu") == 0;
    wai_value *x = wai_lower_input(l, 0);
    wai_value *bias = fast ? wai_lower_optional(l, 1) : wai_lower_input(l, 1);
    if (bias != NULL) {
        x = wai_emit_binary(l->graph, WAI_BINARY_ADD, x, bias);
    }
    l->out[0] = wai_emit_unary(l->graph, fast ? WAI_UNARY_GELU_TANH : WAI_UNARY_GELU, 0, 0, x);
}

/* x * sigmoid(alpha * x) */
void wai_lower_quick_gelu(wai_lower *l) {
    wai_graph *g = l->graph;
    wai_value *x = wai_lower_input(l, 0);
    const float alpha = wai_attr_float(l, "alpha", 1.702f);
    wai_value *scaled = wai_emit_binary(g, WAI_BINARY_MUL, x, wai_emit_scalar_f32(g, alpha));
    scaled = wai_emit_unary(g, WAI_UNARY_SIGMOID, 0, 0, scaled);
    l->out[0] = wai_emit_binary(g, WAI_BINARY_MUL, x, scaled);
}
