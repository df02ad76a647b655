/* gather: picks slices along one axis by run-time indices. */
#include <string.h>

#include "onnx/lower.h"
#include "ops/emit.h"
#include "ops/move.h"

static const wai_field fields[] = {
    WAI_FIELD(wai_gather_params, WAI_FIELD_U32, axis),
};

static wai_status infer(wai_signature *s) {
    const wai_gather_params *p = s->params;
    const wai_type *data = s->in[0], *indices = s->in[1];
    if (data == NULL || indices == NULL || p->axis >= data->rank) {
        return WAI_REFUSE(s, "gather along axis %u of data of rank %u", p->axis,
                          data != NULL ? data->rank : 0);
    }
    if (indices->dtype != WAI_I32 && indices->dtype != WAI_I64) {
        return WAI_REFUSE(s, "gather with indices of type %s, not i32 or i64",
                          wai_dtype_name(indices->dtype));
    }
    uint32_t rank = data->rank - 1 + indices->rank;
    if (rank > WAI_MAX_RANK) {
        return WAI_DECLINE(s, "gather makes rank %u, more than %u", rank, WAI_MAX_RANK);
    }
    wai_type out = {data->dtype, rank, {0}};
    uint32_t after = data->rank - p->axis - 1;
    memcpy(out.dims, data->dims, p->axis * sizeof out.dims[0]);
    memcpy(out.dims + p->axis, indices->dims, indices->rank * sizeof out.dims[0]);
    memcpy(out.dims + p->axis + indices->rank, data->dims + p->axis + 1,
           after * sizeof out.dims[0]);
    s->out[0] = out;
    return WAI_OK;
}

const wai_op wai_op_gather = {
    .name = "gather",
    .params_size = sizeof(wai_gather_params),
    .fields = fields,
    .field_count = sizeof fields / sizeof fields[0],
    .min_in = 2,
    .max_in = 2,
    .min_out = 1,
    .max_out = 1,
    .infer = infer,
    .flops = wai_move_flops,
};

static int64_t index_at(const wai_operand *indices, size_t i) {
    return indices->type.dtype == WAI_I32 ? ((const int32_t *)indices->data)[i]
                                          : ((const int64_t *)indices->data)[i];
}

static wai_status run(wai_step *step, wai_diag *diag) {
    const wai_gather_params *p = step->params;
    const wai_operand *indices = &step->in[1];
    const wai_type *data = &step->in[0].type;
    int64_t dim = data->dims[p->axis];
    size_t count = wai_type_count(&indices->type);
    size_t outer = wai_dims_product(data->dims, 0, p->axis);
    size_t block =
        wai_dims_product(data->dims, p->axis + 1, data->rank) * wai_dtype_size(data->dtype);
    for (size_t i = 0; i < count; i++) {
        int64_t index = index_at(indices, i);
        if (index < -dim || index >= dim) {
            return wai_fail(diag, WAI_ERR_ARGUMENT, step->where,
                            "index %lld at position %zu is outside axis %u of %lld elements",
                            (long long)index, i, p->axis, (long long)dim);
        }
    }
    const uint8_t *from = step->in[0].data;
    uint8_t *to = step->out[0].data;
    for (size_t o = 0; o < outer; o++) {
        for (size_t i = 0; i < count; i++) {
            int64_t index = index_at(indices, i);
            size_t row = (size_t)(index < 0 ? index + dim : index);
            wai_move_bytes(to, from + row * block, block);
            to += block;
        }
        from += (size_t)dim * block;
    }
    return WAI_OK;
}

const wai_kernel wai_op_gather_kernel = {.run = run};

void wai_lower_gather(wai_lower *l) {
    wai_value *in[2] = {wai_lower_input(l, 0), wai_lower_input(l, 1)};
    int64_t given = wai_attr_int(l, "axis", 0);
    if (wai_lower_failed(l)) {
        return;
    }
    wai_gather_params params = {.axis = wai_lower_axis(l, given, in[0]->type.rank)};
    l->out[0] = wai_emit(l->graph, &wai_op_gather, &params, in, 2);
}
