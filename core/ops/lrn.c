/* lrn: local response normalization over the last axis. */
#include <math.h>

#include "onnx/lower.h"
#include "ops/emit.h"

static const wai_field fields[] = {
    WAI_FIELD(wai_lrn_params, WAI_FIELD_U32, size),
    WAI_FIELD(wai_lrn_params, WAI_FIELD_F32, alpha),
    WAI_FIELD(wai_lrn_params, WAI_FIELD_F32, beta),
    WAI_FIELD(wai_lrn_params, WAI_FIELD_F32, bias),
};

static wai_status infer(wai_signature *s) {
    const wai_lrn_params *p = s->params;
    const wai_type *x = s->in[0];
    if (x == NULL || p->size == 0) {
        return WAI_REFUSE(s, "an input and a size of at least 1 are needed");
    }
    if (x->dtype != WAI_F32 || x->rank == 0) {
        return WAI_REFUSE(s, "the input must be f32 of rank 1 or more, not %s of rank %u",
                          wai_dtype_name(x->dtype), x->rank);
    }
    s->out[0] = *x;
    return WAI_OK;
}

static uint64_t flops(const wai_signature *s) {
    const wai_lrn_params *p = s->params;
    const wai_type *x = s->in[0];
    uint64_t channels = x->dims[x->rank - 1];
    return wai_type_count(x) * (2 * (p->size < channels ? p->size : channels) + 4);
}

const wai_op wai_op_lrn = {
    .name = "lrn",
    .params_size = sizeof(wai_lrn_params),
    .fields = fields,
    .field_count = sizeof fields / sizeof fields[0],
    .min_in = 1,
    .max_in = 1,
    .min_out = 1,
    .max_out = 1,
    .infer = infer,
    .flops = flops,
};

/* ---- kernel ------------------------------------------------------------- */

/* Nets use 0.75 or 0.5; by roots they cost a tenth of powf. */
static float power(float base, float exponent) {
    if (exponent == 0.75f) {
        float root = sqrtf(base);
        return root * sqrtf(root);
    }
    return exponent == 0.5f ? sqrtf(base) : powf(base, exponent);
}

static wai_status run(wai_step *step, wai_diag *diag) {
    (void)diag;
    const wai_lrn_params *p = step->params;
    const wai_type *type = &step->in[0].type;
    const size_t channels = type->dims[type->rank - 1];
    const size_t before = (p->size - 1) / 2, after = p->size - 1 - before;
    const size_t rows = wai_dims_product(type->dims, 0, type->rank - 1);
    const float scale = p->alpha / (float)p->size;
    const float *x = step->in[0].data;
    float *y = step->out[0].data;
    for (size_t row = 0; channels != 0 && row < rows; row++, x += channels, y += channels) {
        for (size_t c = 0; c < channels; c++) {
            size_t from = c > before ? c - before : 0;
            size_t to = after < channels - 1 - c ? c + after : channels - 1;
            float sum = 0;
            for (size_t i = from; i <= to; i++) {
                sum += x[i] * x[i];
            }
            y[c] = x[c] / power(p->bias + scale * sum, p->beta);
        }
    }
    return WAI_OK;
}

const wai_kernel wai_op_lrn_kernel = {.run = run};

/* ---- ONNX --------------------------------------------------------------- */

void wai_lower_lrn(wai_lower *l) {
    wai_value *x = wai_lower_input(l, 0);
    wai_lrn_params params = {
        .alpha = wai_attr_float(l, "alpha", 1e-4f),
        .beta = wai_attr_float(l, "beta", 0.75f),
        .bias = wai_attr_float(l, "bias", 1.0f),
    };
    int64_t size = wai_attr_int(l, "size", 0);
    if (wai_lower_failed(l)) {
        return;
    }
    if (size < 1 || size > 0x7fffffff) {
        WAI_LOWER_REFUSE(l, "size is %lld", (long long)size);
        return;
    }
    params.size = (uint32_t)size;
    /* The channels are axis 1. */
    const bool turn = x->type.rank > 2;
    x = turn ? wai_emit_channels_last(l->graph, x) : x;
    wai_value *y = wai_emit(l->graph, &wai_op_lrn, &params, &x, 1);
    l->out[0] = turn ? wai_emit_channels_first(l->graph, y) : y;
}
