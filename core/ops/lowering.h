/* lowering.h - small helpers that several lowerings share. Compiler only. */
#ifndef WAI_LOWERING_H
#define WAI_LOWERING_H

#include "onnx/lower.h"
#include "ops/emit.h"

/* The list 0, 1, ... count-1 of a dtype of range (range.c). NULL after a failure,
 * as all of these. */
wai_value *wai_lower_iota(wai_lower *l, wai_dtype dtype, uint32_t count);

/* Dim `axis` of x as a scalar: a constant that knows where it is from, which a
 * number out of x->type is not. */
wai_value *wai_lower_extent(wai_lower *l, wai_value *x, uint32_t axis, wai_dtype dtype);

wai_value *wai_lower_compare_of(wai_lower *l, wai_compare_kind kind, wai_value *a, wai_value *b);
wai_value *wai_lower_where_of(wai_lower *l, wai_value *condition, wai_value *a, wai_value *b);

/* Elements [start, start + count) along one axis. */
wai_value *wai_lower_part(wai_lower *l, wai_value *x, uint32_t axis, uint32_t start,
                          uint32_t count);

/* The same with a start and an end that come at run, one number each or NULL:
 * slice_at.h. */
wai_value *wai_lower_slice_at(wai_lower *l, wai_value *x, uint32_t axis, wai_value *start,
                              wai_value *end, bool strict);

/*
 * What another ONNX operator gives for other inputs, with the attributes of this
 * node: out[0..out_count) as that lowering sets them, NULL after a failure.
 */
void wai_lower_as(wai_lower *l, wai_lower_function lower, const char *op_type, uint32_t opset,
                  wai_value **in, uint32_t in_count, wai_value **out, uint32_t out_count);

/* The same for one output. */
wai_value *wai_lower_one_as(wai_lower *l, wai_lower_function lower, const char *op_type,
                            uint32_t opset, wai_value **in, uint32_t in_count);

/* NumPy's matmul, by fully_connected where b is a constant matrix. */
wai_value *wai_lower_product(wai_lower *l, wai_value *a, wai_value *b);

/* A list attribute as it stands in the record, of any length; NULL and 0 when it
 * is absent or of another type. */
const int64_t *wai_lower_int_list(wai_lower *l, const char *name, uint32_t *count);
const float *wai_lower_float_list(wai_lower *l, const char *name, uint32_t *count);

/* x, whole numbers of any dtype, clamped to what U4 or I4 holds. */
wai_value *wai_lower_4_bits(wai_lower *l, wai_value *x, wai_dtype dtype);

/* x as ONNX Cast gives it, its attribute `saturate` included; what is narrower
 * than we compute in is rounded to and goes on as wai_dtype_computed says. */
wai_value *wai_lower_cast_to(wai_lower *l, wai_value *x, wai_dtype dtype);

#endif
