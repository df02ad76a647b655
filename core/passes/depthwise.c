/*
 * depthwise: convolutions of one channel per group become our own operator where
 * it has a kernel, with weights in its order. Sums are in another order than
 * XNNPACK's: row by row instead of column by column.
 */
#include "passes/pass.h"

static bool fits(const wai_node *node) {
    const wai_conv_params *p = node->params;
    return node->op == &wai_op_conv2d && p->packed == 0 && p->group_in == 1 && p->group_out == 1 &&
           p->groups % 4 == 0 && p->kernel_h == p->kernel_w &&
           (p->kernel_h == 3 || p->kernel_h == 5) && p->stride_h == p->stride_w &&
           p->stride_h <= 2 && p->dilation_h == p->dilation_w &&
           (p->stride_h == 1 || p->dilation_h == 1) && wai_value_is_constant(node->in[1]) &&
           (node->in_count < 3 || node->in[2] == NULL || wai_value_is_constant(node->in[2]));
}

/* [C,k,k,1] and [C] -> [C/4, 1 + k * k, 4] */
static wai_value *weights_of(wai_graph *graph, const wai_node *node) {
    const wai_conv_params *p = node->params;
    const uint32_t taps = p->kernel_h * p->kernel_w;
    const wai_type type = wai_type_make(WAI_F32, 3, (uint32_t[]){p->groups / 4, 1 + taps, 4});
    const float *w = node->in[1]->data;
    const float *bias = node->in_count > 2 && node->in[2] != NULL ? node->in[2]->data : NULL;
    float *packed = wai_arena_alloc(graph->arena, wai_slot_size(wai_type_size(&type)));
    if (packed == NULL) {
        wai_graph_fail(graph, WAI_ERR_MEMORY, "out of memory in the compiler");
        return NULL;
    }
    for (uint32_t c = 0; c < p->groups; c++) {
        float *to = packed + (size_t)(c / 4) * (1 + taps) * 4 + c % 4;
        to[0] = bias != NULL ? bias[c] : 0;
        for (uint32_t i = 0; i < taps; i++) {
            to[(1 + i) * 4] = w[(size_t)c * taps + i];
        }
    }
    return wai_graph_constant(graph, &type, packed, node->in[1]->name);
}

wai_status wai_pass_depthwise(wai_graph *graph) {
    wai_node *next;
    for (wai_node *node = graph->first; node != NULL && graph->status == WAI_OK; node = next) {
        next = node->next;
        if (!fits(node)) {
            continue;
        }
        const wai_conv_params *p = node->params;
        const wai_depthwise_params params = {.kernel = p->kernel_h,
                                             .stride = p->stride_h,
                                             .dilation = p->dilation_h,
                                             .pad_top = p->pad_top,
                                             .pad_left = p->pad_left,
                                             .pad_bottom = p->pad_bottom,
                                             .pad_right = p->pad_right,
                                             .min = p->min,
                                             .max = p->max};
        wai_pass_at(graph, node);
        wai_value *in[] = {node->in[0], weights_of(graph, node)};
        wai_pass_replace(graph, node, wai_emit(graph, &wai_op_depthwise, &params, in, 2));
    }
    graph->cursor = NULL;
    return graph->status;
}
