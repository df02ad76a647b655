/*
 * stem: packed convolutions of few input channels go over to ops/stem.h, where that is faster. It
 * reads the same packed weights, and sums are in the same order.
 *
 * Nodes are changed in place: formulas of open dims name nodes and values.
 */
#include "ops/stem.h"
#include "ops/conv_common.h"
#include "passes/pass.h"
#include "wasmai_compile.h"

/* More than these XNNPACK does as fast. */
#define MOST_CHANNELS 4u

/* The layout of one channel is that of depthwise kernels. */
static bool suits(const wai_node *node) {
    const wai_conv_params *p = node->params;
    return node->op == &wai_op_conv2d && p->group_in <= MOST_CHANNELS &&
           (p->group_in > 1 || p->group_out > 1) && wai_stem_takes(p) &&
           wai_conv_packed_size(p) == node->in[1]->type.dims[0];
}

/* Winograd's method was asked for by its tile, and does this one. */
static bool is_promised(const wai_graph *graph, const wai_node *node) {
    const wai_conv_params *p = node->params;
    return graph->winograd != WAI_WINOGRAD_OFF && graph->winograd != WAI_WINOGRAD_AUTO &&
           p->kernel_h == 3 && p->kernel_w == 3 && p->stride_h == 1 && p->stride_w == 1;
}

wai_status wai_pass_stem(wai_graph *graph) {
    for (wai_node *node = graph->first; node != NULL; node = node->next) {
        if (suits(node) && !is_promised(graph, node)) {
            node->op = &wai_op_stem;
        }
    }
    return graph->status;
}
