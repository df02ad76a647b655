/*
 * TEMPLATE.c - a skeleton to copy; it is not built. Three parts in this order.
 */
#include "onnx/lower.h"
#include "ops/emit.h"

/* ---- meaning ------------------------------------------------------------
 * In a few lines: what comes out for what goes in, and where it is defined. */

typedef struct params { /* belongs into emit.h */
    uint32_t axis;
} params;

static const wai_field fields[] = {WAI_FIELD(params, WAI_FIELD_U32, axis)};

static wai_status infer(wai_signature *s) {
    const params *p = s->params;
    if (s->in[0] == NULL || s->in[0]->dtype != WAI_F32) {
        return WAI_DECLINE(s, "NAME takes f32");
    }
    if (p->axis >= s->in[0]->rank) {
        return WAI_REFUSE(s, "axis %u is outside rank %u", p->axis, s->in[0]->rank);
    }
    s->out[0] = *s->in[0];
    return WAI_OK;
}

const wai_op wai_op_NAME = {.name = "NAME",
                            .params_size = sizeof(params),
                            .fields = fields,
                            .field_count = sizeof fields / sizeof fields[0],
                            .min_in = 1,
                            .max_in = 1,
                            .min_out = 1,
                            .max_out = 1,
                            .infer = infer};

/* ---- kernel ------------------------------------------------------------- */

static wai_status run(wai_step *step, wai_diag *diag) {
    (void)step;
    (void)diag;
    return WAI_OK;
}

const wai_kernel wai_op_NAME_kernel = {.run = run};

/* ---- lowering ----------------------------------------------------------- */

void wai_lower_NAME(wai_lower *l) {
    wai_value *x = wai_lower_input(l, 0);
    if (x == NULL) {
        return;
    }
    params p = {wai_lower_axis(l, wai_attr_int(l, "axis", -1), x->type.rank)};
    l->out[0] = wai_emit(l->graph, &wai_op_NAME, &p, &x, 1);
}
