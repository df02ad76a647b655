/* scatter_nd: places slices by run-time tuples of indices. */
#include <string.h>

#include "onnx/lower.h"
#include "ops/emit.h"
#include "ops/index.h"

static const wai_field fields[] = {
    WAI_FIELD_ENUM(wai_scatter_nd_params, kind, wai_scatter_kinds),
};

static wai_status infer(wai_signature *s) {
    const wai_scatter_nd_params *p = s->params;
    const wai_type *data = s->in[0], *indices = s->in[1], *updates = s->in[2];
    wai_status status = wai_scatter_check(s, p->kind);
    if (status != WAI_OK) {
        return status;
    }
    if (indices == NULL || indices->rank == 0 || !wai_index_is(indices)) {
        return WAI_REFUSE(s, "indices must be i32 or i64 and of rank 1 at least");
    }
    const uint32_t places = indices->rank - 1, tuple = indices->dims[places];
    if (tuple < 1 || tuple > data->rank) {
        return WAI_REFUSE(s, "tuples of %u indices for %u axes", tuple, data->rank);
    }
    const uint32_t rest = data->rank - tuple;
    if (updates->rank != places + rest ||
        memcmp(updates->dims, indices->dims, places * sizeof data->dims[0]) != 0 ||
        memcmp(updates->dims + places, data->dims + tuple, rest * sizeof data->dims[0]) != 0) {
        char a[WAI_TYPE_TEXT], b[WAI_TYPE_TEXT], c[WAI_TYPE_TEXT];
        return WAI_REFUSE(s, "updates %s at indices %s of %s", wai_type_text(updates, a),
                          wai_type_text(indices, b), wai_type_text(data, c));
    }
    s->out[0] = *data;
    return WAI_OK;
}

const wai_op wai_op_scatter_nd = {
    .name = "scatter_nd",
    .params_size = sizeof(wai_scatter_nd_params),
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
    const wai_scatter_nd_params *p = step->params;
    const wai_operand *indices = &step->in[1];
    const wai_type *data = &step->in[0].type;
    const uint32_t last = indices->type.rank - 1, tuple = indices->type.dims[last];
    const size_t places = wai_dims_product(indices->type.dims, 0, last);
    const size_t count = wai_dims_product(data->dims, tuple, data->rank);
    const size_t block = count * wai_dtype_size(data->dtype);
    const uint8_t *updates = step->in[2].data;
    uint8_t *out = step->out[0].data;
    size_t i = 0;
    wai_scatter_begin(step);
    for (size_t n = 0; n < places; n++, updates += block) {
        size_t row = 0;
        for (uint32_t k = 0; k < tuple; k++, i++) {
            size_t index;
            if (!wai_index_get(indices, i, data->dims[k], &index)) {
                return wai_index_fail(step, diag, i, k);
            }
            row = row * data->dims[k] + index;
        }
        wai_scatter_write(out + row * block, updates, data->dtype, count, p->kind);
    }
    return WAI_OK;
}

const wai_kernel wai_op_scatter_nd_kernel = {.run = run};

/* ---- ONNX ---------------------------------------------------------------- */

uint32_t wai_lower_scatter_kind(wai_lower *l) {
    const char *name = wai_attr_string(l, "reduction", "none");
    for (uint32_t i = WAI_SCATTER_ADD; i <= WAI_SCATTER_MAX; i++) {
        if (strcmp(name, wai_scatter_kinds[i]) == 0) {
            return i;
        }
    }
    if (strcmp(name, "none") != 0) {
        WAI_LOWER_REFUSE(l, "reduction is %s", name);
    }
    return WAI_SCATTER_SET;
}

/* One index per block instead of a tuple per element. */
static wai_value *scatter_rows(wai_lower *l, const wai_scatter_nd_params *params,
                               wai_value *const *in, wai_index_rows rows) {
    wai_graph *g = l->graph;
    const wai_type *data = &in[0]->type;
    const uint32_t flat[2] = {rows.total, rows.block}, slices[2] = {rows.count, rows.block};
    const uint32_t tuples[2] = {rows.count, 1};
    wai_value *with[3] = {wai_emit_reshape(g, in[0], 2, flat),
                          wai_emit_reshape(g, rows.rows, 2, tuples),
                          wai_emit_reshape(g, in[2], 2, slices)};
    return wai_emit_reshape(g, wai_emit(g, &wai_op_scatter_nd, params, with, 3), data->rank,
                            data->dims);
}

void wai_lower_scatter_nd(wai_lower *l) {
    wai_value *in[3] = {wai_lower_input(l, 0), wai_lower_input(l, 1), wai_lower_input(l, 2)};
    wai_scatter_nd_params params = {wai_lower_scatter_kind(l)};
    if (wai_lower_failed(l)) {
        return;
    }
    wai_index_rows rows = wai_index_rows_of(l->graph, in[0], in[1]);
    /* Updates that do not fit are left to infer, which names the shapes. */
    bool fits =
        rows.rows != NULL && wai_type_count(&in[2]->type) == (size_t)rows.count * rows.block;
    l->out[0] = fits ? scatter_rows(l, &params, in, rows)
                     : wai_emit(l->graph, &wai_op_scatter_nd, &params, in, 3);
}
