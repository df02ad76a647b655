/*
 * control.h - conditions that only a run knows, for If and loops: what they
 * decide about runs under a guard (graph.h), and `where` chooses behind it.
 *
 * After a failure all of these return NULL or false.
 */
#ifndef WAI_ONNX_CONTROL_H
#define WAI_ONNX_CONTROL_H

#include "onnx/lower.h"

/* Refused when it is not one bool. */
bool wai_control_is_bool(wai_lower *l, const wai_value *value, const char *what);

/* The value of a constant, as *out; it is noted as a decision (graph.h). */
bool wai_control_constant(wai_lower *l, const wai_value *value, const char *what, bool *out);

/* From enter to leave nodes run only where `condition` holds (one bool of rank
 * 0; NULL: as before). enter returns what leave wants. */
wai_value *wai_control_enter(wai_lower *l, wai_value *condition);
void wai_control_leave(wai_lower *l, wai_value *outer);

/* Computed without a guard, so that they are there whatever was skipped: a and
 * b (NULL: true), x as a scalar, count > number. */
wai_value *wai_control_and(wai_lower *l, wai_value *a, wai_value *b);
wai_value *wai_control_scalar(wai_lower *l, wai_value *x);
wai_value *wai_control_above(wai_lower *l, wai_value *count, uint32_t number);

/* a where `condition` holds, else b; tensors of one type or sequences of such.
 * `what` ("output", "state") and index are for the message that declines others. */
wai_value *wai_control_select(wai_lower *l, wai_value *condition, wai_value *a, wai_value *b,
                              const char *what, uint32_t index);

#endif
