#ifndef WAI_RANGE_H
#define WAI_RANGE_H

#include <stdint.h>

/* ---- range --------------------------------------------------------------
 * in: start, delta, scalars of one dtype: f32, f64 or any integer (wrapping).
 * out: [count], out[i] = start + i * delta. */
typedef struct wai_range_params {
    uint32_t count;
} wai_range_params;

#endif
