/*
 * bound.h - what operators whose count of results depends on values share: the
 * first word of their params, `limit`, is how many there are at most, or 0 for
 * as many as the inputs' dims allow. See data_count in op.h.
 */
#ifndef WAI_BOUND_H
#define WAI_BOUND_H

#include "base/limits.h"
#include "ops/op.h"

/* For infer, with `most` from the dims of the inputs. */
static inline wai_status wai_bound_infer(wai_signature *s, uint32_t limit, uint64_t most,
                                         uint32_t *bound) {
    if (limit > most || most > WAI_MAX_DIM) {
        return WAI_REFUSE(s, "a limit of %u of %llu results", limit, (unsigned long long)most);
    }
    *bound = limit != 0 ? limit : (uint32_t)most;
    return WAI_OK;
}

/* For run: `count` results go into out[0], which must not be more than stated. */
static inline wai_status wai_bound_check(const wai_step *step, wai_diag *diag, size_t count) {
    const uint32_t limit = *(const uint32_t *)step->params;
    if (limit != 0 && count > limit) {
        return wai_fail(diag, WAI_ERR_ARGUMENT, step->where,
                        "%s finds %zu results, there is room for %u", step->op->name, count, limit);
    }
    return WAI_OK;
}

#endif
