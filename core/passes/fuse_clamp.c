/* fuse_clamp: a clamp (Relu, Relu6, Clip) behind an operator that can clamp
 * what it writes. */
#include <math.h>

#include "passes/pass.h"

static bool bounds_of(wai_node *node, float **min, float **max) {
    if (node->op == &wai_op_conv2d || node->op == &wai_op_deconv2d) {
        wai_conv_params *params = node->params;
        *min = &params->min;
        *max = &params->max;
    } else if (node->op == &wai_op_fully_connected) {
        wai_fully_connected_params *params = node->params;
        *min = &params->min;
        *max = &params->max;
    } else if (node->op == &wai_op_pool) {
        wai_pool_params *params = node->params;
        *min = &params->min;
        *max = &params->max;
    } else {
        return false;
    }
    return true;
}

wai_status wai_pass_fuse_clamp(wai_graph *graph) {
    wai_node *next;
    for (wai_node *node = graph->first; node != NULL && graph->status == WAI_OK; node = next) {
        next = node->next;
        if (node->op != &wai_op_clamp) {
            continue;
        }
        const wai_clamp_params *clamp = node->params;
        wai_node *before = wai_pass_behind(node->in[0], false);
        float *min;
        float *max;
        if (before == NULL || !bounds_of(before, &min, &max) || !(clamp->min <= clamp->max) ||
            !(*min <= *max)) {
            continue;
        }
        float low = fminf(fmaxf(*min, clamp->min), clamp->max);
        float high = fminf(fmaxf(*max, clamp->min), clamp->max);
        /* XNNPACK wants a range, not a point. */
        if (low < high) {
            *min = low;
            *max = high;
            wai_pass_replace(graph, node, node->in[0]);
        }
    }
    return graph->status;
}
