/* scatter_elements: places single elements along one axis by run-time indices. */
#include <string.h>

#include "onnx/lower.h"
#include "ops/emit.h"
#include "ops/index.h"

static const wai_field fields[] = {
    WAI_FIELD_ENUM(wai_scatter_elements_params, kind, wai_scatter_kinds),
    WAI_FIELD(wai_scatter_elements_params, WAI_FIELD_U32, axis),
};

static wai_status infer(wai_signature *s) {
    const wai_scatter_elements_params *p = s->params;
    wai_status status = wai_index_check_elements(s, p->axis);
    status = status == WAI_OK ? wai_scatter_check(s, p->kind) : status;
    if (status != WAI_OK) {
        return status;
    }
    const wai_type *indices = s->in[1], *updates = s->in[2];
    if (updates->rank != indices->rank ||
        memcmp(updates->dims, indices->dims, indices->rank * sizeof indices->dims[0]) != 0) {
        char a[WAI_TYPE_TEXT], b[WAI_TYPE_TEXT];
        return WAI_REFUSE(s, "updates %s for indices %s", wai_type_text(updates, a),
                          wai_type_text(indices, b));
    }
    s->out[0] = *s->in[0];
    return WAI_OK;
}

const wai_op wai_op_scatter_elements = {
    .name = "scatter_elements",
    .params_size = sizeof(wai_scatter_elements_params),
    .fields = fields,
    .field_count = sizeof fields / sizeof fields[0],
    .min_in = 3,
    .max_in = 3,
    .min_out = 1,
    .max_out = 1,
    .in_place = 1,
    .infer = infer,
    .flops = wai_scatter_flops,
};

static wai_status run(wai_step *step, wai_diag *diag) {
    const wai_scatter_elements_params *p = step->params;
    const wai_operand *indices = &step->in[1];
    const wai_type *type = &step->in[0].type;
    const uint8_t *updates = step->in[2].data;
    uint8_t *out = step->out[0].data;
    size_t element = wai_dtype_size(type->dtype), i = 0;
    wai_index_walk w;
    wai_scatter_begin(step);
    wai_index_walk_begin(&w, type, &indices->type, p->axis);
    for (size_t row = 0; row < w.rows; row++, wai_index_walk_next(&w)) {
        for (size_t j = 0; j < w.length; j++, i++, updates += element) {
            size_t index;
            if (!wai_index_get(indices, i, type->dims[p->axis], &index)) {
                return wai_index_fail(step, diag, i, p->axis);
            }
            uint8_t *to = out + (w.base + j * w.step + index * w.axis_stride) * element;
            if (p->kind == WAI_SCATTER_SET) {
                wai_index_copy(to, updates, element);
            } else {
                wai_scatter_write(to, updates, type->dtype, 1, p->kind);
            }
        }
    }
    return WAI_OK;
}

const wai_kernel wai_op_scatter_elements_kernel = {.run = run};

/* ONNX ScatterElements, and Scatter, its name before opset 11. */
void wai_lower_scatter_elements(wai_lower *l) {
    wai_value *in[3] = {wai_lower_input(l, 0), wai_lower_input(l, 1), wai_lower_input(l, 2)};
    int64_t given = wai_attr_int(l, "axis", 0);
    wai_scatter_elements_params params = {.kind = wai_lower_scatter_kind(l)};
    if (wai_lower_failed(l)) {
        return;
    }
    params.axis = wai_lower_axis(l, given, in[0]->type.rank);
    l->out[0] = wai_emit(l->graph, &wai_op_scatter_elements, &params, in, 3);
}
