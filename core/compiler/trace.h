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
    /* Per node: everything else. Operator, wiring, types' dtypes and ranks; and
     * the same with the bytes of its constants. */
    uint64_t *forms, *nodes;
    uint32_t node_count;
    uint64_t form_ends, ends; /* the wiring of the graph's inputs and outputs */
    uint64_t decisions;
} wai_trace;

/* Whether the graphs are equal but for numbers: cells, and bytes of constants. */
bool wai_trace_same_form(const wai_trace *a, const wai_trace *b);

/* And whether constants are equal, too. */
bool wai_trace_same(const wai_trace *a, const wai_trace *b);

/* The form of a graph whose values are numbered alike in all examples: what
 * value has which number, before any pass. */
uint64_t wai_trace_form(const wai_graph *graph);

/* Take the trace of `graph` into `arena`. False when memory is out. */
bool wai_trace_take(wai_trace *trace, const wai_graph *graph, wai_arena *arena);

/* A hash of a constant's type and bytes; never 0. */
uint64_t wai_trace_constant(const wai_value *value);

#endif
