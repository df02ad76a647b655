/* concat: inputs of any one dtype, side by side along one axis. */
#include "base/limits.h"
#include "onnx/lower.h"
#include "ops/emit.h"
#include "ops/move.h"

static const wai_field fields[] = {
    WAI_FIELD(wai_concat_params, WAI_FIELD_U32, axis),
};

static bool fits_beside(const wai_type *a, const wai_type *b, uint32_t axis) {
    if (a->dtype != b->dtype || a->rank != b->rank) {
        return false;
    }
    for (uint32_t i = 0; i < a->rank; i++) {
        if (i != axis && a->dims[i] != b->dims[i]) {
            return false;
        }
    }
    return true;
}

static wai_status infer(wai_signature *s) {
    const wai_concat_params *p = s->params;
    const wai_type *first = s->in[0];
    if (first == NULL || p->axis >= first->rank) {
        return WAI_REFUSE(s, "concat along axis %u of an input of rank %u", p->axis,
                          first != NULL ? first->rank : 0);
    }
    uint64_t total = 0;
    for (uint32_t i = 0; i < s->in_count; i++) {
        const wai_type *in = s->in[i];
        if (in == NULL || !fits_beside(first, in, p->axis)) {
            char a[WAI_TYPE_TEXT], b[WAI_TYPE_TEXT] = "nothing";
            return WAI_REFUSE(s, "concat along axis %u of %s and %s", p->axis,
                              wai_type_text(first, a), in != NULL ? wai_type_text(in, b) : b);
        }
        total += in->dims[p->axis];
    }
    if (total > WAI_MAX_DIM) {
        return WAI_REFUSE(s, "concat makes an axis of %llu elements", (unsigned long long)total);
    }
    s->out[0] = *first;
    s->out[0].dims[p->axis] = (uint32_t)total;
    return WAI_OK;
}

const wai_op wai_op_concat = {
    .name = "concat",
    .params_size = sizeof(wai_concat_params),
    .fields = fields,
    .field_count = sizeof fields / sizeof fields[0],
    .min_in = 1,
    .max_in = WAI_MAX_OPERANDS,
    .min_out = 1,
    .max_out = 1,
    .infer = infer,
    .flops = wai_move_flops,
};

static wai_status run(wai_step *step, wai_diag *diag) {
    (void)diag;
    const wai_concat_params *p = step->params;
    const wai_type *out = &step->out[0].type;
    size_t element = wai_dtype_size(out->dtype);
    size_t outer = wai_dims_product(out->dims, 0, p->axis);
    size_t out_row = wai_dims_product(out->dims, p->axis, out->rank) * element;
    uint8_t *to = step->out[0].data;
    for (uint32_t i = 0; i < step->in_count; i++) {
        const wai_type *in = &step->in[i].type;
        size_t count = wai_dims_product(in->dims, p->axis, in->rank), row = count * element;
        wai_move move = {
            .rank = 2,
            .element = element,
            .dims = {outer, count},
            .in = {(ptrdiff_t)row, (ptrdiff_t)element},
            .out = {(ptrdiff_t)out_row, (ptrdiff_t)element},
        };
        wai_move_run(&move, step->in[i].data, to);
        to += row;
    }
    return WAI_OK;
}

const wai_kernel wai_op_concat_kernel = {.run = run};

void wai_lower_concat(wai_lower *l) {
    wai_value *first = wai_lower_input(l, 0);
    int64_t given = wai_attr_int(l, "axis", 1); /* required since opset 4 */
    for (uint32_t i = 1; i < l->in_count; i++) {
        wai_lower_input(l, i);
    }
    if (wai_lower_failed(l)) {
        return;
    }
    wai_concat_params params = {.axis = wai_lower_axis(l, given, first->type.rank)};
    l->out[0] =
        l->in_count == 1 ? first : wai_emit(l->graph, &wai_op_concat, &params, l->in, l->in_count);
}
