/*
 * xnn_operator.h - make XNNPACK operators in a kernel's prepare. For
 * core/ops/ only; everyone else takes xnn.h.
 */
#ifndef WAI_XNN_OPERATOR_H
#define WAI_XNN_OPERATOR_H

#include <xnnpack.h>

#include "runtime/xnn.h"

/* WAI_OK, or MEMORY / INTERNAL at the step with XNNPACK's number. */
wai_status wai_xnn_check(enum xnn_status status, const wai_step *step, wai_diag *diag);

/* Calls the right xnn_create_... with the step's params. `weights` are raw and
 * `bias` may be NULL. */
typedef enum xnn_status wai_xnn_create(const wai_step *step, const float *weights,
                                       const float *bias, xnn_weights_cache_t cache,
                                       xnn_operator_t *out);

/* An operator with raw weights: XNNPACK packs them into the pool. Between
 * wai_xnn_begin and wai_xnn_end, like the next one. */
wai_status wai_xnn_create_raw(const wai_step *step, wai_xnn_create *create, const float *weights,
                              const float *bias, xnn_operator_t *out, wai_diag *diag);

/* An operator that reads `size` packed bytes at `data` in place. MALFORMED when
 * it would read another number of bytes. */
wai_status wai_xnn_create_packed(const wai_step *step, wai_xnn_create *create, wai_pool *pool,
                                 const uint8_t *data, size_t size, xnn_operator_t *out,
                                 wai_diag *diag);

/* The packed bytes, from `pool`. Calls wai_xnn_begin and wai_xnn_end itself. */
wai_status wai_xnn_pack_with(const wai_step *step, wai_xnn_create *create, const float *weights,
                             const float *bias, wai_pool *pool, const uint8_t **packed,
                             size_t *size, wai_diag *diag);

#endif
