/* transpose: any permutation of any dtype, as one strided walk. */
#include "onnx/lower.h"
#include "ops/emit.h"
#include "ops/move.h"

static const wai_field fields[] = {
    WAI_FIELD(wai_transpose_params, WAI_FIELD_U32, perm),
};

static wai_status infer(wai_signature *s) {
    const wai_transpose_params *p = s->params;
    const wai_type *in = s->in[0];
    if (in == NULL) {
        return WAI_REFUSE(s, "transpose has no input");
    }
    wai_type out = *in;
    uint32_t seen = 0;
    for (uint32_t i = 0; i < in->rank; i++) {
        uint32_t from = p->perm[i];
        if (from >= in->rank || (seen >> from & 1) != 0) {
            return WAI_REFUSE(s, "perm[%u] = %u is not a permutation of %u axes", i, from,
                              in->rank);
        }
        seen |= 1u << from;
        out.dims[i] = in->dims[from];
    }
    if (!wai_move_tail_is_zero(p->perm, in->rank)) {
        return WAI_REFUSE(s, "perm has more entries than the input's %u axes", in->rank);
    }
    s->out[0] = out;
    return WAI_OK;
}

const wai_op wai_op_transpose = {
    .name = "transpose",
    .params_size = sizeof(wai_transpose_params),
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
    const wai_transpose_params *p = step->params;
    ptrdiff_t strides[WAI_MAX_RANK];
    wai_move_strides(&step->in[0].type, strides);
    wai_move move;
    wai_move_init(&move, &step->out[0].type);
    for (uint32_t i = 0; i < move.rank; i++) {
        move.in[i] = strides[p->perm[i]];
    }
    wai_move_run(&move, step->in[0].data, step->out[0].data);
    return WAI_OK;
}

const wai_kernel wai_op_transpose_kernel = {.run = run};

void wai_lower_transpose(wai_lower *l) {
    wai_value *x = wai_lower_input(l, 0);
    bool there = wai_attr_has(l, "perm");
    int64_t given[WAI_MAX_RANK];
    uint32_t count = wai_attr_ints(l, "perm", given, WAI_MAX_RANK);
    if (wai_lower_failed(l)) {
        return;
    }
    uint32_t rank = x->type.rank, perm[WAI_MAX_RANK] = {0};
    if (there && count != rank) {
        WAI_LOWER_REFUSE(l, "perm has %u entries, the input %u axes", count, rank);
        return;
    }
    uint32_t seen = 0;
    for (uint32_t i = 0; i < rank; i++) {
        int64_t axis = there ? given[i] : (int64_t)(rank - 1 - i);
        if (axis < 0 || axis >= rank || (seen >> axis & 1) != 0) {
            WAI_LOWER_REFUSE(l, "perm[%u] = %lld is not a permutation of %u axes", i,
                             (long long)axis, rank);
            return;
        }
        seen |= 1u << axis;
        perm[i] = (uint32_t)axis;
    }
    l->out[0] = wai_emit_transpose(l->graph, x, perm);
}
