/* fold_constants: nodes all of whose inputs have become constants. */
#include "passes/pass.h"

static bool all_constant(const wai_node *node) {
    for (uint32_t i = 0; i < node->in_count; i++) {
        if (node->in[i] != NULL && node->in[i]->data == NULL) {
            return false;
        }
    }
    return true;
}

wai_status wai_pass_fold_constants(wai_graph *graph) {
    wai_node *next;
    for (wai_node *node = graph->first; node != NULL && graph->fold != NULL; node = next) {
        next = node->next;
        if (!all_constant(node)) {
            continue;
        }
        wai_pass_at(graph, node);
        wai_node *again =
            wai_emit_node(graph, node->op, node->params, node->in, node->in_count, node->out_count);
        if (again == NULL) {
            break;
        }
        if (again->out[0]->producer != NULL) {
            wai_graph_remove(graph, again); /* too large, or not to be folded */
            continue;
        }
        for (uint32_t i = 0; i < node->out_count; i++) {
            wai_value_replace(graph, node->out[i], again->out[i]);
        }
        wai_graph_remove(graph, node);
    }
    graph->cursor = NULL;
    return graph->status;
}
