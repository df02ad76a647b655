/*
 * layout: the order of axes in which each operator works, so that as few bytes
 * as possible go through transposes.
 *
 * Import wraps channels-last operators (conv2d, pool) in transposes, because
 * ONNX is channels-first. Every operator between them could work in either
 * order. So each node has two forms, as it is and moved (see layout.h); which
 * perm "moved" means for a node spreads from the transposes through the graph.
 * A value that is stored in one form and read in the other costs its bytes,
 * once for all its readers. Two forms and costs between neighbours: the best
 * choice is a minimum cut, and needs no rules about residual additions,
 * branches or graph outputs. A transpose itself is free: it gives what it reads
 * under another name.
 *
 * Sums and softmax run in another order afterwards, so last bits may differ.
 */
#include "passes/layout.h"

#include <string.h>

#include "base/limits.h"

/* Every round must save bytes; perms that meet in one value may need a second
 * and third. */
#define MAX_ROUNDS 8

/* A tensor as it stands in the new graph. */
typedef struct stored {
    wai_perm perm;
    wai_value *value;
    struct stored *next;
} stored;

typedef struct layout {
    wai_layout shared;
    wai_graph *graph;
    uint32_t *queue; /* nodes that spread their orders                      */
    uint32_t queued;
    stored **stored; /* per value id; first: as its producer gives it       */
    uint32_t value_count;
} layout;

static void *take(layout *l, size_t count, size_t size) {
    void *memory = wai_arena_array(l->graph->arena, count, size);
    if (memory == NULL) {
        wai_graph_fail(l->graph, WAI_ERR_MEMORY, "out of memory in the compiler");
    }
    return memory;
}

static bool is_transpose(const wai_node *node) {
    return node->op == &wai_op_transpose;
}

/* ---- spreading ---------------------------------------------------------- */

static void enqueue(layout *l, wai_node *node, const wai_perm *in, const wai_perm *out,
                    bool flip_in, bool flip_out) {
    wai_layout_form *f = &l->shared.forms[node->mark];
    *f = (wai_layout_form){
        .in = *in, .out = *out, .moves = true, .flip_in = flip_in, .flip_out = flip_out};
    l->queue[l->queued++] = node->mark;
}

static void enqueue_transpose(layout *l, wai_node *node, bool flip_in) {
    wai_perm perm = wai_perm_of(node);
    wai_perm back = wai_perm_inverse(&perm, node->in[0]->type.rank);
    enqueue(l, node, &perm, &back, flip_in, !flip_in);
}

/* `value` is wanted stored by `perm`: its producer may give it so. */
static void spread_to_producer(layout *l, const wai_value *value, const wai_perm *perm, bool flip) {
    wai_node *node = value->producer;
    wai_perm in;
    if (node == NULL || l->shared.forms[node->mark].moves ||
        wai_perm_alike(&value->type, perm, &wai_perm_as_is)) {
        return;
    }
    if (is_transpose(node)) {
        wai_perm given = wai_perm_of(node);
        given = wai_perm_inverse(&given, value->type.rank);
        if (wai_perm_alike(&value->type, &given, perm)) {
            enqueue_transpose(l, node, !flip);
        }
    } else if (wai_layout_backward(node, perm, &in)) {
        enqueue(l, node, &in, perm, flip, flip);
    }
}

/* `value` is given stored by `perm`: its users may take it so. */
static void spread_to_users(layout *l, const wai_value *value, const wai_perm *perm, bool flip) {
    if (wai_perm_alike(&value->type, perm, &wai_perm_as_is)) {
        return;
    }
    for (uint32_t u = 0; u < value->user_count; u++) {
        wai_node *node = value->users[u];
        wai_perm out;
        if (l->shared.forms[node->mark].moves) {
            continue;
        }
        if (is_transpose(node)) {
            wai_perm wanted = wai_perm_of(node);
            if (wai_perm_alike(&value->type, &wanted, perm)) {
                enqueue_transpose(l, node, flip);
            }
            continue;
        }
        bool taken = false;
        for (uint32_t i = 0; i < node->in_count && !taken; i++) {
            taken = node->in[i] == value && wai_layout_input(node, i) == WAI_LAYOUT_MOVED;
        }
        if (taken && wai_layout_forward(node, perm, &out)) {
            enqueue(l, node, perm, &out, flip, flip);
        }
    }
}

static void spread_from(layout *l, wai_node *seed) {
    uint32_t head = l->queued;
    if (!l->shared.forms[seed->mark].moves) {
        enqueue_transpose(l, seed, true);
    }
    while (head < l->queued) {
        wai_node *node = l->shared.nodes[l->queue[head]];
        wai_layout_form *f = &l->shared.forms[l->queue[head++]];
        for (uint32_t i = 0; i < node->in_count; i++) {
            if (node->in[i] != NULL &&
                (is_transpose(node) || wai_layout_input(node, i) == WAI_LAYOUT_MOVED)) {
                spread_to_producer(l, node->in[i], &f->in, f->flip_in);
            }
        }
        spread_to_users(l, node->out[0], &f->out, f->flip_out);
    }
}

static bool has_fixed_layout(const wai_node *node) {
    return node != NULL &&
           (node->op == &wai_op_conv2d || node->op == &wai_op_deconv2d || node->op == &wai_op_pool);
}

static bool touches_fixed_layout(const wai_node *transpose) {
    bool touches = has_fixed_layout(transpose->in[0]->producer);
    for (uint32_t u = 0; u < transpose->out[0]->user_count && !touches; u++) {
        touches = has_fixed_layout(transpose->out[0]->users[u]);
    }
    return touches;
}

/* Transposes at convolutions come first: theirs is the order that nodes far
 * away should take too. */
static void spread(layout *l) {
    for (int round = 0; round < 2; round++) {
        for (uint32_t i = 0; i < l->shared.node_count; i++) {
            if (is_transpose(l->shared.nodes[i]) &&
                (round == 1 || touches_fixed_layout(l->shared.nodes[i]))) {
                spread_from(l, l->shared.nodes[i]);
            }
        }
    }
}

/* ---- rewriting ---------------------------------------------------------- */

static void store(layout *l, const wai_value *value, const wai_perm *perm, wai_value *as) {
    stored *entry = take(l, 1, sizeof *entry);
    if (entry == NULL) {
        return;
    }
    *entry = (stored){*perm, as, NULL};
    stored **at = &l->stored[value->id];
    while (*at != NULL) {
        at = &(*at)->next;
    }
    *at = entry;
}

static const stored *find_stored(const layout *l, const wai_value *value, const wai_perm *perm) {
    const stored *s = l->stored[value->id];
    while (s != NULL && !wai_perm_equal(&s->perm, perm, value->type.rank)) {
        s = s->next;
    }
    return s;
}

/* What `value` stored by `perm` is best made from: the first that a reshape is
 * enough for, else as the producer gives it. */
static const stored *nearest(const layout *l, const wai_value *value, const wai_perm *perm) {
    const stored *s = l->stored[value->id];
    while (s != NULL && !wai_perm_alike(&value->type, &s->perm, perm)) {
        s = s->next;
    }
    return s != NULL ? s : l->stored[value->id];
}

static wai_value *guard_of(const wai_value *value) {
    return value->producer != NULL ? value->producer->guard : NULL;
}

/* `value` stored by `perm`, at the graph's cursor. */
static wai_value *want(layout *l, wai_value *value, const wai_perm *perm) {
    uint32_t rank = value->type.rank;
    if (l->stored[value->id] == NULL) {
        store(l, value, &wai_perm_as_is, value); /* graph inputs and constants */
    }
    const stored *ready = find_stored(l, value, perm);
    if (ready != NULL) {
        return ready->value;
    }
    const stored *from = nearest(l, value, perm);
    if (from == NULL) {
        return NULL;
    }
    wai_perm way = wai_perm_between(&from->perm, perm, rank);
    wai_value *const guard = l->graph->guard;
    l->graph->guard = guard_of(from->value); /* it serves every user */
    wai_value *result = wai_emit_transpose(l->graph, from->value, way.axis);
    l->graph->guard = guard;
    if (result != NULL) {
        store(l, value, perm, result);
    }
    return result;
}

static wai_value *want_extended(layout *l, wai_value *value, const wai_perm *perm, uint32_t rank) {
    uint32_t dims[WAI_MAX_RANK];
    value = want(l, value, &wai_perm_as_is);
    if (value == NULL) {
        return NULL;
    }
    uint32_t extra = rank - value->type.rank;
    for (uint32_t i = 0; i < rank; i++) {
        dims[i] = i < extra ? 1 : value->type.dims[i - extra];
    }
    return wai_emit_transpose(l->graph, wai_emit_reshape(l->graph, value, rank, dims), perm->axis);
}

static void rewrite_transpose(layout *l, wai_node *node, const wai_layout_form *f) {
    wai_value *x = node->in[0];
    wai_value *y = node->out[0];
    wai_value *now = want(l, x, &wai_perm_as_is);
    if (f->sink == f->flip_in) {
        store(l, y, &f->out, now);
    } else if (now == x && nearest(l, x, &f->in)->value == x) {
        /* Nothing changed before it: the transpose stays. Others take it for
         * their own where it runs as often as x is there. */
        if (guard_of(x) == node->guard) {
            store(l, x, &f->in, y);
        }
        store(l, y, &wai_perm_as_is, y);
    } else {
        store(l, y, &wai_perm_as_is, want(l, x, &f->in));
    }
}

static void rewrite_moved(layout *l, wai_node *node, const wai_layout_form *f) {
    wai_value *in[WAI_MAX_OPERANDS];
    for (uint32_t i = 0; i < node->in_count; i++) {
        wai_layout_use use = node->in[i] != NULL ? wai_layout_input(node, i) : WAI_LAYOUT_AS_IS;
        if (node->in[i] == NULL) {
            in[i] = NULL;
        } else if (use == WAI_LAYOUT_EXTENDED) {
            in[i] = want_extended(l, node->in[i], &f->in, node->out[0]->type.rank);
        } else {
            in[i] = want(l, node->in[i], use == WAI_LAYOUT_MOVED ? &f->in : &wai_perm_as_is);
        }
    }
    wai_value *out = wai_layout_emit(l->graph, node, &f->in, &f->out, in);
    if (out != NULL) {
        out->name = node->out[0]->name;
        store(l, node->out[0], &f->out, out);
    }
}

static void rewrite_fixed(layout *l, wai_node *node) {
    for (uint32_t i = 0; i < node->in_count; i++) {
        wai_value *value = node->in[i] != NULL ? want(l, node->in[i], &wai_perm_as_is) : NULL;
        if (value != node->in[i] && l->graph->status == WAI_OK) {
            wai_node_set_input(l->graph, node, i, value);
        }
    }
    for (uint32_t i = 0; i < node->out_count; i++) {
        store(l, node->out[i], &wai_perm_as_is, node->out[i]);
    }
}

static void rewrite(layout *l) {
    for (uint32_t n = 0; n < l->shared.node_count && l->graph->status == WAI_OK; n++) {
        wai_node *node = l->shared.nodes[n];
        const wai_layout_form *f = &l->shared.forms[n];
        wai_pass_at(l->graph, node);
        if (f->moves && is_transpose(node)) {
            rewrite_transpose(l, node, f);
        } else if (f->moves && f->sink != f->flip_in) {
            rewrite_moved(l, node, f);
        } else {
            rewrite_fixed(l, node);
        }
    }
    wai_pass_at(l->graph, NULL);
    for (uint32_t i = 0; i < l->graph->output_count && l->graph->status == WAI_OK; i++) {
        wai_value *value = l->graph->outputs[i].value;
        if (value->id >= l->value_count) {
            continue; /* a second output of the same value */
        }
        wai_value *now = want(l, value, &wai_perm_as_is);
        if (now != NULL && now != value) {
            now->name = value->name;
            wai_value_replace(l->graph, value, now);
        }
    }
}

/* ---- the pass ----------------------------------------------------------- */

static bool start(layout *l, wai_graph *graph) {
    memset(l, 0, sizeof *l);
    l->graph = l->shared.graph = graph;
    l->shared.node_count = graph->node_count;
    l->value_count = graph->value_count;
    l->shared.nodes = take(l, l->shared.node_count, sizeof *l->shared.nodes);
    l->shared.forms = take(l, l->shared.node_count, sizeof *l->shared.forms);
    l->queue = take(l, l->shared.node_count, sizeof *l->queue);
    l->stored = take(l, l->value_count, sizeof *l->stored);
    if (graph->status != WAI_OK) {
        return false;
    }
    uint32_t index = 0;
    for (wai_node *node = graph->first; node != NULL; node = node->next) {
        node->mark = index;
        l->shared.nodes[index++] = node;
    }
    return true;
}

/* One round; true if it saved bytes. */
static bool improve(wai_graph *graph) {
    layout l;
    if (!start(&l, graph)) {
        return false;
    }
    spread(&l);
    wai_layout_choose_nothing(&l.shared);
    uint64_t before = wai_layout_cost(&l.shared);
    if (l.queued == 0 || before == 0 || !wai_layout_choose(&l.shared) ||
        wai_layout_cost(&l.shared) >= before) {
        return false;
    }
    rewrite(&l);
    wai_pass_dead_code(graph);
    wai_pass_simplify(graph);
    wai_pass_merge_equal(graph);
    return graph->status == WAI_OK;
}

wai_status wai_pass_layout(wai_graph *graph) {
    for (int round = 0; round < MAX_ROUNDS && improve(graph); round++) {
    }
    graph->cursor = NULL;
    return graph->status;
}
