/* dead_code: nodes whose outputs nobody reads. */
#include "passes/pass.h"

wai_status wai_pass_dead_code(wai_graph *graph) {
    wai_node *previous;
    for (wai_node *node = graph->last; node != NULL; node = previous) {
        previous = node->previous;
        bool used = false;
        for (uint32_t i = 0; i < node->out_count; i++) {
            used = used || wai_value_use_count(node->out[i]) != 0;
        }
        if (!used) {
            wai_graph_remove(graph, node);
        }
    }
    return graph->status;
}
