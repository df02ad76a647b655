/*
 * cut.h - minimum cut between a source and a sink.
 *
 * The layout pass asks which of two forms each node should take so that the
 * sum of what is paid between nodes of different form is least; for two forms
 * that is exactly a minimum cut.
 */
#ifndef WAI_CUT_H
#define WAI_CUT_H

#include <stdbool.h>

#include "base/arena.h"

#define WAI_CUT_SOURCE 0u
#define WAI_CUT_SINK   1u

typedef struct wai_cut_edge {
    uint32_t to;
    uint32_t next; /* of the same vertex, or UINT32_MAX                     */
    uint64_t room; /* what can still flow; the edge back is at index ^ 1    */
} wai_cut_edge;

typedef struct wai_cut {
    wai_arena *arena;
    uint32_t *first; /* edge per vertex, or UINT32_MAX                      */
    uint32_t *level, *at;
    uint32_t *queue, *path;
    wai_cut_edge *edges;
    uint32_t vertex_count, vertex_capacity;
    uint32_t edge_count, edge_capacity;
    bool failed; /* no memory: every later call does nothing                */
} wai_cut;

/* Source and sink are there from the start. */
void wai_cut_init(wai_cut *cut, wai_arena *arena, uint32_t vertex_capacity);

/* A further vertex, within the capacity given at the start. */
uint32_t wai_cut_vertex(wai_cut *cut);

/* Cutting between `from` on the source's side and `to` on the sink's side
 * costs `cost`. */
void wai_cut_edge_add(wai_cut *cut, uint32_t from, uint32_t to, uint64_t cost);

#define WAI_CUT_INFINITE (UINT64_MAX / 4)

/*
 * Solve. Then wai_cut_is_sink(cut, v) tells the side; of several minimal cuts
 * the one with the fewest vertices on the sink's side. False when memory or
 * the budget of work (for hostile graphs) ran out.
 */
bool wai_cut_solve(wai_cut *cut);
bool wai_cut_is_sink(const wai_cut *cut, uint32_t vertex);

#endif
