/* tile: the whole input, repeated along each axis. */
#include "base/limits.h"
#include "onnx/lower.h"
#include "ops/emit.h"
#include "ops/move.h"

static const wai_field fields[] = {
    WAI_FIELD(wai_tile_params, WAI_FIELD_U32, repeats),
};

static wai_status infer(wai_signature *s) {
    const wai_tile_params *p = s->params;
    const wai_type *in = s->in[0];
    if (in == NULL || !wai_move_tail_is_zero(p->repeats, in->rank)) {
        return WAI_REFUSE(s, "tile has no input or more repeats than axes");
    }
    wai_type out = *in;
    for (uint32_t i = 0; i < in->rank; i++) {
        uint64_t dim = (uint64_t)in->dims[i] * p->repeats[i];
        if (p->repeats[i] > WAI_MAX_DIM || dim > WAI_MAX_DIM) {
            return WAI_REFUSE(s, "tile repeats axis %u of %u elements %u times", i, in->dims[i],
                              p->repeats[i]);
        }
        out.dims[i] = (uint32_t)dim;
    }
    s->out[0] = out;
    return WAI_OK;
}

const wai_op wai_op_tile = {
    .name = "tile",
    .params_size = sizeof(wai_tile_params),
    .fields = fields,
    .field_count = sizeof fields / sizeof fields[0],
    .min_in = 1,
    .max_in = 1,
    .min_out = 1,
    .max_out = 1,
    .infer = infer,
    .flops = wai_move_flops,
};

static wai_status run(wai_step *step, wai_diag *diag) {
    (void)diag;
    const wai_tile_params *p = step->params;
    const wai_type *in = &step->in[0].type, *out = &step->out[0].type;
    if (wai_type_count(out) == 0) {
        return WAI_OK;
    }
    ptrdiff_t in_strides[WAI_MAX_RANK], out_strides[WAI_MAX_RANK];
    wai_move_strides(in, in_strides);
    wai_move_strides(out, out_strides);
    wai_move move = {.rank = 2 * in->rank, .element = wai_dtype_size(in->dtype)};
    for (uint32_t i = 0; i < in->rank; i++) {
        /* out[..., r, d, ...] = in[..., d, ...] */
        move.dims[2 * i] = p->repeats[i];
        move.in[2 * i] = 0;
        move.out[2 * i] = (ptrdiff_t)in->dims[i] * out_strides[i];
        move.dims[2 * i + 1] = in->dims[i];
        move.in[2 * i + 1] = in_strides[i];
        move.out[2 * i + 1] = out_strides[i];
    }
    wai_move_run(&move, step->in[0].data, step->out[0].data);
    return WAI_OK;
}

const wai_kernel wai_op_tile_kernel = {.run = run};

void wai_lower_tile(wai_lower *l) {
    wai_value *x = wai_lower_input(l, 0);
    int64_t repeats[WAI_MAX_RANK];
    bool there = false, needed = false;
    uint32_t count = wai_lower_ints(l, 1, repeats, WAI_MAX_RANK, &there);
    if (wai_lower_failed(l)) {
        return;
    }
    if (!there || count != x->type.rank) {
        WAI_LOWER_REFUSE(l, "`repeats` has %u entries, the input %u axes", count, x->type.rank);
        return;
    }
    wai_tile_params params = {{0}};
    for (uint32_t i = 0; i < count; i++) {
        params.repeats[i] = wai_lower_dim(l, repeats[i], "repeats");
        needed = needed || repeats[i] != 1;
    }
    if (!wai_lower_failed(l)) {
        l->out[0] = needed ? wai_emit(l->graph, &wai_op_tile, &params, &x, 1) : x;
    }
}
