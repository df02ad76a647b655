#ifndef WAI_STOP_H
#define WAI_STOP_H

#include <stdint.h>

/* ---- stop ---------------------------------------------------------------
 * in:  x any dtype; more: one bool. out: x; but when `more` holds the run fails
 *      with LIMIT: a loop wants to go on behind its last iteration.
 * iterations: that it has, for the message. */
typedef struct wai_stop_params {
    uint32_t iterations;
} wai_stop_params;

extern const struct wai_op wai_op_stop;

#endif
