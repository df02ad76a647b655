/*
 * trace.h - one graph, written down so that the same model's graphs at other
 * dims can be compared with it number by number.
 */
#ifndef WAI_TRACE_H
#define WAI_TRACE_H

#include "graph/graph.h"

typedef struct wai_trace {
    /* The dims of every graph input, then per node its params' words and the
     * dims of its outputs, all in order. */
    uint32_t *cells;
    uint32_t cell_count;
    /* Per node: everything else. Operator, wiring, types' dtypes and ranks, the
     * bytes of its constants. */
    uint64_t *nodes;
    uint32_t node_count;
    uint64_t ends; /* the wiring of the graph's inputs and outputs          */
    uint64_t decisions;
} wai_trace;

/* Take the trace of `graph` into `arena`. False when memory is out. */
bool wai_trace_take(wai_trace *trace, const wai_graph *graph, wai_arena *arena);

/* A hash of a constant's type and bytes; never 0. */
uint64_t wai_trace_constant(const wai_value *value);

#endif
