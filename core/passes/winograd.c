/*
 * winograd: packed 3x3 convolutions of stride 1 go over to Winograd's method (ops/winograd.h) where
 * that is faster. It reads the same packed weights. Results differ in their last bits, by about as
 * much as two orders of summing do.
 *
 * Nodes are changed in place: formulas of open dims name nodes and values.
 */
#include "ops/winograd.h"
#include "graph/dynamic.h"
#include "passes/pass.h"
#include "wasmai_compile.h"

/* Costs, in multiply-adds of a direct convolution; fitted to the layers in harness/bench/LOG.md. */
typedef struct costs {
    uint32_t tile;
    double product;       /* per tile, input channel and output channel     */
    double weights;       /* the same per block of tiles                    */
    double input, output; /* per tile and channel                           */
} costs;

static const costs methods[] = {
    {4, 36, 90, 370, 240},
    {2, 16, 40, 130, 80},
};

/* Direct where the gain is less. */
#define MARGIN 1.1

static double cost_of(const costs *c, const wai_winograd *w) {
    const double in = w->in, out = w->out;
    /* Products take four tiles at a time. */
    const double tiles = (double)((w->tiles + 3) / 4 * 4);
    const double blocks = (double)((w->tiles + w->block - 1) / w->block);
    return tiles * c->product * in * out + blocks * c->weights * in * out +
           (double)w->tiles * (c->input * in + c->output * out);
}

/* What infer asks for; the layout of one channel is that of depthwise kernels. */
static bool suits(const wai_graph *graph, const wai_node *node) {
    const wai_conv_params *p = node->params;
    if (node->op != &wai_op_conv2d || p->packed != 1 || p->groups != 1 || p->kernel_h != 3 ||
        p->kernel_w != 3 || p->stride_h != 1 || p->stride_w != 1 || p->dilation_h != 1 ||
        p->dilation_w != 1 || (p->group_in == 1 && p->group_out == 1) || p->group_in == 0) {
        return false;
    }
    const struct wai_dynamic *d = graph->dynamic;
    for (uint32_t i = 0; d != NULL && i < d->use_count; i++) {
        if (d->uses[i].node == node) {
            return false; /* pads that follow from dims */
        }
    }
    return wai_winograd_weights_size(p->group_in, p->group_out) == node->in[1]->type.dims[0];
}

static wai_winograd_params params_of(const wai_conv_params *p, uint32_t tile) {
    return (wai_winograd_params){tile,          p->group_in,  p->group_out, p->pad_top, p->pad_left,
                                 p->pad_bottom, p->pad_right, p->min,       p->max};
}

/* 2, 4, or 0 for the direct convolution. */
static uint32_t choose(const wai_node *node) {
    const wai_conv_params *p = node->params;
    const wai_type *x = &node->in[0]->type, *y = &node->out[0]->type;
    double best = 9.0 * p->group_in * (double)wai_type_count(y) / MARGIN;
    uint32_t tile = 0;
    for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++) {
        const wai_winograd_params w = params_of(p, methods[i].tile);
        wai_winograd plan;
        if (wai_winograd_plan(&plan, &w, x, y) != 0 && cost_of(&methods[i], &plan) < best) {
            best = cost_of(&methods[i], &plan);
            tile = methods[i].tile;
        }
    }
    return tile;
}

static void convert(wai_graph *graph, wai_node *node, uint32_t tile) {
    wai_winograd_params *p = wai_arena_alloc(graph->arena, sizeof *p);
    if (p == NULL) {
        wai_graph_fail(graph, WAI_ERR_MEMORY, "out of memory in the compiler");
        return;
    }
    *p = params_of(node->params, tile);
    wai_winograd plan;
    if (wai_winograd_plan(&plan, p, &node->in[0]->type, &node->out[0]->type) != 0) {
        node->op = &wai_op_winograd;
        node->params = p;
    }
}

wai_status wai_pass_winograd(wai_graph *graph) {
    if (graph->winograd == WAI_WINOGRAD_OFF) {
        return graph->status;
    }
    for (wai_node *node = graph->first; node != NULL && graph->status == WAI_OK;
         node = node->next) {
        if (suits(graph, node)) {
            const uint32_t tile =
                graph->winograd == WAI_WINOGRAD_AUTO ? choose(node) : graph->winograd;
            if (tile != 0) {
                convert(graph, node, tile);
            }
        }
    }
    return graph->status;
}
