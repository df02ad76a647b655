/*
 * fuse_pad: zeros around height and width into the padding of the convolution
 * or pool that reads them, where that is exact:
 *
 *   conv2d        always: its padding is zeros.
 *   average pool  the zeros were counted, so they must be counted as padding
 *                 (average_include_pad); a pool that pads by itself and does not
 *                 count that cannot tell the two apart.
 *   max pool      its padding never wins; zeros never win either when no input
 *                 is below zero and every window holds a real element. Minus
 *                 infinity never wins anyway.
 */
#include <math.h>
#include <string.h>

#include "passes/pass.h"

typedef struct border {
    uint32_t top, left, bottom, right;
    float value;
} border;

/* The constant border that `pad` puts around axes 1 and 2 of [N,H,W,C], and
 * nothing else. */
static bool border_of(const wai_node *pad, border *b) {
    const wai_pad_params *params = pad->params;
    const wai_type *type = &pad->in[0]->type;
    b->value = 0;
    if (params->mode != WAI_PAD_CONSTANT || type->dtype != WAI_F32 || type->rank != 4 ||
        (pad->in_count > 1 && pad->in[1] != NULL && !wai_pass_scalar(pad->in[1], &b->value)) ||
        params->before[0] != 0 || params->after[0] != 0 || params->before[3] != 0 ||
        params->after[3] != 0) {
        return false;
    }
    b->top = params->before[1];
    b->bottom = params->after[1];
    b->left = params->before[2];
    b->right = params->after[2];
    return true;
}

/* True if no element can be below zero (or is NaN, which the caller's max
 * treats alike both ways). */
static bool is_not_negative(const wai_value *value) {
    const wai_node *node = value->producer;
    if (node == NULL) {
        return false;
    }
    if (node->op == &wai_op_clamp) {
        return ((const wai_clamp_params *)node->params)->min >= 0;
    }
    if (node->op == &wai_op_conv2d || node->op == &wai_op_deconv2d) {
        return ((const wai_conv_params *)node->params)->min >= 0;
    }
    return node->op == &wai_op_unary &&
           (((const wai_unary_params *)node->params)->kind == WAI_UNARY_SIGMOID ||
            ((const wai_unary_params *)node->params)->kind == WAI_UNARY_HARD_SIGMOID);
}

static bool add_to_conv(wai_conv_params *params, const border *b) {
    params->pad_top += b->top;
    params->pad_left += b->left;
    params->pad_bottom += b->bottom;
    params->pad_right += b->right;
    return b->value == 0;
}

/* Padding as large as the window would make windows without an element. */
static bool every_window_is_real(const wai_pool_params *params) {
    for (uint32_t i = 0; i < 2; i++) {
        uint64_t reach = (uint64_t)(params->kernel[i] - 1) * params->dilation[i] + 1;
        if (params->pad_before[i] >= reach || params->pad_after[i] >= reach) {
            return false;
        }
    }
    return true;
}

static bool add_to_pool(wai_pool_params *params, const border *b, const wai_value *x) {
    bool pads = (params->pad_before[0] | params->pad_before[1] | params->pad_after[0] |
                 params->pad_after[1]) != 0;
    if (params->spatial != 2 || params->kernel[0] == 0 || params->kernel[1] == 0) {
        return false;
    }
    params->pad_before[0] += b->top;
    params->pad_before[1] += b->left;
    params->pad_after[0] += b->bottom;
    params->pad_after[1] += b->right;
    if (!every_window_is_real(params)) {
        return false;
    }
    if (params->kind == WAI_POOL_MAX) {
        return b->value == -INFINITY || (b->value == 0 && is_not_negative(x));
    }
    if (params->kind == WAI_POOL_AVERAGE && pads) {
        return false;
    }
    params->kind = WAI_POOL_AVERAGE_INCLUDE_PAD;
    return b->value == 0;
}

static bool fuse(wai_graph *graph, wai_node *node, const wai_node *pad) {
    border b;
    wai_value *x = pad->in[0];
    union {
        wai_conv_params conv;
        wai_pool_params pool;
    } params;
    if (!border_of(pad, &b)) {
        return false;
    }
    memcpy(&params, node->params, node->op->params_size);
    bool fits = node->op == &wai_op_conv2d ? add_to_conv(&params.conv, &b)
                                           : add_to_pool(&params.pool, &b, x);
    if (!fits || !wai_pass_fits(node, &params, x)) {
        return false;
    }
    memcpy(node->params, &params, node->op->params_size);
    wai_node_set_input(graph, node, 0, x);
    return true;
}

wai_status wai_pass_fuse_pad(wai_graph *graph) {
    for (wai_node *node = graph->first; node != NULL && graph->status == WAI_OK;
         node = node->next) {
        if (node->op != &wai_op_conv2d && node->op != &wai_op_pool) {
            continue;
        }
        const wai_node *pad = wai_pass_producer(node->in[0], &wai_op_pad);
        while (pad != NULL && fuse(graph, node, pad)) {
            pad = wai_pass_producer(node->in[0], &wai_op_pad);
        }
    }
    return wai_pass_dead_code(graph);
}
