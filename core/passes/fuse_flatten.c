/*
 * fuse_flatten: a transpose whose elements are flattened for a fully_connected
 * (the end of LeNet, AlexNet, VGG) goes into the order of the weights. The
 * products are added in another order, so last bits may differ.
 */
#include <string.h>

#include "passes/pass.h"

/* The transpose behind reshape [N, ...] -> [..., I] at the input of `node`, if
 * it leaves axis 0 in place and only the axes behind it are flattened. */
static wai_node *flattened(const wai_node *node) {
    const wai_value *flat = node->in[0];
    const wai_node *reshape = wai_pass_producer(flat, &wai_op_reshape);
    wai_node *transpose =
        reshape != NULL ? wai_pass_producer(reshape->in[0], &wai_op_transpose) : NULL;
    if (transpose == NULL || wai_value_use_count(transpose->out[0]) != 1) {
        return NULL;
    }
    const wai_type *type = &transpose->out[0]->type;
    bool first_stays = ((const wai_transpose_params *)transpose->params)->perm[0] == 0;
    return first_stays && wai_dims_product(type->dims, 1, type->rank) ==
                              flat->type.dims[flat->type.rank - 1]
               ? transpose
               : NULL;
}

/* Columns of `weights` [O, axes of the transpose's output] in the order of the
 * transpose's input. */
static wai_value *reorder(wai_graph *graph, wai_value *weights, const wai_node *transpose) {
    const wai_type *type = &transpose->out[0]->type;
    const wai_transpose_params *params = transpose->params;
    uint32_t dims[WAI_MAX_RANK];
    uint32_t back[WAI_MAX_RANK];
    memcpy(dims, type->dims, sizeof dims);
    dims[0] = weights->type.dims[0];
    for (uint32_t i = 0; i < type->rank; i++) {
        back[params->perm[i]] = i;
    }
    wai_value *wide = wai_emit_reshape(graph, weights, type->rank, dims);
    wide = wai_emit_transpose(graph, wide, back);
    return wai_emit_reshape(graph, wide, 2, weights->type.dims);
}

static void fuse(wai_graph *graph, wai_node *node) {
    const wai_node *transpose = flattened(node);
    if (transpose == NULL || !wai_value_is_constant(node->in[1]) ||
        ((const wai_fully_connected_params *)node->params)->packed != 0) {
        return;
    }
    wai_pass_at(graph, node);
    wai_value *weights = reorder(graph, node->in[1], transpose);
    if (!wai_value_is_constant(weights)) {
        return; /* could not be folded; dead now */
    }
    const wai_type *type = &node->in[0]->type;
    wai_node_set_input(graph, node, 0,
                       wai_emit_reshape(graph, transpose->in[0], type->rank, type->dims));
    wai_node_set_input(graph, node, 1, weights);
}

wai_status wai_pass_fuse_flatten(wai_graph *graph) {
    for (wai_node *node = graph->first; node != NULL && graph->status == WAI_OK;
         node = node->next) {
        if (node->op == &wai_op_fully_connected) {
            fuse(graph, node);
        }
    }
    graph->cursor = NULL;
    return wai_pass_dead_code(graph);
}
