/* layer_norm.c - rows of mean 0 and variance 1, or of mean square 1. */
#include "ops/layer_norm.h"

#include <math.h>
#include <pthreadpool.h>

#include "ops/emit.h"
#include "ops/vector.h"

static const wai_field fields[] = {
    WAI_FIELD(wai_layer_norm_params, WAI_FIELD_U32, axis),
    WAI_FIELD(wai_layer_norm_params, WAI_FIELD_U32, rms),
    WAI_FIELD(wai_layer_norm_params, WAI_FIELD_F32, epsilon),
};

static wai_status infer(wai_signature *s) {
    const wai_layer_norm_params *p = s->params;
    const wai_type *x = s->in[0];
    if (x == NULL) {
        return WAI_REFUSE(s, "input 0 is absent");
    }
    if (p->axis >= x->rank) {
        return WAI_REFUSE(s, "axis %u of rank %u", p->axis, x->rank);
    }
    if (p->rms > 1) {
        return WAI_REFUSE(s, "rms is %u, not 0 or 1", p->rms);
    }
    if (x->dtype != WAI_F32) {
        return WAI_DECLINE(s, "layer_norm of %s is not supported", wai_dtype_name(x->dtype));
    }
    const size_t row = wai_dims_product(x->dims, p->axis, x->rank);
    for (uint32_t i = 1; i < s->in_count; i++) {
        const wai_type *list = s->in[i];
        if (list != NULL && (list->dtype != WAI_F32 || list->rank != 1 || list->dims[0] != row)) {
            char text[WAI_TYPE_TEXT];
            return WAI_REFUSE(s, "%s is %s, not f32[%zu]", i == 1 ? "scale" : "bias",
                              wai_type_text(list, text), row);
        }
    }
    s->out[0] = *x;
    return WAI_OK;
}

static uint64_t flops(const wai_signature *s) {
    return 8 * (uint64_t)wai_type_count(s->in[0]);
}

const wai_op wai_op_layer_norm = {
    .name = "layer_norm",
    .params_size = sizeof(wai_layer_norm_params),
    .fields = fields,
    .field_count = sizeof fields / sizeof fields[0],
    .min_in = 1,
    .max_in = 3,
    .min_out = 1,
    .max_out = 1,
    .in_place = 1u << 0,
    .infer = infer,
    .flops = flops,
};

/* ---- kernel --------------------------------------------------------------
 * Two passes, since E[x^2] - E[x]^2 loses all digits where the mean is large.
 * Sums as in reduce: f32 lanes over blocks, f64 over the blocks. */

#define LANES 16
#define BLOCK 16 /* f32 additions in a row before f64 takes over */

/* Of x - shift, or of its square. */
static inline double sum_of(const float *x, size_t count, float shift, bool square) {
    double total = 0;
    while (count >= LANES) {
        float lane[LANES] = {0};
        for (size_t k = 0; k < BLOCK && count >= LANES; k++, x += LANES, count -= LANES) {
            WAI_VECTOR_LOOP
            for (size_t j = 0; j < LANES; j++) {
                float y = x[j] - shift;
                lane[j] += square ? y * y : y;
            }
        }
        for (size_t half = LANES / 2; half > 0; half /= 2) {
            for (size_t j = 0; j < half; j++) {
                lane[j] += lane[j + half];
            }
        }
        total += lane[0];
    }
    for (size_t j = 0; j < count; j++) {
        float y = x[j] - shift;
        total += square ? y * y : y;
    }
    return total;
}

static void write_row(float *y, const float *x, size_t count, float shift, float factor,
                      const float *scale, const float *bias) {
    if (scale != NULL && bias != NULL) {
        WAI_VECTOR_LOOP
        for (size_t j = 0; j < count; j++) {
            y[j] = (x[j] - shift) * factor * scale[j] + bias[j];
        }
        return;
    }
    WAI_VECTOR_LOOP
    for (size_t j = 0; j < count; j++) {
        y[j] = (x[j] - shift) * factor;
    }
    for (size_t j = 0; scale != NULL && j < count; j++) {
        y[j] *= scale[j];
    }
    for (size_t j = 0; bias != NULL && j < count; j++) {
        y[j] += bias[j];
    }
}

/* A task of pthreadpool: one row. */
static void normalize_row(const wai_step *step, size_t row) {
    const wai_layer_norm_params *p = step->params;
    const wai_type *type = &step->in[0].type;
    const size_t count = wai_dims_product(type->dims, p->axis, type->rank);
    const float *x = (const float *)step->in[0].data + row * count;
    const float *scale = step->in_count > 1 ? step->in[1].data : NULL;
    const float *bias = step->in_count > 2 ? step->in[2].data : NULL;
    const float mean = p->rms ? 0 : (float)(sum_of(x, count, 0, false) / (double)count);
    const double variance = sum_of(x, count, mean, true) / (double)count;
    write_row((float *)step->out[0].data + row * count, x, count, mean,
              (float)(1 / sqrt(variance + p->epsilon)), scale, bias);
}

static wai_status run(wai_step *step, wai_diag *diag) {
    (void)diag;
    const wai_layer_norm_params *p = step->params;
    const wai_type *type = &step->in[0].type;
    if (wai_type_count(type) != 0) {
        pthreadpool_parallelize_1d(step->threads, (pthreadpool_task_1d_t)normalize_row, step,
                                   wai_dims_product(type->dims, 0, p->axis), 0);
    }
    return WAI_OK;
}

const wai_kernel wai_op_layer_norm_kernel = {.run = run};
