/* expand: repeats axes of 1 and adds leading axes, as NumPy broadcasts. */
#include "onnx/lower.h"
#include "ops/emit.h"
#include "ops/move.h"

static const wai_field fields[] = {
    WAI_FIELD(wai_expand_params, WAI_FIELD_U32, rank),
    WAI_FIELD(wai_expand_params, WAI_FIELD_U32, dims),
};

static wai_status infer(wai_signature *s) {
    const wai_expand_params *p = s->params;
    const wai_type *in = s->in[0];
    if (in == NULL || p->rank > WAI_MAX_RANK || !wai_move_tail_is_zero(p->dims, p->rank)) {
        return WAI_REFUSE(s, "expand has no input or rank %u does not fit its dims", p->rank);
    }
    wai_type wanted = wai_type_make(in->dtype, p->rank, p->dims), out;
    if (!wai_type_is_valid(&wanted)) {
        return WAI_REFUSE(s, "expand to dims whose product is out of range");
    }
    if (!wai_type_broadcast(&out, in, &wanted) || !wai_type_equal(&out, &wanted)) {
        char a[WAI_TYPE_TEXT], b[WAI_TYPE_TEXT];
        return WAI_REFUSE(s, "expand of %s to %s", wai_type_text(in, a), wai_type_text(&wanted, b));
    }
    s->out[0] = wanted;
    return WAI_OK;
}

const wai_op wai_op_expand = {
    .name = "expand",
    .params_size = sizeof(wai_expand_params),
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
    const wai_type *in = &step->in[0].type, *out = &step->out[0].type;
    size_t strides[WAI_MAX_RANK];
    wai_broadcast_strides(in, out, strides);
    wai_move move;
    wai_move_init(&move, out);
    for (uint32_t i = 0; i < move.rank; i++) {
        move.in[i] = (ptrdiff_t)(strides[i] * move.element);
    }
    wai_move_run(&move, step->in[0].data, step->out[0].data);
    return WAI_OK;
}

const wai_kernel wai_op_expand_kernel = {.run = run};

void wai_lower_expand(wai_lower *l) {
    wai_value *x = wai_lower_input(l, 0);
    int64_t wanted[WAI_MAX_RANK];
    bool there = false;
    uint32_t count = wai_lower_ints(l, 1, wanted, WAI_MAX_RANK, &there);
    if (!there && !wai_lower_failed(l)) {
        WAI_LOWER_REFUSE(l, "input `shape` is missing");
    }
    wai_type target = {WAI_F32, count, {0}}, out;
    for (uint32_t i = 0; i < count && !wai_lower_failed(l); i++) {
        target.dims[i] = wai_lower_dim(l, wanted[i], "shape");
    }
    if (wai_lower_failed(l)) {
        return;
    }
    /* Both ways: a 1 in `shape` keeps the input's dim. */
    if (!wai_type_broadcast(&out, &x->type, &target)) {
        char a[WAI_TYPE_TEXT], b[WAI_TYPE_TEXT];
        WAI_LOWER_REFUSE(l, "%s does not broadcast with `shape` %s", wai_type_text(&x->type, a),
                         wai_type_text(&target, b));
        return;
    }
    wai_expand_params params = {.rank = out.rank};
    for (uint32_t i = 0; i < out.rank; i++) {
        params.dims[i] = out.dims[i];
    }
    l->out[0] =
        wai_type_equal(&out, &x->type) ? x : wai_emit(l->graph, &wai_op_expand, &params, &x, 1);
}
