/* non_max_suppression: the best boxes that do not overlap better ones. */
#include "ops/non_max_suppression.h"

#include "base/checked.h"
#include "onnx/lower.h"
#include "ops/bound.h"
#include "ops/emit.h"
#include "ops/index.h"

typedef wai_non_max_suppression_params params;

static const wai_field fields[] = {
    WAI_FIELD(params, WAI_FIELD_U32, limit),
    WAI_FIELD(params, WAI_FIELD_U32, per_class),
    WAI_FIELD(params, WAI_FIELD_U32, center),
};

static uint32_t at_most(const params *p, uint32_t count) {
    return p->per_class < count ? p->per_class : count;
}

/* Below 2^62: the boxes of one class fit a tensor, and planes alone do as well
 * unless a class has none. */
static uint64_t bound_of(const params *p, const wai_type *scores) {
    const uint32_t *dims = scores->dims, most = at_most(p, dims[2]);
    return most != 0 ? (uint64_t)dims[0] * dims[1] * most : 0;
}

static bool is_number(const wai_type *type, bool index) {
    return type == NULL ||
           (wai_type_count(type) == 1 && (index ? wai_index_is(type) : type->dtype == WAI_F32));
}

static wai_status infer(wai_signature *s) {
    const params *p = s->params;
    const wai_type *b = s->in[0], *c = s->in[1];
    if (b == NULL || c == NULL || b->dtype != WAI_F32 || c->dtype != WAI_F32 || b->rank != 3 ||
        c->rank != 3 || b->dims[0] != c->dims[0] || b->dims[1] != c->dims[2] || b->dims[2] != 4) {
        char x[WAI_TYPE_TEXT] = "none", y[WAI_TYPE_TEXT] = "none";
        return WAI_REFUSE(s, "boxes %s and scores %s", b != NULL ? wai_type_text(b, x) : x,
                          c != NULL ? wai_type_text(c, y) : y);
    }
    for (uint32_t i = 2; i < s->in_count; i++) {
        if (!is_number(s->in[i], i == 2)) {
            return WAI_REFUSE(s, "input %u is %s with %zu elements, not one number", i,
                              wai_dtype_name(s->in[i]->dtype), wai_type_count(s->in[i]));
        }
    }
    if (p->center > 1) {
        return WAI_REFUSE(s, "center is %u", p->center);
    }
    uint32_t dims[2] = {0, 3};
    const wai_status status = wai_bound_infer(s, p->limit, bound_of(p, c), &dims[0]);
    s->out[0] = wai_type_make(WAI_I64, 2, dims);
    return status;
}

static uint32_t data_count(const void *unused, const wai_type *out) {
    (void)unused;
    return out->dims[0];
}

/* When all scores count and no box goes. */
static uint64_t flops(const wai_signature *s) {
    return bound_of(s->params, s->in[1]) * s->in[1]->dims[2];
}

const wai_op wai_op_non_max_suppression = {
    .name = "non_max_suppression",
    .params_size = sizeof(params),
    .fields = fields,
    .field_count = sizeof fields / sizeof fields[0],
    .min_in = 2,
    .max_in = 5,
    .min_out = 1,
    .max_out = 1,
    .infer = infer,
    .data_count = data_count,
    .flops = flops,
};

/* ---- kernel --------------------------------------------------------------
 * Candidates are a heap, the best on top, so that no more of them are put in
 * order than are looked at; each is held against the boxes that stay. */

typedef struct candidate {
    float score;
    uint32_t index;
} candidate;

typedef struct box {
    float low[2], high[2], area; /* along y, x */
} box;

static bool better(candidate a, candidate b) {
    return a.score > b.score || (a.score == b.score && a.index < b.index);
}

static void sink(candidate *heap, size_t count, size_t at, candidate c) {
    for (size_t child = 2 * at + 1; child < count; child = 2 * at + 1) {
        if (child + 1 < count && better(heap[child + 1], heap[child])) {
            child++;
        }
        if (!better(heap[child], c)) {
            break;
        }
        heap[at] = heap[child];
        at = child;
    }
    heap[at] = c;
}

static size_t collect(candidate *heap, const float *scores, uint32_t total, const float *least) {
    size_t count = 0;
    for (uint32_t i = 0; i < total; i++) {
        if (least != NULL ? scores[i] > *least : scores[i] == scores[i]) {
            heap[count++] = (candidate){scores[i], i};
        }
    }
    for (size_t i = count / 2; i-- > 0;) {
        sink(heap, count, i, heap[i]);
    }
    return count;
}

static box read_box(const float *at, bool center) {
    box b = {.area = 1};
    for (uint32_t axis = 0; axis < 2; axis++) {
        float low = at[axis], high = at[2 + axis];
        if (center) {
            const float half = at[3 - axis] / 2;
            low = at[1 - axis] - half;
            high = at[1 - axis] + half;
        } else if (!(low < high)) {
            low = at[2 + axis];
            high = at[axis];
        }
        b.low[axis] = low;
        b.high[axis] = high;
        b.area *= high - low;
    }
    return b;
}

static bool overlap(const box *a, const box *b, float most) {
    float both = 1;
    for (uint32_t axis = 0; axis < 2; axis++) {
        const float low = a->low[axis] > b->low[axis] ? a->low[axis] : b->low[axis];
        const float high = a->high[axis] < b->high[axis] ? a->high[axis] : b->high[axis];
        both *= high > low ? high - low : 0;
    }
    return a->area > 0 && b->area > 0 && both / (a->area + b->area - both) > most;
}

typedef struct search {
    const float *boxes, *scores; /* of this batch, of this class */
    uint32_t total, most;
    bool center;
    float overlap;
    const float *least;
    box *kept;
    candidate *heap;
} search;

/* The boxes that stay, to out[2], out[5], ... */
static wai_status search_class(const wai_step *step, wai_diag *diag, const search *s, size_t done,
                               size_t *found) {
    int64_t *out = (int64_t *)step->out[0].data + 3 * done;
    size_t left = s->most != 0 ? collect(s->heap, s->scores, s->total, s->least) : 0, kept = 0;
    while (left > 0 && kept < s->most) {
        const uint32_t index = s->heap[0].index;
        left--;
        sink(s->heap, left, 0, s->heap[left]);
        const box b = read_box(s->boxes + 4 * (size_t)index, s->center);
        size_t i = 0;
        while (i < kept && !overlap(&s->kept[i], &b, s->overlap)) {
            i++;
        }
        if (i < kept) {
            continue;
        }
        const wai_status status = wai_bound_check(step, diag, done + kept + 1);
        if (status != WAI_OK) {
            return status;
        }
        s->kept[kept] = b;
        out[3 * kept++ + 2] = index;
    }
    *found = kept;
    return WAI_OK;
}

static wai_status prepare(wai_step *step, wai_pool *pool, wai_diag *diag) {
    (void)pool;
    const uint32_t total = step->in[1].type.dims[2];
    size_t kept, heap;
    if (!wai_mul_size(at_most(step->params, total), sizeof(box), &kept) ||
        !wai_mul_size(total, sizeof(candidate), &heap) ||
        !wai_add_size(kept, heap, &step->workspace_size)) {
        return wai_fail(diag, WAI_ERR_LIMIT, step->where, "%u boxes are too many", total);
    }
    return WAI_OK;
}

static const wai_operand *number(const wai_step *step, uint32_t index) {
    return index < step->in_count && step->in[index].data != NULL ? &step->in[index] : NULL;
}

static wai_status run(wai_step *step, wai_diag *diag) {
    const params *p = step->params;
    const uint32_t *dims = step->in[1].type.dims, total = dims[2];
    const wai_operand *most = number(step, 2), *above = number(step, 3), *least = number(step, 4);
    search s = {.total = total,
                .most = at_most(p, total),
                .center = p->center != 0,
                .overlap = above != NULL ? *(const float *)above->data : 0,
                .least = least != NULL ? least->data : NULL,
                .heap = step->workspace};
    if (most != NULL && wai_index_at(most, 0) < (int64_t)s.most) {
        s.most = wai_index_at(most, 0) < 0 ? 0 : (uint32_t)wai_index_at(most, 0);
    }
    const size_t planes = total != 0 ? (size_t)dims[0] * dims[1] : 0;
    s.kept = planes != 0 ? (box *)(s.heap + total) : NULL;
    size_t done = 0;
    for (size_t plane = 0; plane < planes; plane++) {
        const size_t batch = plane / dims[1];
        size_t found = 0;
        s.boxes = (const float *)step->in[0].data + batch * total * 4;
        s.scores = (const float *)step->in[1].data + plane * total;
        const wai_status status = search_class(step, diag, &s, done, &found);
        if (status != WAI_OK) {
            return status;
        }
        for (; found > 0; found--, done++) {
            int64_t *out = (int64_t *)step->out[0].data + 3 * done;
            out[0] = (int64_t)batch;
            out[1] = (int64_t)(plane % dims[1]);
        }
    }
    step->out[0].type.dims[0] = (uint32_t)done;
    return WAI_OK;
}

const wai_kernel wai_op_non_max_suppression_kernel = {.prepare = prepare, .run = run};

/* ---- ONNX ------------------------------------------------------------------ */

void wai_lower_non_max_suppression(wai_lower *l) {
    wai_value *in[5] = {wai_lower_input(l, 0), wai_lower_input(l, 1)};
    params p = {.center = wai_attr_int(l, "center_point_box", 0) != 0};
    for (uint32_t i = 2; i < 5; i++) {
        wai_value *value = wai_lower_optional(l, i);
        in[i] = value != NULL && wai_type_count(&value->type) != 0 ? value : NULL;
    }
    if (in[2] != NULL && !wai_value_is_constant(in[2])) {
        p.per_class = WAI_MAX_DIM;
    } else if (in[2] != NULL) {
        int64_t most = 0;
        bool there;
        wai_lower_ints(l, 2, &most, 1, &there);
        p.per_class = most < 0 ? 0 : most > WAI_MAX_DIM ? WAI_MAX_DIM : (uint32_t)most;
        in[2] = NULL;
    }
    if (wai_lower_failed(l)) {
        return;
    }
    if (in[1]->type.rank == 3 && !(wai_value_is_constant(in[0]) && wai_value_is_constant(in[1]))) {
        p.limit = wai_graph_limit(l->graph, bound_of(&p, &in[1]->type));
    }
    l->out[0] = wai_emit(l->graph, &wai_op_non_max_suppression, &p, in, 5);
}
