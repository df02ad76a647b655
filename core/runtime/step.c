#include "runtime/step.h"

wai_status wai_steps_prepare(wai_step *steps, uint32_t count, wai_pool *pool, wai_diag *diag) {
    size_t workspace_size = 0;
    for (uint32_t i = 0; i < count; i++) {
        wai_step *step = &steps[i];
        wai_status status =
            step->kernel->prepare != NULL ? step->kernel->prepare(step, pool, diag) : WAI_OK;
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

wai_status wai_steps_run(wai_step *steps, uint32_t count, wai_diag *diag) {
    for (uint32_t i = 0; i < count; i++) {
        wai_status status = steps[i].kernel->run(&steps[i], diag);
        if (status != WAI_OK) {
            return status;
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
    }
    return WAI_OK;
}
