/* body.h - a graph attribute (of If, Loop, Scan, SequenceMap), imported in its
 * node's place as often as the node says. */
#ifndef WAI_ONNX_BODY_H
#define WAI_ONNX_BODY_H

#include "onnx/importer.h"

typedef struct wai_body {
    wai_onnx_graph graph;
    wai_scope constants; /* its initializers, shared by all iterations      */
    wai_value **in, **out;
} wai_body;

/* Read the attribute and make its initializers visible. False after a failure;
 * else wai_body_close is due. */
bool wai_body_open(wai_lower *l, const char *attr, wai_body *b);
void wai_body_close(wai_lower *l);

/* Import the body once: b->in to b->out. False after a failure, or when an
 * output is unknown. */
bool wai_body_run(wai_lower *l, wai_body *b);

/* Room for `count` values, all NULL. NULL after a failure. */
wai_value **wai_body_values(wai_lower *l, size_t count);

/* Refuse lists (list.h) among out[from..to). */
bool wai_body_gave_tensors(wai_lower *l, const wai_body *b, uint32_t from, uint32_t to);

#endif
