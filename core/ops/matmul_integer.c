/* matmul_integer: product of 8-bit matrices, exact in 32 bits (sums wrap). */
#include <string.h>

#include "onnx/lower.h"
#include "ops/emit.h"
#include "ops/quantize.h"
#include "ops/vector.h"

/* ---- meaning ------------------------------------------------------------
 * in:  a i8 or u8[..., M, K], b i8 or u8[..., K, N], leading dims broadcast
 *      zero point of a, one element or [M]; of b, one element or [N]; optional
 * out: i32[..., M, N]. No params. */

enum { A, B, ZERO_A, ZERO_B, INPUTS };

static bool is_matrix(const wai_type *type) {
    return type != NULL && (type->dtype == WAI_I8 || type->dtype == WAI_U8) && type->rank >= 2;
}

static bool zero_fits(const wai_signature *s, uint32_t index, wai_dtype dtype, uint32_t count) {
    const wai_type *zero = index < s->in_count ? s->in[index] : NULL;
    return zero == NULL ||
           (zero->dtype == dtype && zero->rank <= 1 &&
            (wai_type_count(zero) == 1 || (zero->rank == 1 && zero->dims[0] == count)));
}

static wai_type batch_of(const wai_type *type) {
    return wai_type_make(type->dtype, type->rank - 2, type->dims);
}

static wai_status infer(wai_signature *s) {
    const wai_type *a = s->in[A], *b = s->in[B];
    if (!is_matrix(a) || !is_matrix(b)) {
        return WAI_REFUSE(s, "two inputs of i8 or u8 and rank 2 or more are needed");
    }
    wai_type batch_a = batch_of(a), batch_b = batch_of(b), out;
    char text_a[WAI_TYPE_TEXT], text_b[WAI_TYPE_TEXT];
    if (a->dims[a->rank - 1] != b->dims[b->rank - 2] ||
        !wai_type_broadcast(&out, &batch_a, &batch_b)) {
        return WAI_REFUSE(s, "%s and %s do not fit", wai_type_text(a, text_a),
                          wai_type_text(b, text_b));
    }
    out.dims[out.rank] = a->dims[a->rank - 2];
    out.dims[out.rank + 1] = b->dims[b->rank - 1];
    out.rank += 2;
    out.dtype = WAI_I32;
    if (!wai_type_is_valid(&out)) {
        return wai_fail(s->diag, WAI_ERR_LIMIT, s->where, "the output %s is too large",
                        wai_type_text(&out, text_a));
    }
    if (!zero_fits(s, ZERO_A, a->dtype, a->dims[a->rank - 2]) ||
        !zero_fits(s, ZERO_B, b->dtype, b->dims[b->rank - 1])) {
        return WAI_REFUSE(s, "a zero point does not fit its matrix");
    }
    s->out[0] = out;
    return WAI_OK;
}

static uint64_t flops(const wai_signature *s) {
    return 2 * wai_type_count(&s->out[0]) * (uint64_t)s->in[A]->dims[s->in[A]->rank - 1];
}

const wai_op wai_op_matmul_integer = {
    .name = "matmul_integer",
    .min_in = 2,
    .max_in = INPUTS,
    .min_out = 1,
    .max_out = 1,
    .infer = infer,
    .flops = flops,
};

/* ---- kernel -------------------------------------------------------------
 * out[j] = sum (a[k] - zero_a) * b[k][j], then less zero_b[j] * sum (a[k] - zero_a). */

static int32_t number_at(const wai_operand *operand, size_t at) {
    return operand->type.dtype == WAI_I8 ? ((const int8_t *)operand->data)[at]
                                         : ((const uint8_t *)operand->data)[at];
}

/* The zero point at `at`, or the only one, or 0. */
static int32_t zero_at(const wai_step *step, uint32_t index, size_t at) {
    if (index >= step->in_count || step->in[index].data == NULL) {
        return 0;
    }
    return number_at(&step->in[index], wai_type_count(&step->in[index].type) == 1 ? 0 : at);
}

/* Adds the products of four numbers of a with four rows of b; the numbers are
 * within 16 bits, so no product leaves 32. */
#define FOUR(name, type)                                                                           \
    static void name(uint32_t *out, const int16_t *a, const void *rows, size_t n) {                \
        const type *b0 = rows, *b1 = b0 + n, *b2 = b1 + n, *b3 = b2 + n;                           \
        WAI_VECTOR_LOOP                                                                            \
        for (size_t j = 0; j < n; j++) {                                                           \
            out[j] += (uint32_t)((int32_t)a[0] * (int16_t)b0[j]) +                                 \
                      (uint32_t)((int32_t)a[1] * (int16_t)b1[j]) +                                 \
                      (uint32_t)((int32_t)a[2] * (int16_t)b2[j]) +                                 \
                      (uint32_t)((int32_t)a[3] * (int16_t)b3[j]);                                  \
        }                                                                                          \
    }                                                                                              \
    static void name##_one(uint32_t *out, int16_t a, const void *row, size_t n) {                  \
        const type *b = row;                                                                       \
        WAI_VECTOR_LOOP                                                                            \
        for (size_t j = 0; j < n; j++) {                                                           \
            out[j] += (uint32_t)((int32_t)a * (int16_t)b[j]);                                      \
        }                                                                                          \
    }
FOUR(add_i8, int8_t)
FOUR(add_u8, uint8_t)

/* Row `m` of one product; `at_a`: where the row starts. */
static void row(const wai_step *step, size_t m, size_t at_a, const uint8_t *b, size_t k_count,
                size_t n, uint32_t *out) {
    const bool is_signed = step->in[B].type.dtype == WAI_I8;
    const int32_t zero_a = zero_at(step, ZERO_A, m);
    uint32_t total = 0;
    memset(out, 0, n * sizeof *out);
    for (size_t k = 0; k < k_count; k += 4) {
        const size_t part = k_count - k < 4 ? k_count - k : 4;
        int16_t a[4];
        for (size_t i = 0; i < part; i++) {
            a[i] = (int16_t)(number_at(&step->in[A], at_a + k + i) - zero_a);
            total += (uint32_t)a[i];
        }
        if (part == 4) {
            (is_signed ? add_i8 : add_u8)(out, a, b + k * n, n);
            continue;
        }
        for (size_t i = 0; i < part; i++) {
            (is_signed ? add_i8_one : add_u8_one)(out, a[i], b + (k + i) * n, n);
        }
    }
    for (size_t j = 0; j < n && step->in_count > ZERO_B; j++) {
        out[j] -= (uint32_t)zero_at(step, ZERO_B, j) * total;
    }
}

static wai_status run(wai_step *step, wai_diag *diag) {
    (void)diag;
    const wai_type *type_a = &step->in[A].type, *type_b = &step->in[B].type;
    const wai_type *out = &step->out[0].type;
    wai_type batch = batch_of(out), batch_a = batch_of(type_a), batch_b = batch_of(type_b);
    const size_t m = out->dims[out->rank - 2], n = out->dims[out->rank - 1];
    const size_t k = type_a->dims[type_a->rank - 1], products = wai_type_count(&batch);
    size_t stride_a[WAI_MAX_RANK], stride_b[WAI_MAX_RANK], index[WAI_MAX_RANK] = {0};
    wai_broadcast_strides(&batch_a, &batch, stride_a);
    wai_broadcast_strides(&batch_b, &batch, stride_b);
    if (wai_type_count(out) == 0) {
        return WAI_OK;
    }
    for (size_t i = 0; i < products; i++) {
        size_t at_a = 0, at_b = 0;
        for (uint32_t d = 0; d < batch.rank; d++) {
            at_a += index[d] * stride_a[d];
            at_b += index[d] * stride_b[d];
        }
        const uint8_t *b = (const uint8_t *)step->in[B].data + at_b * k * n;
        for (size_t r = 0; r < m; r++) {
            row(step, r, (at_a * m + r) * k, b, k, n,
                (uint32_t *)step->out[0].data + (i * m + r) * n);
        }
        for (uint32_t d = batch.rank; d-- > 0 && ++index[d] == batch.dims[d];) {
            index[d] = 0;
        }
    }
    return WAI_OK;
}

const wai_kernel wai_op_matmul_integer_kernel = {.run = run};

/* ---- ONNX MatMulInteger, QLinearMatMul ------------------------------------ */

/* The zero point as the kernel wants it, dims [1] or [count]; *general is set
 * where it has another form. */
static wai_value *plain_zero(wai_lower *l, wai_value *zero, uint32_t count, bool *general) {
    if (zero == NULL) {
        return NULL;
    }
    const size_t has = wai_type_count(&zero->type);
    if (has != 1 && has != count) {
        *general = true;
        return zero;
    }
    const uint32_t dim = (uint32_t)has;
    return wai_emit_reshape(l->graph, zero, 1, &dim);
}

/* A number per row of a comes as [M]; it broadcasts to a matrix as [M,1]. */
static wai_value *per_row(wai_lower *l, wai_value *value) {
    if (value == NULL || value->type.rank != 1 || value->type.dims[0] == 1) {
        return value;
    }
    const uint32_t dims[] = {value->type.dims[0], 1};
    return wai_emit_reshape(l->graph, value, 2, dims);
}

static wai_value *difference(wai_lower *l, wai_value *x, wai_value *zero) {
    x = wai_emit_cast(l->graph, x, WAI_I32);
    zero = wai_emit_cast(l->graph, zero, WAI_I32);
    return zero != NULL ? wai_emit_binary(l->graph, WAI_BINARY_SUB, x, zero) : x;
}

/* The i32 sums of two matrices. */
static wai_value *emit_product(wai_lower *l, wai_value *a, wai_value *zero_a, wai_value *b,
                               wai_value *zero_b) {
    bool general = false;
    const uint32_t rank = a->type.rank;
    wai_value *in[INPUTS] = {a, b, plain_zero(l, zero_a, a->type.dims[rank - 2], &general),
                             plain_zero(l, zero_b, b->type.dims[b->type.rank - 1], &general)};
    if (!general) {
        return wai_emit(l->graph, &wai_op_matmul_integer, NULL, in, INPUTS);
    }
    const wai_matmul_params p = {0};
    wai_value *wide[] = {difference(l, a, per_row(l, zero_a)), difference(l, b, zero_b)};
    return wai_emit(l->graph, &wai_op_matmul, &p, wide, 2);
}

/* As NumPy: a vector is a row on the left, a column on the right. */
static wai_value *as_matrix(wai_lower *l, wai_value *x, bool is_left) {
    if (x == NULL || x->type.rank != 1) {
        return x;
    }
    const uint32_t row_dims[] = {1, x->type.dims[0]}, column_dims[] = {x->type.dims[0], 1};
    return wai_emit_reshape(l->graph, x, 2, is_left ? row_dims : column_dims);
}

static wai_value *drop_axis(wai_lower *l, wai_value *y, uint32_t axis) {
    if (y == NULL) {
        return NULL;
    }
    uint32_t dims[WAI_MAX_RANK] = {0}, rank = 0;
    for (uint32_t i = 0; i < y->type.rank; i++) {
        if (i != axis) {
            dims[rank++] = y->type.dims[i];
        }
    }
    return wai_emit_reshape(l->graph, y, rank, dims);
}

/* What MatMulInteger and QLinearMatMul share; scale NULL: sums are wanted. */
static void lower(wai_lower *l, wai_value *a, wai_value *zero_a, wai_value *b, wai_value *zero_b,
                  wai_value *scale, wai_value *zero_y) {
    const bool vector_a = a->type.rank == 1, vector_b = b->type.rank == 1;
    a = as_matrix(l, a, true);
    b = as_matrix(l, b, false);
    if (a == NULL || b == NULL || a->type.rank == 0 || b->type.rank == 0) {
        WAI_LOWER_REFUSE(l, "%s of a scalar", l->op_type);
        return;
    }
    wai_value *y = emit_product(l, a, zero_a, b, zero_b);
    y = scale != NULL ? wai_emit_requantize(l->graph, y, scale, zero_y) : y;
    y = vector_b && y != NULL ? drop_axis(l, y, y->type.rank - 1) : y;
    y = vector_a && y != NULL ? drop_axis(l, y, y->type.rank - (vector_b ? 1 : 2)) : y;
    l->out[0] = y;
}

void wai_lower_matmul_integer(wai_lower *l) {
    wai_value *a = wai_lower_input(l, 0), *b = wai_lower_input(l, 1);
    if (!wai_lower_failed(l)) {
        lower(l, a, wai_lower_optional(l, 2), b, wai_lower_optional(l, 3), NULL, NULL);
    }
}

void wai_lower_qlinear_matmul(wai_lower *l) {
    wai_value *in[8];
    for (uint32_t i = 0; i < 8; i++) {
        in[i] = wai_lower_input(l, i);
    }
    if (wai_lower_failed(l)) {
        return;
    }
    wai_value *scale = wai_emit_binary(l->graph, WAI_BINARY_MUL, per_row(l, in[1]), in[4]);
    scale = wai_emit_binary(l->graph, WAI_BINARY_DIV, scale, in[6]);
    if (!wai_lower_failed(l)) {
        lower(l, in[0], in[2], in[3], in[5], scale, in[7]);
    }
}
