#ifndef WAI_UNIQUE_H
#define WAI_UNIQUE_H

#include <stdint.h>

/* ---- unique -------------------------------------------------------------
 * in:  x, floats, integers or bool: its slices along `axis`
 * out: first i64[count]: where each of the different slices is first; inverse
 *      i64[slices]: which of them each slice is; counts i64[count].
 * sorted: in order of value (element by element; NaN above all, equal to itself),
 * else of first place. limit: bound.h; at most the slices. */
typedef struct wai_unique_params {
    uint32_t limit, axis, sorted;
} wai_unique_params;

#endif
