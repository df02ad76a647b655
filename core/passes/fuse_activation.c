/*
 * fuse_activation: activation functions that a model spells out. All are
 * products in which x stands beside a function of x:
 *
 *   silu         x * sigmoid(x)
 *   mish         x * tanh(softplus(x))
 *   hard_sigmoid clamp(x + 3, 0, 6) / 6
 *   hard_swish   x * hard_sigmoid(x, 1/6, 1/2)
 *   gelu         x * 1/2 * (1 + erf(x / sqrt 2))
 *   gelu_tanh    x * 1/2 * (1 + tanh(sqrt(2/pi) * (x + 0.044715 x^3)))
 *
 * Exporters place the constants at will, so a tree of multiplications is first
 * flattened into one number times factors. Results may differ in the last bits:
 * one rounding instead of several.
 */
#include <math.h>

#include "passes/pass.h"

#define MAX_FACTORS 4u

typedef struct product {
    double scale;
    wai_value *factors[MAX_FACTORS];
    uint32_t count;
} product;

static wai_node *binary_of(const wai_value *value, wai_binary_kind kind) {
    wai_node *node = wai_pass_producer(value, &wai_op_binary);
    return node != NULL && ((const wai_binary_params *)node->params)->kind == kind ? node : NULL;
}

static const wai_unary_params *unary_of(const wai_value *value, wai_unary_kind kind) {
    const wai_node *node = wai_pass_producer(value, &wai_op_unary);
    const wai_unary_params *params = node != NULL ? node->params : NULL;
    return params != NULL && params->kind == kind ? params : NULL;
}

/* Exporters print their constants with about seven digits. */
static bool close_to(double number, double wanted) {
    return fabs(number - wanted) <= 2e-6 * fabs(wanted);
}

/* Multiply `p` by `value`, whose multiplications are opened up if nothing else
 * uses them. False when there are too many factors. */
static bool multiply(product *p, wai_value *root) {
    wai_value *open[MAX_FACTORS + 1];
    uint32_t open_count = 0;
    open[open_count++] = root;
    while (open_count > 0) {
        wai_value *value = open[--open_count];
        const wai_node *mul = binary_of(value, WAI_BINARY_MUL);
        const wai_node *div = binary_of(value, WAI_BINARY_DIV);
        const wai_node *node = mul != NULL ? mul : div;
        bool ours = value == root || wai_value_use_count(value) == 1;
        float number;
        if (node != NULL && ours && wai_pass_scalar(node->in[1], &number) &&
            wai_type_equal(&node->in[0]->type, &root->type)) {
            p->scale = mul != NULL ? p->scale * number : p->scale / number;
            open[open_count++] = node->in[0];
        } else if (mul != NULL && ours && wai_pass_scalar(mul->in[0], &number) &&
                   wai_type_equal(&mul->in[1]->type, &root->type)) {
            p->scale *= number;
            open[open_count++] = mul->in[1];
        } else if (mul != NULL && ours && open_count + p->count + 2 <= MAX_FACTORS &&
                   wai_type_equal(&mul->in[0]->type, &root->type) &&
                   wai_type_equal(&mul->in[1]->type, &root->type)) {
            open[open_count++] = mul->in[1];
            open[open_count++] = mul->in[0];
        } else if (p->count < MAX_FACTORS) {
            p->factors[p->count++] = value;
        } else {
            return false;
        }
    }
    return true;
}

static bool product_of(product *p, wai_value *value) {
    *p = (product){.scale = 1};
    return multiply(p, value);
}

/* The other operand of value = other + number. */
static wai_value *sum_with(const wai_value *value, double wanted) {
    const wai_node *add = binary_of(value, WAI_BINARY_ADD);
    float number;
    for (uint32_t i = 0; add != NULL && i < 2; i++) {
        if (wai_pass_scalar(add->in[i], &number) && close_to(number, wanted) &&
            wai_type_equal(&add->in[1 - i]->type, &value->type)) {
            return add->in[1 - i];
        }
    }
    return NULL;
}

static bool is_scaled(wai_value *value, const wai_value *x, double scale) {
    product p;
    return product_of(&p, value) && p.count == 1 && p.factors[0] == x && close_to(p.scale, scale);
}

/* value = 0.044715 * x^3 */
static bool is_cube(wai_value *value, wai_value *x) {
    product p;
    float exponent;
    if (!product_of(&p, value) || !close_to(p.scale, 0.044715)) {
        return false;
    }
    if (p.count == 3) {
        return p.factors[0] == x && p.factors[1] == x && p.factors[2] == x;
    }
    if (p.count == 1) {
        const wai_node *pow = binary_of(p.factors[0], WAI_BINARY_POW);
        return pow != NULL && pow->in[0] == x && wai_pass_scalar(pow->in[1], &exponent) &&
               exponent == 3.0f;
    }
    /* x * (x * x), where the square has another use */
    for (uint32_t i = 0; p.count == 2 && i < 2; i++) {
        const wai_node *square = binary_of(p.factors[i], WAI_BINARY_MUL);
        if (p.factors[1 - i] == x && square != NULL && square->in[0] == x && square->in[1] == x) {
            return true;
        }
    }
    return false;
}

/* value = sqrt(2/pi) * (x + 0.044715 x^3) */
static bool is_gelu_tanh_argument(wai_value *value, wai_value *x) {
    product p;
    if (!product_of(&p, value) || p.count != 1 || !close_to(p.scale, 0.7978845608028654)) {
        return false;
    }
    const wai_node *add = binary_of(p.factors[0], WAI_BINARY_ADD);
    return add != NULL && ((add->in[0] == x && is_cube(add->in[1], x)) ||
                           (add->in[1] == x && is_cube(add->in[0], x)));
}

/* x of value = clamp(x + 3, 0, 6) */
static wai_value *clamp_of_plus_three(const wai_value *value) {
    const wai_node *clamp = wai_pass_producer(value, &wai_op_clamp);
    const wai_clamp_params *params = clamp != NULL ? clamp->params : NULL;
    return params != NULL && params->min == 0.0f && params->max == 6.0f ? sum_with(clamp->in[0], 3)
                                                                        : NULL;
}

/* The activation f with x * scale * y = f(x), or 0. */
static uint32_t activation_of(wai_value *x, wai_value *y, double scale) {
    if (close_to(scale, 1)) {
        const wai_unary_params *hard = unary_of(y, WAI_UNARY_HARD_SIGMOID);
        if (unary_of(y, WAI_UNARY_SIGMOID) != NULL && y->producer->in[0] == x) {
            return WAI_UNARY_SILU;
        }
        if (hard != NULL && y->producer->in[0] == x && close_to(hard->alpha, 1.0 / 6) &&
            close_to(hard->beta, 0.5)) {
            return WAI_UNARY_HARD_SWISH;
        }
        if (unary_of(y, WAI_UNARY_TANH) != NULL &&
            unary_of(y->producer->in[0], WAI_UNARY_SOFTPLUS) != NULL &&
            y->producer->in[0]->producer->in[0] == x) {
            return WAI_UNARY_MISH;
        }
    }
    if (close_to(scale, 1.0 / 6) && clamp_of_plus_three(y) == x) {
        return WAI_UNARY_HARD_SWISH;
    }
    wai_value *bent = close_to(scale, 0.5) ? sum_with(y, 1) : NULL;
    if (bent != NULL && unary_of(bent, WAI_UNARY_ERF) != NULL &&
        is_scaled(bent->producer->in[0], x, 0.7071067811865476)) {
        return WAI_UNARY_GELU;
    }
    if (bent != NULL && unary_of(bent, WAI_UNARY_TANH) != NULL &&
        is_gelu_tanh_argument(bent->producer->in[0], x)) {
        return WAI_UNARY_GELU_TANH;
    }
    return 0;
}

static wai_value *fuse(wai_graph *graph, wai_node *node) {
    product p;
    if (node->out[0]->type.dtype != WAI_F32 || !product_of(&p, node->out[0])) {
        return NULL;
    }
    wai_value *x = p.count == 1 ? clamp_of_plus_three(p.factors[0]) : NULL;
    if (x != NULL && close_to(p.scale, 1.0 / 6)) {
        return wai_emit_unary(graph, WAI_UNARY_HARD_SIGMOID, 1.0f / 6, 0.5f, x);
    }
    for (uint32_t i = 0; p.count == 2 && i < 2; i++) {
        uint32_t kind = activation_of(p.factors[i], p.factors[1 - i], p.scale);
        if (kind != 0) {
            return wai_emit_unary(graph, kind, 0, 0, p.factors[i]);
        }
    }
    return NULL;
}

wai_status wai_pass_fuse_activation(wai_graph *graph) {
    wai_node *next;
    for (wai_node *node = graph->first; node != NULL && graph->status == WAI_OK; node = next) {
        next = node->next;
        const wai_binary_params *params = node->params;
        if (node->op != &wai_op_binary ||
            (params->kind != WAI_BINARY_MUL && params->kind != WAI_BINARY_DIV)) {
            continue;
        }
        wai_pass_at(graph, node);
        wai_value *value = fuse(graph, node);
        if (value != NULL) {
            wai_pass_replace(graph, node, value);
        }
    }
    graph->cursor = NULL;
    return wai_pass_dead_code(graph);
}
