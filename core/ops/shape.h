#ifndef WAI_SHAPE_H
#define WAI_SHAPE_H

#include <stdint.h>

/* ---- shape --------------------------------------------------------------
 * in: x of any type. out: i64[end - start], dims [start, end) of x as it is in
 * this run; its elements are not read. start <= end <= rank. */
typedef struct wai_shape_params {
    uint32_t start, end;
} wai_shape_params;

#endif
