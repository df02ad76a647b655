#include "ops/weighted.h"

#include "ops/parts.h"

wai_status wai_weighted_infer_packed(wai_signature *s) {
    const wai_type *w = s->in[1], *bias = s->in_count > 2 ? s->in[2] : NULL;
    return w->dtype == WAI_U8 && w->rank == 1 && bias == NULL
               ? WAI_OK
               : WAI_REFUSE(s, "packed weights must be u8 of rank 1, without a bias");
}

typedef struct state {
    const wai_weighted_kind *kind;
    xnn_operator_t op; /* NULL: the plain loop */
} state;

static wai_status create(wai_step *step, wai_pool *pool, wai_diag *diag) {
    state *st = step->state;
    const wai_operand *w = &step->in[1];
    wai_status status = wai_xnn_begin(pool, diag);
    if (status != WAI_OK) {
        return status;
    }
    if (wai_weighted_packed(st->kind, step)) {
        status = wai_xnn_create_packed(step, st->kind->create, pool, w->data,
                                       wai_type_size(&w->type), &st->op, diag);
    } else {
        const float *bias = step->in_count > 2 ? step->in[2].data : NULL;
        status = wai_xnn_create_raw(step, st->kind->create, w->data, bias, &st->op, diag);
    }
    if (status == WAI_OK) {
        status = st->kind->reshape(step, st->op, diag);
    }
    wai_xnn_end();
    return status;
}

wai_status wai_weighted_prepare(wai_step *step, const wai_weighted_kind *kind, wai_pool *pool,
                                wai_diag *diag) {
    bool constant = true;
    for (uint32_t i = 1; i < step->in_count; i++) {
        constant = constant && (step->in[i].data == NULL || step->in[i].constant);
    }
    if (!constant && wai_weighted_packed(kind, step)) {
        return wai_fail(diag, WAI_ERR_MALFORMED, step->where, "packed weights must be a constant");
    }
    if (!wai_weighted_packed(kind, step) && !wai_has_raw_weights()) {
        return wai_fail(diag, WAI_ERR_UNSUPPORTED, step->where,
                        "%s of raw weights is not in this runtime", step->op->name);
    }
    state *st = step->state = wai_pool_alloc(pool, sizeof *st);
    if (st == NULL) {
        return wai_xnn_check(xnn_status_out_of_memory, step, diag);
    }
    st->kind = kind;
    if (wai_type_count(&step->out[0].type) == 0) {
        return WAI_OK;
    }
    if (constant && kind->fits(step)) {
        return create(step, pool, diag);
    }
    if (wai_weighted_packed(kind, step)) {
        return wai_fail(diag, WAI_ERR_MALFORMED, step->where,
                        "packed weights, but %s of these sizes needs raw ones", step->op->name);
    }
    return WAI_OK;
}

wai_status wai_weighted_setup(wai_step *step, wai_diag *diag) {
    const state *st = step->state;
    return st->op != NULL ? wai_xnn_check(st->kind->setup(step, st->op), step, diag) : WAI_OK;
}

wai_status wai_weighted_run(wai_step *step, wai_diag *diag) {
    const state *st = step->state;
    if (wai_type_count(&step->out[0].type) == 0) {
        return WAI_OK;
    }
    if (st->op != NULL) {
        return wai_xnn_check(xnn_run_operator(st->op, step->threads), step, diag);
    }
    st->kind->plain(step);
    return WAI_OK;
}
