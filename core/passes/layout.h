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
    WAI_LAYOUT_AS_IS,    /* as before                                          */
    WAI_LAYOUT_MOVED,    /* stored by the node's perm for inputs               */
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

/* ---- perms (layout_perm.c) ------------------------------------------------ */

extern const wai_perm wai_perm_as_is;

wai_perm wai_perm_inverse(const wai_perm *perm, uint32_t rank);
/* Takes what is stored by `from` to what is stored by `to`. */
wai_perm wai_perm_between(const wai_perm *from, const wai_perm *to, uint32_t rank);
bool wai_perm_equal(const wai_perm *a, const wai_perm *b, uint32_t rank);
wai_perm wai_perm_of(const wai_node *transpose);

/* Bytes that go through a transpose from `from` to `to`; 0 also where only axes
 * of size 1 move, which a reshape does. */
uint64_t wai_perm_cost(const wai_type *type, const wai_perm *from, const wai_perm *to);
bool wai_perm_alike(const wai_type *type, const wai_perm *a, const wai_perm *b);

/* ---- choosing a form for every node (layout_choose.c) ---------------------- */

/* One node's two forms. `moves` false: this node has one form only. */
typedef struct wai_layout_form {
    wai_perm in, out; /* of moved inputs and output in the moved form       */
    uint32_t vertex;  /* in the cut                                         */
    bool moves;
    /* The cut wants neighbours on one side to cost nothing; a transpose reads
     * in one form what it gives in the other. So sides alternate at every
     * transpose: on the sink's side a node reads moved if !flip_in, and gives
     * moved if !flip_out. */
    bool flip_in, flip_out;
    bool sink; /* the side that was chosen                                  */
} wai_layout_form;

typedef struct wai_layout {
    wai_graph *graph;
    wai_node **nodes; /* node->mark is the index                            */
    wai_layout_form *forms;
    uint32_t node_count;
} wai_layout;

/* Transposed bytes with the sides chosen. */
uint64_t wai_layout_cost(wai_layout *l);

/* The sides that mean: everything as it is now. */
void wai_layout_choose_nothing(wai_layout *l);

/* The sides that cost least; false when there is no answer. */
bool wai_layout_choose(wai_layout *l);

#endif
