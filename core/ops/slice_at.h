#ifndef WAI_SLICE_AT_H
#define WAI_SLICE_AT_H

#include <stdint.h>

/* ---- slice_at -----------------------------------------------------------
 * in:  x any dtype; start, end: one number each (i32, i64), optional (0, the
 *      axis' length). out: x[.., start:end, ..] along `axis`; as in NumPy, they
 *      count from the end when negative and are clamped, unless `strict`: then
 *      0 <= start <= end <= length, or the run fails.
 * limit: bound.h; at most the elements along the axis. */
typedef struct wai_slice_at_params {
    uint32_t limit, axis, strict;
} wai_slice_at_params;

#endif
