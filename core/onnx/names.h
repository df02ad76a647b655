/* names.h - a map from ONNX value names to graph values. */
#ifndef WAI_ONNX_NAMES_H
#define WAI_ONNX_NAMES_H

#include "graph/graph.h"

typedef struct wai_name {
    const char *name; /* NULL: a free place                                 */
    wai_value *value; /* NULL: known by name only (see `unknown`)           */
    bool unknown;     /* written by a node that could not be imported       */
} wai_name;

typedef struct wai_names {
    wai_name *places;
    uint32_t mask;
} wai_names;

/* Room for `count` names. False when memory is used up. */
bool wai_names_init(wai_names *names, wai_arena *arena, size_t count);

/* The entry of `name`, or NULL. */
wai_name *wai_names_find(const wai_names *names, const char *name);

/* Add `name`, which must not be there yet. */
wai_name *wai_names_add(wai_names *names, const char *name, wai_value *value);

#endif
