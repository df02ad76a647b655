/* pass.h - passes rewrite the graph; the table in passes.def orders them. */
#ifndef WAI_PASS_H
#define WAI_PASS_H

#include "graph/graph.h"
#include "ops/emit.h"

/*
 * Results stay the same bit for bit, except where a file in this folder says
 * why not. A pass leaves no dead nodes of its own making, and its status is
 * that of the graph.
 */
typedef wai_status (*wai_pass_function)(wai_graph *graph);

typedef struct wai_pass {
    const char *name;
    wai_pass_function run;
    bool always; /* also without optimize: later stages rely on it          */
} wai_pass;

extern const wai_pass wai_passes[];
extern const size_t wai_pass_count;

#define WAI_PASS(name, always) wai_status wai_pass_##name(wai_graph *graph);
#include "passes/passes.def"
#undef WAI_PASS

/* ---- shared by passes (pass.c) ------------------------------------------- */

/* New nodes come before `node` and bear its name and its guard. */
void wai_pass_at(wai_graph *graph, wai_node *node);

/* `to` takes the place of the node's only output, and the node goes. */
void wai_pass_replace(wai_graph *graph, wai_node *node, wai_value *to);

/* The producer of `value` if it is of operator `op`, else NULL. */
wai_node *wai_pass_producer(const wai_value *value, const wai_op *op);

/* True if `value` is a constant of one or more elements that are all the same
 * number; f32 and integers. */
bool wai_pass_uniform(const wai_value *value, double *number);

/* True if `value` is a constant of exactly one f32 element. */
bool wai_pass_scalar(const wai_value *value, float *number);

/* Whether infer accepts `node` with other params and first input, and gives
 * the same output types as now. Nothing is changed. */
bool wai_pass_fits(const wai_node *node, const void *params, wai_value *in0);

/* Whether going from dims to transpose(dims, perm) leaves the bytes as they
 * are, because only axes of size 1 change places (or there are no bytes). */
bool wai_pass_keeps_bytes(const wai_type *type, const uint32_t *perm);

/*
 * The node that computes `value`, looking through at most one reshape, so that
 * what follows can be folded into it; NULL if the node's output or the
 * reshape's has any other use. `same_last`: the reshape must keep the last
 * axis, that is, the channels.
 */
wai_node *wai_pass_behind(const wai_value *value, bool same_last);

#endif
