/*
 * pass.h - a pass takes the graph and leaves it better; it knows no other
 * pass. Order and reasons stand in passes.def.
 *
 * A pass returns wai_graph_status(graph). After it the compiler checks the
 * graph (wai_graph_check) and may show it. graph->cursor is NULL before; a
 * pass may leave it anywhere.
 */
#ifndef WAI_PASS_H
#define WAI_PASS_H

#include <stdbool.h>

#include "graph/graph.h"

typedef struct wai_pass {
    const char *name;
    wai_status (*run)(wai_graph *graph);
    bool required; /* also without --optimize: the plan relies on it        */
} wai_pass;

extern const wai_pass wai_passes[]; /* ends with a NULL name */

#define WAI_PASS(name, required) wai_status wai_pass_##name(wai_graph *graph);
#include "passes/passes.def"
#undef WAI_PASS

#endif
