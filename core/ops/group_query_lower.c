/*
 * com.microsoft GroupQueryAttention: attention over a cache of keys and values,
 * fewer heads of which than of queries, causal, with rotary embedding inside.
 *
 * seqlens_k says per batch how many keys there are, less one, so that new ones
 * stand behind past = max(0, seqlens_k + 1 - S) old ones: mostly known at run
 * only. The present cache is then gathered out of [past cache | new keys] by a
 * computed list of rows; one that would not fit is out of range and fails the run.
 */
#include <math.h>
#include <string.h>

#include "base/limits.h"
#include "ops/attention_lower.h"
#include "ops/index.h"

enum { Q, K, V, PAST_K, PAST_V, LENGTHS, TOTAL, COS, SIN, POSITIONS, BIAS, INPUTS };

typedef struct group {
    uint32_t batch, heads, kv_heads, size;     /* size: of a head                 */
    uint32_t queries, past, keys;              /* S; dims of the caches: P and T  */
    wai_value *queries_of, *past_of, *keys_of; /* the same as i32 scalars     */
    wai_value *before;                         /* i32[B,1]: old keys in the cache */
    wai_value *places;                         /* i32[B or 1,S]: of the queries   */
} group;

static wai_value *number(wai_lower *l, int64_t value) {
    return wai_emit_scalar(l->graph, WAI_I32, value);
}

static wai_value *i32(wai_lower *l, wai_binary_kind kind, wai_value *a, wai_value *b) {
    return wai_emit_binary(l->graph, kind, a, b);
}

/* ---- operands ------------------------------------------------------------------- */

/* q, k and v as [B,S,heads*D], out of a packed q too. */
static bool read_operands(wai_lower *l, group *g, wai_value **in) {
    wai_value *q = wai_lower_input(l, Q);
    in[1] = wai_lower_optional(l, K);
    in[2] = wai_lower_optional(l, V);
    if (wai_lower_failed(l)) {
        return false;
    }
    char text[WAI_TYPE_TEXT];
    const bool packed = in[1] == NULL && in[2] == NULL;
    const uint64_t heads = g->heads + (packed ? 2 * (uint64_t)g->kv_heads : 0);
    if (q->type.rank != 3 || q->type.dims[2] % heads != 0 || q->type.dims[2] == 0 ||
        g->heads % g->kv_heads != 0) {
        WAI_LOWER_REFUSE(l, "query of %s is %s for %u heads, %u of keys", l->op_type,
                         wai_type_text(&q->type, text), g->heads, g->kv_heads);
        return false;
    }
    g->batch = q->type.dims[0];
    g->queries = q->type.dims[1];
    g->size = (uint32_t)(q->type.dims[2] / heads);
    const uint32_t own = g->heads * g->size, other = g->kv_heads * g->size;
    in[0] = packed ? wai_lower_part(l, q, 2, 0, own) : q;
    if (packed) {
        in[1] = wai_lower_part(l, q, 2, own, other);
        in[2] = wai_lower_part(l, q, 2, own + other, other);
    }
    const uint32_t dims[] = {g->batch, g->queries, other};
    const wai_type expected = wai_type_make(WAI_F32, 3, dims);
    for (uint32_t i = 1; i < 3 && !wai_lower_failed(l); i++) {
        if (in[i] == NULL || !wai_type_equal(&in[i]->type, &expected)) {
            char have[WAI_TYPE_TEXT];
            WAI_LOWER_REFUSE(l, "%s of %s is %s, expected %s", i == 1 ? "key" : "value", l->op_type,
                             in[i] != NULL ? wai_type_text(&in[i]->type, have) : "absent",
                             wai_type_text(&expected, text));
        }
    }
    return !wai_lower_failed(l);
}

/* T: as total_sequence_length says where it is a constant; else room for all. */
static bool read_lengths(wai_lower *l, group *g) {
    wai_value *past_k = wai_lower_optional(l, PAST_K), *lengths = wai_lower_input(l, LENGTHS);
    wai_value *total = wai_lower_input(l, TOTAL);
    if (wai_lower_failed(l)) {
        return false;
    }
    char text[WAI_TYPE_TEXT];
    g->past = past_k != NULL && past_k->type.rank == 4 ? past_k->type.dims[2] : 0;
    if (lengths->type.dtype != WAI_I32 || wai_type_count(&lengths->type) != g->batch) {
        WAI_LOWER_REFUSE(l, "seqlens_k of %s is %s, expected i32[%u]", l->op_type,
                         wai_type_text(&lengths->type, text), g->batch);
        return false;
    }
    if (total->type.dtype != WAI_I32 || wai_type_count(&total->type) != 1) {
        WAI_LOWER_REFUSE(l, "total_sequence_length of %s is %s, expected one i32", l->op_type,
                         wai_type_text(&total->type, text));
        return false;
    }
    int64_t keys = (int64_t)g->past + g->queries;
    if (wai_value_is_constant(total)) {
        int32_t given;
        memcpy(&given, total->data, sizeof given);
        keys = given > (int64_t)g->past ? given : g->past;
        if (given < (int64_t)g->queries || keys > (int64_t)g->past + g->queries) {
            WAI_LOWER_REFUSE(l, "total_sequence_length of %s is %d with %u queries and %u in past",
                             l->op_type, given, g->queries, g->past);
        }
    }
    g->keys = wai_lower_dim(l, keys, "the number of keys");
    g->queries_of = wai_lower_extent(l, l->in[Q], 1, WAI_I32);
    g->past_of = g->past != 0 ? wai_lower_extent(l, past_k, 2, WAI_I32) : number(l, 0);
    g->keys_of = keys == (int64_t)g->past ? g->past_of
                 : keys == (int64_t)g->past + g->queries
                     ? i32(l, WAI_BINARY_ADD, g->past_of, g->queries_of)
                     : number(l, keys);
    const uint32_t column[] = {g->batch, 1}, row[] = {1, g->queries};
    if (g->past == 0) {
        g->before = wai_emit_reshape(l->graph, number(l, 0), 2, (const uint32_t[]){1, 1});
    } else {
        lengths = wai_emit_reshape(l->graph, lengths, 2, column);
        lengths = i32(l, WAI_BINARY_ADD, lengths, number(l, 1));
        lengths = i32(l, WAI_BINARY_SUB, lengths, g->queries_of);
        g->before = i32(l, WAI_BINARY_MAX, lengths, number(l, 0));
    }
    wai_value *steps = wai_emit_reshape(l->graph, wai_lower_iota(l, WAI_I32, g->queries), 2, row);
    g->places = i32(l, WAI_BINARY_ADD, g->before, steps);
    return !wai_lower_failed(l);
}

/* ---- the cache -------------------------------------------------------------------- */

/* Which row of [past | new] is row t of present: t in the past's part, P + t -
 * before in the new part, and what the past's buffer holds behind both. i32[B,T] */
static wai_value *cache_rows(wai_lower *l, const group *g) {
    wai_graph *graph = l->graph;
    const uint32_t row[] = {1, g->keys};
    wai_value *t = wai_emit_reshape(graph, wai_lower_iota(l, WAI_I32, g->keys), 2, row);
    wai_value *end = i32(l, WAI_BINARY_ADD, g->before, g->queries_of);
    wai_value *is_new =
        i32(l, WAI_BINARY_AND, wai_lower_compare_of(l, WAI_COMPARE_GREATER_OR_EQUAL, t, g->before),
            wai_lower_compare_of(l, WAI_COMPARE_LESS, t, end));
    wai_value *moved = i32(l, WAI_BINARY_SUB, i32(l, WAI_BINARY_ADD, t, g->past_of), g->before);
    wai_value *old = i32(l, WAI_BINARY_MIN, t, i32(l, WAI_BINARY_SUB, g->past_of, number(l, 1)));
    wai_value *rows = wai_lower_where_of(l, is_new, moved, old);
    wai_value *too_many = wai_lower_compare_of(l, WAI_COMPARE_GREATER, end, g->keys_of);
    too_many =
        i32(l, WAI_BINARY_MUL, wai_emit_cast(graph, too_many, WAI_I32), number(l, WAI_MAX_DIM / 2));
    return i32(l, WAI_BINARY_ADD, rows, too_many);
}

/* x[B,K,S,D] behind the past: [B,K,T,D]. `rows` is NULL where nothing is past. */
static wai_value *cached(wai_lower *l, const group *g, wai_value *past, wai_value *x,
                         wai_value *rows, const char *what) {
    if (rows == NULL || wai_lower_failed(l)) {
        return x;
    }
    x = wai_attention_extend(l, past, x, what);
    if (g->batch == 1) {
        const wai_gather_params p = {.axis = 2};
        wai_value *in[] = {x, wai_emit_reshape(l->graph, rows, 1, &g->keys)};
        return wai_lower_failed(l) ? NULL : wai_emit(l->graph, &wai_op_gather, &p, in, 2);
    }
    const uint32_t one[] = {g->batch, 1, g->keys, 1};
    const wai_expand_params all = {4, {g->batch, g->kv_heads, g->keys, 1}};
    rows = wai_emit_reshape(l->graph, rows, 4, one);
    rows = rows != NULL ? wai_emit(l->graph, &wai_op_expand, &all, &rows, 1) : NULL;
    const wai_gather_nd_params p = {.batch_dims = 2};
    wai_value *in[] = {x, rows};
    return wai_lower_failed(l) ? NULL : wai_emit(l->graph, &wai_op_gather_nd, &p, in, 2);
}

/* ---- the node --------------------------------------------------------------------- */

/* Key t is visible to the query at place p for p - window <= t <= p: onnxruntime
 * counts what is left of p. */
static wai_value *visible(wai_lower *l, const group *g, int64_t window) {
    if (wai_lower_failed(l)) {
        return NULL;
    }
    const uint32_t dims[] = {g->places->type.dims[0], 1, g->queries, 1};
    wai_value *place = wai_emit_reshape(l->graph, g->places, 4, dims);
    wai_value *t = wai_lower_iota(l, WAI_I32, g->keys);
    wai_value *open = wai_lower_compare_of(l, WAI_COMPARE_LESS_OR_EQUAL, t, place);
    if (window > 0 && window < (int64_t)g->keys) {
        wai_value *far = i32(l, WAI_BINARY_SUB, place, number(l, window));
        open = i32(l, WAI_BINARY_AND, open,
                   wai_lower_compare_of(l, WAI_COMPARE_GREATER_OR_EQUAL, t, far));
    }
    return open;
}

static void rotate(wai_lower *l, const group *g, bool interleaved, wai_value **q, wai_value **k) {
    wai_value *places = wai_lower_optional(l, POSITIONS);
    if (places != NULL && (places->type.rank != 2 || places->type.dims[0] != g->batch ||
                           places->type.dims[1] != g->queries)) {
        char text[WAI_TYPE_TEXT];
        WAI_LOWER_REFUSE(l, "position_ids of %s are %s, expected [%u,%u]", l->op_type,
                         wai_type_text(&places->type, text), g->batch, g->queries);
        return;
    }
    const wai_rotary r = wai_rotary_of(l, wai_lower_input(l, COS), wai_lower_input(l, SIN),
                                       places != NULL ? places : g->places, interleaved);
    *q = wai_rotary_emit(l, &r, *q, 1);
    *k = wai_rotary_emit(l, &r, *k, 1);
}

void wai_lower_group_query_attention(wai_lower *l) {
    group g = {.heads = wai_attention_heads(l, "num_heads"),
               .kv_heads = wai_attention_heads(l, "kv_num_heads")};
    const float scale = wai_attr_float(l, "scale", 0), softcap = wai_attr_float(l, "softcap", 0);
    const int64_t window = wai_attr_int(l, "local_window_size", -1);
    const bool turns = wai_attr_int(l, "do_rotary", 0) != 0;
    const bool interleaved = wai_attr_int(l, "rotary_interleaved", 0) != 0;
    if (wai_attr_int(l, "smooth_softmax", 0) > 0) {
        WAI_LOWER_DECLINE(l, "%s with smooth_softmax", l->op_type);
    }
    wai_value *in[3];
    if (wai_lower_failed(l) || !read_operands(l, &g, in) || !read_lengths(l, &g)) {
        return;
    }
    in[0] = wai_attention_scale(l, in[0], scale != 0 ? scale : 1 / sqrtf((float)g.size));
    wai_value *q = wai_attention_split(l, in[0], g.heads, "query");
    wai_value *k = wai_attention_split(l, in[1], g.kv_heads, "key");
    wai_value *v = wai_attention_split(l, in[2], g.kv_heads, "value");
    if (turns) {
        rotate(l, &g, interleaved, &q, &k);
    }
    wai_value *rows = g.past != 0 ? cache_rows(l, &g) : NULL;
    k = cached(l, &g, wai_lower_optional(l, PAST_K), k, rows, "past_key");
    v = cached(l, &g, wai_lower_optional(l, PAST_V), v, rows, "past_value");
    const wai_attention a = {.q = q,
                             .k = k,
                             .v = v,
                             .bias = wai_lower_optional(l, BIAS),
                             .visible = visible(l, &g, window),
                             .softcap = softcap};
    wai_value *out[] = {wai_attention_join(l, wai_attention_emit(l, &a)), k, v};
    for (uint32_t i = 0; i < l->out_count && i < 3; i++) {
        l->out[i] = out[i];
    }
}
