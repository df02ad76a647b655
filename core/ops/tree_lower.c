/*
 * TreeEnsemble of ai.onnx.ml 5, by matrix products: all nodes' comparisons at
 * once, then for every leaf how many of its path's comparisons came out as the
 * path wants, which for one leaf of a tree is all of them. (The GEMM strategy of
 * Nakandala and others, "A tensor compiler for unified machine learning
 * prediction serving", 2020.)
 */
#include <string.h>

#include "base/limits.h"
#include "ops/lowering.h"

enum { LEQ, LT, GTE, GT, EQ, NEQ, MEMBER, MODES };

#define NO_PARENT UINT32_MAX

typedef struct place { /* a node or a leaf, and the column that leads to it     */
    uint32_t id, parent, side;
} place;

typedef struct ensemble {
    wai_lower *l;
    uint32_t nodes, leaves, features; /* leaves: of the attributes              */
    const int64_t *feature, *child[2], *is_leaf[2], *roots, *targets;
    uint32_t root_count;
    const uint8_t *modes;
    wai_value *splits, *weights, *members;
    place *columns, *ends, *stack; /* visited nodes; leaves; those to visit     */
    uint32_t column_count, end_count;
    uint8_t *seen;
} ensemble;

static void *take(const ensemble *e, size_t count, size_t size) {
    void *memory = wai_arena_array(e->l->graph->arena, count + 1, size);
    if (memory == NULL) {
        wai_graph_fail(e->l->graph, WAI_ERR_MEMORY, "out of memory in the compiler");
    }
    return memory;
}

static const int64_t *node_list(ensemble *e, const char *name) {
    uint32_t count;
    const int64_t *list = wai_lower_int_list(e->l, name, &count);
    if (!wai_lower_failed(e->l) && (list == NULL || count != e->nodes)) {
        WAI_LOWER_REFUSE(e->l, "%s of TreeEnsemble lists %u for %u nodes", name, count, e->nodes);
    }
    return list;
}

static wai_value *tensor(ensemble *e, const char *name, wai_dtype dtype, uint32_t count) {
    wai_value *value = wai_attr_tensor(e->l, name);
    if (!wai_lower_failed(e->l) &&
        (value == NULL || value->type.dtype != dtype || wai_type_count(&value->type) != count)) {
        WAI_LOWER_REFUSE(e->l, "%s of TreeEnsemble is not %u of %s", name, count,
                         wai_dtype_name(dtype));
    }
    return value;
}

static bool read(ensemble *e, const wai_value *x) {
    wai_lower *l = e->l;
    wai_attr_ignore(l, "nodes_hitrates");
    e->feature = wai_lower_int_list(l, "nodes_featureids", &e->nodes);
    e->child[0] = node_list(e, "nodes_falsenodeids");
    e->child[1] = node_list(e, "nodes_truenodeids");
    e->is_leaf[0] = node_list(e, "nodes_falseleafs");
    e->is_leaf[1] = node_list(e, "nodes_trueleafs");
    e->roots = wai_lower_int_list(l, "tree_roots", &e->root_count);
    e->targets = wai_lower_int_list(l, "leaf_targetids", &e->leaves);
    wai_value *modes = tensor(e, "nodes_modes", WAI_U8, e->nodes);
    e->splits = tensor(e, "nodes_splits", x->type.dtype, e->nodes);
    e->weights = tensor(e, "leaf_weights", x->type.dtype, e->leaves);
    e->members = wai_attr_tensor(l, "membership_values");
    e->columns = take(e, e->nodes, sizeof *e->columns);
    e->ends = take(e, 2 * (size_t)e->nodes, sizeof *e->ends);
    e->stack = take(e, 2 * (size_t)e->nodes, sizeof *e->stack);
    e->seen = take(e, e->nodes, 1);
    e->features = x->type.dims[1];
    if (wai_lower_failed(l)) {
        return false;
    }
    if (e->nodes == 0 || e->root_count == 0 || e->root_count > WAI_MAX_OPERANDS) {
        WAI_LOWER_REFUSE(l, "TreeEnsemble of %u nodes and %u trees", e->nodes, e->root_count);
        return false;
    }
    e->modes = modes->data;
    return true;
}

/* Node `id` becomes the next column; its children are leaves or to be visited. */
static bool visit(ensemble *e, place at, uint32_t *depth) {
    if (at.id >= e->nodes || e->seen[at.id] || e->modes[at.id] >= MODES || e->feature[at.id] < 0 ||
        e->feature[at.id] >= e->features) {
        WAI_LOWER_REFUSE(e->l, "node %u of TreeEnsemble is in two trees or is none", at.id);
        return false;
    }
    e->seen[at.id] = 1;
    const uint32_t column = e->column_count++;
    e->columns[column] = at;
    for (uint32_t side = 0; side < 2; side++) {
        const int64_t id = e->child[side][at.id];
        const bool leaf = e->is_leaf[side][at.id] != 0;
        if (id < 0 || id >= (leaf ? e->leaves : e->nodes)) {
            WAI_LOWER_REFUSE(e->l, "a child of node %u of TreeEnsemble is %lld", at.id,
                             (long long)id);
            return false;
        }
        const place next = {(uint32_t)id, column, side};
        if (leaf) {
            e->ends[e->end_count++] = next;
        } else {
            e->stack[(*depth)++] = next;
        }
    }
    return true;
}

/* The columns from `first_column` on are one tree, as are the ends: f32, 1 where the
 * leaf is the one that x comes to. `hits` of all comparisons. */
static wai_value *one_tree(ensemble *e, wai_value *hits, uint32_t first_column,
                           uint32_t first_end) {
    wai_graph *g = e->l->graph;
    const uint32_t columns = e->column_count - first_column, ends = e->end_count - first_end;
    const wai_type type = {WAI_F32, 2, {columns, ends}}, row = {WAI_F32, 1, {ends}};
    if ((uint64_t)columns * ends > WAI_MAX_FOLD_SIZE / sizeof(float)) {
        wai_graph_fail(g, WAI_ERR_LIMIT, "a tree of %u nodes is too large", columns);
        return NULL;
    }
    float *paths = take(e, (size_t)columns * ends, sizeof *paths);
    float *wanted = take(e, ends, sizeof *wanted);
    for (uint32_t i = 0; i < ends && !wai_lower_failed(e->l); i++) {
        const place *at = &e->ends[first_end + i];
        for (; at->parent != NO_PARENT; at = &e->columns[at->parent]) {
            paths[(size_t)(at->parent - first_column) * ends + i] = at->side != 0 ? 1 : -1;
            wanted[i] += at->side != 0 ? 1 : 0;
        }
    }
    if (wai_lower_failed(e->l)) {
        return NULL;
    }
    wai_value *score = wai_lower_product(e->l, wai_lower_part(e->l, hits, 1, first_column, columns),
                                         wai_emit_constant(g, &type, paths));
    score =
        wai_lower_compare_of(e->l, WAI_COMPARE_EQUAL, score, wai_emit_constant(g, &row, wanted));
    return wai_emit_cast(g, score, WAI_F32);
}

/* ---- comparisons ---- */

/* 1 in the columns whose node has `mode`; with `only` given, in that node's. */
static wai_value *mask(ensemble *e, uint32_t mode, uint32_t only) {
    const wai_type type = {WAI_BOOL, 1, {e->column_count}};
    uint8_t *bits = take(e, e->column_count, 1);
    bool any = false;
    for (uint32_t i = 0; bits != NULL && i < e->column_count; i++) {
        const uint32_t id = e->columns[i].id;
        bits[i] = e->modes[id] == mode && (only == UINT32_MAX || only == id);
        any = any || bits[i] != 0;
    }
    return any ? wai_emit_constant(e->l->graph, &type, bits) : NULL;
}

/* hits, or more of them where both `found` and `where` are. */
static wai_value *join(ensemble *e, wai_value *hits, wai_value *found, wai_value *where) {
    found = wai_emit_binary(e->l->graph, WAI_BINARY_AND, found, where);
    return hits != NULL ? wai_emit_binary(e->l->graph, WAI_BINARY_OR, hits, found) : found;
}

static wai_value *compare(ensemble *e, uint32_t mode, wai_value *x, wai_value *splits) {
    static const uint8_t kinds[] = {
        [LEQ] = WAI_COMPARE_LESS_OR_EQUAL,    [LT] = WAI_COMPARE_LESS,  [GT] = WAI_COMPARE_GREATER,
        [GTE] = WAI_COMPARE_GREATER_OR_EQUAL, [EQ] = WAI_COMPARE_EQUAL, [NEQ] = WAI_COMPARE_EQUAL,
    };
    wai_value *y = wai_lower_compare_of(e->l, (wai_compare_kind)kinds[mode], x, splits);
    return mode == NEQ ? wai_emit_unary(e->l->graph, WAI_UNARY_NOT, 0, 0, y) : y;
}

/* Sets stand behind each other in the order of the nodes, with NaN between. */
static wai_value *join_members(ensemble *e, wai_value *hits, wai_value *x) {
    wai_graph *g = e->l->graph;
    uint32_t from = 0;
    for (uint32_t id = 0; id < e->nodes && !wai_lower_failed(e->l); id++) {
        if (e->modes[id] != MEMBER) {
            continue;
        }
        if (e->members == NULL || e->members->type.dtype != WAI_F32 || x->type.dtype != WAI_F32) {
            WAI_LOWER_DECLINE(e->l, "membership_values of TreeEnsemble of other than f32");
            return NULL;
        }
        const float *list = e->members->data;
        const uint32_t all = (uint32_t)wai_type_count(&e->members->type);
        uint32_t to = from;
        while (to < all && list[to] == list[to]) {
            to++;
        }
        wai_value *where = mask(e, MEMBER, id);
        if (to > from && where != NULL) {
            const wai_type type = {WAI_F32, 1, {to - from}};
            wai_value *feature = wai_lower_part(e->l, x, 1, (uint32_t)e->feature[id], 1);
            wai_value *same = wai_lower_compare_of(e->l, WAI_COMPARE_EQUAL, feature,
                                                   wai_emit_constant(g, &type, list + from));
            hits = join(e, hits, wai_emit_reduce(g, WAI_REDUCE_MAX, same, 1u << 1, true), where);
        }
        from = to < all ? to + 1 : to;
    }
    return hits;
}

/* f32[rows, columns]: what each node's comparison says. */
static wai_value *compare_all(ensemble *e, wai_value *x) {
    wai_graph *g = e->l->graph;
    const wai_type type = {WAI_I64, 1, {e->column_count}};
    int64_t *ids = take(e, e->column_count, sizeof *ids);
    int64_t *features = take(e, e->column_count, sizeof *features);
    for (uint32_t i = 0; i < e->column_count && !wai_lower_failed(e->l); i++) {
        ids[i] = e->columns[i].id;
        features[i] = e->feature[ids[i]];
    }
    if (wai_lower_failed(e->l)) {
        return NULL;
    }
    const wai_gather_params by_column = {1}, by_node = {0};
    const uint32_t count = e->nodes;
    wai_value *of_x[] = {x, wai_emit_constant(g, &type, features)};
    wai_value *of_splits[] = {wai_emit_reshape(g, e->splits, 1, &count),
                              wai_emit_constant(g, &type, ids)};
    wai_value *chosen = wai_emit(g, &wai_op_gather, &by_column, of_x, 2);
    wai_value *splits = wai_emit(g, &wai_op_gather, &by_node, of_splits, 2);
    wai_value *hits = NULL;
    for (uint32_t mode = 0; mode < MEMBER && !wai_lower_failed(e->l); mode++) {
        wai_value *where = mask(e, mode, UINT32_MAX);
        hits = where != NULL ? join(e, hits, compare(e, mode, chosen, splits), where) : hits;
    }
    hits = join_members(e, hits, x);
    if (hits == NULL && !wai_lower_failed(e->l)) {
        WAI_LOWER_REFUSE(e->l, "TreeEnsemble compares nothing");
    }
    return wai_emit_cast(g, hits, WAI_F32);
}

/* ---- leaves ---- */

/* [ends, targets]: what each leaf adds to which output. */
static wai_value *leaf_weights(ensemble *e, uint32_t targets) {
    wai_graph *g = e->l->graph;
    const wai_type type = {e->weights->type.dtype, 2, {e->end_count, targets}};
    const size_t width = wai_dtype_size(type.dtype);
    if ((uint64_t)e->end_count * targets > WAI_MAX_FOLD_SIZE / width) {
        wai_graph_fail(g, WAI_ERR_LIMIT, "%u leaves for %u targets", e->end_count, targets);
        return NULL;
    }
    uint8_t *data = take(e, (size_t)e->end_count * targets, width);
    for (uint32_t i = 0; i < e->end_count && !wai_lower_failed(e->l); i++) {
        const uint32_t leaf = e->ends[i].id;
        if (e->targets[leaf] < 0 || e->targets[leaf] >= targets) {
            WAI_LOWER_REFUSE(e->l, "leaf %u of TreeEnsemble is for target %lld of %u", leaf,
                             (long long)e->targets[leaf], targets);
            break;
        }
        memcpy(data + ((size_t)i * targets + (size_t)e->targets[leaf]) * width,
               (const uint8_t *)e->weights->data + leaf * width, width);
    }
    return wai_lower_failed(e->l) ? NULL : wai_emit_constant(g, &type, data);
}

/* f32[rows, ends]: 1 at the leaf of each tree that x comes to. */
static wai_value *choose_leaves(ensemble *e, wai_value *hits, const uint32_t *columns,
                                const uint32_t *ends) {
    wai_value **trees = take(e, e->root_count, sizeof(wai_value *));
    for (uint32_t t = 0; t < e->root_count && !wai_lower_failed(e->l); t++) {
        ensemble one = *e;
        one.column_count = columns[t + 1];
        one.end_count = ends[t + 1];
        trees[t] = one_tree(&one, hits, columns[t], ends[t]);
    }
    const wai_concat_params p = {1};
    return wai_lower_failed(e->l) ? NULL
           : e->root_count == 1   ? trees[0]
                                  : wai_emit(e->l->graph, &wai_op_concat, &p, trees, e->root_count);
}

void wai_lower_tree_ensemble(wai_lower *l) {
    wai_graph *g = l->graph;
    ensemble e = {.l = l};
    wai_value *x = wai_lower_input(l, 0);
    const int64_t targets = wai_attr_int(l, "n_targets", 1);
    const int64_t aggregate = wai_attr_int(l, "aggregate_function", 1);
    const int64_t after = wai_attr_int(l, "post_transform", 0);
    if (wai_lower_failed(l)) {
        return;
    }
    if (x->type.rank != 2 || (x->type.dtype != WAI_F32 && x->type.dtype != WAI_F64) ||
        (aggregate != 0 && aggregate != 1) || after != 0) {
        WAI_LOWER_DECLINE(l,
                          "TreeEnsemble of %s, rank %u, aggregate_function %lld, "
                          "post_transform %lld",
                          wai_dtype_name(x->type.dtype), x->type.rank, (long long)aggregate,
                          (long long)after);
        return;
    }
    const uint32_t outputs = wai_lower_dim(l, targets, "n_targets");
    if (!read(&e, x)) {
        return;
    }
    uint32_t *columns = take(&e, e.root_count + 1, sizeof *columns);
    uint32_t *ends = take(&e, e.root_count + 1, sizeof *ends);
    for (uint32_t t = 0; t < e.root_count && !wai_lower_failed(l); t++) {
        uint32_t depth = 0;
        const bool node = e.roots[t] >= 0 && e.roots[t] < e.nodes;
        place next = {node ? (uint32_t)e.roots[t] : UINT32_MAX, NO_PARENT, 0};
        while (visit(&e, next, &depth) && depth > 0) {
            next = e.stack[--depth];
        }
        columns[t + 1] = e.column_count;
        ends[t + 1] = e.end_count;
    }
    if (wai_lower_failed(l)) {
        return;
    }
    wai_value *hot = choose_leaves(&e, compare_all(&e, x), columns, ends);
    wai_value *y =
        wai_lower_product(l, wai_emit_cast(g, hot, x->type.dtype), leaf_weights(&e, outputs));
    if (aggregate == 0 && y != NULL) {
        y = wai_emit_binary(g, WAI_BINARY_DIV, y, wai_emit_scalar(g, x->type.dtype, e.root_count));
    }
    l->out[0] = y;
}
