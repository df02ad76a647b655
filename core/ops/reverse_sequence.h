#ifndef WAI_REVERSE_SEQUENCE_H
#define WAI_REVERSE_SEQUENCE_H

#include <stdint.h>

/* ---- reverse_sequence ---------------------------------------------------
 * in: x any dtype, rank >= 2; lengths i32 or i64 [batch]. Axes 0 and 1 are time
 * and batch (time_axis says which is time): the first lengths[b] steps of
 * batch b in reverse, those behind them as they are. A length above the steps
 * there are, or below 0, fails the run. */
typedef struct wai_reverse_sequence_params {
    uint32_t time_axis; /* 0 or 1 */
} wai_reverse_sequence_params;

#endif
