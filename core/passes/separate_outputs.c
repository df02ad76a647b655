/*
 * separate_outputs: every output of the graph is a value of its own, written
 * by a node. An output that is a graph input, a constant, or an output already
 * gets a copy (a reshape to its own dims), so that the plan can give each
 * output its own bytes and no package hands out its constants.
 */
#include <string.h>

#include "passes/pass.h"

static wai_value *copy(wai_graph *graph, wai_value *value) {
    wai_reshape_params params = {.rank = value->type.rank};
    memcpy(params.dims, value->type.dims, sizeof params.dims);
    return wai_emit(graph, &wai_op_reshape, &params, &value, 1);
}

wai_status wai_pass_separate_outputs(wai_graph *graph) {
    /* Folding would undo the copy of a constant at once. */
    wai_status (*fold)(wai_graph *, wai_node *) = graph->fold;
    graph->fold = NULL;
    wai_pass_at(graph, NULL);
    for (uint32_t i = 0; i < graph->output_count && graph->status == WAI_OK; i++) {
        wai_value *value = graph->outputs[i].value;
        if (value->producer != NULL && value->output_count == 1) {
            continue;
        }
        graph->scope = graph->outputs[i].name;
        wai_value *own = copy(graph, value);
        if (own != NULL) {
            graph->outputs[i].value = own;
            value->output_count--;
            own->output_count++;
        }
    }
    graph->fold = fold;
    return graph->status;
}
