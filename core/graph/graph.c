#include "graph/graph.h"

#include <string.h>

#include "base/limits.h"

void wai_graph_init(wai_graph *graph, wai_arena *arena, wai_diag *diag) {
    memset(graph, 0, sizeof *graph);
    graph->arena = arena;
    graph->diag = diag;
}

wai_status wai_graph_fail(wai_graph *graph, wai_status status, const char *format, ...) {
    if (graph->status != WAI_OK) {
        return graph->status;
    }
    graph->status = status;
    char message[sizeof((wai_diag *)0)->message];
    va_list arguments;
    va_start(arguments, format);
    wai_format(message, sizeof message, format, arguments);
    va_end(arguments);
    return wai_fail(graph->diag, status, graph->scope, "%s", message);
}

/* Arena memory that fails the graph when there is none. */
static void *take(wai_graph *graph, size_t count, size_t size) {
    void *memory = wai_arena_array(graph->arena, count, size);
    if (memory == NULL) {
        wai_graph_fail(graph, WAI_ERR_MEMORY, "out of memory in the compiler");
    }
    return memory;
}

wai_value *wai_graph_value(wai_graph *graph, const wai_type *type, const char *name) {
    if (graph->status != WAI_OK) {
        return NULL;
    }
    if (!wai_type_is_valid(type)) {
        wai_graph_fail(graph, WAI_ERR_LIMIT,
                       "a tensor is larger than %u bytes or has more than %u axes",
                       WAI_MAX_TENSOR_SIZE, WAI_MAX_RANK);
        return NULL;
    }
    if (graph->value_count >= WAI_MAX_VALUES) {
        wai_graph_fail(graph, WAI_ERR_LIMIT, "the graph has more than %u values", WAI_MAX_VALUES);
        return NULL;
    }
    wai_value *value = take(graph, 1, sizeof *value);
    if (value != NULL) {
        value->type = *type;
        value->name = name;
        value->id = graph->value_count++;
    }
    return value;
}

wai_value *wai_graph_constant(wai_graph *graph, const wai_type *type, const void *data,
                              const char *name) {
    wai_value *value = wai_graph_value(graph, type, name);
    if (value != NULL) {
        value->data = data;
    }
    return value;
}

static void add_user(wai_graph *graph, wai_value *value, wai_node *node) {
    if (value == NULL) {
        return;
    }
    if (value->user_count == value->user_capacity) {
        uint32_t capacity = value->user_capacity != 0 ? value->user_capacity * 2 : 2;
        wai_node **users = take(graph, capacity, sizeof *users);
        if (users == NULL) {
            return;
        }
        if (value->user_count != 0) {
            memcpy(users, value->users, value->user_count * sizeof *users);
        }
        value->users = users;
        value->user_capacity = capacity;
    }
    value->users[value->user_count++] = node;
}

static void drop_user(wai_value *value, const wai_node *node) {
    if (value == NULL) {
        return;
    }
    for (uint32_t i = 0; i < value->user_count; i++) {
        if (value->users[i] == node) {
            memmove(&value->users[i], &value->users[i + 1],
                    (value->user_count - i - 1) * sizeof *value->users);
            value->user_count--;
            return;
        }
    }
}

static void link_before(wai_graph *graph, wai_node *node, wai_node *next) {
    node->next = next;
    node->previous = next != NULL ? next->previous : graph->last;
    *(node->previous != NULL ? &node->previous->next : &graph->first) = node;
    *(next != NULL ? &next->previous : &graph->last) = node;
    graph->node_count++;
}

wai_status wai_node_infer(wai_graph *graph, wai_node *node) {
    const wai_op *op = node->op;
    const wai_type **in = take(graph, node->in_count + 1u, sizeof *in);
    wai_type *out = take(graph, node->out_count, sizeof *out);
    if (graph->status != WAI_OK) {
        return graph->status;
    }
    for (uint32_t i = 0; i < node->in_count; i++) {
        in[i] = node->in[i] != NULL ? &node->in[i]->type : NULL;
    }
    wai_signature signature = {node->params,    in,         node->in_count, out,
                               node->out_count, node->name, graph->diag};
    graph->status = op->infer(&signature);
    for (uint32_t i = 0; i < node->out_count && graph->status == WAI_OK; i++) {
        if (!wai_type_is_valid(&out[i])) {
            return wai_graph_fail(
                graph, WAI_ERR_LIMIT,
                "the output of %s is larger than %u bytes or has more than %u axes", op->name,
                WAI_MAX_TENSOR_SIZE, WAI_MAX_RANK);
        }
        if (node->out[i] != NULL) {
            node->out[i]->type = out[i];
        } else {
            node->out[i] = wai_graph_value(graph, &out[i], NULL);
        }
    }
    return graph->status;
}

/* Arity of a node that is about to be made; trailing absent inputs do not count. */
static bool arity_is_right(wai_graph *graph, const wai_op *op, uint32_t in_count,
                           uint32_t out_count) {
    if (in_count < op->min_in || in_count > op->max_in) {
        wai_graph_fail(graph, WAI_ERR_MALFORMED, "%s takes %u to %u inputs, not %u", op->name,
                       op->min_in, op->max_in, in_count);
    } else if (out_count < op->min_out || out_count > op->max_out) {
        wai_graph_fail(graph, WAI_ERR_MALFORMED, "%s has %u to %u outputs, not %u", op->name,
                       op->min_out, op->max_out, out_count);
    } else if (graph->node_count >= WAI_MAX_NODES) {
        wai_graph_fail(graph, WAI_ERR_LIMIT, "the graph has more than %u nodes", WAI_MAX_NODES);
    }
    return graph->status == WAI_OK;
}

uint64_t wai_node_flops(const wai_node *node) {
    enum { MOST = 16 }; /* no operator that computes has as many inputs */
    const wai_type *in[MOST] = {NULL};
    wai_type out = node->out[0]->type;
    if (node->op->flops == NULL || node->in_count > MOST) {
        return wai_type_count(&out);
    }
    for (uint32_t i = 0; i < node->in_count; i++) {
        in[i] = node->in[i] != NULL ? &node->in[i]->type : NULL;
    }
    wai_signature signature = {node->params, in, node->in_count, &out, 1, node->name, NULL};
    return node->op->flops(&signature);
}

/* Whether evaluating the node is worth it: see limits.h. */
static bool may_fold(wai_graph *graph, const wai_node *node) {
    uint64_t size = 0;
    uint64_t in_size = 0;
    for (uint32_t i = 0; i < node->out_count; i++) {
        size += wai_type_size(&node->out[i]->type);
    }
    for (uint32_t i = 0; i < node->in_count; i++) {
        in_size += node->in[i] != NULL ? wai_type_size(&node->in[i]->type) : 0;
    }
    /* Weights of any size may be folded as long as they do not grow. */
    if (size > WAI_MAX_FOLD_SIZE && size > in_size) {
        return false;
    }
    uint64_t flops = wai_node_flops(node);
    if (flops > WAI_MAX_FOLD_WORK) {
        return false;
    }
    uint64_t work = size + in_size + flops;
    if (work <= WAI_SMALL_FOLD_WORK) {
        return true;
    }
    if (work > WAI_MAX_FOLD_WORK - graph->fold_work) {
        return false;
    }
    const uint64_t growth = size / 8 > in_size ? size : 0; /* not what is dequantized */
    if (growth > WAI_MAX_FOLD_GROWTH - graph->fold_growth) {
        return false;
    }
    graph->fold_growth += growth;
    graph->fold_work += work;
    return true;
}

/* True when the node is no more: its outputs are constants now. */
static bool folded(wai_graph *graph, wai_node *node) {
    if (graph->fold == NULL) {
        return false;
    }
    for (uint32_t i = 0; i < node->in_count; i++) {
        if (node->in[i] != NULL && (node->in[i]->data == NULL || node->in[i]->kept)) {
            return false;
        }
    }
    if (!may_fold(graph, node)) {
        return false;
    }
    wai_status status = graph->fold(graph, node);
    if (status == WAI_ERR_ARGUMENT && node->guard != NULL) {
        wai_diag_clear(graph->diag); /* it fails where it runs, if it ever does */
    } else if (status != WAI_OK && status != WAI_ERR_UNSUPPORTED) {
        graph->status = status;
    }
    for (uint32_t i = 0; i < node->out_count && status == WAI_OK; i++) {
        node->out[i]->origin = node;
    }
    return status == WAI_OK;
}

/* A node with its outputs, but without links. */
static wai_node *make_node(wai_graph *graph, const wai_op *op, const void *params,
                           wai_value *const *in, uint32_t in_count, uint32_t out_count) {
    if (graph->status != WAI_OK) {
        return NULL;
    }
    while (in_count > op->min_in && in[in_count - 1] == NULL) {
        in_count--;
    }
    if (!arity_is_right(graph, op, in_count, out_count)) {
        return NULL;
    }
    wai_node *node = take(graph, 1, sizeof *node);
    void *own_params = take(graph, 1, op->params_size);
    wai_value **own_in = take(graph, in_count + 1u, sizeof *own_in);
    wai_value **own_out = take(graph, out_count, sizeof *own_out);
    if (graph->status != WAI_OK) {
        return NULL;
    }
    *node = (wai_node){.op = op,
                       .params = own_params,
                       .in = own_in,
                       .out = own_out,
                       .in_count = in_count,
                       .out_count = out_count,
                       .guard = graph->guard,
                       .name = graph->scope};
    if (op->params_size != 0) {
        memcpy(own_params, params, op->params_size);
    }
    if (in_count != 0) {
        memcpy(own_in, in, in_count * sizeof *own_in);
    }
    return wai_node_infer(graph, node) == WAI_OK ? node : NULL;
}

static void link_node(wai_graph *graph, wai_node *node, wai_node *next) {
    for (uint32_t i = 0; i < node->in_count; i++) {
        add_user(graph, node->in[i], node);
    }
    add_user(graph, node->guard, node);
    for (uint32_t i = 0; i < node->out_count; i++) {
        node->out[i]->producer = node;
    }
    link_before(graph, node, next);
}

/*
 * Of operators whose count of results depends on values, the node that is there
 * already and gives the same: x[mask] and y[mask] find the places of one mask, and
 * have as many rows only if that is one count. Limits do not matter.
 */
static wai_node *find_counted(const wai_graph *graph, const wai_op *op, const void *params,
                              wai_value *const *in, uint32_t in_count, uint32_t out_count) {
    while (in_count > op->min_in && in[in_count - 1] == NULL) {
        in_count--; /* as nodes are made */
    }
    for (wai_node *node = graph->last; node != NULL; node = node->previous) {
        if (node->op == op && node->in_count == in_count && node->out_count == out_count &&
            memcmp(node->in, in, in_count * sizeof *in) == 0 &&
            memcmp((const uint8_t *)node->params + 4, (const uint8_t *)params + 4,
                   op->params_size - 4) == 0) {
            return node;
        }
    }
    return NULL;
}

wai_node *wai_emit_node(wai_graph *graph, const wai_op *op, const void *params,
                        wai_value *const *in, uint32_t in_count, uint32_t out_count) {
    if (op->data_count != NULL && graph->status == WAI_OK && graph->cursor == NULL) {
        wai_node *same = find_counted(graph, op, params, in, in_count, out_count);
        if (same != NULL) {
            return same;
        }
    }
    wai_node *node = make_node(graph, op, params, in, in_count, out_count);
    if (node == NULL || folded(graph, node)) {
        return graph->status == WAI_OK ? node : NULL;
    }
    link_node(graph, node, graph->cursor);
    graph->data_node_count += op->data_count != NULL;
    return graph->status == WAI_OK ? node : NULL;
}

wai_value *wai_emit_known(wai_graph *graph, const wai_op *op, const void *params,
                          wai_value *const *in, uint32_t in_count, const void *data) {
    wai_node *node = make_node(graph, op, params, in, in_count, 1);
    if (node == NULL) {
        return NULL;
    }
    node->out[0]->data = data;
    node->out[0]->origin = node;
    return node->out[0];
}

void wai_graph_unfold(wai_graph *graph, wai_value *value, wai_node *next) {
    wai_node *node = value->origin;
    if (node->op->data_count != NULL) {
        uint32_t *limit = node->params;
        *limit = node->op->data_count(node->params, &node->out[0]->type);
    }
    for (uint32_t i = 0; i < node->out_count; i++) {
        node->out[i]->data = NULL;
        node->out[i]->origin = NULL;
    }
    link_node(graph, node, next);
}

void wai_graph_keep(wai_graph *graph, wai_node *node) {
    for (uint32_t i = 0; i < node->in_count; i++) {
        if (node->in[i] != NULL && (node->in[i]->data == NULL || node->in[i]->kept)) {
            return;
        }
    }
    for (uint32_t i = 0; i < node->in_count; i++) {
        wai_value *from = node->in[i];
        wai_value *kept =
            from != NULL ? wai_graph_constant(graph, &from->type, from->data, from->name) : NULL;
        if (kept != NULL) {
            kept->kept = true;
            wai_node_set_input(graph, node, i, kept);
            return;
        }
    }
}

uint32_t wai_graph_limit(wai_graph *graph, uint64_t most) {
    if (graph->sample == 0 || most < 2) {
        return 0;
    }
    /* Any counts will do that differ from example to example and from one such
     * node to the next. Spread by size, a seventh of the bits apart, so that both
     * sides of a cut ("the best 50") are seen. */
    const uint32_t node = graph->data_node_count;
    const uint32_t turn = (graph->sample + 8u * node) * 0x9e3779b9u;
    const uint32_t bound = most < WAI_MAX_DIM ? (uint32_t)most : WAI_MAX_DIM;
    const uint32_t bits = 32 - (uint32_t)__builtin_clz(bound);
    const uint32_t place = (graph->sample * (node % 6 + 1)) % 7;
    const uint32_t base = 1u << bits * (2 * place + 1) / 14;
    const uint32_t count = base + (uint32_t)((uint64_t)base * turn >> 32);
    const uint32_t least = bound < 3 ? 1 : 2; /* 1 broadcasts: no good example */
    return count < least ? least : count < bound ? count : bound;
}

wai_value *wai_emit(wai_graph *graph, const wai_op *op, const void *params, wai_value *const *in,
                    uint32_t in_count) {
    wai_node *node = wai_emit_node(graph, op, params, in, in_count, 1);
    return node != NULL ? node->out[0] : NULL;
}

void wai_node_set_input(wai_graph *graph, wai_node *node, uint32_t index, wai_value *value) {
    drop_user(node->in[index], node);
    node->in[index] = value;
    add_user(graph, value, node);
}

void wai_node_set_guard(wai_graph *graph, wai_node *node, wai_value *guard) {
    drop_user(node->guard, node);
    node->guard = guard;
    add_user(graph, guard, node);
}

void wai_value_replace(wai_graph *graph, wai_value *from, wai_value *to) {
    if (from == to || graph->status != WAI_OK) {
        return;
    }
    while (from->user_count > 0 && graph->status == WAI_OK) {
        wai_node *user = from->users[from->user_count - 1];
        for (uint32_t i = 0; i < user->in_count; i++) {
            if (user->in[i] == from) {
                wai_node_set_input(graph, user, i, to);
            }
        }
        if (user->guard == from) {
            wai_node_set_guard(graph, user, to);
        }
    }
    for (uint32_t i = 0; i < graph->output_count; i++) {
        if (graph->outputs[i].value == from) {
            graph->outputs[i].value = to;
            from->output_count--;
            to->output_count++;
        }
    }
}

void wai_graph_remove(wai_graph *graph, wai_node *node) {
    for (uint32_t i = 0; i < node->in_count; i++) {
        drop_user(node->in[i], node);
    }
    drop_user(node->guard, node);
    *(node->previous != NULL ? &node->previous->next : &graph->first) = node->next;
    *(node->next != NULL ? &node->next->previous : &graph->last) = node->previous;
    graph->node_count--;
    if (graph->cursor == node) {
        graph->cursor = node->next;
    }
    for (uint32_t i = 0; i < node->out_count; i++) {
        node->out[i]->producer = NULL;
    }
}

wai_node *wai_value_only_user(const wai_value *value) {
    return value->user_count == 1 && value->output_count == 0 ? value->users[0] : NULL;
}

static wai_status broken(wai_graph *graph, const wai_node *node, const char *what) {
    graph->scope = node != NULL ? node->name : NULL;
    return wai_graph_fail(graph, WAI_ERR_INTERNAL, "the graph is inconsistent: %s", what);
}

/* What `node` reads; NULL is absent. */
static wai_status check_read(wai_graph *graph, const wai_node *node, const wai_value *value) {
    if (value == NULL) {
        return WAI_OK;
    }
    if (value->data == NULL && value->mark != 1) {
        return broken(graph, node, "a value is read before it is written");
    }
    bool listed = false;
    for (uint32_t u = 0; u < value->user_count; u++) {
        listed = listed || value->users[u] == node;
    }
    return listed ? WAI_OK : broken(graph, node, "a user is not in its operand's list");
}

static bool is_guard(const wai_value *value) {
    return value->type.dtype == WAI_BOOL && wai_type_count(&value->type) == 1;
}

/* One node against what stands before it; marks its outputs as written. */
static wai_status check_node(wai_graph *graph, wai_node *node) {
    for (uint32_t i = 0; i < node->in_count; i++) {
        if (check_read(graph, node, node->in[i]) != WAI_OK) {
            return graph->status;
        }
    }
    if (check_read(graph, node, node->guard) != WAI_OK) {
        return graph->status;
    }
    if (node->guard != NULL && !is_guard(node->guard)) {
        return broken(graph, node, "a guard is not one bool");
    }
    wai_type before[8];
    for (uint32_t i = 0; i < node->out_count; i++) {
        if (node->out[i]->producer != node || node->out[i]->mark != 0) {
            return broken(graph, node, "a value has two producers");
        }
        if (i < 8) {
            before[i] = node->out[i]->type;
        }
    }
    if (wai_node_infer(graph, node) != WAI_OK) {
        return graph->status;
    }
    for (uint32_t i = 0; i < node->out_count; i++) {
        node->out[i]->mark = 1;
        if (i < 8 && !wai_type_equal(&before[i], &node->out[i]->type)) {
            return broken(graph, node, "a type differs from what is inferred");
        }
    }
    return WAI_OK;
}

wai_status wai_graph_check(wai_graph *graph) {
    if (graph->status != WAI_OK) {
        return graph->status;
    }
    uint32_t count = 0;
    for (wai_node *node = graph->first; node != NULL; node = node->next) {
        for (uint32_t i = 0; i < node->in_count; i++) {
            if (node->in[i] != NULL) {
                node->in[i]->mark = 0;
            }
        }
        if (node->guard != NULL) {
            node->guard->mark = 0;
        }
        for (uint32_t i = 0; i < node->out_count; i++) {
            node->out[i]->mark = 0;
        }
    }
    for (uint32_t i = 0; i < graph->input_count; i++) {
        graph->inputs[i].value->mark = 1;
    }
    for (wai_node *node = graph->first; node != NULL; node = node->next, count++) {
        if (check_node(graph, node) != WAI_OK) {
            return graph->status;
        }
    }
    for (uint32_t i = 0; i < graph->output_count; i++) {
        const wai_value *value = graph->outputs[i].value;
        if (value->output_count == 0 || (value->data == NULL && value->mark != 1)) {
            return broken(graph, NULL, "an output is not written");
        }
    }
    return count == graph->node_count ? WAI_OK : broken(graph, NULL, "the node count is wrong");
}
