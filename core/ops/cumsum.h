/* cumsum.h - params of cumsum. */
#ifndef WAI_CUMSUM_H
#define WAI_CUMSUM_H

#include <stdint.h>

/* Sums of the elements up to each along one axis: f32, f64, i32, i64, u32, u64
 * (integers wrap). exclusive: without the element itself; reverse: from the end. */
typedef struct wai_cumsum_params {
    uint32_t axis, exclusive, reverse;
} wai_cumsum_params;

#endif
