/* com.microsoft Attention, QAttention and MultiHeadAttention: from the forms in
 * which queries, keys, values and masks come to attention_lower.h. */
#include <math.h>
#include <string.h>

#include "ops/attention_lower.h"
#include "ops/quantize.h"

/* ---- masks -------------------------------------------------------------------- */

static wai_value *compare_scalar(wai_lower *l, wai_compare_kind kind, wai_value *x, int64_t value) {
    return x != NULL
               ? wai_lower_compare_of(l, kind, x, wai_emit_scalar(l->graph, x->type.dtype, value))
               : NULL;
}

/* Positions before the B numbers of `ends` and from those of `starts` on, if any:
 * bool[B,1,1,T]. */
static wai_value *within(wai_lower *l, wai_value *ends, wai_value *starts, uint32_t batch,
                         uint32_t keys) {
    wai_graph *g = l->graph;
    const uint32_t column[] = {batch, 1, 1, 1};
    wai_value *t = ends != NULL ? wai_lower_iota(l, ends->type.dtype, keys) : NULL;
    wai_value *open =
        wai_lower_compare_of(l, WAI_COMPARE_LESS, t, wai_emit_reshape(g, ends, 4, column));
    if (starts != NULL) {
        wai_value *from = wai_lower_compare_of(l, WAI_COMPARE_GREATER_OR_EQUAL, t,
                                               wai_emit_reshape(g, starts, 4, column));
        open = wai_emit_binary(g, WAI_BINARY_AND, open, from);
    }
    return open;
}

typedef struct extent { /* of the scores */
    uint32_t batch, queries, keys;
} extent;

/* The forms of a mask that onnxruntime's CPU kernels take: [B] lengths, [2B] ends
 * and starts, [B,T], [B,S,T]. NULL where `mask` is. */
static wai_value *read_mask(wai_lower *l, wai_value *mask, const extent *e, float shut) {
    if (mask == NULL || wai_lower_failed(l)) {
        return NULL;
    }
    const wai_type *type = &mask->type;
    const uint32_t *dims = type->dims, batch = e->batch;
    wai_value *open = NULL;
    if (type->rank == 1 && dims[0] == batch) {
        open = within(l, mask, NULL, batch, e->keys);
    } else if (type->rank == 1 && (uint64_t)dims[0] == 2 * (uint64_t)batch) {
        open = within(l, wai_lower_part(l, mask, 0, 0, batch),
                      wai_lower_part(l, mask, 0, batch, batch), batch, e->keys);
    } else if (type->rank == 2 && dims[0] == batch && dims[1] == e->keys) {
        const uint32_t row[] = {batch, 1, 1, e->keys};
        open = compare_scalar(l, WAI_COMPARE_GREATER, wai_emit_reshape(l->graph, mask, 4, row), 0);
    } else if (type->rank == 3 && dims[0] == batch && dims[1] == e->queries && dims[2] == e->keys) {
        const uint32_t table[] = {batch, 1, e->queries, e->keys};
        open =
            compare_scalar(l, WAI_COMPARE_GREATER, wai_emit_reshape(l->graph, mask, 4, table), 0);
    } else {
        char text[WAI_TYPE_TEXT];
        WAI_LOWER_DECLINE(l, "%s with a mask of %s for batch %u, %u queries and %u keys",
                          l->op_type, wai_type_text(type, text), batch, e->queries, e->keys);
        return NULL;
    }
    return wai_attention_bias(l, open, shut);
}

static wai_value *add(wai_lower *l, wai_value *a, wai_value *b) {
    return a == NULL ? b : b == NULL ? a : wai_emit_binary(l->graph, WAI_BINARY_ADD, a, b);
}

typedef struct options {
    uint32_t heads;
    float scale; /* 0: 1 / sqrt(D) */
    float shut;  /* what a mask adds where it shuts */
    bool causal;
} options;

static bool read_options(wai_lower *l, options *o) {
    o->heads = wai_attention_heads(l, "num_heads");
    o->scale = wai_attr_float(l, "scale", 0);
    o->shut = wai_attr_float(l, "mask_filter_value", -10000);
    o->causal = wai_attr_int(l, "unidirectional", 0) != 0;
    return !wai_lower_failed(l);
}

/* Scores of q[B,S,H*D] and heads k, v [B,H,T,*], which hold the past already; it
 * is dim `axis` of `past`. */
static wai_value *attend(wai_lower *l, const options *o, wai_value *q, wai_value *k, wai_value *v,
                         wai_value *mask, wai_value *bias, wai_value *past, uint32_t axis) {
    if (q == NULL || k == NULL || v == NULL || wai_lower_failed(l)) {
        return NULL;
    }
    const extent e = {q->type.dims[0], q->type.dims[1], k->type.dims[2]};
    const float size = (float)(q->type.dims[2] / o->heads);
    q = wai_attention_scale(l, q, o->scale != 0 ? o->scale : 1 / sqrtf(size));
    const wai_attention a = {
        .q = wai_attention_split(l, q, o->heads, "query"),
        .k = k,
        .v = v,
        .bias = add(l, bias, read_mask(l, mask, &e, o->shut)),
        .visible = o->causal ? wai_attention_causal(l, e.queries, e.keys, past, axis) : NULL,
    };
    return wai_attention_join(l, wai_attention_emit(l, &a));
}

/* ---- Attention ------------------------------------------------------------------- */

/* past[2,B,H,P,D]: one of the two, [B,H,P,D]. */
static wai_value *past_part(wai_lower *l, wai_value *past, uint32_t index) {
    if (past == NULL || wai_lower_failed(l)) {
        return NULL;
    }
    if (past->type.rank != 5 || past->type.dims[0] != 2) {
        char text[WAI_TYPE_TEXT];
        WAI_LOWER_REFUSE(l, "past of %s is %s, expected [2,batch,heads,length,size]", l->op_type,
                         wai_type_text(&past->type, text));
        return NULL;
    }
    return wai_emit_reshape(l->graph, wai_lower_part(l, past, 0, index, 1), 4, past->type.dims + 1);
}

/* k and v [B,H,T,D] as one [2,B,H,T,D]. */
static wai_value *present(wai_lower *l, wai_value *k, wai_value *v) {
    if (k == NULL || v == NULL || wai_lower_failed(l)) {
        return NULL;
    }
    if (!wai_type_equal(&k->type, &v->type)) {
        WAI_LOWER_REFUSE(l, "present of %s with keys of %u and values of %u", l->op_type,
                         k->type.dims[3], v->type.dims[3]);
        return NULL;
    }
    const uint32_t *d = k->type.dims, dims[] = {1, d[0], d[1], d[2], d[3]};
    const wai_concat_params p = {0};
    wai_value *in[] = {wai_emit_reshape(l->graph, k, 5, dims),
                       wai_emit_reshape(l->graph, v, 5, dims)};
    return wai_emit(l->graph, &wai_op_concat, &p, in, 2);
}

/* How the columns of the weights part into q, k and v. */
static bool read_sizes(wai_lower *l, const wai_value *weights, uint32_t sizes[3]) {
    int64_t given[3];
    const uint32_t count = wai_attr_ints(l, "qkv_hidden_sizes", given, 3);
    const uint32_t columns = weights->type.rank == 2 ? weights->type.dims[1] : 0;
    if (wai_lower_failed(l)) {
        return false;
    }
    uint64_t total = 0;
    for (uint32_t i = 0; i < 3; i++) {
        sizes[i] = count == 3 ? wai_lower_dim(l, given[i], "qkv_hidden_sizes") : columns / 3;
        total += sizes[i];
    }
    if (weights->type.rank != 2 || (count != 0 && count != 3) || total != columns) {
        char text[WAI_TYPE_TEXT];
        WAI_LOWER_REFUSE(l, "weights of %s are %s, expected a matrix of %u + %u + %u columns",
                         l->op_type, wai_type_text(&weights->type, text), sizes[0], sizes[1],
                         sizes[2]);
    }
    return !wai_lower_failed(l);
}

/* Inputs behind x, weights and bias stand at `mask`, past behind it. */
static void attention(wai_lower *l, wai_value *x, wai_value *weights, wai_value *bias,
                      uint32_t mask, uint32_t scores_bias) {
    options o;
    uint32_t sizes[3], from = 0;
    if (wai_attr_int(l, "do_rotary", 0) != 0 || wai_attr_int(l, "past_present_share_buffer", 0)) {
        WAI_LOWER_DECLINE(l, "%s with do_rotary or past_present_share_buffer", l->op_type);
    }
    wai_attr_ignore(l, "rotary_embedding_dim");
    if (!read_options(l, &o) || !read_sizes(l, weights, sizes)) {
        return;
    }
    wai_value *parts[3], *past = wai_lower_optional(l, mask + 1);
    for (uint32_t i = 0; i < 3; from += sizes[i++]) {
        parts[i] = wai_lower_product(l, x, wai_lower_part(l, weights, 1, from, sizes[i]));
        if (bias != NULL && bias->type.rank == 1 && bias->type.dims[0] == weights->type.dims[1]) {
            parts[i] = add(l, parts[i], wai_lower_part(l, bias, 0, from, sizes[i]));
        } else if (bias != NULL) {
            char text[WAI_TYPE_TEXT];
            WAI_LOWER_REFUSE(l, "bias of %s is %s, expected [%u]", l->op_type,
                             wai_type_text(&bias->type, text), weights->type.dims[1]);
        }
    }
    wai_value *k = wai_attention_split(l, parts[1], o.heads, "key");
    wai_value *v = wai_attention_split(l, parts[2], o.heads, "value");
    k = wai_attention_extend(l, past_part(l, past, 0), k, "past");
    v = wai_attention_extend(l, past_part(l, past, 1), v, "past");
    l->out[0] = attend(l, &o, parts[0], k, v, wai_lower_optional(l, mask),
                       scores_bias != 0 ? wai_lower_optional(l, scores_bias) : NULL, past, 3);
    if (wai_lower_wants(l, 1)) {
        l->out[1] = present(l, k, v);
    }
}

/* X, weights, bias, mask, past, bias of the scores */
void wai_lower_microsoft_attention(wai_lower *l) {
    wai_value *x = wai_lower_input(l, 0), *weights = wai_lower_input(l, 1);
    if (wai_lower_failed(l)) {
        return;
    }
    attention(l, x, weights, wai_lower_optional(l, 2), 3, 5);
}

/* (q - zero) * scale; scale and zero point of one number, or one per column. */
static wai_value *real(wai_lower *l, wai_value *q, wai_value *scale, wai_value *zero) {
    if (q == NULL || scale == NULL || wai_lower_failed(l)) {
        return NULL;
    }
    q = wai_emit_cast(l->graph, q, WAI_F32);
    if (zero != NULL) {
        q = wai_emit_binary(l->graph, WAI_BINARY_SUB, q, wai_emit_cast(l->graph, zero, WAI_F32));
    }
    return wai_emit_binary(l->graph, WAI_BINARY_MUL, q, scale);
}

/* X, weights, bias, X's scale, weights' scale, mask, X's zero point, weights', past */
void wai_lower_qattention(wai_lower *l) {
    wai_value *x = wai_lower_input(l, 0), *weights = wai_lower_input(l, 1);
    x = real(l, x, wai_lower_input(l, 3), wai_lower_optional(l, 6));
    weights = real(l, weights, wai_lower_input(l, 4), wai_lower_optional(l, 7));
    if (wai_lower_optional(l, 8) != NULL || wai_lower_wants(l, 1)) {
        WAI_LOWER_DECLINE(l, "QAttention with past or present");
    }
    wai_value *in[] = {x, weights, wai_lower_input(l, 2), wai_lower_optional(l, 5)};
    wai_lower_as(l, wai_lower_microsoft_attention, "Attention", 1, in, 4, l->out, l->out_count);
}

/* ---- MultiHeadAttention ------------------------------------------------------------ */

/* Part `index` of x[B,L,H,n,D] as [B,L,H*D]. */
static wai_value *unpack(wai_lower *l, wai_value *x, uint32_t index) {
    x = wai_lower_part(l, x, 3, index, 1);
    if (x == NULL) {
        return NULL;
    }
    const uint32_t *d = x->type.dims, dims[] = {d[0], d[1], d[2] * d[4]};
    return wai_emit_reshape(l->graph, x, 3, dims);
}

static bool is_packed(const wai_value *x, uint32_t parts, uint32_t heads) {
    return x != NULL && x->type.rank == 5 && x->type.dims[2] == heads && x->type.dims[3] == parts;
}

/* Queries, keys and values apart, in in[0..3): rank 3, or heads (rank 4) for keys
 * and values that come so. False after a failure. */
static bool read_operands(wai_lower *l, uint32_t heads, wai_value **in) {
    in[0] = wai_lower_input(l, 0);
    in[1] = wai_lower_optional(l, 1);
    in[2] = wai_lower_optional(l, 2);
    if (wai_lower_failed(l)) {
        return false;
    }
    if (in[1] == NULL && in[2] == NULL && is_packed(in[0], 3, heads)) {
        for (uint32_t i = 3; i-- > 0;) {
            in[i] = unpack(l, in[0], i);
        }
    } else if (in[2] == NULL && is_packed(in[1], 2, heads)) {
        in[2] = unpack(l, in[1], 1);
        in[1] = unpack(l, in[1], 0);
    }
    if (in[1] == NULL || in[2] == NULL || in[0] == NULL || in[0]->type.rank != 3 ||
        in[1]->type.rank != in[2]->type.rank || in[1]->type.rank < 3 || in[1]->type.rank > 4) {
        WAI_LOWER_REFUSE(l,
                         "query, key and value of %s have ranks %u, %u and %u, expected 3 each, or "
                         "a packed form of %u heads",
                         l->op_type, in[0] != NULL ? in[0]->type.rank : 0,
                         in[1] != NULL ? in[1]->type.rank : 0, in[2] != NULL ? in[2]->type.rank : 0,
                         heads);
    }
    return !wai_lower_failed(l);
}

/* Adds the parts of bias[q + k + v] to operands of rank 3. */
static void add_bias(wai_lower *l, wai_value *bias, wai_value **in) {
    if (bias == NULL || wai_lower_failed(l)) {
        return;
    }
    uint64_t sizes[3], total = 0;
    for (uint32_t i = 0; i < 3; i++) {
        const wai_type *type = &in[i]->type;
        sizes[i] = type->rank == 3 ? type->dims[2] : (uint64_t)type->dims[1] * type->dims[3];
        total += sizes[i];
    }
    if (bias->type.rank != 1 || bias->type.dims[0] != total) {
        char text[WAI_TYPE_TEXT];
        WAI_LOWER_REFUSE(l, "bias of %s is %s, expected [%llu]", l->op_type,
                         wai_type_text(&bias->type, text), (unsigned long long)total);
        return;
    }
    for (uint32_t i = 0, from = 0; i < 3; from += (uint32_t)sizes[i++]) {
        if (in[i] != NULL && in[i]->type.rank == 3) {
            in[i] = add(l, in[i], wai_lower_part(l, bias, 0, from, (uint32_t)sizes[i]));
        }
    }
}

/* query, key, value, bias, mask, bias of the scores, past key, past value */
void wai_lower_multi_head_attention(wai_lower *l) {
    options o;
    wai_value *in[3];
    if (wai_lower_optional(l, 8) != NULL || wai_lower_optional(l, 9) != NULL) {
        WAI_LOWER_DECLINE(l, "%s with past_sequence_length or cache_indirection", l->op_type);
    }
    if (!read_options(l, &o) || !read_operands(l, o.heads, in)) {
        return;
    }
    add_bias(l, wai_lower_optional(l, 3), in);
    wai_value *past_k = wai_lower_optional(l, 6), *past_v = wai_lower_optional(l, 7);
    wai_value *k = in[1], *v = in[2];
    if (k != NULL && k->type.rank == 3) {
        k = wai_attention_split(l, k, o.heads, "key");
        v = wai_attention_split(l, v, o.heads, "value");
    }
    k = wai_attention_extend(l, past_k, k, "past_key");
    v = wai_attention_extend(l, past_v, v, "past_value");
    l->out[0] =
        attend(l, &o, in[0], k, v, wai_lower_optional(l, 4), wai_lower_optional(l, 5), past_k, 2);
    wai_value *further[] = {NULL, k, v};
    for (uint32_t i = 1; i < l->out_count && i < 3; i++) {
        l->out[i] = further[i];
    }
}
