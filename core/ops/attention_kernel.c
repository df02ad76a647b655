/*
 * attention_kernel.c - attention without the matrix of scores, after Milakov and
 * Gimelshein 2018 (softmax in one pass: when a larger score comes, what was summed
 * is scaled down) and Dao et al. 2022 (keys and values in blocks that stay in the
 * cache).
 *
 * A task is one head and up to TILE queries. Queries stand side by side, LANES of
 * them in two vectors, and everything about them is lane by lane: scores, their
 * largest, their sum, and the output, which is turned back at the end. So keys and
 * values are read as they lie, whatever their stride, and no sum goes across a
 * vector. Few queries (a language model's next token) would leave lanes empty:
 * then vectors run along the head instead.
 *
 * Order of sums: over a head in its order; over keys in blocks of BLOCK. A row all
 * of whose scores are -inf is NaN, as of 0 / 0, and so is one with a NaN.
 */
#include <float.h>
#include <pthreadpool.h>
#include <string.h>

#include "base/forget.h"
#include "ops/attention.h"
#include "ops/emit.h"
#include "ops/simd.h"
#include "ops/simd_exp.h"

/* Loops that take little of the time stay small: 1.1 KB of gzip. */
#if defined(__clang__)
#define SMALL_LOOP _Pragma("clang loop vectorize(disable) unroll(disable)")
#else
#define SMALL_LOOP
#endif

#define LANES 8u
#define BLOCK 64u /* keys between two looks at the largest score */
#define TILE  32u
/* Keys or columns of values that a pass sums: twelve sums are faster than eight where
 * multiply-add is one instruction (product.c). */
#define WIDE (WAI_RELAXED ? 6u : 4u)
#define FEW  3u /* queries that go without lanes */
/* Floats of a task on the stack: turned queries and outputs. */
#define SCRATCH (TILE * 128u)

typedef struct heads { /* strides in elements, of one head */
    float *data;
    size_t batch, head, row;
} heads;

typedef struct spread { /* of bias or mask; data NULL: none */
    const uint8_t *data;
    size_t stride[4];
} spread;

typedef struct state {
    heads q, k, v, y;
    spread bias, visible;
    size_t batch, head_count, share, queries, keys, size, value_size;
    size_t tile; /* queries of a task */
    float scale, shut;
} state;

/* ---- prepare ---------------------------------------------------------------- */

static heads read_heads(const wai_attention_params *p, const wai_operand *operand, uint32_t column,
                        size_t size) {
    const uint32_t *d = operand->type.dims;
    float *data = (float *)operand->data + column;
    if (operand->type.rank == 4) {
        return (heads){data, (size_t)d[1] * d[2] * size, d[2] * size, size};
    }
    return p->length_first != 0 ? (heads){data, d[2], size, (size_t)d[1] * d[2]}
                                : (heads){data, (size_t)d[1] * d[2], size, d[2]};
}

static spread read_spread(const wai_step *step, uint32_t index, const uint32_t scores[4]) {
    spread s = {0};
    if (index < step->in_count && step->in[index].data != NULL) {
        const wai_type *type = &step->in[index].type;
        const wai_type all = wai_type_make(type->dtype, 4, scores);
        s.data = step->in[index].data;
        wai_broadcast_strides(type, &all, s.stride);
    }
    return s;
}

static wai_status prepare(wai_step *step, wai_pool *pool, wai_diag *diag) {
    const wai_attention_params *p = step->params;
    state *st = wai_pool_alloc(pool, sizeof *st);
    if (st == NULL) {
        return wai_fail(diag, WAI_ERR_MEMORY, step->where, "no memory for the state of attention");
    }
    uint32_t batch, queries, keys;
    wai_attention_dims(p, &step->in[WAI_ATTENTION_Q].type, &batch, &queries);
    wai_attention_dims(p, &step->in[WAI_ATTENTION_K].type, &batch, &keys);
    const uint32_t scores[] = {batch, p->heads, queries, keys};
    *st = (state){.q = read_heads(p, &step->in[WAI_ATTENTION_Q], p->q_column, p->size),
                  .k = read_heads(p, &step->in[WAI_ATTENTION_K], p->k_column, p->size),
                  .v = read_heads(p, &step->in[WAI_ATTENTION_V], p->v_column, p->value_size),
                  .y = read_heads(p, &step->out[0], 0, p->value_size),
                  .bias = read_spread(step, WAI_ATTENTION_BIAS, scores),
                  .visible = read_spread(step, WAI_ATTENTION_VISIBLE, scores),
                  .batch = batch,
                  .head_count = p->heads,
                  .share = p->heads / p->kv_heads,
                  .queries = queries,
                  .keys = keys,
                  .size = p->size,
                  .value_size = p->value_size,
                  .tile = TILE,
                  .scale = p->scale,
                  .shut = p->shut};
    while (st->tile * (st->size + st->value_size) > SCRATCH) {
        st->tile -= LANES;
    }
    step->state = st;
    return WAI_OK;
}

/* ---- bias and mask ------------------------------------------------------------ */

/* What stands beside the scores of `count` queries from `query` on, and of keys from
 * `key` on. */
typedef struct beside {
    const float *bias;
    const uint8_t *visible;
    size_t bias_row, bias_key, visible_row, visible_key;
    float shut;
} beside;

static beside beside_of(const state *st, size_t b, size_t h, size_t query, size_t key) {
    const size_t *bs = st->bias.stride, *vs = st->visible.stride;
    beside w = {.bias_row = bs[2],
                .bias_key = bs[3],
                .visible_row = vs[2],
                .visible_key = vs[3],
                .shut = st->shut};
    if (st->bias.data != NULL) {
        w.bias = (const float *)(const void *)st->bias.data + b * bs[0] + h * bs[1] +
                 query * bs[2] + key * bs[3];
    }
    if (st->visible.data != NULL) {
        w.visible = st->visible.data + b * vs[0] + h * vs[1] + query * vs[2] + key * vs[3];
    }
    return w;
}

/* To scores of `keys` keys, `lanes` apart, of `count` queries side by side. */
static void put_beside(float *scores, const beside *w, size_t keys, size_t count, size_t lanes) {
    for (size_t i = 0; w->bias != NULL && i < count; i++) {
        const float *bias = w->bias + i * w->bias_row;
        for (size_t t = 0; t < keys; t++) {
            scores[t * lanes + i] += bias[t * w->bias_key];
        }
    }
    for (size_t i = 0; w->visible != NULL && i < count; i++) {
        const uint8_t *visible = w->visible + i * w->visible_row;
        SMALL_LOOP
        for (size_t t = 0; t < keys; t++) {
            float *s = &scores[t * lanes + i];
            *s = visible[t * w->visible_key] != 0 ? *s : w->shut;
        }
    }
}

/* ---- many queries -------------------------------------------------------------- */

/* What a group of LANES queries has so far. */
typedef struct group {
    float max[LANES], sum[LANES];
    float *q; /* [size][LANES], times the scale      */
    float *y; /* [value_size][LANES]: sums over keys */
    size_t count;
} group;

static void group_init(group *g, const state *st, const float *q, size_t count) {
    g->count = count;
    for (size_t i = 0; i < LANES; i++) {
        g->max[i] = -FLT_MAX;
        g->sum[i] = 0;
        SMALL_LOOP
        for (size_t d = 0; d < st->size; d++) {
            g->q[d * LANES + i] = i < count ? q[i * st->q.row + d] * st->scale : 0;
        }
    }
    memset(g->y, 0, st->value_size * LANES * sizeof(float));
}

/* Of `left` keys or columns, how many next. */
static inline size_t next_few(size_t left) {
    return WIDE == 6 && left >= 6 && left != 8 ? 6 : left >= 4 ? 4 : 1;
}

/* Scores of `keys` keys, a constant. */
static inline __attribute__((always_inline)) void score_keys(float *scores, const float *q,
                                                             const float *k, size_t row,
                                                             size_t size, size_t keys) {
    v128_t sum[WIDE][2];
    for (size_t i = 0; i < keys; i++) {
        sum[i][0] = sum[i][1] = wasm_f32x4_const_splat(0);
    }
    for (size_t d = 0; d < size; d++, q += LANES) {
        const v128_t low = wasm_v128_load(q), high = wasm_v128_load(q + 4);
        for (size_t i = 0; i < keys; i++) {
            const v128_t x = wasm_v128_load32_splat(k + i * row + d);
            sum[i][0] = wai_madd(low, x, sum[i][0]);
            sum[i][1] = wai_madd(high, x, sum[i][1]);
        }
    }
    for (size_t i = 0; i < keys; i++) {
        wasm_v128_store(scores + i * LANES, sum[i][0]);
        wasm_v128_store(scores + i * LANES + 4, sum[i][1]);
    }
}

static void score(float *scores, const state *st, const float *q, const float *k, size_t keys) {
    const size_t row = st->k.row;
    for (size_t n; keys > 0; keys -= n, k += n * row, scores += n * LANES) {
        n = next_few(keys);
        if (WIDE == 6 && n == 6) {
            score_keys(scores, q, k, row, st->size, WIDE);
        } else if (n == 4) {
            score_keys(scores, q, k, row, st->size, 4);
        } else {
            score_keys(scores, q, k, row, st->size, 1);
        }
    }
}

/* Scores become exponentials over the largest so far; factor[] brings to it what was
 * summed before. */
static void soften(group *g, float *scores, size_t keys, v128_t factor[2]) {
    const v128_t before[2] = {wasm_v128_load(g->max), wasm_v128_load(g->max + 4)};
    v128_t max[2] = {before[0], before[1]}, sum[2];
    for (size_t t = 0; t < keys; t++) {
        for (size_t half = 0; half < 2; half++) {
            max[half] = wasm_f32x4_pmax(max[half], wasm_v128_load(scores + t * LANES + half * 4));
        }
    }
    sum[0] = sum[1] = wasm_f32x4_const_splat(0);
    for (size_t t = 0; t < keys; t++) {
        for (size_t half = 0; half < 2; half++) {
            float *s = scores + t * LANES + half * 4;
            const v128_t e = wai_exp_below(wasm_f32x4_sub(wasm_v128_load(s), max[half]));
            wasm_v128_store(s, e);
            sum[half] = wasm_f32x4_add(sum[half], e);
        }
    }
    for (size_t half = 0; half < 2; half++) {
        float *total = g->sum + half * 4;
        factor[half] = wai_exp_below(wasm_f32x4_sub(before[half], max[half]));
        wasm_v128_store(g->max + half * 4, max[half]);
        wasm_v128_store(total, wai_madd(wasm_v128_load(total), factor[half], sum[half]));
    }
}

/* y = y * factor + scores * v, for `columns` of v, a constant. */
static inline __attribute__((always_inline)) void add_columns(float *y, const v128_t factor[2],
                                                              const float *scores, const float *v,
                                                              size_t row, size_t keys,
                                                              size_t columns) {
    v128_t sum[WIDE][2];
    for (size_t i = 0; i < columns; i++) {
        sum[i][0] = wasm_f32x4_mul(wasm_v128_load(y + i * LANES), factor[0]);
        sum[i][1] = wasm_f32x4_mul(wasm_v128_load(y + i * LANES + 4), factor[1]);
    }
    for (size_t t = 0; t < keys; t++, scores += LANES, v += row) {
        const v128_t low = wasm_v128_load(scores), high = wasm_v128_load(scores + 4);
        for (size_t i = 0; i < columns; i++) {
            const v128_t x = wasm_v128_load32_splat(v + i);
            sum[i][0] = wai_madd(low, x, sum[i][0]);
            sum[i][1] = wai_madd(high, x, sum[i][1]);
        }
    }
    for (size_t i = 0; i < columns; i++) {
        wasm_v128_store(y + i * LANES, sum[i][0]);
        wasm_v128_store(y + i * LANES + 4, sum[i][1]);
    }
}

static void add_values(group *g, const state *st, const v128_t factor[2], const float *scores,
                       const float *v, size_t keys) {
    for (size_t e = 0, n; e < st->value_size; e += n) {
        float *y = g->y + e * LANES;
        n = next_few(st->value_size - e);
        if (WIDE == 6 && n == 6) {
            add_columns(y, factor, scores, v + e, st->v.row, keys, WIDE);
        } else if (n == 4) {
            add_columns(y, factor, scores, v + e, st->v.row, keys, 4);
        } else {
            add_columns(y, factor, scores, v + e, st->v.row, keys, 1);
        }
    }
}

static void group_finish(const group *g, const state *st, float *y) {
    for (size_t i = 0; i < g->count; i++) {
        const float scale = 1.0f / g->sum[i];
        SMALL_LOOP
        for (size_t e = 0; e < st->value_size; e++) {
            y[i * st->y.row + e] = g->y[e * LANES + i] * scale;
        }
    }
}

/* `count` queries from `first` on, of head h of batch b. */
static void attend_many(const state *st, size_t b, size_t h, size_t first, size_t count) {
    _Alignas(16) float scratch[SCRATCH], scores[BLOCK * LANES];
    group groups[TILE / LANES];
    const float *q = st->q.data + b * st->q.batch + h * st->q.head + first * st->q.row;
    const float *k = st->k.data + b * st->k.batch + h / st->share * st->k.head;
    const float *v = st->v.data + b * st->v.batch + h / st->share * st->v.head;
    float *y = st->y.data + b * st->y.batch + h * st->y.head + first * st->y.row;
    const size_t group_count = (count + LANES - 1) / LANES;
    for (size_t i = 0; i < group_count; i++) {
        const size_t at = i * LANES, rest = count - at;
        groups[i].q = scratch + at * (st->size + st->value_size);
        groups[i].y = groups[i].q + st->size * LANES;
        group_init(&groups[i], st, q + at * st->q.row, rest < LANES ? rest : LANES);
    }
    for (size_t key = 0; key < st->keys;
         key += BLOCK, k += BLOCK * st->k.row, v += BLOCK * st->v.row) {
        const size_t keys = st->keys - key < BLOCK ? st->keys - key : BLOCK;
        for (size_t i = 0; i < group_count; i++) {
            v128_t factor[2];
            const beside w = beside_of(st, b, h, first + i * LANES, key);
            score(scores, st, groups[i].q, k, keys);
            put_beside(scores, &w, keys, groups[i].count, LANES);
            soften(&groups[i], scores, keys, factor);
            add_values(&groups[i], st, factor, scores, v, keys);
        }
    }
    for (size_t i = 0; i < group_count; i++) {
        group_finish(&groups[i], st, y + i * LANES * st->y.row);
    }
    wai_forget(scratch, group_count * LANES * (st->size + st->value_size) * sizeof(float));
    wai_forget(scores, sizeof scores);
}

/* ---- few queries ---------------------------------------------------------------- */

static inline float sum_across(v128_t x) {
    x = wasm_f32x4_add(x, wasm_i32x4_shuffle(x, x, 2, 3, 0, 1));
    x = wasm_f32x4_add(x, wasm_i32x4_shuffle(x, x, 1, 0, 3, 2));
    return wasm_f32x4_extract_lane(x, 0);
}

static float dot(const float *a, const float *b, size_t count) {
    v128_t low = wasm_f32x4_const_splat(0), high = low;
    size_t d = 0;
    for (; d + 8 <= count; d += 8) {
        low = wai_madd(wasm_v128_load(a + d), wasm_v128_load(b + d), low);
        high = wai_madd(wasm_v128_load(a + d + 4), wasm_v128_load(b + d + 4), high);
    }
    float sum = sum_across(wasm_f32x4_add(low, high));
    SMALL_LOOP
    for (; d < count; d++) {
        sum += a[d] * b[d];
    }
    return sum;
}

/* Exponentials over the largest score so far, and their sum; `*max` and the factor of
 * what was summed before. */
static float soften_row(float *scores, size_t keys, float *max, float *factor) {
    const float before = *max;
    float sum = 0;
    SMALL_LOOP
    for (size_t t = 0; t < keys; t++) {
        *max = *max < scores[t] ? scores[t] : *max;
    }
    const v128_t most = wasm_f32x4_splat(*max);
    for (size_t t = 0; t < keys; t += 4) { /* the rest of four is room of ours */
        const v128_t e = wai_exp_below(wasm_f32x4_sub(wasm_v128_load(scores + t), most));
        wasm_v128_store(scores + t, e);
    }
    SMALL_LOOP
    for (size_t t = 0; t < keys; t++) {
        sum += scores[t];
    }
    *factor = wasm_f32x4_extract_lane(wai_exp_below(wasm_f32x4_splat(before - *max)), 0);
    return sum;
}

/* y = y * factor + scores * v */
static void add_rows(float *y, float factor, const float *scores, const float *v, size_t row,
                     size_t keys, size_t size) {
    size_t e = 0;
    for (; e + 8 <= size; e += 8) {
        v128_t low = wasm_f32x4_mul(wasm_v128_load(y + e), wasm_f32x4_splat(factor));
        v128_t high = wasm_f32x4_mul(wasm_v128_load(y + e + 4), wasm_f32x4_splat(factor));
        for (size_t t = 0; t < keys; t++) {
            const v128_t x = wasm_v128_load32_splat(scores + t);
            low = wai_madd(x, wasm_v128_load(v + t * row + e), low);
            high = wai_madd(x, wasm_v128_load(v + t * row + e + 4), high);
        }
        wasm_v128_store(y + e, low);
        wasm_v128_store(y + e + 4, high);
    }
    for (; e < size; e++) {
        y[e] *= factor;
        SMALL_LOOP
        for (size_t t = 0; t < keys; t++) {
            y[e] += scores[t] * v[t * row + e];
        }
    }
}

/* Query `query` of head h of batch b. */
static void attend_one(const state *st, size_t b, size_t h, size_t query) {
    _Alignas(16) float q[WAI_ATTENTION_MAX_SIZE], sums[WAI_ATTENTION_MAX_SIZE] = {0};
    _Alignas(16) float scores[BLOCK] = {0};
    const float *from = st->q.data + b * st->q.batch + h * st->q.head + query * st->q.row;
    const float *k = st->k.data + b * st->k.batch + h / st->share * st->k.head;
    const float *v = st->v.data + b * st->v.batch + h / st->share * st->v.head;
    float *y = st->y.data + b * st->y.batch + h * st->y.head + query * st->y.row;
    float max = -FLT_MAX, sum = 0, factor;
    SMALL_LOOP
    for (size_t d = 0; d < st->size; d++) {
        q[d] = from[d] * st->scale;
    }
    for (size_t key = 0; key < st->keys; key += BLOCK, v += BLOCK * st->v.row) {
        const size_t keys = st->keys - key < BLOCK ? st->keys - key : BLOCK;
        for (size_t t = 0; t < keys; t++, k += st->k.row) {
            scores[t] = dot(q, k, st->size);
        }
        const beside w = beside_of(st, b, h, query, key);
        put_beside(scores, &w, keys, 1, 1);
        const float more = soften_row(scores, keys, &max, &factor);
        sum = sum * factor + more;
        add_rows(sums, factor, scores, v, st->v.row, keys, st->value_size);
    }
    SMALL_LOOP
    for (size_t e = 0; e < st->value_size; e++) {
        y[e] = sums[e] * (1.0f / sum);
    }
    wai_forget(q, sizeof q);
    wai_forget(sums, sizeof sums);
    wai_forget(scores, sizeof scores);
}

/* ---- run -------------------------------------------------------------------------- */

static void task(void *context, size_t head, size_t tile) {
    const state *st = context;
    const size_t b = head / st->head_count, h = head % st->head_count;
    if (st->queries <= FEW) {
        attend_one(st, b, h, tile);
    } else {
        const size_t first = tile * st->tile, rest = st->queries - first;
        attend_many(st, b, h, first, rest < st->tile ? rest : st->tile);
    }
}

static wai_status run(wai_step *step, wai_diag *diag) {
    (void)diag;
    state *st = step->state;
    const size_t size = wai_type_size(&step->out[0].type);
    if (st->keys == 0 || size == 0) {
        memset(step->out[0].data, 0, size); /* a sum of nothing */
        return WAI_OK;
    }
    const size_t tiles = st->queries <= FEW ? st->queries : (st->queries + st->tile - 1) / st->tile;
    pthreadpool_parallelize_2d(step->threads, task, st, st->batch * st->head_count, tiles, 0);
    return WAI_OK;
}

const wai_kernel wai_op_attention_kernel = {.prepare = prepare, .run = run};
