/*
 * quantize.h - quantize_linear and dequantize_linear: numbers on a grid.
 *
 * real = (q - zero_point) * scale. The scale is one number (dims [] or [1]),
 * one per index of `axis` (dims [n]), or, when block_size is not 0, one per
 * block_size elements along `axis` (x's dims, there ceil(n / block_size)).
 * The zero point is absent or has the scale's dims and the quantized dtype.
 */
#ifndef WAI_QUANTIZE_H
#define WAI_QUANTIZE_H

#include "graph/graph.h"
#include "ops/op.h"

/* in: x f32 or i32, scale f32, zero point; out: dtype, saturated, rounded half
 * to even; NaN gives the least value of dtype. */
typedef struct wai_quantize_params {
    uint32_t axis, block_size;
    uint32_t dtype; /* I8, U8, I16, U16 */
} wai_quantize_params;

/* in: x I8, U8, I16, U16 or I32, scale f32, zero point; out: f32. */
typedef struct wai_dequantize_params {
    uint32_t axis, block_size;
} wai_dequantize_params;

/* One number for all: the axis does not count. */
static inline bool wai_quantize_per_tensor(const wai_type *scale) {
    return scale->rank <= 1 && wai_type_count(scale) == 1;
}

/* ---- emitting (compiler only) ------------------------------------------- */

/* i32 sums to `zero`'s dtype: saturate(round(sums * scale) + zero). `scale`
 * broadcasts to the sums, `zero` has one element. */
wai_value *wai_emit_requantize(wai_graph *g, wai_value *sums, wai_value *scale, wai_value *zero);

#endif
