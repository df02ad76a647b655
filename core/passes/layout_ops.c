/* What layout.h promises, operator by operator. */
#include <string.h>

#include "base/limits.h"
#include "ops/quantize.h"
#include "passes/layout.h"

typedef union any_params {
    wai_concat_params concat;
    wai_slice_params slice;
    wai_pad_params pad;
    wai_reduce_params reduce;
    wai_softmax_params softmax;
    wai_arg_reduce_params arg_reduce;
    wai_tile_params tile;
    wai_expand_params expand;
    wai_resize_params resize;
    wai_gather_params gather;
    wai_reshape_params reshape;
    wai_quantize_params quantize;
    wai_dequantize_params dequantize;
    wai_conv_params largest[2];
} any_params;

typedef bool (*perm_function)(const wai_node *node, const wai_perm *from, wai_perm *to);
typedef void (*move_function)(const wai_node *node, const wai_perm *in, const wai_perm *out,
                              any_params *params);

/* ---- perms ------------------------------------------------------------- */

static uint32_t rank_in(const wai_node *node) {
    return node->in[0]->type.rank;
}

static uint32_t where_is(const wai_perm *perm, uint32_t axis) {
    uint32_t at = 0;
    while (perm->axis[at] != axis) {
        at++;
    }
    return at;
}

/* out[i] = values[perm[i]] in place. */
static void permute(uint32_t *values, const wai_perm *perm, uint32_t rank) {
    uint32_t before[WAI_MAX_RANK];
    memcpy(before, values, sizeof before);
    for (uint32_t i = 0; i < rank; i++) {
        values[i] = before[perm->axis[i]];
    }
}

static void permute_any(void *values, const wai_perm *perm, uint32_t rank) {
    uint32_t words[WAI_MAX_RANK];
    memcpy(words, values, sizeof words);
    permute(words, perm, rank);
    memcpy(values, words, sizeof words);
}

static bool same(const wai_node *node, const wai_perm *from, wai_perm *to) {
    (void)node;
    *to = *from;
    return true;
}

/* For operators that work along the last axis. */
static bool keeps_last(const wai_node *node, const wai_perm *from, wai_perm *to) {
    uint32_t last = rank_in(node) - 1;
    *to = *from;
    return rank_in(node) == node->out[0]->type.rank && rank_in(node) != 0 &&
           from->axis[last] == last;
}

/* Softmax walks its axis with a stride when it is not the last: never make it
 * so. */
static bool softmax_perm(const wai_node *node, const wai_perm *from, wai_perm *to) {
    uint32_t axis = ((const wai_softmax_params *)node->params)->axis;
    uint32_t last = rank_in(node) - 1;
    *to = *from;
    return axis != last || from->axis[last] == last;
}

/* Blocks of scales would have to move as well. */
static bool quantize_perm(const wai_node *node, const wai_perm *from, wai_perm *to) {
    *to = *from;
    return wai_quantize_per_tensor(&node->in[1]->type) || node->in[1]->type.rank == 1;
}

static bool drop_axes(uint32_t rank, uint32_t axes, const wai_perm *in, wai_perm *out) {
    uint32_t number[WAI_MAX_RANK];
    uint32_t kept = 0;
    for (uint32_t i = 0; i < rank; i++) {
        number[i] = kept;
        kept += (axes >> i & 1) == 0;
    }
    memset(out, 0, sizeof *out);
    kept = 0;
    for (uint32_t i = 0; i < rank; i++) {
        if ((axes >> in->axis[i] & 1) == 0) {
            out->axis[kept++] = number[in->axis[i]];
        }
    }
    return true;
}

static bool reduce_forward(const wai_node *node, const wai_perm *in, wai_perm *out) {
    const wai_reduce_params *params = node->params;
    return params->keep_dims ? same(node, in, out)
                             : drop_axes(rank_in(node), params->axes, in, out);
}

static bool reduce_backward(const wai_node *node, const wai_perm *out, wai_perm *in) {
    return ((const wai_reduce_params *)node->params)->keep_dims && same(node, out, in);
}

static bool arg_reduce_forward(const wai_node *node, const wai_perm *in, wai_perm *out) {
    const wai_arg_reduce_params *params = node->params;
    return params->keep_dims ? same(node, in, out)
                             : drop_axes(rank_in(node), 1u << params->axis, in, out);
}

static bool arg_reduce_backward(const wai_node *node, const wai_perm *out, wai_perm *in) {
    return ((const wai_arg_reduce_params *)node->params)->keep_dims && same(node, out, in);
}

/* The indices' axes stand where the gathered axis stood. */
static bool gather_forward(const wai_node *node, const wai_perm *in, wai_perm *out) {
    uint32_t axis = ((const wai_gather_params *)node->params)->axis;
    uint32_t wide = node->in[1]->type.rank;
    uint32_t count = 0;
    memset(out, 0, sizeof *out);
    for (uint32_t i = 0; i < rank_in(node); i++) {
        uint32_t from = in->axis[i];
        if (from != axis) {
            out->axis[count++] = from < axis ? from : from + wide - 1;
            continue;
        }
        for (uint32_t k = 0; k < wide; k++) {
            out->axis[count++] = axis + k;
        }
    }
    return true;
}

static bool gather_backward(const wai_node *node, const wai_perm *out, wai_perm *in) {
    return node->in[1]->type.rank == 1 && same(node, out, in);
}

/* ---- reshape ----------------------------------------------------------- */

/*
 * Axes of `from` and `to` fall into groups that hold the same elements:
 * [N, C, H, W] -> [N, g, c, H * W] has {N}, {C | g, c} and {H, W | HW}. Axes of
 * size 1 are in no group. A perm that moves groups as wholes moves through.
 */
typedef struct groups {
    uint32_t of_from[WAI_MAX_RANK], of_to[WAI_MAX_RANK]; /* per axis; NONE: size 1 */
    uint32_t count;
} groups;

#define NONE UINT32_MAX

static bool find_groups(groups *g, const wai_type *from, const wai_type *to) {
    uint32_t i = 0;
    uint32_t k = 0;
    size_t left = 1;
    size_t right = 1;
    if (wai_type_count(from) == 0) {
        return false;
    }
    g->count = 0;
    while (i < from->rank || k < to->rank) {
        /* Take an axis on the side that has fewer elements so far. */
        bool take_from = i < from->rank && (left <= right || k == to->rank);
        uint32_t dim = take_from ? from->dims[i] : to->dims[k];
        uint32_t *group = take_from ? &g->of_from[i++] : &g->of_to[k++];
        *group = dim != 1 ? g->count : NONE;
        *(take_from ? &left : &right) *= dim;
        if (left == right && left != 1) {
            g->count++;
            left = right = 1;
        }
    }
    return true;
}

static bool move_through(const wai_type *from, const wai_type *to, const wai_perm *in,
                         wai_perm *out) {
    groups g;
    uint32_t order[WAI_MAX_RANK];
    uint32_t ordered = 0;
    uint32_t last_axis = 0;
    if (!find_groups(&g, from, to)) {
        return false;
    }
    for (uint32_t i = 0; i < from->rank; i++) {
        uint32_t axis = in->axis[i];
        uint32_t group = g.of_from[axis];
        if (group == NONE) {
            continue;
        }
        if (ordered == 0 || order[ordered - 1] != group) {
            for (uint32_t k = 0; k < ordered; k++) {
                if (order[k] == group) {
                    return false; /* torn apart */
                }
            }
            order[ordered++] = group;
        } else if (axis < last_axis) {
            return false; /* turned around */
        }
        last_axis = axis;
    }
    /* Axes of size 1 stay behind the axis that they follow now. */
    uint32_t count = 0;
    memset(out, 0, sizeof *out);
    uint32_t k = 0;
    for (; k < to->rank && g.of_to[k] == NONE; k++) {
        out->axis[count++] = k;
    }
    for (uint32_t i = 0; i < ordered; i++) {
        uint32_t current = NONE;
        for (k = 0; k < to->rank; k++) {
            current = g.of_to[k] != NONE ? g.of_to[k] : current;
            if (current == order[i]) {
                out->axis[count++] = k;
            }
        }
    }
    return count == to->rank;
}

static bool reshape_forward(const wai_node *node, const wai_perm *in, wai_perm *out) {
    return move_through(&node->in[0]->type, &node->out[0]->type, in, out);
}

static bool reshape_backward(const wai_node *node, const wai_perm *out, wai_perm *in) {
    return move_through(&node->out[0]->type, &node->in[0]->type, out, in);
}

/* ---- params ------------------------------------------------------------ */

static void move_concat(const wai_node *node, const wai_perm *in, const wai_perm *out,
                        any_params *p) {
    (void)node, (void)out;
    p->concat.axis = where_is(in, p->concat.axis);
}

static void move_slice(const wai_node *node, const wai_perm *in, const wai_perm *out,
                       any_params *p) {
    (void)out;
    permute(p->slice.start, in, rank_in(node));
    permute_any(p->slice.step, in, rank_in(node));
    permute(p->slice.dims, in, rank_in(node));
}

static void move_pad(const wai_node *node, const wai_perm *in, const wai_perm *out, any_params *p) {
    (void)out;
    permute(p->pad.before, in, rank_in(node));
    permute(p->pad.after, in, rank_in(node));
}

static void move_reduce(const wai_node *node, const wai_perm *in, const wai_perm *out,
                        any_params *p) {
    (void)out;
    uint32_t axes = 0;
    for (uint32_t i = 0; i < rank_in(node); i++) {
        axes |= (p->reduce.axes >> in->axis[i] & 1) << i;
    }
    p->reduce.axes = axes;
}

static void move_softmax(const wai_node *node, const wai_perm *in, const wai_perm *out,
                         any_params *p) {
    (void)node, (void)out;
    p->softmax.axis = where_is(in, p->softmax.axis);
}

static void move_arg_reduce(const wai_node *node, const wai_perm *in, const wai_perm *out,
                            any_params *p) {
    (void)node, (void)out;
    p->arg_reduce.axis = where_is(in, p->arg_reduce.axis);
}

static void move_tile(const wai_node *node, const wai_perm *in, const wai_perm *out,
                      any_params *p) {
    (void)out;
    permute(p->tile.repeats, in, rank_in(node));
}

static void move_expand(const wai_node *node, const wai_perm *in, const wai_perm *out,
                        any_params *p) {
    (void)node, (void)in;
    permute(p->expand.dims, out, p->expand.rank);
}

static void move_resize(const wai_node *node, const wai_perm *in, const wai_perm *out,
                        any_params *p) {
    (void)out;
    permute(p->resize.dims, in, rank_in(node));
    permute_any(p->resize.scale, in, rank_in(node));
    permute_any(p->resize.roi_start, in, rank_in(node));
    permute_any(p->resize.roi_end, in, rank_in(node));
}

static void move_gather(const wai_node *node, const wai_perm *in, const wai_perm *out,
                        any_params *p) {
    (void)node, (void)out;
    p->gather.axis = where_is(in, p->gather.axis);
}

static void move_reshape(const wai_node *node, const wai_perm *in, const wai_perm *out,
                         any_params *p) {
    (void)node, (void)in;
    permute(p->reshape.dims, out, p->reshape.rank);
}

static void move_quantize(const wai_node *node, const wai_perm *in, const wai_perm *out,
                          any_params *p) {
    (void)out;
    if (!wai_quantize_per_tensor(&node->in[1]->type)) {
        p->quantize.axis = where_is(in, p->quantize.axis);
    }
}

static void move_dequantize(const wai_node *node, const wai_perm *in, const wai_perm *out,
                            any_params *p) {
    (void)out;
    if (!wai_quantize_per_tensor(&node->in[1]->type)) {
        p->dequantize.axis = where_is(in, p->dequantize.axis);
    }
}

static const struct {
    const wai_op *op;
    perm_function forward, backward;
    move_function move; /* NULL: params stay                                */
    /* Inputs from index 0 that are moved; all of the output's rank or, where
     * broadcasts is set, below. */
    uint32_t moved;
    bool broadcasts;
} movable[] = {
    {&wai_op_unary, same, same, NULL, 1, false},
    {&wai_op_clamp, same, same, NULL, 1, false},
    {&wai_op_cast, same, same, NULL, 1, false},
    {&wai_op_binary, same, same, NULL, 2, true},
    {&wai_op_compare, same, same, NULL, 2, true},
    {&wai_op_where, same, same, NULL, 3, true},
    {&wai_op_concat, same, same, move_concat, WAI_MAX_OPERANDS, false},
    {&wai_op_slice, same, same, move_slice, 1, false},
    {&wai_op_pad, same, same, move_pad, 1, false},
    {&wai_op_tile, same, same, move_tile, 1, false},
    {&wai_op_expand, same, same, move_expand, 1, true},
    {&wai_op_resize, same, same, move_resize, 1, false},
    {&wai_op_reduce, reduce_forward, reduce_backward, move_reduce, 1, false},
    {&wai_op_arg_reduce, arg_reduce_forward, arg_reduce_backward, move_arg_reduce, 1, false},
    {&wai_op_softmax, softmax_perm, softmax_perm, move_softmax, 1, false},
    {&wai_op_gather, gather_forward, gather_backward, move_gather, 1, false},
    {&wai_op_reshape, reshape_forward, reshape_backward, move_reshape, 1, false},
    {&wai_op_fully_connected, keeps_last, keeps_last, NULL, 1, false},
    {&wai_op_lrn, keeps_last, keeps_last, NULL, 1, false},
    {&wai_op_quantize, quantize_perm, quantize_perm, move_quantize, 1, false},
    {&wai_op_dequantize, quantize_perm, quantize_perm, move_dequantize, 1, false},
};

#define MOVABLE_COUNT (sizeof movable / sizeof movable[0])

static size_t row_of(const wai_node *node) {
    size_t row = 0;
    while (row < MOVABLE_COUNT && movable[row].op != node->op) {
        row++;
    }
    return node->out_count == 1 && node->in_count != 0 ? row : MOVABLE_COUNT;
}

wai_layout_use wai_layout_input(const wai_node *node, uint32_t index) {
    size_t row = row_of(node);
    if (row == MOVABLE_COUNT || index >= movable[row].moved) {
        return WAI_LAYOUT_AS_IS;
    }
    return movable[row].broadcasts && node->in[index]->type.rank < node->out[0]->type.rank
               ? WAI_LAYOUT_EXTENDED
               : WAI_LAYOUT_MOVED;
}

bool wai_layout_forward(const wai_node *node, const wai_perm *in, wai_perm *out) {
    size_t row = row_of(node);
    return row != MOVABLE_COUNT && movable[row].forward(node, in, out);
}

bool wai_layout_backward(const wai_node *node, const wai_perm *out, wai_perm *in) {
    size_t row = row_of(node);
    return row != MOVABLE_COUNT && movable[row].backward(node, out, in);
}

wai_value *wai_layout_emit(wai_graph *graph, const wai_node *node, const wai_perm *in,
                           const wai_perm *out, wai_value *const *inputs) {
    size_t row = row_of(node);
    any_params params;
    memset(&params, 0, sizeof params);
    if (node->op->params_size > sizeof params) {
        return NULL;
    }
    if (node->op->params_size != 0) {
        memcpy(&params, node->params, node->op->params_size);
    }
    if (movable[row].move != NULL) {
        movable[row].move(node, in, out, &params);
    }
    return wai_emit(graph, node->op, &params, inputs, node->in_count);
}
