/*
 * ONNX operators whose output's shape depends on values: Unique,
 * NonMaxSuppression. Shapes are numbers in our graph, so what decides
 * them must be constant; the rest is gather, or nothing.
 */
#include <string.h>

#include "base/limits.h"
#include "onnx/lower.h"
#include "ops/emit.h"

/* Input `index`, a constant; NULL when it is absent, or after a failure. */
static const wai_value *constant_input(wai_lower *l, uint32_t index) {
    const wai_value *value = wai_lower_optional(l, index);
    if (value != NULL && value->data == NULL) {
        WAI_LOWER_DECLINE(l, "input %u (%s) of %s must be a constant: the output's shape is in it",
                          index, value->name != NULL ? value->name : "computed", l->op_type);
    }
    return wai_lower_failed(l) ? NULL : value;
}

static int64_t *new_numbers(wai_lower *l, size_t count) {
    int64_t *numbers = wai_arena_array(l->graph->arena, count + 1, sizeof *numbers);
    if (numbers == NULL) {
        wai_graph_fail(l->graph, WAI_ERR_MEMORY, "no memory for %zu numbers", count);
    }
    return numbers;
}

static wai_value *emit_numbers(wai_lower *l, const int64_t *numbers, uint32_t rows, uint32_t rank,
                               uint32_t columns) {
    const uint32_t dims[2] = {rows, columns};
    const wai_type type = wai_type_make(WAI_I64, rank, dims);
    if (!wai_type_is_valid(&type)) {
        WAI_LOWER_DECLINE(l, "the output of %s is too large", l->op_type);
        return NULL;
    }
    return wai_emit_constant(l->graph, &type, numbers);
}

/* The slices of x along `axis` that `indices` name. */
static wai_value *emit_gather(wai_lower *l, wai_value *x, uint32_t axis, wai_value *indices) {
    const wai_gather_params params = {axis};
    wai_value *in[2] = {x, indices};
    return wai_emit(l->graph, &wai_op_gather, &params, in, 2);
}

/* x as a vector when the attribute `axis` is absent; which axis is then 0. */
static wai_value *along_axis(wai_lower *l, wai_value *x, uint32_t *axis) {
    *axis = 0;
    if (wai_attr_has(l, "axis")) {
        *axis = wai_lower_axis(l, wai_attr_int(l, "axis", 0), x->type.rank);
        return x;
    }
    const uint32_t count = (uint32_t)wai_type_count(&x->type);
    return wai_emit_reshape(l->graph, x, 1, &count);
}

/* ---- Unique ----------------------------------------------------------------
 * Slices along an axis, compared element by element. */

typedef struct slices {
    const uint8_t *data;
    size_t outer, count, block; /* [outer, count, block] */
    size_t width;
    wai_dtype dtype;
} slices;

/* An element as a number of the same order; NaN above all, -0 as 0. */
static int64_t ordered(const slices *s, const uint8_t *at) {
    switch (s->dtype) {
    case WAI_F32:
    case WAI_F64: {
        double value;
        float single;
        if (s->dtype == WAI_F32) {
            memcpy(&single, at, sizeof single);
            value = single;
        } else {
            memcpy(&value, at, sizeof value);
        }
        int64_t bits;
        memcpy(&bits, &value, sizeof bits);
        return value != value ? INT64_MAX : bits < 0 ? -(bits & INT64_MAX) : bits;
    }
    default: {
        int64_t value = 0;
        memcpy(&value, at, s->width); /* little-endian */
        const uint32_t unused = 64 - 8 * (uint32_t)s->width;
        const bool is_signed = s->dtype == WAI_I8 || s->dtype == WAI_I16 || s->dtype == WAI_I32;
        if (is_signed) {
            return (int64_t)((uint64_t)value << unused) >> unused;
        }
        return s->dtype == WAI_U64 ? value ^ INT64_MIN : value;
    }
    }
}

static int compare(const slices *s, int64_t a, int64_t b) {
    for (size_t o = 0; o < s->outer; o++) {
        const uint8_t *base = s->data + o * s->count * s->block * s->width;
        for (size_t i = 0; i < s->block; i++) {
            int64_t x = ordered(s, base + ((size_t)a * s->block + i) * s->width);
            int64_t y = ordered(s, base + ((size_t)b * s->block + i) * s->width);
            if (x != y) {
                return x < y ? -1 : 1;
            }
        }
    }
    return 0;
}

/* Merge sort from the bottom up: stable, and no input makes it slow. */
static int64_t *sort(const slices *s, int64_t *from, int64_t *to) {
    for (size_t run = 1; run < s->count; run *= 2) {
        for (size_t start = 0; start < s->count; start += 2 * run) {
            size_t middle = start + run < s->count ? start + run : s->count;
            size_t end = middle + run < s->count ? middle + run : s->count;
            size_t a = start, b = middle;
            for (size_t i = start; i < end; i++) {
                bool first = b >= end || (a < middle && compare(s, from[a], from[b]) <= 0);
                to[i] = from[first ? a++ : b++];
            }
        }
        int64_t *other = from;
        from = to;
        to = other;
    }
    return from;
}

typedef struct groups {
    int64_t *first, *inverse, *size;
    uint32_t count;
} groups;

/* Equal slices, in order of value, or of their first one. */
static bool find_groups(wai_lower *l, const slices *s, bool sorted, groups *g) {
    const size_t count = s->count;
    int64_t *order = new_numbers(l, count), *spare = new_numbers(l, count);
    int64_t *group = new_numbers(l, count);
    *g = (groups){new_numbers(l, count), new_numbers(l, count), new_numbers(l, count), 0};
    if (wai_lower_failed(l)) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        order[i] = (int64_t)i;
    }
    order = sort(s, order, spare);
    /* group[i]: the first slice that is equal to slice i. */
    for (size_t i = 0; i < count; i++) {
        bool same = i > 0 && compare(s, order[i - 1], order[i]) == 0;
        group[order[i]] = same ? group[order[i - 1]] : order[i];
    }
    for (size_t i = 0; i < count; i++) {
        const size_t slice = sorted ? (size_t)order[i] : i;
        if (group[slice] == (int64_t)slice) {
            g->inverse[slice] = g->count;
            g->first[g->count++] = (int64_t)slice;
        }
    }
    for (size_t i = 0; i < count; i++) {
        g->inverse[i] = g->inverse[group[i]];
        g->size[g->inverse[i]]++;
    }
    return true;
}

void wai_lower_unique(wai_lower *l) {
    wai_value *x = wai_lower_input(l, 0);
    const bool sorted = wai_attr_int(l, "sorted", 1) != 0;
    uint32_t axis = 0;
    x = constant_input(l, 0) != NULL ? along_axis(l, x, &axis) : NULL;
    if (x == NULL || wai_lower_failed(l)) {
        return;
    }
    if (x->data == NULL || x->type.dtype == WAI_F16) {
        WAI_LOWER_DECLINE(l, "Unique of %s, %zu bytes", wai_dtype_name(x->type.dtype),
                          wai_type_size(&x->type));
        return;
    }
    const slices s = {.data = x->data,
                      .outer = wai_dims_product(x->type.dims, 0, axis),
                      .count = x->type.dims[axis],
                      .block = wai_dims_product(x->type.dims, axis + 1, x->type.rank),
                      .width = wai_dtype_size(x->type.dtype),
                      .dtype = x->type.dtype};
    groups g;
    if (!find_groups(l, &s, sorted, &g)) {
        return;
    }
    wai_value *first = emit_numbers(l, g.first, g.count, 1, 0);
    l->out[0] = emit_gather(l, x, axis, first);
    for (uint32_t i = 1; i < 4; i++) {
        if (wai_lower_wants(l, i)) {
            l->out[i] = i == 1   ? first
                        : i == 2 ? emit_numbers(l, g.inverse, (uint32_t)s.count, 1, 0)
                                 : emit_numbers(l, g.size, g.count, 1, 0);
        }
    }
}
