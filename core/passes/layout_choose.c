/*
 * The form of every node that makes the sum of transposed bytes least: two
 * forms, and costs between neighbours, are a minimum cut.
 */
#include "base/limits.h"
#include "passes/cut.h"
#include "passes/layout.h"

#define NONE UINT32_MAX

static bool is_transpose(const wai_node *node) {
    return node->op == &wai_op_transpose;
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

static end giving_end(const wai_layout *l, const wai_value *value) {
    if (value->producer == NULL || !l->forms[value->producer->mark].moves) {
        return fixed_end;
    }
    const wai_layout_form *f = &l->forms[value->producer->mark];
    return (end){f->out, f->vertex, f->flip_out, f->sink != f->flip_out};
}

static end taking_end(const wai_layout *l, const wai_node *node, uint32_t index) {
    const wai_layout_form *f = &l->forms[node->mark];
    if (!f->moves || (!is_transpose(node) && wai_layout_input(node, index) != WAI_LAYOUT_MOVED)) {
        return fixed_end;
    }
    return (end){f->in, f->vertex, f->flip_in, f->sink != f->flip_in};
}

/* Bytes that `node` moves if it is moved and takes input `index` extended, or
 * takes a constant that is too large to be transposed by folding. */
static uint64_t own_cost(const wai_node *node, const wai_layout_form *f, uint32_t index) {
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
    return wai_perm_cost(&type, &wai_perm_as_is, &f->in);
}

/* ---- costs -------------------------------------------------------------- */

/* Calls `visit` for every value that costs can be about: graph inputs and
 * outputs of nodes. */
static void for_each_value(wai_layout *l, void (*visit)(wai_layout *, wai_value *, void *),
                           void *context) {
    for (uint32_t i = 0; i < l->graph->input_count; i++) {
        visit(l, l->graph->inputs[i].value, context);
    }
    for (uint32_t n = 0; n < l->node_count; n++) {
        for (uint32_t i = 0; i < l->nodes[n]->out_count; i++) {
            visit(l, l->nodes[n]->out[i], context);
        }
    }
}

/* Bytes transposed out of `value` with the sides chosen: once for every order
 * in which it is read but not stored. */
static void add_value_cost(wai_layout *l, wai_value *value, void *context) {
    uint64_t *sum = context;
    end source = giving_end(l, value);
    wai_perm seen[8];
    uint32_t seen_count = 0;
    seen[seen_count++] = source.moved ? source.perm : wai_perm_as_is;
    for (uint32_t u = 0; u < value->user_count + (value->output_count != 0); u++) {
        const wai_node *node = u < value->user_count ? value->users[u] : NULL;
        if (u > 0 && u < value->user_count && node == value->users[u - 1]) {
            continue;
        }
        for (uint32_t i = 0; i < (node != NULL ? node->in_count : 1); i++) {
            if (node != NULL && node->in[i] != value) {
                continue;
            }
            end target = node != NULL ? taking_end(l, node, i) : fixed_end;
            const wai_perm *wanted = target.moved ? &target.perm : &wai_perm_as_is;
            bool known = false;
            for (uint32_t k = 0; k < seen_count && !known; k++) {
                known = wai_perm_alike(&value->type, &seen[k], wanted);
            }
            if (!known) {
                *sum += wai_perm_cost(&value->type, &seen[0], wanted);
                if (seen_count < 8) {
                    seen[seen_count++] = *wanted;
                }
            }
        }
    }
}

uint64_t wai_layout_cost(wai_layout *l) {
    uint64_t sum = 0;
    for_each_value(l, add_value_cost, &sum);
    for (uint32_t n = 0; n < l->node_count; n++) {
        const wai_layout_form *f = &l->forms[n];
        if (!f->moves || is_transpose(l->nodes[n]) || f->sink == f->flip_in) {
            continue;
        }
        for (uint32_t i = 0; i < l->nodes[n]->in_count; i++) {
            sum += l->nodes[n]->in[i] != NULL ? own_cost(l->nodes[n], f, i) : 0;
        }
    }
    return sum;
}

/* A transpose gives its output as it is. */
void wai_layout_choose_nothing(wai_layout *l) {
    for (uint32_t n = 0; n < l->node_count; n++) {
        l->forms[n].sink = l->forms[n].flip_out;
    }
}

/* ---- the cut ------------------------------------------------------------ */

/* The node of `e` pays `cost` if it is in the moved form (or if it is not). */
static void add_single(wai_cut *cut, const end *e, bool when_moved, uint64_t cost) {
    if (e->vertex == NONE) {
        return;
    }
    if (when_moved != e->flip) {
        wai_cut_edge_add(cut, WAI_CUT_SOURCE, e->vertex, cost);
    } else {
        wai_cut_edge_add(cut, e->vertex, WAI_CUT_SINK, cost);
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
 * said in a cut; such a pair is left out, and judged by wai_layout_cost.
 */
static void add_pair(wai_cut *cut, const wai_type *type, const end *source, const end *target) {
    uint64_t a = wai_perm_cost(type, &wai_perm_as_is, &source->perm);
    uint64_t b = wai_perm_cost(type, &wai_perm_as_is, &target->perm);
    uint64_t c = wai_perm_cost(type, &source->perm, &target->perm);
    if (source->vertex == NONE || target->vertex == NONE) {
        add_single(cut, source, true, a);
        add_single(cut, target, true, b);
    } else if (source->flip == target->flip) {
        add_single(cut, source, true, a);
        add_single(cut, target, c >= a, c >= a ? c - a : a - c);
        if (a + b > c) {
            wai_cut_edge_add(cut, source->flip ? target->vertex : source->vertex,
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

static void start_bundle(wai_cut *cut, bundle *b, const wai_type *type, const end *source,
                         const end *leader) {
    uint64_t cost = wai_perm_cost(type, &wai_perm_as_is, &leader->perm);
    b->started = true;
    b->perm = leader->perm;
    b->flip = leader->flip;
    b->source = vertex_of(source, b->flip);
    b->some_sink = wai_cut_vertex(cut);
    b->some_source = wai_cut_vertex(cut);
    wai_cut_edge_add(cut, b->source, b->some_sink, cost);
    wai_cut_edge_add(cut, b->some_source, b->source, cost);
}

static void add_to_bundle(wai_cut *cut, const bundle *b, const end *target) {
    uint32_t vertex = vertex_of(target, b->flip);
    wai_cut_edge_add(cut, b->some_sink, vertex, WAI_CUT_INFINITE);
    wai_cut_edge_add(cut, vertex, b->some_source, WAI_CUT_INFINITE);
}

static void add_target(wai_cut *cut, bundle *b, const wai_value *value, const end *source,
                       const end *target) {
    if (target->vertex == NONE) {
        b->has_fixed = true;
        return;
    }
    if (!b->started) {
        start_bundle(cut, b, &value->type, source, target);
    }
    if (target->flip == b->flip && wai_perm_alike(&value->type, &target->perm, &b->perm)) {
        add_to_bundle(cut, b, target);
    } else {
        add_pair(cut, &value->type, source, target);
    }
}

static void add_value_to_cut(wai_layout *l, wai_value *value, void *context) {
    wai_cut *cut = context;
    end source = giving_end(l, value);
    bundle b = {.has_fixed = value->output_count != 0};
    if (source.vertex != NONE) {
        start_bundle(cut, &b, &value->type, &source, &source);
    }
    for (uint32_t u = 0; u < value->user_count; u++) {
        const wai_node *node = value->users[u];
        if (u > 0 && node == value->users[u - 1]) {
            continue; /* entries of one node stand together: one per operand */
        }
        for (uint32_t i = 0; i < node->in_count; i++) {
            if (node->in[i] == value) {
                end target = taking_end(l, node, i);
                add_target(cut, &b, value, &source, &target);
            }
        }
    }
    if (b.started && b.has_fixed) {
        add_to_bundle(cut, &b, &fixed_end);
    }
}

bool wai_layout_choose(wai_layout *l) {
    uint32_t values = l->graph->input_count;
    for (uint32_t n = 0; n < l->node_count; n++) {
        values += l->nodes[n]->out_count;
    }
    wai_cut the_cut;
    wai_cut *cut = &the_cut;
    wai_cut_init(cut, l->graph->arena, l->node_count + 2 * values);
    for (uint32_t n = 0; n < l->node_count; n++) {
        wai_layout_form *f = &l->forms[n];
        f->vertex = f->moves ? wai_cut_vertex(cut) : NONE;
    }
    for_each_value(l, add_value_to_cut, cut);
    for (uint32_t n = 0; n < l->node_count; n++) {
        const wai_layout_form *f = &l->forms[n];
        const wai_node *node = l->nodes[n];
        end e = {.vertex = f->vertex, .flip = f->flip_in};
        for (uint32_t i = 0; f->moves && !is_transpose(node) && i < node->in_count; i++) {
            add_single(cut, &e, true, node->in[i] != NULL ? own_cost(node, f, i) : 0);
        }
    }
    if (!wai_cut_solve(cut)) {
        if (cut->failed) {
            wai_graph_fail(l->graph, WAI_ERR_MEMORY, "out of memory in the compiler");
        }
        return false;
    }
    for (uint32_t n = 0; n < l->node_count; n++) {
        wai_layout_form *f = &l->forms[n];
        f->sink = f->moves && wai_cut_is_sink(cut, f->vertex);
    }
    return true;
}
