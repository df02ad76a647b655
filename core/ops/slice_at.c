/* slice_at: a slice whose ends are known only at run. */
#include "ops/slice_at.h"

#include "ops/bound.h"
#include "ops/index.h"
#include "ops/lowering.h"
#include "ops/move.h"

typedef wai_slice_at_params params;

static const wai_field fields[] = {
    WAI_FIELD(params, WAI_FIELD_U32, limit),
    WAI_FIELD(params, WAI_FIELD_U32, axis),
    WAI_FIELD(params, WAI_FIELD_U32, strict),
};

static wai_status infer(wai_signature *s) {
    const params *p = s->params;
    const wai_type *x = s->in[0];
    if (x == NULL || p->axis >= x->rank || p->strict > 1) {
        return WAI_REFUSE(s, "slice along axis %u of rank %u, strict %u", p->axis,
                          x != NULL ? x->rank : 0, p->strict);
    }
    for (uint32_t i = 1; i < s->in_count; i++) {
        const wai_type *type = s->in[i];
        if (type != NULL && (!wai_index_is(type) || wai_type_count(type) != 1)) {
            return WAI_REFUSE(s, "input %u is %s with %zu elements, not one index", i,
                              wai_dtype_name(type->dtype), wai_type_count(type));
        }
    }
    s->out[0] = *x;
    return wai_bound_infer(s, p->limit, x->dims[p->axis], &s->out[0].dims[p->axis]);
}

static uint32_t data_count(const void *p, const wai_type *out) {
    return out->dims[((const params *)p)->axis];
}

const wai_op wai_op_slice_at = {
    .name = "slice_at",
    .params_size = sizeof(params),
    .fields = fields,
    .field_count = sizeof fields / sizeof fields[0],
    .min_in = 1,
    .max_in = 3,
    .min_out = 1,
    .max_out = 1,
    .infer = infer,
    .data_count = data_count,
    .flops = wai_move_flops,
};

/* False when it is outside and must not be. */
static bool read_place(const wai_step *step, uint32_t index, int64_t dim, int64_t *place) {
    if (index >= step->in_count || step->in[index].data == NULL) {
        return true;
    }
    const int64_t given = wai_index_at(&step->in[index], 0);
    if (((const params *)step->params)->strict != 0) {
        *place = given;
        return given >= 0 && given <= dim;
    }
    *place = given < -dim ? 0 : given < 0 ? given + dim : given > dim ? dim : given;
    return true;
}

static wai_status run(wai_step *step, wai_diag *diag) {
    const params *p = step->params;
    const wai_type *x = &step->in[0].type;
    const uint32_t dim = x->dims[p->axis];
    int64_t start = 0, end = dim;
    if (!read_place(step, 1, dim, &start) || !read_place(step, 2, dim, &end) ||
        (p->strict != 0 && start > end)) {
        return wai_fail(diag, WAI_ERR_ARGUMENT, step->where,
                        "elements %lld to %lld of axis %u, which has %u", (long long)start,
                        (long long)end, p->axis, dim);
    }
    const size_t count = start < end ? (size_t)(end - start) : 0;
    const wai_status status = wai_bound_check(step, diag, count);
    if (status != WAI_OK) {
        return status;
    }
    step->out[0].type.dims[p->axis] = (uint32_t)count;
    const size_t outer = wai_dims_product(x->dims, 0, p->axis);
    const size_t block = wai_dims_product(x->dims, p->axis + 1, x->rank) * wai_dtype_size(x->dtype);
    const uint8_t *in = step->in[0].data;
    uint8_t *out = step->out[0].data;
    for (size_t i = 0; i < outer && count * block != 0; i++) {
        wai_move_bytes(out + i * count * block, in + (i * dim + (size_t)start) * block,
                       count * block);
    }
    return WAI_OK;
}

const wai_kernel wai_op_slice_at_kernel = {.run = run};

/* ---- ONNX: for Slice and TopK ---------------------------------------------- */

wai_value *wai_lower_slice_at(wai_lower *l, wai_value *x, uint32_t axis, wai_value *start,
                              wai_value *end, bool strict) {
    if (x == NULL) {
        return NULL;
    }
    const params p = {wai_graph_limit(l->graph, x->type.dims[axis]), axis, strict};
    wai_value *in[3] = {x, start, end};
    return wai_emit(l->graph, &wai_op_slice_at, &p, in, 3);
}
