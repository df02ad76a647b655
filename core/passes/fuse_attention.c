/*
 * fuse_attention: softmax(scale * q k' + bias) v becomes one operator that never has
 * the scores whole, and that reads heads where the projections wrote them.
 *
 *   scores = matmul(q, k or its transpose)
 *            [* or / a number] [+ bias] [where(mask, scores, number)]
 *   y      = matmul(softmax(scores), v)
 *
 * Reshapes may stand between them (heads that share keys are more rows of q). What
 * stands in front of q, k and v, and behind y, is looked through as views (view.h), so
 * that the transposes which part and join heads go. Results may differ in the last
 * bits: sums are taken in another order.
 */
#include <math.h>
#include <string.h>

#include "base/limits.h"
#include "ops/attention.h"
#include "passes/view.h"

typedef struct scores {
    const wai_node *product; /* q k'  */
    wai_value *bias, *visible;
    float scale, shut;
    bool inverted; /* visible is true where the score is shut */
} scores;

static wai_value *before_reshapes(wai_value *value) {
    while (wai_value_use_count(value) == 1 && wai_pass_producer(value, &wai_op_reshape) != NULL) {
        value = value->producer->in[0];
    }
    return value;
}

/* ---- scores ------------------------------------------------------------------ */

/* Bias, mask and scale, from the softmax upwards: in this order only they can stand. */
static wai_value *read_add(scores *s, const wai_node *node, const wai_type *type) {
    const wai_binary_params *p = node->params;
    for (uint32_t i = 0; p->kind == WAI_BINARY_ADD && s->bias == NULL && s->scale == 1 && i < 2;
         i++) {
        wai_value *x = node->in[i];
        if (wai_type_equal(&x->type, type) && wai_value_use_count(x) == 1 &&
            node->in[1 - i]->type.rank <= type->rank) {
            s->bias = node->in[1 - i];
            return x;
        }
    }
    float number;
    if ((p->kind == WAI_BINARY_MUL || p->kind == WAI_BINARY_DIV) &&
        wai_pass_scalar(node->in[1], &number)) {
        s->scale = p->kind == WAI_BINARY_MUL ? s->scale * number : s->scale / number;
        return node->in[0];
    }
    return NULL;
}

static wai_value *read_where(scores *s, const wai_node *node, const wai_type *type) {
    for (uint32_t i = 1; s->visible == NULL && s->bias == NULL && s->scale == 1 && i < 3; i++) {
        wai_value *x = node->in[i];
        if (wai_type_equal(&x->type, type) && wai_pass_scalar(node->in[3 - i], &s->shut)) {
            s->visible = node->in[0];
            s->inverted = i == 2;
            return x;
        }
    }
    return NULL;
}

/* What leads from the product to the softmax. All of it has one use. */
static bool read_scores(scores *s, wai_value *value) {
    const wai_type type = value->type;
    *s = (scores){.scale = 1};
    while (value != NULL && wai_value_use_count(value) == 1 && value->producer != NULL) {
        const wai_node *node = value->producer;
        if (node->op == &wai_op_matmul) {
            s->product = node;
            return isfinite(s->scale) && !isnan(s->shut);
        }
        if (node->op == &wai_op_reshape) {
            value = node->in[0];
            if (wai_value_use_count(value) != 1 ||
                wai_pass_producer(value, &wai_op_matmul) == NULL) {
                return false;
            }
        } else {
            value = node->op == &wai_op_binary  ? read_add(s, node, &type)
                    : node->op == &wai_op_where ? read_where(s, node, &type)
                                                : NULL;
        }
    }
    return false;
}

/* ---- operands ------------------------------------------------------------------ */

typedef struct found {
    wai_attention_params p;
    uint32_t batch, queries, keys;
    wai_value *values[3]; /* q, k, v                                            */
    wai_view views[3];    /* as [batch, heads, length, size]; base NULL: it is none */
    bool turned;          /* k is [.., size, length]                           */
    scores scores;
    wai_node *last; /* the second product */
} found;

static void swap_last(uint32_t rank, wai_transpose_params *p) {
    *p = (wai_transpose_params){{0}};
    for (uint32_t i = 0; i < rank; i++) {
        p->perm[i] = i + 2 < rank ? i : 2 * rank - 3 - i;
    }
}

/* Whether it holds heads of `length` and `size`; how many, and their view. */
static bool read_heads(found *f, uint32_t which, uint32_t length, uint32_t size, uint32_t *heads) {
    wai_value *value = f->values[which];
    const bool turned = which == WAI_ATTENTION_K && f->turned;
    const uint64_t count = wai_type_count(&value->type), one = (uint64_t)f->batch * length * size;
    if (count % one != 0) {
        return false;
    }
    *heads = (uint32_t)(count / one);
    const uint32_t dims[] = {f->batch, *heads, length, size};
    wai_view *view = &f->views[which];
    *view = wai_view_of(value);
    if (turned) {
        wai_transpose_params p;
        swap_last(value->type.rank, &p);
        wai_view_transpose(view, &p);
    }
    if (!wai_view_reshape(view, 4, dims) || (size != 1 && view->stride[3] != 1) ||
        (which == WAI_ATTENTION_V && view->scale != 1) ||
        (view->base->producer != NULL && !wai_node_covers(view->base->producer, f->last))) {
        view->base = NULL;
    }
    return true;
}

/* `node` is the second product, of what a softmax gives. */
static bool find(found *f, wai_node *node) {
    wai_value *weights = before_reshapes(node->in[0]);
    const wai_node *softmax = wai_pass_producer(weights, &wai_op_softmax);
    if (softmax == NULL || wai_value_use_count(weights) != 1 ||
        ((const wai_matmul_params *)node->params)->transpose_b != 0) {
        return false;
    }
    const wai_softmax_params *p = softmax->params;
    const wai_type *type = &weights->type;
    const uint32_t rank = type->rank, *d = type->dims;
    if (p->log != 0 || p->axis + 1 != rank || rank < 2 || rank > 4 || wai_type_count(type) == 0 ||
        node->in[0]->type.dims[node->in[0]->type.rank - 1] != d[rank - 1] ||
        !read_scores(&f->scores, softmax->in[0])) {
        return false;
    }
    f->last = node;
    f->batch = rank == 4 ? d[0] : 1;
    f->p.heads = rank > 2 ? d[rank - 3] : 1;
    f->queries = d[rank - 2];
    f->keys = d[rank - 1];
    const wai_node *product = f->scores.product;
    const wai_type *q = &product->in[0]->type, *y = &node->out[0]->type;
    const wai_type *whole = &product->out[0]->type;
    f->p.size = q->dims[q->rank - 1];
    f->p.value_size = y->dims[y->rank - 1];
    f->turned = ((const wai_matmul_params *)product->params)->transpose_b == 0;
    f->values[0] = product->in[0];
    f->values[1] = product->in[1];
    f->values[2] = node->in[1];
    const uint64_t rows = (uint64_t)f->batch * f->p.heads * f->queries;
    return q->dtype == WAI_F32 && f->p.size != 0 && f->p.size <= WAI_ATTENTION_MAX_SIZE &&
           f->p.value_size != 0 && f->p.value_size <= WAI_ATTENTION_MAX_SIZE &&
           whole->dims[whole->rank - 1] == f->keys && wai_type_count(whole) == rows * f->keys &&
           wai_type_count(q) == rows * f->p.size && wai_type_count(y) == rows * f->p.value_size;
}

static bool find_heads(found *f) {
    uint32_t heads, kv_heads;
    return read_heads(f, 0, f->queries, f->p.size, &heads) && heads == f->p.heads &&
           read_heads(f, 1, f->keys, f->p.size, &f->p.kv_heads) &&
           read_heads(f, 2, f->keys, f->p.value_size, &kv_heads) && kv_heads == f->p.kv_heads &&
           heads % kv_heads == 0;
}

/* ---- what the operator reads ------------------------------------------------------ */

/* The columns of a row of `view`, if it is columns of rows; else 0. */
static uint32_t columns_of(const wai_view *view, bool length_first) {
    const uint32_t *d = view->dims;
    const uint64_t rows = (uint64_t)d[0] * d[2];
    const uint64_t count = view->base != NULL ? wai_type_count(&view->base->type) : 0;
    const uint64_t columns = count % rows == 0 ? count / rows : 0;
    const uint64_t batch_first[] = {d[2] * columns, d[3], columns, 1};
    const uint64_t other[] = {columns, d[3], d[0] * columns, 1};
    return columns <= WAI_MAX_DIM && view->offset + (uint64_t)d[1] * d[3] <= columns &&
                   wai_view_has_strides(view, length_first ? other : batch_first)
               ? (uint32_t)columns
               : 0;
}

static wai_value *emit_heads(wai_graph *graph, found *f, uint32_t which, uint32_t *column) {
    const wai_view *view = &f->views[which];
    wai_value *value = f->values[which];
    const uint32_t size = which == WAI_ATTENTION_V ? f->p.value_size : f->p.size;
    const uint32_t length = which == WAI_ATTENTION_Q ? f->queries : f->keys;
    const uint32_t heads = which == WAI_ATTENTION_Q ? f->p.heads : f->p.kv_heads;
    const uint32_t apart[] = {f->batch, heads, length, size};
    *column = 0;
    if (view->base != NULL) {
        const bool first = f->p.length_first != 0;
        const uint32_t columns = columns_of(view, first);
        const uint32_t rows[] = {first ? length : f->batch, first ? f->batch : length, columns};
        const wai_type *base = &view->base->type;
        const bool is_apart = base->rank == 4 && memcmp(base->dims, apart, sizeof apart) == 0;
        if (wai_view_is_whole(view) && (is_apart || columns == 0)) {
            return wai_emit_reshape(graph, view->base, 4, apart);
        }
        if (columns != 0) {
            f->p.scale *= view->scale;
            *column = (uint32_t)view->offset;
            return wai_emit_reshape(graph, view->base, 3, rows);
        }
    }
    if (which == WAI_ATTENTION_K && f->turned) {
        wai_transpose_params p;
        swap_last(value->type.rank, &p);
        value = wai_emit_transpose(graph, value, p.perm);
    }
    return wai_emit_reshape(graph, value, 4, apart);
}

static wai_value *emit(wai_graph *graph, found *f) {
    wai_value *in[WAI_ATTENTION_INPUTS] = {NULL};
    f->p.length_first = columns_of(&f->views[0], false) == 0 && columns_of(&f->views[0], true) != 0;
    f->p.scale = f->scores.scale;
    f->p.shut = f->scores.shut;
    in[0] = emit_heads(graph, f, 0, &f->p.q_column);
    in[1] = emit_heads(graph, f, 1, &f->p.k_column);
    in[2] = emit_heads(graph, f, 2, &f->p.v_column);
    in[WAI_ATTENTION_BIAS] = f->scores.bias;
    in[WAI_ATTENTION_VISIBLE] = f->scores.inverted
                                    ? wai_emit_unary(graph, WAI_UNARY_NOT, 0, 0, f->scores.visible)
                                    : f->scores.visible;
    return wai_emit(graph, &wai_op_attention, &f->p, in, WAI_ATTENTION_INPUTS);
}

/* ---- what reads it ------------------------------------------------------------------ */

/* y with its heads apart, and what makes that [batch, heads, queries, size]. */
typedef struct parted {
    uint32_t dims[4];
    wai_transpose_params turn;
} parted;

static parted part_result(const found *f) {
    const uint32_t heads = f->p.heads, size = f->p.value_size;
    return f->p.length_first ? (parted){{f->queries, f->batch, heads, size}, {{1, 2, 0, 3}}}
                             : (parted){{f->batch, f->queries, heads, size}, {{0, 2, 1, 3}}};
}

/* The last of the reshapes and transposes behind the product whose elements are in the
 * order of y, or NULL. */
static wai_node *find_join(const found *f, wai_value *y, const parted *parted) {
    wai_view view = wai_view_whole(y);
    (void)wai_view_reshape(&view, 4, parted->dims);
    wai_view_transpose(&view, &parted->turn);
    wai_node *found = NULL;
    bool fits = true;
    for (wai_node *node = f->last; node != NULL; node = wai_value_only_user(node->out[0])) {
        const wai_type *out = &node->out[0]->type;
        if (node == f->last || node->op == &wai_op_reshape) {
            fits = wai_view_reshape(&view, out->rank, out->dims);
        } else if (node->op != &wai_op_transpose || !fits) {
            break;
        } else {
            wai_view_transpose(&view, node->params);
        }
        found = fits && wai_view_is_whole(&view) ? node : found;
    }
    return found;
}

static void replace(wai_graph *graph, const found *f, wai_value *y) {
    if (y == NULL) {
        return;
    }
    const parted parted = part_result(f);
    wai_node *join = find_join(f, y, &parted);
    if (join != NULL) {
        const wai_type *type = &join->out[0]->type;
        wai_pass_replace(graph, join, wai_emit_reshape(graph, y, type->rank, type->dims));
        return;
    }
    const wai_type *type = &f->last->out[0]->type;
    y = wai_emit_reshape(graph, y, 4, parted.dims);
    y = wai_emit_transpose(graph, y, parted.turn.perm);
    wai_pass_replace(graph, f->last, wai_emit_reshape(graph, y, type->rank, type->dims));
}

wai_status wai_pass_fuse_attention(wai_graph *graph) {
    for (wai_node *node = graph->first, *next; node != NULL && graph->status == WAI_OK;
         node = next) {
        next = node->next;
        found f = {0};
        if (node->op == &wai_op_matmul && find(&f, node) && find_heads(&f)) {
            wai_pass_at(graph, node);
            wai_value *y = emit(graph, &f);
            replace(graph, &f, y);
            wai_pass_dead_code(graph); /* so that nothing of it is met again */
            next = y != NULL && y->producer != NULL ? y->producer->next : graph->first;
        }
    }
    graph->cursor = NULL;
    return graph->status;
}
