/*
 * list.h - sequences and optionals, which exist only while a model is imported.
 *
 * A sequence is a list of values that is known at import: what ONNX inserts,
 * erases and takes out is done on the list, and nothing of it is left in the
 * graph. An optional that holds something is what it holds; one that holds
 * nothing is an absent list. Names and the inputs and outputs of a lowering are
 * wai_value *; that of a list has no dtype (type.dtype is 0) and never meets an
 * operator: import_node.c hands lists only to lowerings that know them.
 */
#ifndef WAI_ONNX_LIST_H
#define WAI_ONNX_LIST_H

#include "onnx/lower.h"

typedef struct wai_list {
    wai_value value;   /* first: its address is the list's                  */
    bool absent;       /* an optional without a value; count is 0           */
    uint32_t count;    /* at most WAI_MAX_OPERANDS                          */
    wai_value **items; /* tensors of one dtype                              */
} wai_list;

/* The list that `value` is, or NULL. */
const wai_list *wai_list_of(const wai_value *value);

/* A list of `items`, copied; elements of different dtypes and too many of them
 * are refused. NULL after a failure. */
wai_value *wai_list_make(wai_graph *g, wai_value *const *items, uint32_t count);
wai_value *wai_list_absent(wai_graph *g);

/* Input `index` of the node, which must be a sequence. NULL after a failure. */
const wai_list *wai_lower_list(wai_lower *l, uint32_t index);

#endif
