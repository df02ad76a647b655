/*
 * broadcast.h - walk two or three tensors that broadcast to one output.
 *
 * Dims of size 1 are dropped and dims that all tensors walk alike are joined,
 * so that what remains is mostly one or two loops. The innermost one has, for
 * every tensor, stride 1 (a vector) or 0 (one element): kernels pick a loop by
 * that.
 */
#ifndef WAI_BROADCAST_H
#define WAI_BROADCAST_H

#include "ops/op.h"

#define WAI_BROADCAST_INPUTS 3

typedef struct wai_broadcast {
    uint32_t inputs, rank;              /* rank of the outer loops                       */
    size_t count;                       /* elements of the innermost loop                */
    size_t outer;                       /* how many times it runs; 0: an empty tensor    */
    size_t inner[WAI_BROADCAST_INPUTS]; /* its strides, 0 or 1              */
    size_t dims[WAI_MAX_RANK];
    size_t strides[WAI_BROADCAST_INPUTS][WAI_MAX_RANK]; /* in elements      */
} wai_broadcast;

/* `in`: `inputs` types that broadcast to `out`. */
void wai_broadcast_init(wai_broadcast *b, const wai_type *out, const wai_type *const *in,
                        uint32_t inputs);

/* Where the innermost loop starts; set all to zero before the first one. */
typedef struct wai_broadcast_place {
    size_t index[WAI_MAX_RANK];
    size_t at[WAI_BROADCAST_INPUTS]; /* element offset in each input */
} wai_broadcast_place;

void wai_broadcast_next(const wai_broadcast *b, wai_broadcast_place *place);

/*
 * For infer: two inputs that are there, of one dtype and broadcast to out[0],
 * which gets `dtype` (0: that of the inputs). `name` is for messages.
 */
wai_status wai_broadcast_infer(wai_signature *s, const char *name, wai_dtype dtype);

/* As a kernel's prepare: step->state is the wai_broadcast of all its inputs. */
wai_status wai_broadcast_prepare(wai_step *step, wai_pool *pool, wai_diag *diag);

#endif
