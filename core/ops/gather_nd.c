/* gather_nd: picks slices by run-time tuples of indices. */
#include <string.h>

#include "onnx/lower.h"
#include "ops/emit.h"
#include "ops/index.h"
#include "ops/move.h"

static const wai_field fields[] = {
    WAI_FIELD(wai_gather_nd_params, WAI_FIELD_U32, batch_dims),
};

static wai_status infer(wai_signature *s) {
    const wai_gather_nd_params *p = s->params;
    const wai_type *data = s->in[0], *indices = s->in[1];
    const uint32_t batch = p->batch_dims;
    if (data == NULL || indices == NULL || batch >= data->rank || batch >= indices->rank) {
        return WAI_REFUSE(s, "%u batch_dims of data of rank %u and indices of rank %u", batch,
                          data != NULL ? data->rank : 0, indices != NULL ? indices->rank : 0);
    }
    if (!wai_index_is(indices)) {
        return WAI_REFUSE(s, "indices of type %s, not i32 or i64", wai_dtype_name(indices->dtype));
    }
    const uint32_t tuple = indices->dims[indices->rank - 1];
    if (tuple < 1 || tuple > data->rank - batch) {
        return WAI_REFUSE(s, "tuples of %u indices for %u axes", tuple, data->rank - batch);
    }
    if (memcmp(data->dims, indices->dims, batch * sizeof data->dims[0]) != 0) {
        return WAI_REFUSE(s, "data and indices differ in their first %u dims", batch);
    }
    const uint32_t places = indices->rank - 1, rest = data->rank - batch - tuple;
    if (places + rest > WAI_MAX_RANK) {
        return WAI_DECLINE(s, "gather_nd makes rank %u, more than %u", places + rest, WAI_MAX_RANK);
    }
    wai_type out = {data->dtype, places + rest, {0}};
    memcpy(out.dims, indices->dims, places * sizeof out.dims[0]);
    memcpy(out.dims + places, data->dims + batch + tuple, rest * sizeof out.dims[0]);
    s->out[0] = out;
    return WAI_OK;
}

const wai_op wai_op_gather_nd = {
    .name = "gather_nd",
    .params_size = sizeof(wai_gather_nd_params),
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
    const wai_gather_nd_params *p = step->params;
    const wai_operand *indices = &step->in[1];
    const wai_type *data = &step->in[0].type;
    const uint32_t last = indices->type.rank - 1, tuple = indices->type.dims[last];
    const size_t batches = wai_dims_product(data->dims, 0, p->batch_dims);
    const size_t places = wai_dims_product(indices->type.dims, p->batch_dims, last);
    const size_t element = wai_dtype_size(data->dtype);
    const size_t whole = wai_dims_product(data->dims, p->batch_dims, data->rank) * element;
    const size_t block = wai_dims_product(data->dims, p->batch_dims + tuple, data->rank) * element;
    const uint8_t *from = step->in[0].data;
    uint8_t *to = step->out[0].data;
    size_t i = 0;
    for (size_t b = 0; b < batches; b++, from += whole) {
        for (size_t n = 0; n < places; n++, to += block) {
            size_t row = 0;
            for (uint32_t k = 0; k < tuple; k++, i++) {
                const uint32_t axis = p->batch_dims + k;
                size_t index;
                if (!wai_index_get(indices, i, data->dims[axis], &index)) {
                    return wai_index_fail(step, diag, i, axis);
                }
                row = row * data->dims[axis] + index;
            }
            wai_move_bytes(to, from + row * block, block);
        }
    }
    return WAI_OK;
}

const wai_kernel wai_op_gather_nd_kernel = {.run = run};

/* Constant tuples are indices of gather. */
static wai_value *gather_rows(wai_lower *l, wai_value *data, const wai_value *indices,
                              wai_index_rows rows) {
    const uint32_t places = indices->type.rank - 1, tuple = indices->type.dims[places];
    const uint32_t rest = data->type.rank - tuple;
    uint32_t dims[2 * WAI_MAX_RANK], flat[2] = {rows.total, rows.block};
    memcpy(dims, indices->type.dims, places * sizeof dims[0]);
    memcpy(dims + places, data->type.dims + tuple, rest * sizeof dims[0]);
    wai_value *in[2] = {wai_emit_reshape(l->graph, data, 2, flat), rows.rows};
    wai_gather_params params = {0};
    return wai_emit_reshape(l->graph, wai_emit(l->graph, &wai_op_gather, &params, in, 2),
                            places + rest, dims);
}

void wai_lower_gather_nd(wai_lower *l) {
    wai_value *in[2] = {wai_lower_input(l, 0), wai_lower_input(l, 1)};
    int64_t batch = l->opset >= 12 ? wai_attr_int(l, "batch_dims", 0) : 0;
    wai_gather_nd_params params = {wai_lower_dim(l, batch, "batch_dims")};
    if (wai_lower_failed(l)) {
        return;
    }
    wai_index_rows rows = {0};
    if (batch == 0) {
        rows = wai_index_rows_of(l->graph, in[0], in[1]);
    }
    l->out[0] = rows.rows != NULL ? gather_rows(l, in[0], in[1], rows)
                                  : wai_emit(l->graph, &wai_op_gather_nd, &params, in, 2);
}
