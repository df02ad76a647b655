/*
 * layout.h - which operators work on tensors with their axes in another order.
 *
 * A tensor v "stored by perm" is transpose(v, perm): stored axis i is v's axis
 * perm[i]. An operator can be moved when some of its params can be rewritten so
 * that from stored inputs it computes its stored output, with no other work.
 */
#ifndef WAI_LAYOUT_H
#define WAI_LAYOUT_H

#include "passes/pass.h"

typedef struct wai_perm {
    uint32_t axis[WAI_MAX_RANK];
} wai_perm;

/* How a moved node takes one of its inputs. */
typedef enum wai_layout_use {
    WAI_LAYOUT_AS_IS, /* as before                                          */
    WAI_LAYOUT_MOVED, /* stored by the node's perm for inputs               */
    WAI_LAYOUT_EXTENDED, /* of lower rank, broadcasts: given leading axes of
                         size 1, then stored by that perm                   */
} wai_layout_use;

wai_layout_use wai_layout_input(const wai_node *node, uint32_t index);

/* The perm of the output when the inputs are stored by *in, or the other way
 * round. False: the node cannot be moved so. */
bool wai_layout_forward(const wai_node *node, const wai_perm *in, wai_perm *out);
bool wai_layout_backward(const wai_node *node, const wai_perm *out, wai_perm *in);

/* The moved node, at graph->cursor, from inputs as wai_layout_input tells. */
wai_value *wai_layout_emit(wai_graph *graph, const wai_node *node, const wai_perm *in,
                           const wai_perm *out, wai_value *const *inputs);

#endif
