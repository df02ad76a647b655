/* finish: what the fusions left behind - reshapes of reshapes, equal nodes,
 * nodes without users. */
#include "passes/pass.h"

wai_status wai_pass_finish(wai_graph *graph) {
    wai_pass_simplify(graph);
    wai_pass_merge_equal(graph);
    return wai_pass_dead_code(graph);
}
