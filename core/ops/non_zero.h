#ifndef WAI_NON_ZERO_H
#define WAI_NON_ZERO_H

#include <stdint.h>

/* ---- non_zero -----------------------------------------------------------
 * in: x of any type. out: i64[rank, count], the indices of the elements that
 * are not 0, in order; a scalar counts as a vector of one. NaN is not 0, -0 is.
 * limit: bound.h; at most the elements of x. */
typedef struct wai_non_zero_params {
    uint32_t limit;
} wai_non_zero_params;

#endif
