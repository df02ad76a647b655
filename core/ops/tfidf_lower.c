/*
 * ONNX TfIdfVectorizer over whole numbers, by comparisons: for every length of
 * n-grams and every distance between their items, all windows of a row meet all
 * n-grams of the pool. Costs rows * windows * n-grams, which suits pools of some
 * thousands.
 */
#include <string.h>

#include "base/limits.h"
#include "ops/lowering.h"

typedef struct vectorizer {
    wai_lower *l;
    const int64_t *pool, *starts, *columns;
    uint32_t pool_count, start_count, column_count;
    int64_t shortest, longest, skips;
} vectorizer;

/* Item `at` of all `grams` n-grams of `length`, as i64[1,1,grams]. */
static wai_value *items(const vectorizer *v, const int64_t *from, uint32_t grams, uint32_t length,
                        uint32_t at) {
    wai_graph *g = v->l->graph;
    const wai_type type = {WAI_I64, 3, {1, 1, grams}};
    int64_t *list = wai_arena_alloc(g->arena, wai_slot_size(grams * sizeof *list));
    if (list == NULL) {
        wai_graph_fail(g, WAI_ERR_MEMORY, "out of memory in the compiler");
        return NULL;
    }
    for (uint32_t i = 0; i < grams; i++) {
        list[i] = from[(size_t)i * length + at];
    }
    return wai_graph_constant(g, &type, list, NULL);
}

/* How often each n-gram stands in x[rows, items, 1] with `distance` between its
 * items: f32[rows, grams]; NULL where no window fits, or after a failure. */
static wai_value *count_at(const vectorizer *v, wai_value *x, const int64_t *from, uint32_t grams,
                           uint32_t length, uint64_t distance) {
    wai_graph *g = v->l->graph;
    const uint64_t reach = distance * (length - 1);
    wai_value *all = NULL;
    for (uint32_t i = 0; i < length && reach < x->type.dims[1] && g->status == WAI_OK; i++) {
        wai_value *window = wai_lower_part(v->l, x, 1, (uint32_t)(i * distance),
                                           (uint32_t)(x->type.dims[1] - reach));
        wai_value *same =
            wai_lower_compare_of(v->l, WAI_COMPARE_EQUAL, window, items(v, from, grams, length, i));
        all = all != NULL ? wai_emit_binary(g, WAI_BINARY_AND, all, same) : same;
    }
    all = wai_emit_cast(g, all, WAI_F32);
    return wai_emit_reduce(g, WAI_REDUCE_SUM, all, 1u << 1, false);
}

static wai_value *zeros(const vectorizer *v, uint32_t rows, uint32_t columns) {
    const wai_expand_params p = {.rank = 2, .dims = {rows, columns}};
    wai_value *zero = wai_emit_scalar_f32(v->l->graph, 0);
    return zero != NULL ? wai_emit(v->l->graph, &wai_op_expand, &p, &zero, 1) : NULL;
}

/* Of all n-grams of one length; a single item has no distances. */
static wai_value *count_length(const vectorizer *v, wai_value *x, const int64_t *from,
                               uint32_t grams, uint32_t length) {
    const uint32_t rows = x->type.dims[0];
    const int64_t distances = length == 1 ? 1 : v->skips + 1;
    wai_value *sum = NULL;
    for (int64_t d = 1; d <= distances && length >= v->shortest && !wai_lower_failed(v->l); d++) {
        wai_value *count = count_at(v, x, from, grams, length, (uint64_t)d);
        sum = sum != NULL && count != NULL
                  ? wai_emit_binary(v->l->graph, WAI_BINARY_ADD, sum, count)
              : sum != NULL ? sum
                            : count;
    }
    return sum != NULL || wai_lower_failed(v->l) ? sum : zeros(v, rows, grams);
}

/* Of all n-grams in the order of the pool, and a column of zeros: f32[rows, n + 1]. */
static wai_value *count_all(const vectorizer *v, wai_value *x) {
    wai_value *parts[WAI_MAX_RANK * 4];
    uint32_t count = 0, known = 0;
    for (uint32_t i = 0; i < v->start_count && !wai_lower_failed(v->l); i++) {
        const int64_t start = v->starts[i];
        const int64_t end = i + 1 < v->start_count ? v->starts[i + 1] : v->pool_count;
        if (start < 0 || end < start || end > v->pool_count || (end - start) % (i + 1) != 0 ||
            (i == 0 && start != 0)) {
            WAI_LOWER_REFUSE(v->l, "ngram_counts of TfIdfVectorizer does not cut the pool of %u",
                             v->pool_count);
            return NULL;
        }
        const uint32_t grams = (uint32_t)(end - start) / (i + 1);
        if (grams > 0 && i < v->longest) {
            parts[count++] = count_length(v, x, v->pool + start, grams, i + 1);
        } else if (grams > 0) {
            parts[count++] = zeros(v, x->type.dims[0], grams);
        }
        known += grams;
    }
    if (!wai_lower_failed(v->l) && known != v->column_count) {
        WAI_LOWER_REFUSE(v->l, "the pool holds %u n-grams, ngram_indexes %u", known,
                         v->column_count);
    }
    parts[count++] = zeros(v, x->type.dims[0], 1);
    const wai_concat_params p = {1};
    return wai_lower_failed(v->l) ? NULL
           : count == 1           ? parts[0]
                                  : wai_emit(v->l->graph, &wai_op_concat, &p, parts, count);
}

/* Columns of the output, from those of count_all. */
static wai_value *arrange(const vectorizer *v, wai_value *counts) {
    wai_graph *g = v->l->graph;
    int64_t width = 0;
    for (uint32_t i = 0; i < v->column_count; i++) {
        const int64_t column = v->columns[i];
        if (column < 0 || column >= (int64_t)WAI_MAX_FOLD_SIZE / 8) {
            WAI_LOWER_REFUSE(v->l, "ngram_indexes of TfIdfVectorizer lists %lld",
                             (long long)column);
            return NULL;
        }
        width = column >= width ? column + 1 : width;
    }
    int64_t *from = wai_arena_alloc(g->arena, wai_slot_size((size_t)width * sizeof *from));
    if (from == NULL) {
        wai_graph_fail(g, WAI_ERR_MEMORY, "out of memory in the compiler");
        return NULL;
    }
    for (int64_t i = 0; i < width; i++) {
        from[i] = v->column_count;
    }
    for (uint32_t i = 0; i < v->column_count; i++) {
        if (from[v->columns[i]] != v->column_count) {
            WAI_LOWER_DECLINE(v->l, "ngram_indexes lists %lld twice", (long long)v->columns[i]);
        }
        from[v->columns[i]] = i;
    }
    const wai_type type = {WAI_I64, 1, {(uint32_t)width}};
    const wai_gather_params p = {1};
    wai_value *in[] = {counts, wai_graph_constant(g, &type, from, NULL)};
    return wai_lower_failed(v->l) ? NULL : wai_emit(g, &wai_op_gather, &p, in, 2);
}

/* TF: counts; IDF: the weight of what is there; TFIDF: counts times weights. */
static wai_value *weigh(wai_lower *l, wai_value *y, const char *mode) {
    wai_graph *g = l->graph;
    uint32_t count;
    const float *weights = wai_lower_float_list(l, "weights", &count);
    const bool there = strcmp(mode, "IDF") == 0;
    if (!there && strcmp(mode, "TF") != 0 && strcmp(mode, "TFIDF") != 0) {
        WAI_LOWER_REFUSE(l, "mode %s of TfIdfVectorizer is not known", mode);
    }
    if (wai_lower_failed(l) || strcmp(mode, "TF") == 0) {
        return y;
    }
    y = there ? wai_emit_clamp(g, y, 0, 1) : y;
    if (weights == NULL || y == NULL) {
        return y;
    }
    if (count != y->type.dims[1]) {
        WAI_LOWER_REFUSE(l, "%u weights for %u columns", count, y->type.dims[1]);
        return NULL;
    }
    const wai_type type = {WAI_F32, 1, {count}};
    return wai_emit_binary(g, WAI_BINARY_MUL, y, wai_emit_constant(g, &type, weights));
}

void wai_lower_tfidf(wai_lower *l) {
    vectorizer v = {.l = l};
    wai_value *x = wai_lower_input(l, 0);
    const char *mode = wai_attr_string(l, "mode", "");
    v.shortest = wai_attr_int(l, "min_gram_length", 1);
    v.longest = wai_attr_int(l, "max_gram_length", 1);
    v.skips = wai_attr_int(l, "max_skip_count", 0);
    v.pool = wai_lower_int_list(l, "pool_int64s", &v.pool_count);
    v.starts = wai_lower_int_list(l, "ngram_counts", &v.start_count);
    v.columns = wai_lower_int_list(l, "ngram_indexes", &v.column_count);
    if (wai_lower_failed(l)) {
        return;
    }
    if ((x->type.dtype != WAI_I32 && x->type.dtype != WAI_I64) || v.pool == NULL) {
        WAI_LOWER_DECLINE(l, "TfIdfVectorizer of elements of %s and a pool of other than int64",
                          wai_dtype_name(x->type.dtype));
        return;
    }
    const uint32_t rank = x->type.rank;
    if (rank < 1 || rank > 2 || v.start_count == 0 || v.start_count >= WAI_MAX_RANK * 4 ||
        v.column_count == 0 || v.shortest < 1 || v.longest < v.shortest || v.skips < 0 ||
        v.skips > (int64_t)WAI_MAX_UNROLL) {
        WAI_LOWER_REFUSE(
            l, "TfIdfVectorizer of rank %u, %u counts, grams of %lld to %lld, skips %lld", rank,
            v.start_count, (long long)v.shortest, (long long)v.longest, (long long)v.skips);
        return;
    }
    const uint32_t dims[] = {rank == 2 ? x->type.dims[0] : 1, x->type.dims[rank - 1], 1};
    x = wai_emit_cast(l->graph, wai_emit_reshape(l->graph, x, 3, dims), WAI_I64);
    if (x == NULL) {
        return;
    }
    wai_value *y = weigh(l, arrange(&v, count_all(&v, x)), mode);
    if (y != NULL) {
        l->out[0] = rank == 2 ? y : wai_emit_reshape(l->graph, y, 1, y->type.dims + 1);
    }
}
