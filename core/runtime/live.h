/*
 * live.h - a session whose dims change from run to run: symbolic axes of
 * inputs, and counts of results that only values decide.
 *
 * A step is live when its types or params follow from such dims. It is prepared
 * anew, in memory of its own that was set aside at open for the largest dims,
 * when they have changed since its last run; everything else is prepared once.
 */
#ifndef WAI_LIVE_H
#define WAI_LIVE_H

#include "base/region.h"
#include "package/program.h"
#include "runtime/step.h"

typedef struct wai_live_step {
    bool live;
    bool prepared;
    const wai_program_use *uses;
    uint32_t use_count;
    uint32_t *words; /* the step's params, when there are uses              */
    wai_region region;
    wai_pool pool; /* in the region                                         */
} wai_live_step;

typedef struct wai_live {
    const wai_program *program;
    wai_step *steps;
    wai_live_step *own; /* per step                                         */
    wai_type *types;    /* per value: as it is now                          */
    const wai_type **in;
    wai_type *out; /* for infer: room for the widest step                   */
    void *workspace;
    size_t workspace_size;
    struct pthreadpool *threads;
    uint64_t fence; /* of a hardened session, else 0                        */
    bool settled;   /* every step fits the dims of the inputs                */
    bool by_value;  /* some dims depend on values: each run asks again       */
} wai_live;

/* Whether the program needs this at all. */
bool wai_live_wanted(const wai_program *program);

/* In place of wai_steps_prepare: `steps` are bound and inferred for the largest
 * dims, which they start with. */
wai_status wai_live_open(wai_live *live, const wai_program *program, wai_step *steps,
                         struct pthreadpool *threads, wai_pool *pool, wai_diag *diag);

/* Whether the value's dims may differ from run to run. */
bool wai_live_varies(const wai_live *live, uint32_t value);

/* New dims of an input, as many as its rank: ARGUMENT when one is not its symbol's. */
wai_status wai_live_resize(wai_live *live, uint32_t input, const uint32_t *dims, wai_diag *diag);

/* Make every step fit the dims of the inputs. ARGUMENT when the model does not
 * take them: nothing has been run then, and other dims may do. */
wai_status wai_live_settle(wai_live *live, wai_diag *diag);

/* Run `count` steps from step `from`, as far as there are so many; settled before. */
wai_status wai_live_run(wai_live *live, uint32_t from, uint32_t count, wai_diag *diag);

#endif
