/* matmul: batched product of matrices, leading dims broadcast; f32 by XNNPACK. */
#include <string.h>

#include "base/limits.h"
#include "ops/emit.h"
#include "runtime/xnn_operator.h"

static const wai_field fields[] = {
    WAI_FIELD(wai_matmul_params, WAI_FIELD_U32, transpose_b),
};

static bool computable(wai_dtype dtype) {
    return dtype == WAI_F32 || dtype == WAI_F64 || dtype == WAI_I32 || dtype == WAI_I64 ||
           dtype == WAI_U32 || dtype == WAI_U64;
}

static wai_type batch_of(const wai_type *type) {
    return wai_type_make(type->dtype, type->rank - 2, type->dims);
}

static wai_status infer(wai_signature *s) {
    const wai_matmul_params *p = s->params;
    const wai_type *a = s->in[0], *b = s->in[1];
    if (a == NULL || b == NULL || p->transpose_b > 1) {
        return WAI_REFUSE(s, "two inputs are needed, and transpose_b must be 0 or 1");
    }
    if (a->dtype != b->dtype) {
        return WAI_REFUSE(s, "the inputs are %s and %s", wai_dtype_name(a->dtype),
                          wai_dtype_name(b->dtype));
    }
    if (!computable(a->dtype)) {
        return WAI_DECLINE(s, "matmul of %s", wai_dtype_name(a->dtype));
    }
    if (a->rank < 2 || b->rank < 2) {
        return WAI_REFUSE(s, "ranks %u and %u, 2 or more are needed", a->rank, b->rank);
    }
    uint32_t depth = b->dims[b->rank - 2 + p->transpose_b];
    wai_type batch_a = batch_of(a), batch_b = batch_of(b), out;
    char text_a[WAI_TYPE_TEXT], text_b[WAI_TYPE_TEXT];
    if (a->dims[a->rank - 1] != depth || !wai_type_broadcast(&out, &batch_a, &batch_b)) {
        return WAI_REFUSE(s, "%s and %s%s do not fit", wai_type_text(a, text_a),
                          wai_type_text(b, text_b), p->transpose_b ? " (transposed)" : "");
    }
    out.dims[out.rank] = a->dims[a->rank - 2];
    out.dims[out.rank + 1] = b->dims[b->rank - 1 - p->transpose_b];
    out.rank += 2;
    if (!wai_type_is_valid(&out)) {
        return wai_fail(s->diag, WAI_ERR_LIMIT, s->where, "the output %s is too large",
                        wai_type_text(&out, text_a));
    }
    s->out[0] = out;
    return WAI_OK;
}

static uint64_t flops(const wai_signature *s) {
    return 2 * wai_type_count(&s->out[0]) * (uint64_t)s->in[0]->dims[s->in[0]->rank - 1];
}

const wai_op wai_op_matmul = {
    .name = "matmul",
    .params_size = sizeof(wai_matmul_params),
    .fields = fields,
    .field_count = sizeof fields / sizeof fields[0],
    .min_in = 2,
    .max_in = 2,
    .min_out = 1,
    .max_out = 1,
    .infer = infer,
    .flops = flops,
};

/* ---- kernel ------------------------------------------------------------- */

typedef struct state {
    size_t m, k, n;
    xnn_operator_t op; /* NULL: the plain loop */
} state;

/* XNNPACK packs b into the workspace at every run: columns rounded up to 8. */
static bool fits(const state *st, const wai_type *b) {
    uint64_t column = ((uint64_t)st->k + 4) * 4, columns = ((uint64_t)st->n + 7) / 8 * 8;
    uint64_t batch = wai_dims_product(b->dims, 0, b->rank - 2);
    return b->dtype == WAI_F32 && st->k != 0 && columns <= WAI_MAX_TENSOR_SIZE / column &&
           batch <= WAI_MAX_TENSOR_SIZE / (columns * column);
}

static wai_status create(wai_step *step, state *st, wai_pool *pool, wai_diag *diag) {
    const wai_matmul_params *p = step->params;
    const wai_type *a = &step->in[0].type, *b = &step->in[1].type, *out = &step->out[0].type;
    size_t batch_a[WAI_MAX_RANK], batch_b[WAI_MAX_RANK];
    uint32_t rank = out->rank - 2;
    size_t m = st->m;
    for (uint32_t i = 0; i < rank; i++) {
        batch_a[i] = i + a->rank >= out->rank ? a->dims[i + a->rank - out->rank] : 1;
        batch_b[i] = i + b->rank >= out->rank ? b->dims[i + b->rank - out->rank] : 1;
    }
    if (wai_dims_product(b->dims, 0, b->rank - 2) == 1) {
        /* One b for all: the batches of a are more rows, in fuller tiles. */
        m *= wai_dims_product(a->dims, 0, a->rank - 2);
        rank = 0;
    }
    wai_status status = wai_xnn_begin(pool, diag);
    if (status != WAI_OK) {
        return status;
    }
    size_t alignment = 0;
    enum xnn_status made =
        xnn_create_batch_matrix_multiply_nc_f32(p->transpose_b ? XNN_FLAG_TRANSPOSE_B : 0, &st->op);
    if (made == xnn_status_success) {
        made = xnn_reshape_batch_matrix_multiply_nc_f32(st->op, rank, batch_a, batch_b, m, st->k,
                                                        st->n, &step->workspace_size, &alignment,
                                                        step->threads);
    }
    wai_xnn_end();
    return wai_xnn_check(made, step, diag);
}

static wai_status prepare(wai_step *step, wai_pool *pool, wai_diag *diag) {
    const wai_type *a = &step->in[0].type, *out = &step->out[0].type;
    state *st = wai_pool_alloc(pool, sizeof *st);
    if (st == NULL) {
        return wai_xnn_check(xnn_status_out_of_memory, step, diag);
    }
    step->state = st;
    st->m = out->dims[out->rank - 2];
    st->k = a->dims[a->rank - 1];
    st->n = out->dims[out->rank - 1];
    if (wai_type_count(out) == 0 || !fits(st, &step->in[1].type)) {
        return WAI_OK;
    }
    return create(step, st, pool, diag);
}

static wai_status setup(wai_step *step, wai_diag *diag) {
    state *st = step->state;
    return st->op == NULL ? WAI_OK
                          : wai_xnn_check(xnn_setup_batch_matrix_multiply_nc_f32(
                                              st->op, step->workspace, step->in[0].data,
                                              step->in[1].data, step->out[0].data),
                                          step, diag);
}

/* One product of matrices; integers are computed as unsigned and wrap. */
#define PRODUCT(name, type)                                                                        \
    static void name(const state *st, bool transposed, const type *a, const type *b, type *out) {  \
        for (size_t i = 0; i < st->m; i++, a += st->k, out += st->n) {                             \
            memset(out, 0, st->n * sizeof *out);                                                   \
            for (size_t k = 0; k < st->k; k++) {                                                   \
                const type *row = transposed ? b + k : b + k * st->n;                              \
                const size_t stride = transposed ? st->k : 1;                                      \
                for (size_t j = 0; j < st->n; j++) {                                               \
                    out[j] += a[k] * row[j * stride];                                              \
                }                                                                                  \
            }                                                                                      \
        }                                                                                          \
    }
PRODUCT(product_f32, float)
PRODUCT(product_f64, double)
PRODUCT(product_u32, uint32_t)
PRODUCT(product_u64, uint64_t)

static void plain(const wai_step *step, const state *st) {
    const wai_matmul_params *p = step->params;
    const wai_type *out = &step->out[0].type;
    wai_type batch = batch_of(out), batch_a = batch_of(&step->in[0].type),
             batch_b = batch_of(&step->in[1].type);
    size_t stride_a[WAI_MAX_RANK], stride_b[WAI_MAX_RANK], index[WAI_MAX_RANK] = {0};
    wai_broadcast_strides(&batch_a, &batch, stride_a);
    wai_broadcast_strides(&batch_b, &batch, stride_b);
    const size_t item = wai_dtype_size(out->dtype), products = wai_type_count(&batch);
    for (size_t i = 0; i < products; i++) {
        size_t at_a = 0, at_b = 0;
        for (uint32_t d = 0; d < batch.rank; d++) {
            at_a += index[d] * stride_a[d];
            at_b += index[d] * stride_b[d];
        }
        const void *a = (const uint8_t *)step->in[0].data + at_a * st->m * st->k * item;
        const void *b = (const uint8_t *)step->in[1].data + at_b * st->k * st->n * item;
        void *to = (uint8_t *)step->out[0].data + i * st->m * st->n * item;
        if (out->dtype == WAI_F32) {
            product_f32(st, p->transpose_b, a, b, to);
        } else if (out->dtype == WAI_F64) {
            product_f64(st, p->transpose_b, a, b, to);
        } else if (item == 4) {
            product_u32(st, p->transpose_b, a, b, to);
        } else {
            product_u64(st, p->transpose_b, a, b, to);
        }
        for (uint32_t d = batch.rank; d-- > 0 && ++index[d] == batch.dims[d];) {
            index[d] = 0;
        }
    }
}

static wai_status run(wai_step *step, wai_diag *diag) {
    state *st = step->state;
    if (st->op != NULL) {
        return wai_xnn_check(xnn_run_operator(st->op, step->threads), step, diag);
    }
    if (wai_type_count(&step->out[0].type) != 0) {
        plain(step, st);
    }
    return WAI_OK;
}

const wai_kernel wai_op_matmul_kernel = {prepare, setup, run};
