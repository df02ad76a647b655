/* fully_connected.h - what xnn_pack.c takes from fully_connected.c. */
#ifndef WAI_FULLY_CONNECTED_H
#define WAI_FULLY_CONNECTED_H

#include "runtime/xnn_operator.h"

bool wai_fully_connected_fits(const wai_step *step);
enum xnn_status wai_fully_connected_create(const wai_step *step, const float *weights,
                                           const float *bias, xnn_weights_cache_t cache,
                                           xnn_operator_t *out);

#endif
