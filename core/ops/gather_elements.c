/* gather_elements: picks single elements along one axis by run-time indices. */
#include "ops/index.h"

#include "onnx/lower.h"
#include "ops/emit.h"
#include "ops/move.h"

static const wai_field fields[] = {
    WAI_FIELD(wai_gather_elements_params, WAI_FIELD_U32, axis),
};

static wai_status infer(wai_signature *s) {
    const wai_gather_elements_params *p = s->params;
    wai_status status = wai_index_check_elements(s, p->axis);
    if (status == WAI_OK) {
        s->out[0] = *s->in[1];
        s->out[0].dtype = s->in[0]->dtype;
    }
    return status;
}

const wai_op wai_op_gather_elements = {
    .name = "gather_elements",
    .params_size = sizeof(wai_gather_elements_params),
    .fields = fields,
    .field_count = sizeof fields / sizeof fields[0],
    .min_in = 2,
    .max_in = 2,
    .min_out = 1,
    .max_out = 1,
    .infer = infer,
    .flops = wai_move_flops,
};

static wai_status run(wai_step *step, wai_diag *diag) {
    const wai_gather_elements_params *p = step->params;
    const wai_operand *indices = &step->in[1];
    const wai_type *type = &step->in[0].type;
    const uint8_t *data = step->in[0].data;
    uint8_t *out = step->out[0].data;
    size_t element = wai_dtype_size(type->dtype), i = 0;
    wai_index_walk w;
    wai_index_walk_begin(&w, type, &indices->type, p->axis);
    for (size_t row = 0; row < w.rows; row++, wai_index_walk_next(&w)) {
        for (size_t j = 0; j < w.length; j++, i++, out += element) {
            size_t index;
            if (!wai_index_get(indices, i, type->dims[p->axis], &index)) {
                return wai_index_fail(step, diag, i, p->axis);
            }
            wai_index_copy(out, data + (w.base + j * w.step + index * w.axis_stride) * element,
                           element);
        }
    }
    return WAI_OK;
}

const wai_kernel wai_op_gather_elements_kernel = {.run = run};

void wai_lower_gather_elements(wai_lower *l) {
    wai_value *in[2] = {wai_lower_input(l, 0), wai_lower_input(l, 1)};
    int64_t given = wai_attr_int(l, "axis", 0);
    if (wai_lower_failed(l)) {
        return;
    }
    wai_gather_elements_params params = {wai_lower_axis(l, given, in[0]->type.rank)};
    l->out[0] = wai_emit(l->graph, &wai_op_gather_elements, &params, in, 2);
}
