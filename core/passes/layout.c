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
#include "passes/cut.h"

/* Every round must save bytes; perms that meet in one value may need a second
 * and third. */
#define MAX_ROUNDS 8

#define NONE UINT32_MAX

/* One node's two forms. `moved` false: this node has one form only. */
typedef struct form {
    wai_perm in, out; /* of moved inputs and output in the moved form       */
    uint32_t vertex;
    bool moves;
    /* The cut wants neighbours on one side to cost nothing; a transpose reads
     * in one form what it gives in the other. So sides alternate at every
     * transpose: on the sink's side a node reads moved if !flip_in, and gives
     * moved if !flip_out. */
    bool flip_in, flip_out;
    bool sink; /* the side that was chosen                                  */
} form;

/* A tensor as it stands in the new graph. */
typedef struct stored {
    wai_perm perm;
    wai_value *value;
    struct stored *next;
} stored;

typedef struct layout {
    wai_graph *graph;
    wai_node **nodes; /* node->mark is the index                            */
    form *forms;
    uint32_t *queue;
    uint32_t queued;
    uint32_t node_count;
    wai_cut cut;
    stored **stored; /* per value id; first: as its producer gives it       */
    uint32_t value_count;
} layout;

static const wai_perm as_is = {{0, 1, 2, 3, 4, 5, 6, 7}};

static void *take(layout *l, size_t count, size_t size) {
    void *memory = wai_arena_array(l->graph->arena, count, size);
    if (memory == NULL) {
        wai_graph_fail(l->graph, WAI_ERR_MEMORY, "out of memory in the compiler");
    }
    return memory;
}

/* ---- perms ------------------------------------------------------------- */

static wai_perm inverse(const wai_perm *perm, uint32_t rank) {
    wai_perm result = {{0}};
    for (uint32_t i = 0; i < rank; i++) {
        result.axis[perm->axis[i]] = i;
    }
    return result;
}

/* The perm that takes what is stored by `from` to what is stored by `to`. */
static wai_perm between(const wai_perm *from, const wai_perm *to, uint32_t rank) {
    wai_perm where = inverse(from, rank);
    wai_perm result = {{0}};
    for (uint32_t i = 0; i < rank; i++) {
        result.axis[i] = where.axis[to->axis[i]];
    }
    return result;
}

static bool equal(const wai_perm *a, const wai_perm *b, uint32_t rank) {
    return memcmp(a->axis, b->axis, rank * sizeof a->axis[0]) == 0;
}

/* Bytes that go through a transpose from one to the other. */
static uint64_t cost_between(const wai_type *type, const wai_perm *from, const wai_perm *to) {
    wai_type source = *type;
    for (uint32_t i = 0; i < type->rank; i++) {
        source.dims[i] = type->dims[from->axis[i]];
    }
    wai_perm perm = between(from, to, type->rank);
    return wai_pass_keeps_bytes(&source, perm.axis) ? 0 : wai_type_size(type);
}

static bool alike(const wai_type *type, const wai_perm *a, const wai_perm *b) {
    return cost_between(type, a, b) == 0;
}

static bool is_transpose(const wai_node *node) {
    return node->op == &wai_op_transpose;
}

static wai_perm perm_of(const wai_node *transpose) {
    wai_perm perm = {{0}};
    memcpy(perm.axis, ((const wai_transpose_params *)transpose->params)->perm, sizeof perm.axis);
    return perm;
}

/* ---- spreading ---------------------------------------------------------- */

static void enqueue(layout *l, wai_node *node, const wai_perm *in, const wai_perm *out,
                    bool flip_in, bool flip_out) {
    form *f = &l->forms[node->mark];
    *f = (form){.in = *in, .out = *out, .moves = true, .flip_in = flip_in, .flip_out = flip_out};
    l->queue[l->queued++] = node->mark;
}

static void enqueue_transpose(layout *l, wai_node *node, bool flip_in) {
    wai_perm perm = perm_of(node);
    wai_perm back = inverse(&perm, node->in[0]->type.rank);
    enqueue(l, node, &perm, &back, flip_in, !flip_in);
}

/* `value` is wanted stored by `perm`: its producer may give it so. */
static void spread_to_producer(layout *l, const wai_value *value, const wai_perm *perm,
                               bool flip) {
    wai_node *node = value->producer;
    wai_perm in;
    if (node == NULL || l->forms[node->mark].moves || alike(&value->type, perm, &as_is)) {
        return;
    }
    if (is_transpose(node)) {
        wai_perm given = perm_of(node);
        given = inverse(&given, value->type.rank);
        if (alike(&value->type, &given, perm)) {
            enqueue_transpose(l, node, !flip);
        }
    } else if (wai_layout_backward(node, perm, &in)) {
        enqueue(l, node, &in, perm, flip, flip);
    }
}

/* `value` is given stored by `perm`: its users may take it so. */
static void spread_to_users(layout *l, const wai_value *value, const wai_perm *perm, bool flip) {
    if (alike(&value->type, perm, &as_is)) {
        return;
    }
    for (uint32_t u = 0; u < value->user_count; u++) {
        wai_node *node = value->users[u];
        wai_perm out;
        if (l->forms[node->mark].moves) {
            continue;
        }
        if (is_transpose(node)) {
            wai_perm wanted = perm_of(node);
            if (alike(&value->type, &wanted, perm)) {
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
    if (!l->forms[seed->mark].moves) {
        enqueue_transpose(l, seed, true);
    }
    while (head < l->queued) {
        wai_node *node = l->nodes[l->queue[head]];
        form *f = &l->forms[l->queue[head++]];
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
    return node != NULL && (node->op == &wai_op_conv2d || node->op == &wai_op_deconv2d ||
                            node->op == &wai_op_pool);
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
        for (uint32_t i = 0; i < l->node_count; i++) {
            if (is_transpose(l->nodes[i]) && (round == 1 || touches_fixed_layout(l->nodes[i]))) {
                spread_from(l, l->nodes[i]);
            }
        }
    }
}

/* ---- forms of the two ends of a value ----------------------------------- */

/* How one end (producer or one operand of a user) sees a value: stored as it
 * is in one form, by `perm` in the other. */
typedef struct end {
    wai_perm perm;
    uint32_t vertex; /* NONE: always as it is                               */
    bool flip;
    bool moved; /* with the sides chosen                                    */
} end;

static const end fixed_end = {.vertex = NONE};

static end giving_end(const layout *l, const wai_value *value) {
    if (value->producer == NULL || !l->forms[value->producer->mark].moves) {
        return fixed_end;
    }
    const form *f = &l->forms[value->producer->mark];
    return (end){f->out, f->vertex, f->flip_out, f->sink != f->flip_out};
}

static end taking_end(const layout *l, const wai_node *node, uint32_t index) {
    const form *f = &l->forms[node->mark];
    if (!f->moves || (!is_transpose(node) && wai_layout_input(node, index) != WAI_LAYOUT_MOVED)) {
        return fixed_end;
    }
    return (end){f->in, f->vertex, f->flip_in, f->sink != f->flip_in};
}

/* Bytes that `node` moves if it is moved and takes input `index` extended, or
 * takes a constant that is too large to be transposed by folding. */
static uint64_t own_cost(const wai_node *node, const form *f, uint32_t index) {
    const wai_value *value = node->in[index];
    wai_layout_use use = wai_layout_input(node, index);
    if (value->data != NULL && wai_type_size(&value->type) <= WAI_MAX_FOLD_SIZE) {
        return 0;
    }
    wai_type type = value->type;
    if (use == WAI_LAYOUT_EXTENDED) {
        uint32_t extra = node->out[0]->type.rank - type.rank;
        for (uint32_t i = WAI_MAX_RANK; i-- > 0;) {
            type.dims[i] = i < extra ? 1 : type.dims[i - extra];
        }
        type.rank += extra;
    } else if (value->data == NULL || use == WAI_LAYOUT_AS_IS) {
        return 0;
    }
    return cost_between(&type, &as_is, &f->in);
}

/* ---- costs -------------------------------------------------------------- */

/* Calls `visit` for every value that costs can be about: graph inputs and
 * outputs of nodes. */
static void for_each_value(layout *l, void (*visit)(layout *, wai_value *, uint64_t *),
                           uint64_t *sum) {
    for (uint32_t i = 0; i < l->graph->input_count; i++) {
        visit(l, l->graph->inputs[i].value, sum);
    }
    for (uint32_t n = 0; n < l->node_count; n++) {
        for (uint32_t i = 0; i < l->nodes[n]->out_count; i++) {
            visit(l, l->nodes[n]->out[i], sum);
        }
    }
}

/* Bytes transposed out of `value` with the sides chosen: once for every order
 * in which it is read but not stored. */
static void add_value_cost(layout *l, wai_value *value, uint64_t *sum) {
    end source = giving_end(l, value);
    wai_perm seen[8];
    uint32_t seen_count = 0;
    seen[seen_count++] = source.moved ? source.perm : as_is;
    for (uint32_t u = 0; u < value->user_count + (value->output_count != 0); u++) {
        /* One user stands once per operand; each entry stands for all its
         * operands, and seeing an order twice costs nothing. */
        const wai_node *node = u < value->user_count ? value->users[u] : NULL;
        for (uint32_t i = 0; i < (node != NULL ? node->in_count : 1); i++) {
            if (node != NULL && node->in[i] != value) {
                continue;
            }
            end target = node != NULL ? taking_end(l, node, i) : fixed_end;
            const wai_perm *wanted = target.moved ? &target.perm : &as_is;
            bool known = false;
            for (uint32_t k = 0; k < seen_count && !known; k++) {
                known = alike(&value->type, &seen[k], wanted);
            }
            if (!known) {
                *sum += cost_between(&value->type, &seen[0], wanted);
                if (seen_count < 8) {
                    seen[seen_count++] = *wanted;
                }
            }
        }
    }
}

static uint64_t cost_of_choice(layout *l) {
    uint64_t sum = 0;
    for_each_value(l, add_value_cost, &sum);
    for (uint32_t n = 0; n < l->node_count; n++) {
        const form *f = &l->forms[n];
        if (!f->moves || is_transpose(l->nodes[n]) || f->sink == f->flip_in) {
            continue;
        }
        for (uint32_t i = 0; i < l->nodes[n]->in_count; i++) {
            sum += l->nodes[n]->in[i] != NULL ? own_cost(l->nodes[n], f, i) : 0;
        }
    }
    return sum;
}

/* The sides that mean: everything as it is now. A transpose gives its output
 * as it is. */
static void choose_nothing(layout *l) {
    for (uint32_t n = 0; n < l->node_count; n++) {
        l->forms[n].sink = l->forms[n].flip_out;
    }
}

/* ---- the cut ------------------------------------------------------------ */

/* The node of `e` pays `cost` if it is in the moved form (or if it is not). */
static void add_single(layout *l, const end *e, bool when_moved, uint64_t cost) {
    if (e->vertex == NONE) {
        return;
    }
    if (when_moved != e->flip) {
        wai_cut_edge_add(&l->cut, WAI_CUT_SOURCE, e->vertex, cost);
    } else {
        wai_cut_edge_add(&l->cut, e->vertex, WAI_CUT_SINK, cost);
    }
}

/*
 * A source and a target that know different moved orders pay, by forms
 * (x: source moved, y: target moved),
 *
 *   E(x, y) = a x + b y + (c - a - b) x y
 *           = a x + (c - a) y + (a + b - c) (1 - x) y,
 *
 * where the last term is an edge. Sides that alternate differently cannot be
 * said in a cut; such a pair is left out, and judged by cost_of_choice.
 */
static void add_pair(layout *l, const wai_type *type, const end *source, const end *target) {
    uint64_t a = cost_between(type, &as_is, &source->perm);
    uint64_t b = cost_between(type, &as_is, &target->perm);
    uint64_t c = cost_between(type, &source->perm, &target->perm);
    if (source->vertex == NONE || target->vertex == NONE) {
        add_single(l, source, true, a);
        add_single(l, target, true, b);
    } else if (source->flip == target->flip) {
        add_single(l, source, true, a);
        add_single(l, target, c >= a, c >= a ? c - a : a - c);
        if (a + b > c) {
            wai_cut_edge_add(&l->cut, source->flip ? target->vertex : source->vertex,
                             source->flip ? source->vertex : target->vertex, a + b - c);
        }
    }
}

/* A fixed end is always as it is; `flip` says which side that is. */
static uint32_t vertex_of(const end *e, bool flip) {
    return e->vertex != NONE ? e->vertex : flip ? WAI_CUT_SINK : WAI_CUT_SOURCE;
}

/* All ends of a value that know the same two orders: its bytes are paid once
 * if any target is in another form than the source. */
typedef struct bundle {
    wai_perm perm;
    uint32_t source;
    uint32_t some_sink, some_source; /* helper vertices                     */
    bool flip, started, has_fixed;
} bundle;

static void start_bundle(layout *l, bundle *b, const wai_type *type, const end *source,
                         const end *leader) {
    uint64_t cost = cost_between(type, &as_is, &leader->perm);
    b->started = true;
    b->perm = leader->perm;
    b->flip = leader->flip;
    b->source = vertex_of(source, b->flip);
    b->some_sink = wai_cut_vertex(&l->cut);
    b->some_source = wai_cut_vertex(&l->cut);
    wai_cut_edge_add(&l->cut, b->source, b->some_sink, cost);
    wai_cut_edge_add(&l->cut, b->some_source, b->source, cost);
}

static void add_to_bundle(layout *l, const bundle *b, const end *target) {
    uint32_t vertex = vertex_of(target, b->flip);
    wai_cut_edge_add(&l->cut, b->some_sink, vertex, WAI_CUT_INFINITE);
    wai_cut_edge_add(&l->cut, vertex, b->some_source, WAI_CUT_INFINITE);
}

static void add_target(layout *l, bundle *b, const wai_value *value, const end *source,
                       const end *target) {
    if (target->vertex == NONE) {
        b->has_fixed = true;
        return;
    }
    if (!b->started) {
        start_bundle(l, b, &value->type, source, target);
    }
    if (target->flip == b->flip && alike(&value->type, &target->perm, &b->perm)) {
        add_to_bundle(l, b, target);
    } else {
        add_pair(l, &value->type, source, target);
    }
}

static void add_value_to_cut(layout *l, wai_value *value, uint64_t *sum) {
    (void)sum;
    end source = giving_end(l, value);
    bundle b = {.has_fixed = value->output_count != 0};
    if (source.vertex != NONE) {
        start_bundle(l, &b, &value->type, &source, &source);
    }
    for (uint32_t u = 0; u < value->user_count; u++) {
        const wai_node *node = value->users[u];
        for (uint32_t i = 0; i < node->in_count; i++) {
            if (node->in[i] == value) {
                end target = taking_end(l, node, i);
                add_target(l, &b, value, &source, &target);
            }
        }
    }
    if (b.started && b.has_fixed) {
        add_to_bundle(l, &b, &fixed_end);
    }
}

static bool choose_by_cut(layout *l) {
    uint32_t values = l->graph->input_count;
    for (uint32_t n = 0; n < l->node_count; n++) {
        values += l->nodes[n]->out_count;
    }
    wai_cut_init(&l->cut, l->graph->arena, l->node_count + 2 * values);
    for (uint32_t n = 0; n < l->node_count; n++) {
        form *f = &l->forms[n];
        f->vertex = f->moves ? wai_cut_vertex(&l->cut) : NONE;
    }
    for_each_value(l, add_value_to_cut, NULL);
    for (uint32_t n = 0; n < l->node_count; n++) {
        const form *f = &l->forms[n];
        const wai_node *node = l->nodes[n];
        end e = {.vertex = f->vertex, .flip = f->flip_in};
        for (uint32_t i = 0; f->moves && !is_transpose(node) && i < node->in_count; i++) {
            add_single(l, &e, true, node->in[i] != NULL ? own_cost(node, f, i) : 0);
        }
    }
    if (!wai_cut_solve(&l->cut)) {
        return false;
    }
    for (uint32_t n = 0; n < l->node_count; n++) {
        form *f = &l->forms[n];
        f->sink = f->moves && wai_cut_is_sink(&l->cut, f->vertex);
    }
    return true;
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
    while (s != NULL && !equal(&s->perm, perm, value->type.rank)) {
        s = s->next;
    }
    return s;
}

/* What `value` stored by `perm` is best made from: the first that a reshape is
 * enough for, else as the producer gives it. */
static const stored *nearest(const layout *l, const wai_value *value, const wai_perm *perm) {
    const stored *s = l->stored[value->id];
    while (s != NULL && !alike(&value->type, &s->perm, perm)) {
        s = s->next;
    }
    return s != NULL ? s : l->stored[value->id];
}

/* `value` stored by `perm`, at the graph's cursor. */
static wai_value *want(layout *l, wai_value *value, const wai_perm *perm) {
    uint32_t rank = value->type.rank;
    if (l->stored[value->id] == NULL) {
        store(l, value, &as_is, value); /* graph inputs and constants */
    }
    const stored *ready = find_stored(l, value, perm);
    if (ready != NULL) {
        return ready->value;
    }
    const stored *from = nearest(l, value, perm);
    if (from == NULL) {
        return NULL;
    }
    wai_perm way = between(&from->perm, perm, rank);
    wai_value *result = wai_emit_transpose(l->graph, from->value, way.axis);
    if (result != NULL) {
        store(l, value, perm, result);
    }
    return result;
}

static wai_value *want_extended(layout *l, wai_value *value, const wai_perm *perm, uint32_t rank) {
    uint32_t dims[WAI_MAX_RANK];
    value = want(l, value, &as_is);
    if (value == NULL) {
        return NULL;
    }
    uint32_t extra = rank - value->type.rank;
    for (uint32_t i = 0; i < rank; i++) {
        dims[i] = i < extra ? 1 : value->type.dims[i - extra];
    }
    return wai_emit_transpose(l->graph, wai_emit_reshape(l->graph, value, rank, dims), perm->axis);
}

static void rewrite_transpose(layout *l, wai_node *node, const form *f) {
    wai_value *x = node->in[0];
    wai_value *y = node->out[0];
    wai_value *now = want(l, x, &as_is);
    if (f->sink == f->flip_in) {
        store(l, y, &f->out, now);
    } else if (now == x && nearest(l, x, &f->in)->value == x) {
        /* Nothing changed before it: the transpose stays. */
        store(l, x, &f->in, y);
        store(l, y, &as_is, y);
    } else {
        store(l, y, &as_is, want(l, x, &f->in));
    }
}

static void rewrite_moved(layout *l, wai_node *node, const form *f) {
    wai_value *in[WAI_MAX_OPERANDS];
    for (uint32_t i = 0; i < node->in_count; i++) {
        wai_layout_use use = node->in[i] != NULL ? wai_layout_input(node, i) : WAI_LAYOUT_AS_IS;
        if (node->in[i] == NULL) {
            in[i] = NULL;
        } else if (use == WAI_LAYOUT_EXTENDED) {
            in[i] = want_extended(l, node->in[i], &f->in, node->out[0]->type.rank);
        } else {
            in[i] = want(l, node->in[i], use == WAI_LAYOUT_MOVED ? &f->in : &as_is);
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
        wai_value *value = node->in[i] != NULL ? want(l, node->in[i], &as_is) : NULL;
        if (value != node->in[i] && l->graph->status == WAI_OK) {
            wai_node_set_input(l->graph, node, i, value);
        }
    }
    for (uint32_t i = 0; i < node->out_count; i++) {
        store(l, node->out[i], &as_is, node->out[i]);
    }
}

static void rewrite(layout *l) {
    for (uint32_t n = 0; n < l->node_count && l->graph->status == WAI_OK; n++) {
        wai_node *node = l->nodes[n];
        const form *f = &l->forms[n];
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
        wai_value *now = want(l, value, &as_is);
        if (now != NULL && now != value) {
            now->name = value->name;
            wai_value_replace(l->graph, value, now);
        }
    }
}

/* ---- the pass ----------------------------------------------------------- */

static bool start(layout *l, wai_graph *graph) {
    memset(l, 0, sizeof *l);
    l->graph = graph;
    l->node_count = graph->node_count;
    l->value_count = graph->value_count;
    l->nodes = take(l, l->node_count, sizeof *l->nodes);
    l->forms = take(l, l->node_count, sizeof *l->forms);
    l->queue = take(l, l->node_count, sizeof *l->queue);
    l->stored = take(l, l->value_count, sizeof *l->stored);
    if (graph->status != WAI_OK) {
        return false;
    }
    uint32_t index = 0;
    for (wai_node *node = graph->first; node != NULL; node = node->next) {
        node->mark = index;
        l->nodes[index++] = node;
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
    choose_nothing(&l);
    uint64_t before = cost_of_choice(&l);
    if (l.queued == 0 || before == 0 || !choose_by_cut(&l) || cost_of_choice(&l) >= before) {
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
