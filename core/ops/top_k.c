/* top_k: where the largest elements are. */
#include "ops/top_k.h"

#include "base/checked.h"
#include "base/limits.h"
#include "onnx/lower.h"
#include "ops/emit.h"
#include "ops/index.h"
#include "ops/integers.h"
#include "ops/keys.h"
#include "ops/lowering.h"

static const wai_field fields[] = {
    WAI_FIELD(wai_top_k_params, WAI_FIELD_U32, k),
    WAI_FIELD(wai_top_k_params, WAI_FIELD_U32, largest),
};

static bool is_float(wai_dtype dtype) {
    return dtype == WAI_F32 || dtype == WAI_F16 || dtype == WAI_F64;
}

static wai_status infer(wai_signature *s) {
    const wai_top_k_params *p = s->params;
    const wai_type *x = s->in[0];
    if (x == NULL || x->rank < 1 || p->largest > 1) {
        return WAI_REFUSE(s, "top_k of rank %u, largest %u", x != NULL ? x->rank : 0, p->largest);
    }
    if (p->k > x->dims[x->rank - 1]) {
        return WAI_REFUSE(s, "k is %u, the axis has %u elements", p->k, x->dims[x->rank - 1]);
    }
    if (!is_float(x->dtype) && !wai_dtype_is_integer(x->dtype)) {
        return WAI_DECLINE(s, "top_k of %s is not supported", wai_dtype_name(x->dtype));
    }
    s->out[0] = *x;
    s->out[0].dtype = WAI_I64;
    s->out[0].dims[x->rank - 1] = p->k;
    return WAI_OK;
}

static uint64_t flops(const wai_signature *s) {
    return wai_type_count(s->in[0]);
}

const wai_op wai_op_top_k = {
    .name = "top_k",
    .params_size = sizeof(wai_top_k_params),
    .fields = fields,
    .field_count = sizeof fields / sizeof fields[0],
    .min_in = 1,
    .max_in = 1,
    .min_out = 1,
    .max_out = 1,
    .infer = infer,
    .flops = flops,
};

/* ---- kernel --------------------------------------------------------------
 * A heap of the best seen, the worst of them on top. Elements of every dtype
 * become 64-bit keys of the same order. */

typedef struct entry {
    int64_t key, index;
} entry;

static bool worse(const entry *a, const entry *b) {
    return a->key < b->key || (a->key == b->key && a->index > b->index);
}

/* Put `e` at the top of a heap of `count` whose top is free. */
static void sink(entry *heap, size_t count, entry e) {
    size_t at = 0;
    for (size_t child = 1; child < count; child = 2 * at + 1) {
        if (child + 1 < count && worse(&heap[child + 1], &heap[child])) {
            child++;
        }
        if (!worse(&heap[child], &e)) {
            break;
        }
        heap[at] = heap[child];
        at = child;
    }
    heap[at] = e;
}

static void rise(entry *heap, size_t at, entry e) {
    while (at > 0 && worse(&e, &heap[(at - 1) / 2])) {
        heap[at] = heap[(at - 1) / 2];
        at = (at - 1) / 2;
    }
    heap[at] = e;
}

static void search(int64_t *out, entry *heap, const wai_top_k_params *p, wai_dtype dtype,
                   const uint8_t *in, size_t length) {
    const size_t width = wai_dtype_size(dtype);
    int64_t keys[WAI_CHUNK];
    size_t held = 0;
    for (size_t i = 0; i < length; i++) {
        if (i % WAI_CHUNK == 0) {
            size_t left = length - i;
            wai_keys_load(keys, dtype, in + i * width, left < WAI_CHUNK ? left : WAI_CHUNK);
        }
        int64_t key = keys[i % WAI_CHUNK];
        entry e = {p->largest != 0 ? key : ~key, (int64_t)i};
        if (held < p->k) {
            rise(heap, held++, e);
        } else if (worse(&heap[0], &e)) {
            sink(heap, held, e);
        }
    }
    while (held > 0) {
        out[--held] = heap[0].index;
        sink(heap, held, heap[held]);
    }
}

static wai_status prepare(wai_step *step, wai_pool *pool, wai_diag *diag) {
    (void)pool;
    const wai_top_k_params *p = step->params;
    if (!wai_mul_size(p->k, sizeof(entry), &step->workspace_size)) {
        return wai_fail(diag, WAI_ERR_LIMIT, step->where, "k of %u is too large", p->k);
    }
    return WAI_OK;
}

static wai_status run(wai_step *step, wai_diag *diag) {
    (void)diag;
    const wai_top_k_params *p = step->params;
    const wai_type *x = &step->in[0].type;
    const size_t rows = wai_dims_product(x->dims, 0, x->rank - 1), length = x->dims[x->rank - 1];
    const uint8_t *in = step->in[0].data;
    int64_t *out = step->out[0].data;
    for (size_t row = 0; row < rows && p->k != 0; row++, out += p->k) {
        search(out, step->workspace, p, x->dtype, in, length);
        in += length * wai_dtype_size(x->dtype);
    }
    return WAI_OK;
}

const wai_kernel wai_op_top_k_kernel = {.prepare = prepare, .run = run};

/* ---- ONNX ---------------------------------------------------------------- */

/* How many are sought of `dim`. *at_run: all of them, of which input 1 says how
 * many to keep; or NULL. */
static uint32_t read_k(wai_lower *l, uint32_t dim, wai_value **at_run) {
    int64_t k = -1;
    bool there = true;
    *at_run = l->opset < 10 ? NULL : wai_lower_optional(l, 1);
    if (*at_run != NULL && !wai_value_is_constant(*at_run)) {
        return dim;
    }
    *at_run = NULL;
    if (l->opset < 10) {
        k = wai_attr_int(l, "k", -1);
    } else if (wai_lower_ints(l, 1, &k, 1, &there) != 1 && !wai_lower_failed(l)) {
        WAI_LOWER_REFUSE(l, "TopK needs one number as its input 1, k");
    }
    return wai_lower_failed(l) ? 0 : wai_lower_dim(l, k, "k");
}

/* Sorted or not: sorted is an order too. */
void wai_lower_top_k(wai_lower *l) {
    wai_graph *g = l->graph;
    wai_value *x = wai_lower_input(l, 0);
    const int64_t given = wai_attr_int(l, "axis", -1);
    wai_attr_ignore(l, "sorted");
    wai_top_k_params params = {.largest = wai_attr_int(l, "largest", 1) != 0};
    if (wai_lower_failed(l)) {
        return;
    }
    const uint32_t axis = wai_lower_axis(l, given, x->type.rank), last = x->type.rank - 1;
    wai_value *k = NULL;
    params.k = wai_lower_failed(l) ? 0 : read_k(l, x->type.dims[axis], &k);
    if (wai_lower_failed(l)) {
        return;
    }
    uint32_t perm[WAI_MAX_RANK]; /* axis and the last one change places */
    for (uint32_t i = 0; i <= last; i++) {
        perm[i] = i == axis ? last : i == last ? axis : i;
    }
    wai_value *in[2] = {wai_emit_transpose(g, x, perm), NULL};
    in[1] = wai_emit(g, &wai_op_top_k, &params, in, 1);
    in[1] = k != NULL ? wai_lower_slice_at(l, in[1], last, NULL, k, true) : in[1];
    if (wai_lower_wants(l, 0)) {
        wai_gather_elements_params by = {last};
        l->out[0] = wai_emit_transpose(g, wai_emit(g, &wai_op_gather_elements, &by, in, 2), perm);
    }
    if (wai_lower_wants(l, 1)) {
        l->out[1] = wai_emit_transpose(g, in[1], perm);
    }
}
