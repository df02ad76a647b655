/*
 * fuse_norm: layer normalisation and its root-mean-square form, as exporters
 * spell them where ONNX has no operator for them (below opset 17; TensorFlow):
 *
 *   c = x - mean(x)          v = mean(c * c) + epsilon         (rms: c = x)
 *   c / sqrt(v), c * rsqrt(v), c * (1 / sqrt(v)), c * v^-1/2   [* scale [+ bias]]
 *   x * k + (bias - mean(x) * k)                 k = rsqrt(v) [* scale]
 *
 * Means are over the last axes. One operator reads x three times where the nodes
 * write and read up to seven tensors. Results may differ in the last bits: sums
 * and roots are taken in double.
 */
#include "ops/layer_norm.h"
#include "passes/pass.h"

/* 1 / sqrt(mean of centered^2 + epsilon), the means over axes from `axis` on. */
typedef struct root {
    wai_value *centered;
    uint32_t axis;
    float epsilon;
} root;

/* What `value` is a reshape of, if it is one: layout moves the ones about in
 * values of one number per row. */
static wai_value *before_reshape(wai_value *value) {
    const wai_node *node = wai_pass_producer(value, &wai_op_reshape);
    return node != NULL ? node->in[0] : value;
}

static wai_node *binary_of(const wai_value *value, wai_binary_kind kind) {
    wai_node *node = wai_pass_producer(value, &wai_op_binary);
    return node != NULL && ((const wai_binary_params *)node->params)->kind == kind ? node : NULL;
}

/* x of value = kind(x), or NULL. */
static wai_value *unary_of(const wai_value *value, wai_unary_kind kind) {
    const wai_node *node = wai_pass_producer(value, &wai_op_unary);
    return node != NULL && ((const wai_unary_params *)node->params)->kind == kind ? node->in[0]
                                                                                  : NULL;
}

static bool is_scalar(const wai_value *value, float wanted) {
    float number;
    return wai_pass_scalar(value, &number) && number == wanted;
}

/* x of value = mean(x) over the axes from *axis on, which stay as ones. */
static wai_value *mean_of(const wai_value *value, uint32_t *axis) {
    const wai_node *node = wai_pass_producer(value, &wai_op_reduce);
    const wai_reduce_params *p = node != NULL ? node->params : NULL;
    if (p == NULL || p->kind != WAI_REDUCE_MEAN || p->keep_dims == 0 || p->axes == 0) {
        return NULL;
    }
    const uint32_t rank = node->in[0]->type.rank;
    for (*axis = 0; (p->axes >> *axis & 1u) == 0; ++*axis) {
    }
    return p->axes == (1u << rank) - (1u << *axis) ? node->in[0] : NULL;
}

/* x of value = x^2 */
static wai_value *square_of(const wai_value *value) {
    const wai_node *mul = binary_of(value, WAI_BINARY_MUL);
    const wai_node *pow = binary_of(value, WAI_BINARY_POW);
    if (mul != NULL && mul->in[0] == mul->in[1]) {
        return mul->in[0];
    }
    return pow != NULL && is_scalar(pow->in[1], 2) ? pow->in[0] : NULL;
}

/* value = mean of centered^2 + epsilon */
static bool variance_of(root *r, wai_value *value) {
    const wai_node *add = binary_of(before_reshape(value), WAI_BINARY_ADD);
    for (uint32_t i = 0; add != NULL && i < 2; i++) {
        const wai_value *mean = before_reshape(add->in[1 - i]);
        const wai_value *square = mean_of(mean, &r->axis);
        r->centered = square != NULL ? square_of(square) : NULL;
        if (r->centered != NULL && wai_pass_scalar(add->in[i], &r->epsilon) &&
            wai_type_equal(&add->out[0]->type, &add->in[1 - i]->type)) {
            return r->centered->type.dtype == WAI_F32;
        }
    }
    return false;
}

static bool root_of(root *r, wai_value *value) {
    wai_value *variance = unary_of(before_reshape(value), WAI_UNARY_SQRT);
    return variance != NULL && variance_of(r, variance);
}

static bool inverse_of(root *r, wai_value *value) {
    wai_value *inner = before_reshape(value);
    const wai_node *div = binary_of(inner, WAI_BINARY_DIV);
    const wai_node *pow = binary_of(inner, WAI_BINARY_POW);
    wai_value *of = unary_of(inner, WAI_UNARY_RECIPROCAL);
    if (div != NULL && is_scalar(div->in[0], 1)) {
        of = div->in[1];
    }
    if (of != NULL) {
        return root_of(r, of);
    }
    of = unary_of(inner, WAI_UNARY_RSQRT);
    if (pow != NULL && is_scalar(pow->in[1], -0.5f)) {
        of = pow->in[0];
    }
    return of != NULL && variance_of(r, of);
}

/* Whether `value` has one number for each row of r. */
static bool is_per_row(const wai_value *value, const root *r) {
    const wai_type *x = &r->centered->type, *type = &value->type;
    bool is = type->rank == x->rank;
    for (uint32_t i = 0; is && i < x->rank; i++) {
        is = type->dims[i] == (i < r->axis ? x->dims[i] : 1);
    }
    return is;
}

/* Whether `value` goes with every row of x, axes from `axis` on, one element
 * for each of the row; and needs no reshape at run to be a list. */
static bool is_list(const wai_value *value, const wai_type *x, uint32_t axis) {
    const wai_type *type = &value->type;
    if (type->dtype != WAI_F32 || type->rank > x->rank ||
        (type->rank != 1 && !wai_value_is_constant(value)) ||
        wai_type_count(type) != wai_dims_product(x->dims, axis, x->rank)) {
        return false;
    }
    const uint32_t first = x->rank - type->rank;
    for (uint32_t i = 0; i < type->rank; i++) {
        if (type->dims[i] != (first + i < axis ? 1 : x->dims[first + i])) {
            return false;
        }
    }
    return true;
}

/* The list of value = other * list (or +); the other into *other. */
static wai_value *list_beside(const wai_node *node, wai_binary_kind kind, const wai_value *other,
                              const wai_type *x, uint32_t axis) {
    if (node == NULL || node->op != &wai_op_binary ||
        ((const wai_binary_params *)node->params)->kind != kind) {
        return NULL;
    }
    wai_value *list = node->in[0] == other ? node->in[1] : node->in[0];
    return list != other && is_list(list, x, axis) ? list : NULL;
}

/* ---- what is found ------------------------------------------------------- */

typedef struct norm {
    wai_value *x, *scale, *bias;
    wai_layer_norm_params params;
} norm;

static void norm_init(norm *n, const root *r) {
    const wai_node *sub = binary_of(r->centered, WAI_BINARY_SUB);
    uint32_t axis;
    *n = (norm){r->centered, NULL, NULL, {r->axis, 1, r->epsilon}};
    if (sub != NULL && mean_of(sub->in[1], &axis) == sub->in[0] && axis == r->axis) {
        n->x = sub->in[0];
        n->params.rms = 0;
    }
}

/* The last node of the pattern that has its division or product at `node`, or
 * NULL. */
static wai_node *find_quotient(norm *n, wai_node *node) {
    const uint32_t kind = ((const wai_binary_params *)node->params)->kind;
    root r;
    bool found = kind == WAI_BINARY_DIV && root_of(&r, node->in[1]) && r.centered == node->in[0] &&
                 is_per_row(node->in[1], &r);
    for (uint32_t i = 0; kind == WAI_BINARY_MUL && !found && i < 2; i++) {
        found = inverse_of(&r, node->in[i]) && r.centered == node->in[1 - i] &&
                is_per_row(node->in[i], &r);
    }
    if (!found) {
        return NULL;
    }
    norm_init(n, &r);
    const wai_type *type = &n->x->type;
    wai_node *user = wai_value_only_user(node->out[0]);
    n->scale = list_beside(user, WAI_BINARY_MUL, node->out[0], type, r.axis);
    if (n->scale != NULL) {
        node = user;
        user = wai_value_only_user(node->out[0]);
    }
    n->bias = list_beside(user, WAI_BINARY_ADD, node->out[0], type, r.axis);
    return n->bias != NULL ? user : node;
}

/* `node` = x * k + (bias - mean * k), if it is that. */
static wai_node *find_affine(norm *n, wai_node *node) {
    if (((const wai_binary_params *)node->params)->kind != WAI_BINARY_ADD) {
        return NULL;
    }
    for (uint32_t i = 0; i < 2; i++) {
        const wai_node *scaled = binary_of(node->in[i], WAI_BINARY_MUL);
        const wai_node *rest = binary_of(node->in[1 - i], WAI_BINARY_SUB);
        const wai_node *shift = rest != NULL ? binary_of(rest->in[1], WAI_BINARY_MUL) : NULL;
        for (uint32_t j = 0; scaled != NULL && shift != NULL && j < 4; j++) {
            wai_value *k = scaled->in[j / 2], *mean = shift->in[j % 2];
            const wai_node *mul = binary_of(k, WAI_BINARY_MUL);
            uint32_t axis;
            root r;
            if (shift->in[1 - j % 2] != k || mean_of(mean, &axis) != scaled->in[1 - j / 2]) {
                continue;
            }
            bool found = inverse_of(&r, k) && is_per_row(k, &r);
            uint32_t side = 0;
            for (; !found && mul != NULL && side < 2; side++) {
                found = inverse_of(&r, mul->in[side]) && is_per_row(mul->in[side], &r);
            }
            if (!found) {
                continue;
            }
            norm_init(n, &r);
            n->scale = side != 0 ? mul->in[2 - side] : NULL;
            n->bias = rest->in[0];
            const wai_type *type = &n->x->type;
            if (n->x == scaled->in[1 - j / 2] && n->params.rms == 0 && axis == r.axis &&
                (n->scale == NULL || is_list(n->scale, type, axis)) &&
                is_list(n->bias, type, axis)) {
                return node;
            }
        }
    }
    return NULL;
}

static wai_value *flat(wai_graph *graph, wai_value *list) {
    const uint32_t count = list != NULL ? (uint32_t)wai_type_count(&list->type) : 0;
    return list != NULL ? wai_emit_reshape(graph, list, 1, &count) : NULL;
}

wai_status wai_pass_fuse_norm(wai_graph *graph) {
    wai_node *next;
    for (wai_node *node = graph->first; node != NULL && graph->status == WAI_OK; node = next) {
        next = node->next;
        norm n;
        wai_node *last = NULL;
        if (node->op == &wai_op_binary) {
            last = find_quotient(&n, node);
            last = last != NULL ? last : find_affine(&n, node);
        }
        if (last == NULL || !wai_type_equal(&last->out[0]->type, &n.x->type)) {
            continue;
        }
        wai_pass_at(graph, last);
        wai_value *in[] = {n.x, flat(graph, n.scale), flat(graph, n.bias)};
        wai_value *y = wai_emit(graph, &wai_op_layer_norm, &n.params, in, 3);
        next = node->next != last ? node->next : last->next;
        wai_pass_replace(graph, last, y);
    }
    graph->cursor = NULL;
    return wai_pass_dead_code(graph);
}
