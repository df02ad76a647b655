/*
 * fuse_scale: x * a, x / a, x + b, x - b and b - x behind conv2d, deconv2d or
 * fully_connected, with constants per output channel (BatchNormalization is a
 * pair of them), into weights and bias. Rounding moves: a weight is scaled once
 * instead of every output, so last bits differ.
 *
 * A single number may also stand behind transposes and a matmul in between:
 * attention divides its scores by a root of the depth.
 */
#include <math.h>
#include <string.h>

#include "passes/pass.h"

/* What the node behind does to channel c: y[c] = x[c] * scale[c] + shift[c],
 * or x[c] / scale[c] when `divide`. */
typedef struct affine {
    float *scale, *shift;
    bool scales, shifts, divide;
} affine;

static bool has_raw_weights(const wai_node *node) {
    float min, max;
    uint32_t packed;
    if (node->op == &wai_op_conv2d || node->op == &wai_op_deconv2d) {
        const wai_conv_params *params = node->params;
        min = params->min, max = params->max, packed = params->packed;
    } else if (node->op == &wai_op_fully_connected) {
        const wai_fully_connected_params *params = node->params;
        min = params->min, max = params->max, packed = params->packed;
    } else {
        return false;
    }
    bool constant_bias =
        node->in_count < 3 || node->in[2] == NULL || wai_value_is_constant(node->in[2]);
    return packed == 0 && min == -INFINITY && max == INFINITY &&
           wai_value_is_constant(node->in[1]) && constant_bias;
}

/* One number per channel out of a constant that broadcasts along the last
 * axis only. */
static bool per_channel(float *out, uint32_t channels, const wai_value *value) {
    const wai_type *type = &value->type;
    size_t count = wai_type_count(type);
    if (!wai_value_is_constant(value) || type->dtype != WAI_F32 ||
        (count != 1 && (count != channels || type->dims[type->rank - 1] != channels))) {
        return false;
    }
    const float *data = value->data;
    for (uint32_t c = 0; c < channels; c++) {
        out[c] = data[count == 1 ? 0 : c];
        if (!isfinite(out[c])) {
            return false; /* infinities come in where products vanish */
        }
    }
    return true;
}

static bool read_affine(affine *a, uint32_t channels, const wai_node *node, uint32_t constant) {
    uint32_t kind = ((const wai_binary_params *)node->params)->kind;
    bool second = constant == 1;
    a->scales = kind == WAI_BINARY_MUL || (kind == WAI_BINARY_DIV && second);
    a->divide = kind == WAI_BINARY_DIV;
    a->shifts = kind == WAI_BINARY_ADD || kind == WAI_BINARY_SUB;
    if ((!a->scales && !a->shifts) ||
        !per_channel(a->scales ? a->scale : a->shift, channels, node->in[constant])) {
        return false;
    }
    for (uint32_t c = 0; c < channels && kind == WAI_BINARY_SUB; c++) {
        if (second) {
            a->shift[c] = -a->shift[c];
        } else {
            a->scale[c] = -1.0f;
            a->scales = true;
        }
    }
    return true;
}

/* False if a number leaves the range of floats. */
static bool scale_rows(float *out, const float *in, uint32_t rows, size_t columns,
                       const affine *a) {
    bool finite = true;
    for (uint32_t r = 0; r < rows; r++) {
        for (size_t c = 0; c < columns; c++, in++, out++) {
            *out = a->divide ? *in / a->scale[r] : *in * a->scale[r];
            finite = finite && isfinite(*out);
        }
    }
    return finite;
}

static void *take(wai_graph *graph, size_t count) {
    void *memory = wai_arena_alloc(graph->arena, wai_slot_size(count * sizeof(float)));
    if (memory == NULL) {
        wai_graph_fail(graph, WAI_ERR_MEMORY, "out of memory in the compiler");
    }
    return memory;
}

/* The node again with weights and bias changed, or NULL. */
static wai_value *apply(wai_graph *graph, wai_node *node, uint32_t channels, const affine *a) {
    wai_value *in[3] = {node->in[0], node->in[1], node->in_count > 2 ? node->in[2] : NULL};
    if (a->scales) {
        size_t count = wai_type_count(&in[1]->type);
        float *weights = take(graph, count);
        if (weights == NULL || !scale_rows(weights, in[1]->data, channels, count / channels, a)) {
            return NULL;
        }
        in[1] = wai_graph_constant(graph, &in[1]->type, weights, in[1]->name);
    }
    if (in[2] != NULL || a->shifts) {
        wai_type type = wai_type_make(WAI_F32, 1, &channels);
        float *bias = take(graph, channels);
        if (bias == NULL) {
            return NULL;
        }
        if (in[2] != NULL) {
            memcpy(bias, in[2]->data, channels * sizeof *bias);
        }
        if (a->scales && !scale_rows(bias, bias, channels, 1, a)) {
            return NULL;
        }
        for (uint32_t c = 0; c < channels && a->shifts; c++) {
            bias[c] += a->shift[c];
        }
        in[2] = wai_graph_constant(graph, &type, bias, in[2] != NULL ? in[2]->name : NULL);
    }
    wai_pass_at(graph, node);
    return wai_emit(graph, node->op, node->params, in, 3);
}

static bool is_linear(const wai_node *node) {
    return node != NULL && (node->op == &wai_op_reshape || node->op == &wai_op_transpose ||
                            node->op == &wai_op_matmul);
}

/* What computes `value`, looking through single uses of which each is
 * multiplied by what its operand is; `side` of a matmul. */
static wai_node *behind_scale(const wai_value *value, uint32_t side) {
    const wai_node *node = value->producer;
    while (wai_value_use_count(value) == 1 && is_linear(node)) {
        value = node->in[node->op == &wai_op_matmul ? side : 0];
        node = value->producer;
    }
    return wai_value_use_count(value) == 1 ? value->producer : NULL;
}

static wai_node *behind(const wai_node *node, uint32_t constant, uint32_t attempt) {
    const wai_value *x = node->in[1 - constant];
    const uint32_t kind = ((const wai_binary_params *)node->params)->kind;
    float number;
    if (attempt == 0) {
        return wai_pass_behind(x, true);
    }
    return wai_pass_scalar(node->in[constant], &number) &&
                   (kind == WAI_BINARY_MUL || (kind == WAI_BINARY_DIV && constant == 1))
               ? behind_scale(x, attempt - 1)
               : NULL;
}

#define ATTEMPTS 3u /* of `behind` */

static bool fuse(wai_graph *graph, wai_node *node, uint32_t constant, uint32_t attempt) {
    wai_value *x = node->in[1 - constant];
    wai_node *before = behind(node, constant, attempt);
    if (before == NULL || !wai_value_is_constant(node->in[constant]) ||
        !wai_type_equal(&x->type, &node->out[0]->type) || !has_raw_weights(before)) {
        return false;
    }
    const wai_type *type = &before->out[0]->type;
    uint32_t channels = type->dims[type->rank - 1];
    if (channels == 0 || wai_type_count(&before->in[1]->type) == 0) {
        return false;
    }
    affine a = {.scale = take(graph, channels), .shift = take(graph, channels)};
    if (a.scale == NULL || a.shift == NULL || !read_affine(&a, channels, node, constant)) {
        return false;
    }
    wai_value *scaled = apply(graph, before, channels, &a);
    if (scaled == NULL) {
        return false;
    }
    /* What stands between `before` and here stays. */
    bool direct = x == before->out[0];
    wai_pass_replace(graph, before, scaled);
    wai_pass_replace(graph, node, direct ? scaled : x);
    return true;
}

wai_status wai_pass_fuse_scale(wai_graph *graph) {
    wai_node *next;
    for (wai_node *node = graph->first; node != NULL && graph->status == WAI_OK; node = next) {
        next = node->next;
        bool done = node->op != &wai_op_binary;
        for (uint32_t i = 0; !done && i < 2 * ATTEMPTS; i++) {
            done = fuse(graph, node, 1 - i % 2, i / 2);
        }
    }
    graph->cursor = NULL;
    return graph->status;
}
