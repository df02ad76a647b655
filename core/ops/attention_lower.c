/* Attention by matmul, softmax and matmul: see attention_lower.h. */
#include "ops/attention_lower.h"

#include <float.h>
#include <string.h>

#include "base/limits.h"

static bool is_float_of(const wai_value *x, uint32_t rank) {
    return x->type.dtype == WAI_F32 && x->type.rank == rank;
}

uint32_t wai_attention_heads(wai_lower *l, const char *attr) {
    const int64_t heads = wai_attr_int(l, attr, 0);
    if (heads < 1 || heads > WAI_MAX_DIM) {
        WAI_LOWER_REFUSE(l, "%s of %s is %lld", attr, l->op_type, (long long)heads);
        return 0;
    }
    return (uint32_t)heads;
}

wai_value *wai_attention_split(wai_lower *l, wai_value *x, uint32_t heads, const char *what) {
    static const uint32_t perm[] = {0, 2, 1, 3};
    if (x == NULL || wai_lower_failed(l)) {
        return NULL;
    }
    const uint32_t *dims = x->type.dims;
    if (!is_float_of(x, 3) || heads == 0 || dims[2] % heads != 0) {
        char text[WAI_TYPE_TEXT];
        WAI_LOWER_REFUSE(l, "%s of %s is %s, expected f32[batch, length, a multiple of %u]", what,
                         l->op_type, wai_type_text(&x->type, text), heads);
        return NULL;
    }
    const uint32_t apart[] = {dims[0], dims[1], heads, dims[2] / heads};
    return wai_emit_transpose(l->graph, wai_emit_reshape(l->graph, x, 4, apart), perm);
}

wai_value *wai_attention_join(wai_lower *l, wai_value *x) {
    static const uint32_t perm[] = {0, 2, 1, 3};
    x = wai_emit_transpose(l->graph, x, perm);
    if (x == NULL) {
        return NULL;
    }
    const uint32_t *dims = x->type.dims;
    const uint32_t together[] = {dims[0], dims[1], dims[2] * dims[3]};
    return wai_emit_reshape(l->graph, x, 3, together);
}

wai_value *wai_attention_scale(wai_lower *l, wai_value *x, float scale) {
    return scale == 1
               ? x
               : wai_emit_binary(l->graph, WAI_BINARY_MUL, x, wai_emit_scalar_f32(l->graph, scale));
}

wai_value *wai_attention_extend(wai_lower *l, wai_value *past, wai_value *x, const char *what) {
    if (past == NULL || x == NULL || wai_lower_failed(l)) {
        return x;
    }
    const uint32_t *dims = x->type.dims;
    if (!is_float_of(past, 4) || past->type.dims[0] != dims[0] || past->type.dims[1] != dims[1] ||
        past->type.dims[3] != dims[3]) {
        char text[WAI_TYPE_TEXT];
        WAI_LOWER_REFUSE(l, "%s of %s is %s, expected f32[%u,%u,length,%u]", what, l->op_type,
                         wai_type_text(&past->type, text), dims[0], dims[1], dims[3]);
        return NULL;
    }
    const wai_concat_params p = {2};
    wai_value *in[] = {past, x};
    return wai_emit(l->graph, &wai_op_concat, &p, in, 2);
}

wai_value *wai_attention_causal(wai_lower *l, uint32_t queries, uint32_t keys, wai_value *past,
                                uint32_t axis) {
    wai_graph *g = l->graph;
    if (wai_lower_failed(l) || keys <= (past != NULL ? past->type.dims[axis] : 0) + 1) {
        return NULL;
    }
    const uint32_t column[] = {queries, 1};
    wai_value *s = wai_emit_reshape(g, wai_lower_iota(l, WAI_I32, queries), 2, column);
    if (past != NULL) {
        s = wai_emit_binary(g, WAI_BINARY_ADD, s, wai_lower_extent(l, past, axis, WAI_I32));
    }
    return wai_lower_compare_of(l, WAI_COMPARE_LESS_OR_EQUAL, wai_lower_iota(l, WAI_I32, keys), s);
}

wai_value *wai_attention_bias(wai_lower *l, wai_value *open, float shut) {
    return wai_lower_where_of(l, open, wai_emit_scalar_f32(l->graph, 0),
                              wai_emit_scalar_f32(l->graph, shut));
}

/* ---- the product ------------------------------------------------------------ */

static bool check(wai_lower *l, const wai_attention *a) {
    if (a->q == NULL || a->k == NULL || a->v == NULL || wai_lower_failed(l)) {
        return false;
    }
    const uint32_t *q = a->q->type.dims, *k = a->k->type.dims, *v = a->v->type.dims;
    if (is_float_of(a->q, 4) && is_float_of(a->k, 4) && is_float_of(a->v, 4) && q[0] == k[0] &&
        q[3] == k[3] && memcmp(k, v, 3 * sizeof *k) == 0 && k[1] != 0 && q[1] % k[1] == 0) {
        return true;
    }
    char text_q[WAI_TYPE_TEXT], text_k[WAI_TYPE_TEXT], text_v[WAI_TYPE_TEXT];
    WAI_LOWER_REFUSE(l, "%s of queries %s, keys %s and values %s (batch, heads, length, size)",
                     l->op_type, wai_type_text(&a->q->type, text_q),
                     wai_type_text(&a->k->type, text_k), wai_type_text(&a->v->type, text_v));
    return false;
}

/* Does `value` broadcast to the scores without stretching them? */
static bool spreads(wai_lower *l, const wai_value *value, const wai_type *scores,
                    const char *what) {
    wai_type out;
    if (value == NULL || wai_lower_failed(l)) {
        return !wai_lower_failed(l);
    }
    if (!wai_type_broadcast(&out, &value->type, scores) || out.rank != scores->rank ||
        memcmp(out.dims, scores->dims, sizeof out.dims) != 0) {
        char text[WAI_TYPE_TEXT], of_scores[WAI_TYPE_TEXT];
        WAI_LOWER_REFUSE(l, "%s of %s is %s and does not spread to the scores %s", what, l->op_type,
                         wai_type_text(&value->type, text), wai_type_text(scores, of_scores));
        return false;
    }
    return true;
}

static wai_value *cap(wai_lower *l, wai_value *scores, float limit) {
    if (limit == 0) {
        return scores;
    }
    scores =
        wai_emit_unary(l->graph, WAI_UNARY_TANH, 0, 0, wai_attention_scale(l, scores, 1 / limit));
    return wai_attention_scale(l, scores, limit);
}

static wai_value *product(wai_lower *l, wai_value *a, wai_value *b, bool transpose_b) {
    const wai_matmul_params p = {transpose_b};
    wai_value *in[] = {a, b};
    return a != NULL && b != NULL ? wai_emit(l->graph, &wai_op_matmul, &p, in, 2) : NULL;
}

wai_value *wai_attention_emit(wai_lower *l, const wai_attention *a) {
    wai_graph *g = l->graph;
    if (!check(l, a)) {
        return NULL;
    }
    const uint32_t *q = a->q->type.dims, *v = a->v->type.dims;
    /* Heads of q that share one of k are more rows of it. */
    const uint32_t rows[] = {q[0], v[1], q[1] / v[1] * q[2], q[3]};
    wai_value *scores = product(l, wai_emit_reshape(g, a->q, 4, rows), a->k, true);
    const uint32_t full[] = {q[0], q[1], q[2], v[2]}, flat[] = {rows[0], rows[1], rows[2], v[2]};
    scores = cap(l, wai_emit_reshape(g, scores, 4, full), a->softcap);
    if (scores == NULL || !spreads(l, a->bias, &scores->type, "the bias") ||
        !spreads(l, a->visible, &scores->type, "the mask")) {
        return NULL;
    }
    scores = a->bias != NULL ? wai_emit_binary(g, WAI_BINARY_ADD, scores, a->bias) : scores;
    if (a->visible != NULL) {
        scores = wai_lower_where_of(l, a->visible, scores, wai_emit_scalar_f32(g, -FLT_MAX));
    }
    const wai_softmax_params p = {.axis = 3};
    scores = scores != NULL ? wai_emit(g, &wai_op_softmax, &p, &scores, 1) : NULL;
    const uint32_t out[] = {q[0], q[1], q[2], v[3]};
    return wai_emit_reshape(g, product(l, wai_emit_reshape(g, scores, 4, flat), a->v, false), 4,
                            out);
}
