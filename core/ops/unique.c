/* unique: slices that are different. The slices themselves are a gather. */
#include "ops/unique.h"

#include "base/checked.h"
#include "onnx/lower.h"
#include "ops/bound.h"
#include "ops/emit.h"
#include "ops/keys.h"

typedef wai_unique_params params;

static const wai_field fields[] = {
    WAI_FIELD(params, WAI_FIELD_U32, limit),
    WAI_FIELD(params, WAI_FIELD_U32, axis),
    WAI_FIELD(params, WAI_FIELD_U32, sorted),
};

static wai_status infer(wai_signature *s) {
    const params *p = s->params;
    const wai_type *x = s->in[0];
    if (x == NULL || p->axis >= x->rank || p->sorted > 1) {
        return WAI_REFUSE(s, "unique along axis %u of rank %u, sorted %u", p->axis,
                          x != NULL ? x->rank : 0, p->sorted);
    }
    if (wai_dtype_is_storage(x->dtype) && x->dtype != WAI_F16) {
        return WAI_DECLINE(s, "unique of %s is not supported", wai_dtype_name(x->dtype));
    }
    const uint32_t slices = x->dims[p->axis];
    uint32_t bound = 0;
    const wai_status status = wai_bound_infer(s, p->limit, slices, &bound);
    s->out[0] = s->out[2] = wai_type_make(WAI_I64, 1, &bound);
    s->out[1] = wai_type_make(WAI_I64, 1, &slices);
    return status;
}

static uint32_t data_count(const void *unused, const wai_type *out) {
    (void)unused;
    return out->dims[0];
}

static uint64_t flops(const wai_signature *s) {
    return (uint64_t)wai_type_count(s->in[0]) * 16; /* about the logarithm of their count */
}

const wai_op wai_op_unique = {
    .name = "unique",
    .params_size = sizeof(params),
    .fields = fields,
    .field_count = sizeof fields / sizeof fields[0],
    .min_in = 1,
    .max_in = 1,
    .min_out = 3,
    .max_out = 3,
    .infer = infer,
    .data_count = data_count,
    .flops = flops,
};

/* ---- kernel -------------------------------------------------------------- */

typedef struct slices {
    const int64_t *keys; /* [outer, count, block] */
    size_t outer, count, block;
} slices;

static int compare(const slices *s, uint32_t a, uint32_t b) {
    for (size_t o = 0; o < s->outer; o++) {
        const int64_t *base = s->keys + o * s->count * s->block;
        for (size_t i = 0; i < s->block; i++) {
            const int64_t x = base[a * s->block + i], y = base[b * s->block + i];
            if (x != y) {
                return x < y ? -1 : 1;
            }
        }
    }
    return 0;
}

/* Merge sort from the bottom up: stable, and no input makes it slow. */
static uint32_t *sort(const slices *s, uint32_t *from, uint32_t *to) {
    for (size_t run = 1; run < s->count; run *= 2) {
        for (size_t start = 0; start < s->count; start += 2 * run) {
            const size_t middle = start + run < s->count ? start + run : s->count;
            const size_t end = middle + run < s->count ? middle + run : s->count;
            size_t a = start, b = middle;
            for (size_t i = start; i < end; i++) {
                const bool first = b >= end || (a < middle && compare(s, from[a], from[b]) <= 0);
                to[i] = from[first ? a++ : b++];
            }
        }
        uint32_t *other = from;
        from = to;
        to = other;
    }
    return from;
}

static wai_status prepare(wai_step *step, wai_pool *pool, wai_diag *diag) {
    (void)pool;
    const wai_type *x = &step->in[0].type;
    const params *p = step->params;
    size_t keys, lists;
    if (!wai_mul_size(wai_type_count(x), sizeof(int64_t), &keys) ||
        !wai_mul_size(x->dims[p->axis], 3 * sizeof(uint32_t), &lists) ||
        !wai_add_size(keys, lists, &step->workspace_size)) {
        return wai_fail(diag, WAI_ERR_LIMIT, step->where, "%u slices are too many",
                        x->dims[p->axis]);
    }
    return WAI_OK;
}

static wai_status run(wai_step *step, wai_diag *diag) {
    const params *p = step->params;
    const wai_type *x = &step->in[0].type;
    const size_t count = x->dims[p->axis], total = wai_type_count(x);
    int64_t *keys = step->workspace;
    int64_t *first = step->out[0].data, *inverse = step->out[1].data, *size = step->out[2].data;
    const slices s = {keys, wai_dims_product(x->dims, 0, p->axis), count,
                      wai_dims_product(x->dims, p->axis + 1, x->rank)};
    if (count == 0) {
        step->out[0].type.dims[0] = step->out[2].type.dims[0] = 0;
        return WAI_OK;
    }
    uint32_t *order = (uint32_t *)(keys + total), *group = order + 2 * count;
    if (total != 0) {
        wai_keys_load(keys, x->dtype, step->in[0].data, total);
    }
    for (size_t i = 0; i < count; i++) {
        order[i] = (uint32_t)i;
    }
    order = sort(&s, order, order + count);
    /* group[i]: the first slice that is equal to slice i. */
    for (size_t i = 0; i < count; i++) {
        const bool same = i > 0 && compare(&s, order[i - 1], order[i]) == 0;
        group[order[i]] = same ? group[order[i - 1]] : order[i];
    }
    size_t found = 0;
    for (size_t i = 0; i < count; i++) {
        const uint32_t slice = p->sorted != 0 ? order[i] : (uint32_t)i;
        if (group[slice] != slice) {
            continue;
        }
        const wai_status status = wai_bound_check(step, diag, found + 1);
        if (status != WAI_OK) {
            return status;
        }
        inverse[slice] = (int64_t)found;
        size[found] = 0;
        first[found++] = slice;
    }
    for (size_t i = 0; i < count; i++) {
        inverse[i] = inverse[group[i]];
        size[inverse[i]]++;
    }
    step->out[0].type.dims[0] = step->out[2].type.dims[0] = (uint32_t)found;
    return WAI_OK;
}

const wai_kernel wai_op_unique_kernel = {.prepare = prepare, .run = run};

/* ---- ONNX ------------------------------------------------------------------ */

void wai_lower_unique(wai_lower *l) {
    wai_graph *g = l->graph;
    wai_value *x = wai_lower_input(l, 0);
    params p = {.sorted = wai_attr_int(l, "sorted", 1) != 0};
    if (!wai_lower_failed(l) && wai_attr_has(l, "axis")) {
        p.axis = wai_lower_axis(l, wai_attr_int(l, "axis", 0), x->type.rank);
    } else if (!wai_lower_failed(l)) {
        const uint32_t count = (uint32_t)wai_type_count(&x->type);
        x = wai_emit_reshape(g, x, 1, &count);
    }
    if (wai_lower_failed(l)) {
        return;
    }
    p.limit = wai_value_is_constant(x) ? 0 : wai_graph_limit(g, x->type.dims[p.axis]);
    const wai_node *node = wai_emit_node(g, &wai_op_unique, &p, &x, 1, 3);
    if (node == NULL) {
        return;
    }
    if (wai_lower_wants(l, 0)) {
        const wai_gather_params by = {p.axis};
        wai_value *in[2] = {x, node->out[0]};
        l->out[0] = wai_emit(g, &wai_op_gather, &by, in, 2);
    }
    for (uint32_t i = 1; i < 4; i++) {
        if (wai_lower_wants(l, i)) {
            l->out[i] = node->out[i - 1];
        }
    }
}
