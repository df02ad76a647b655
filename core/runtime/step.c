#include "runtime/step.h"

#include "runtime/harden.h"

/* About 8 us of one thread; below it, waking the others gains nothing (harness/bench/LOG.md). */
#define WORK_FOR_THREADS 200000u

/* Floating-point operations; to read and write an element takes as long as four of them. */
static uint64_t work_of(const wai_step *step) {
    enum { MOST = 4 };
    const wai_type *in[MOST];
    wai_type out = step->out[0].type;
    if (step->op->flops == NULL || step->in_count > MOST || step->out_count > 1) {
        return 4 * wai_type_count(&out);
    }
    for (uint32_t i = 0; i < step->in_count; i++) {
        in[i] = step->in[i].data != NULL ? &step->in[i].type : NULL;
    }
    const wai_signature signature = {step->params, in, step->in_count, &out, 1, step->where, NULL};
    const uint64_t flops = step->op->flops(&signature), moved = 4 * wai_type_count(&out);
    return flops > moved ? flops : moved;
}

wai_status wai_step_prepare(wai_step *step, struct pthreadpool *threads, wai_pool *pool,
                            wai_diag *diag) {
    step->threads = threads != NULL && work_of(step) >= WORK_FOR_THREADS ? threads : NULL;
    return step->kernel->prepare != NULL ? step->kernel->prepare(step, pool, diag) : WAI_OK;
}

wai_status wai_steps_prepare(wai_step *steps, uint32_t count, struct pthreadpool *threads,
                             wai_pool *pool, wai_diag *diag) {
    size_t workspace_size = 0;
    for (uint32_t i = 0; i < count; i++) {
        wai_step *step = &steps[i];
        wai_status status = wai_step_prepare(step, threads, pool, diag);
        if (status != WAI_OK) {
            return status;
        }
        workspace_size =
            step->workspace_size > workspace_size ? step->workspace_size : workspace_size;
    }
    void *workspace = NULL;
    if (workspace_size > 0) {
        workspace = wai_pool_alloc(pool, workspace_size);
        if (workspace == NULL) {
            return wai_fail(diag, WAI_ERR_MEMORY, "workspace",
                            "no memory for %zu bytes of workspace", workspace_size);
        }
    }
    for (uint32_t i = 0; i < count; i++) {
        wai_step *step = &steps[i];
        step->workspace = workspace;
        wai_status status = step->kernel->setup != NULL ? step->kernel->setup(step, diag) : WAI_OK;
        if (status != WAI_OK) {
            return status;
        }
    }
    return WAI_OK;
}

wai_status wai_steps_run(wai_step *steps, uint32_t count, uint64_t fence, wai_diag *diag) {
    wai_status status = WAI_OK;
    for (uint32_t i = 0; i < count && status == WAI_OK; i++) {
        if (!wai_step_is_skipped(&steps[i])) {
            status = fence != 0 ? wai_hardened_step(&steps[i], fence, diag)
                                : steps[i].kernel->run(&steps[i], diag);
        } else if (fence != 0) {
            status = wai_hardened_arm(&steps[i], fence, diag);
        }
    }
    return status;
}

/* The proof of the plan knows the bytes that are reserved; of those that are used
 * there must be as many, too. */
static wai_status check_place(const wai_step *step, const wai_operand *out, wai_diag *diag) {
    const size_t size = wai_type_size(&out->type);
    for (uint32_t i = 0; i < step->in_count; i++) {
        const wai_operand *in = &step->in[i];
        const size_t other = wai_type_size(&in->type);
        if (in->data == out->data && size != other && size != 0 && other != 0) {
            return wai_fail(diag, WAI_ERR_MALFORMED, step->where, "%s works in place on two sizes",
                            step->op->name);
        }
    }
    return WAI_OK;
}

wai_status wai_step_infer(const wai_step *step, wai_pool *scratch, wai_diag *diag) {
    const wai_type **in = wai_pool_array(scratch, step->in_count + 1u, sizeof *in);
    wai_type *out = wai_pool_array(scratch, step->out_count, sizeof *out);
    if (in == NULL || out == NULL) {
        return wai_fail(diag, WAI_ERR_MEMORY, step->where, "no memory to check the step");
    }
    for (uint32_t i = 0; i < step->in_count; i++) {
        in[i] = step->in[i].data != NULL ? &step->in[i].type : NULL;
    }
    wai_signature signature = {step->params, in,  step->in_count, out, step->out_count,
                               step->where,  diag};
    wai_status status = step->op->infer(&signature);
    if (status != WAI_OK) {
        return status;
    }
    for (uint32_t i = 0; i < step->out_count; i++) {
        char inferred[WAI_TYPE_TEXT];
        char stated[WAI_TYPE_TEXT];
        if (!wai_type_is_valid(&out[i]) || !wai_type_equal(&out[i], &step->out[i].type)) {
            return wai_fail(diag, WAI_ERR_MALFORMED, step->where,
                            "%s gives %s, the package says %s", step->op->name,
                            wai_type_text(&out[i], inferred),
                            wai_type_text(&step->out[i].type, stated));
        }
        status = check_place(step, &step->out[i], diag);
        if (status != WAI_OK) {
            return status;
        }
    }
    return WAI_OK;
}
