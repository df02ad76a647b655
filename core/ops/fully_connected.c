/* fully_connected: y = clamp(x * transpose(w) + bias), by XNNPACK. */
#include "base/limits.h"
#include "ops/emit.h"
#include "ops/product.h"
#include "ops/weighted.h"

static const wai_field fields[] = {
    WAI_FIELD(wai_fully_connected_params, WAI_FIELD_U32, in_features),
    WAI_FIELD(wai_fully_connected_params, WAI_FIELD_U32, out_features),
    WAI_FIELD(wai_fully_connected_params, WAI_FIELD_U32, packed),
    WAI_FIELD(wai_fully_connected_params, WAI_FIELD_F32, min),
    WAI_FIELD(wai_fully_connected_params, WAI_FIELD_F32, max),
};

static wai_status check_weights(wai_signature *s, const wai_type *w, const wai_type *bias) {
    const wai_fully_connected_params *p = s->params;
    char text[WAI_TYPE_TEXT];
    if (p->packed == 1) {
        return wai_weighted_infer_packed(s);
    }
    if (w->dtype != WAI_F32 || w->rank != 2 || w->dims[0] != p->out_features ||
        w->dims[1] != p->in_features) {
        return WAI_REFUSE(s, "the weights are %s, expected f32[%u,%u]", wai_type_text(w, text),
                          p->out_features, p->in_features);
    }
    if (bias != NULL &&
        (bias->dtype != WAI_F32 || bias->rank != 1 || bias->dims[0] != p->out_features)) {
        return WAI_REFUSE(s, "the bias is %s, expected f32[%u]", wai_type_text(bias, text),
                          p->out_features);
    }
    return WAI_OK;
}

static wai_status infer(wai_signature *s) {
    const wai_fully_connected_params *p = s->params;
    const wai_type *x = s->in[0], *w = s->in[1];
    if (x == NULL || w == NULL) {
        return WAI_REFUSE(s, "input or weights are missing");
    }
    if (p->packed > 1 || !(p->min <= p->max)) {
        return WAI_REFUSE(s, "packed must be 0 or 1 and min not above max");
    }
    if (x->dtype != WAI_F32 || x->rank == 0 || x->dims[x->rank - 1] != p->in_features) {
        char text[WAI_TYPE_TEXT];
        return WAI_REFUSE(s, "the input is %s, expected f32 with a last dim of %u",
                          wai_type_text(x, text), p->in_features);
    }
    wai_status status = check_weights(s, w, s->in_count > 2 ? s->in[2] : NULL);
    if (status != WAI_OK) {
        return status;
    }
    s->out[0] = *x;
    s->out[0].dims[x->rank - 1] = p->out_features;
    if (!wai_type_is_valid(&s->out[0])) {
        char text[WAI_TYPE_TEXT];
        return wai_fail(s->diag, WAI_ERR_LIMIT, s->where, "the output %s is too large",
                        wai_type_text(&s->out[0], text));
    }
    return WAI_OK;
}

static uint64_t flops(const wai_signature *s) {
    const wai_fully_connected_params *p = s->params;
    return 2 * wai_type_count(&s->out[0]) * (uint64_t)p->in_features;
}

const wai_op wai_op_fully_connected = {
    .name = "fully_connected",
    .params_size = sizeof(wai_fully_connected_params),
    .fields = fields,
    .field_count = sizeof fields / sizeof fields[0],
    .min_in = 2,
    .max_in = 3,
    .min_out = 1,
    .max_out = 1,
    .infer = infer,
    .flops = flops,
};

/* ---- kernel ------------------------------------------------------------- */

static bool fits(const wai_step *step) {
    const wai_fully_connected_params *p = step->params;
    /* Packed: input channels rounded up to 4 and a bias, output channels to 8. */
    uint64_t column = (((uint64_t)p->in_features + 3) / 4 * 4 + 1) * 4;
    uint64_t columns = ((uint64_t)p->out_features + 7) / 8 * 8;
    return p->in_features != 0 && columns <= WAI_MAX_TENSOR_SIZE / column;
}

static enum xnn_status create(const wai_step *step, const float *weights, const float *bias,
                              xnn_weights_cache_t cache, xnn_operator_t *out) {
    const wai_fully_connected_params *p = step->params;
    return xnn_create_fully_connected_nc_f32(p->in_features, p->out_features, p->in_features,
                                             p->out_features, weights, bias, p->min, p->max, 0,
                                             NULL, cache, out);
}

static size_t row_count(const wai_step *step) {
    const wai_type *x = &step->in[0].type;
    return wai_dims_product(x->dims, 0, x->rank - 1);
}

static wai_status reshape(wai_step *step, xnn_operator_t op, wai_diag *diag) {
    return wai_xnn_check(xnn_reshape_fully_connected_nc_f32(op, row_count(step), step->threads),
                         step, diag);
}

static enum xnn_status setup_operator(const wai_step *step, xnn_operator_t op) {
    return xnn_setup_fully_connected_nc_f32(op, step->in[0].data, step->out[0].data);
}

const wai_weighted_kind wai_fully_connected_kind = {offsetof(wai_fully_connected_params, packed),
                                                    fits,
                                                    create,
                                                    reshape,
                                                    setup_operator,
                                                    wai_fully_connected_plain};

/* XNNPACK packs fewer columns than a tile in another way. */
static bool is_product(const wai_step *step) {
    const wai_fully_connected_params *p = step->params;
    return p->packed != 0 && p->out_features >= 8 && fits(step);
}

static wai_status prepare(wai_step *step, wai_pool *pool, wai_diag *diag) {
    const wai_fully_connected_params *p = step->params;
    if (!is_product(step)) {
        return wai_weighted_prepare(step, &wai_fully_connected_kind, pool, diag);
    }
    const wai_product product = {.rows = row_count(step),
                                 .depth = p->in_features,
                                 .columns = p->out_features,
                                 .min = p->min,
                                 .max = p->max};
    return wai_product_prepare(step, &product, pool, diag);
}

static wai_status setup(wai_step *step, wai_diag *diag) {
    return is_product(step) ? wai_product_setup(step, diag) : wai_weighted_setup(step, diag);
}

static wai_status run(wai_step *step, wai_diag *diag) {
    return is_product(step) ? wai_product_step(step, diag) : wai_weighted_run(step, diag);
}

const wai_kernel wai_op_fully_connected_kernel = {prepare, setup, run};
