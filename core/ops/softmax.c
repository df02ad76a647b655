/* softmax.c - softmax and its logarithm along one axis. */
#include <math.h>
#include <string.h>

#include "onnx/lower.h"
#include "ops/emit.h"
#include "ops/vector.h"

static const wai_field fields[] = {
    WAI_FIELD(wai_softmax_params, WAI_FIELD_U32, axis),
    WAI_FIELD(wai_softmax_params, WAI_FIELD_U32, log),
};

static wai_status infer(wai_signature *s) {
    const wai_softmax_params *p = s->params;
    const wai_type *x = s->in[0];
    if (x == NULL) {
        return WAI_REFUSE(s, "input 0 is absent");
    }
    if (p->axis >= x->rank) {
        return WAI_REFUSE(s, "axis %u of rank %u", p->axis, x->rank);
    }
    if (p->log > 1) {
        return WAI_REFUSE(s, "log is %u, not 0 or 1", p->log);
    }
    if (x->dtype != WAI_F32) {
        return WAI_DECLINE(s, "softmax of %s is not supported", wai_dtype_name(x->dtype));
    }
    s->out[0] = *x;
    return WAI_OK;
}

const wai_op wai_op_softmax = {
    .name = "softmax",
    .params_size = sizeof(wai_softmax_params),
    .fields = fields,
    .field_count = sizeof fields / sizeof fields[0],
    .min_in = 1,
    .max_in = 1,
    .min_out = 1,
    .max_out = 1,
    .in_place = 1u << 0,
    .infer = infer,
};

/* ---- kernel --------------------------------------------------------------
 * exp(x - max) / sum. A NaN anywhere in a row, or inf - inf, makes the whole
 * row NaN, as in NumPy. */

/* out[i] = exp(in[i] - *max), *sum their sum. size > 0; in place allowed. */
struct xnn_f32_default_params;
void xnn_f32_raddstoreexpminusmax_ukernel__wasmsimd_rr2_p5_u16_acc2(size_t size, const float *in,
                                                                    const float *max, float *out,
                                                                    float *sum, const void *params);

#define LANES 16

static float row_max(const float *x, size_t count) {
    float lane[LANES];
    for (size_t j = 0; j < LANES; j++) {
        lane[j] = -INFINITY;
    }
    for (; count >= LANES; count -= LANES, x += LANES) {
        WAI_VECTOR_LOOP
        for (size_t j = 0; j < LANES; j++) {
            lane[j] = lane[j] < x[j] ? x[j] : lane[j];
        }
    }
    for (size_t j = 0; j < count; j++) {
        lane[j] = lane[j] < x[j] ? x[j] : lane[j];
    }
    for (size_t j = 1; j < LANES; j++) {
        lane[0] = lane[0] < lane[j] ? lane[j] : lane[0];
    }
    return lane[0];
}

static void softmax_row(float *out, const float *in, size_t count) {
    float max = row_max(in, count), sum;
    xnn_f32_raddstoreexpminusmax_ukernel__wasmsimd_rr2_p5_u16_acc2(count * sizeof(float), in, &max,
                                                                   out, &sum, NULL);
    float scale = 1.0f / sum;
    WAI_VECTOR_LOOP
    for (size_t i = 0; i < count; i++) {
        out[i] *= scale;
    }
}

static void log_softmax_row(float *out, const float *in, size_t count) {
    float scrap[512], part;
    float max = row_max(in, count), sum = 0;
    for (size_t done = 0; done < count; done += 512) {
        size_t size = (count - done < 512 ? count - done : 512) * sizeof(float);
        xnn_f32_raddstoreexpminusmax_ukernel__wasmsimd_rr2_p5_u16_acc2(size, in + done, &max, scrap,
                                                                       &part, NULL);
        sum += part;
    }
    float log_sum = wai_log(sum);
    WAI_VECTOR_LOOP
    for (size_t i = 0; i < count; i++) {
        out[i] = in[i] - max - log_sum;
    }
}

/* `columns` rows side by side: element k of column j is at k * stride + j. */
#define COLUMNS    128
#define BLOCK_ROWS 32 /* summed apart: keeps the rounding errors of long sums small */

static void exp_row(float *y, const float *x, const float *max, float *sum, size_t columns,
                    bool log) {
    WAI_VECTOR_LOOP
    for (size_t j = 0; j < columns; j++) {
        float shifted = x[j] - max[j];
        float e = wai_exp(shifted);
        sum[j] += e;
        y[j] = log ? shifted : e;
    }
}

static void softmax_columns(float *out, const float *in, size_t count, size_t stride,
                            size_t columns, bool log) {
    float max[COLUMNS], sum[COLUMNS];
    for (size_t j = 0; j < columns; j++) {
        max[j] = -INFINITY;
        sum[j] = 0;
    }
    for (size_t k = 0; k < count; k++) {
        const float *x = in + k * stride;
        WAI_VECTOR_LOOP
        for (size_t j = 0; j < columns; j++) {
            max[j] = max[j] < x[j] ? x[j] : max[j];
        }
    }
    for (size_t done = 0; done < count; done += BLOCK_ROWS) {
        size_t rows = count - done < BLOCK_ROWS ? count - done : BLOCK_ROWS;
        float part[COLUMNS] = {0};
        for (size_t k = done; k < done + rows; k++) {
            exp_row(out + k * stride, in + k * stride, max, part, columns, log);
        }
        for (size_t j = 0; j < columns; j++) {
            sum[j] += part[j];
        }
    }
    for (size_t j = 0; j < columns; j++) {
        sum[j] = log ? wai_log(sum[j]) : 1.0f / sum[j];
    }
    for (size_t k = 0; k < count; k++) {
        float *y = out + k * stride;
        WAI_VECTOR_LOOP
        for (size_t j = 0; j < columns; j++) {
            y[j] = log ? y[j] - sum[j] : y[j] * sum[j];
        }
    }
}

static wai_status run(wai_step *step, wai_diag *diag) {
    (void)diag;
    const wai_softmax_params *p = step->params;
    const wai_type *type = &step->in[0].type;
    const float *in = step->in[0].data;
    float *out = step->out[0].data;
    size_t outer = wai_dims_product(type->dims, 0, p->axis);
    size_t count = type->dims[p->axis];
    size_t inner = wai_dims_product(type->dims, p->axis + 1, type->rank);
    if (count == 0) {
        return WAI_OK;
    }
    for (size_t o = 0; o < outer; o++, in += count * inner, out += count * inner) {
        if (inner == 1 && p->log == 0) {
            softmax_row(out, in, count);
        } else if (inner == 1) {
            log_softmax_row(out, in, count);
        }
        for (size_t j = 0; j < inner && inner > 1; j += COLUMNS) {
            size_t columns = inner - j < COLUMNS ? inner - j : COLUMNS;
            softmax_columns(out + j, in + j, count, inner, columns, p->log != 0);
        }
    }
    return WAI_OK;
}

const wai_kernel wai_op_softmax_kernel = {.run = run};

/* ---- ONNX ---------------------------------------------------------------- */

static wai_value *emit_softmax(wai_lower *l, wai_value *x, uint32_t axis) {
    wai_softmax_params params = {axis, strcmp(l->op_type, "LogSoftmax") == 0};
    return wai_emit(l->graph, &wai_op_softmax, &params, &x, 1);
}

/* Before opset 13 all axes from `axis` on are one. */
static wai_value *softmax_of_matrix(wai_lower *l, wai_value *x, uint32_t axis) {
    const wai_type type = x->type;
    if (wai_dims_product(type.dims, axis + 1, type.rank) == 1) {
        return emit_softmax(l, x, axis);
    }
    uint32_t dims[2] = {(uint32_t)wai_dims_product(type.dims, 0, axis),
                        (uint32_t)wai_dims_product(type.dims, axis, type.rank)};
    wai_value *matrix = wai_emit_reshape(l->graph, x, 2, dims);
    return wai_emit_reshape(l->graph, emit_softmax(l, matrix, 1), type.rank, type.dims);
}

void wai_lower_softmax(wai_lower *l) {
    wai_value *x = wai_lower_input(l, 0);
    if (x == NULL) {
        return;
    }
    int64_t fallback = l->opset < 13 ? 1 : -1;
    uint32_t axis = wai_lower_axis(l, wai_attr_int(l, "axis", fallback), x->type.rank);
    if (wai_lower_failed(l)) {
        return;
    }
    l->out[0] = l->opset < 13 ? softmax_of_matrix(l, x, axis) : emit_softmax(l, x, axis);
}
