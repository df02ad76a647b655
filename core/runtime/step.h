/* step.h - make a list of steps ready and run it. Used by sessions and by the
 * compiler's constant folding. */
#ifndef WAI_STEP_H
#define WAI_STEP_H

#include "ops/op.h"

/*
 * Prepare one step, whose types have passed infer and whose data pointers are final; with `threads`
 * if it is work enough for more than one of them.
 */
wai_status wai_step_prepare(wai_step *step, struct pthreadpool *threads, wai_pool *pool,
                            wai_diag *diag);

/*
 * Prepare every step, then allocate the one workspace that all share, then set
 * every step up. `threads`: of the session, or NULL.
 */
wai_status wai_steps_prepare(wai_step *steps, uint32_t count, struct pthreadpool *threads,
                             wai_pool *pool, wai_diag *diag);

static inline bool wai_step_is_skipped(const wai_step *step) {
    return step->guard != NULL && *step->guard == 0;
}

/* Run them in order, but for those that are skipped; stops at the first failure.
 * `fence`: of a hardened session (harden.h), else 0. */
wai_status wai_steps_run(wai_step *steps, uint32_t count, uint64_t fence, wai_diag *diag);

/* infer for a step whose operands' types are set; the result must equal the
 * types of its outputs (MALFORMED otherwise). Allocates from `scratch`. */
wai_status wai_step_infer(const wai_step *step, wai_pool *scratch, wai_diag *diag);

#endif
