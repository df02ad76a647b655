/* pool.h - the windows of pool and pool_index, which are the same. */
#ifndef WAI_POOL_WINDOW_H
#define WAI_POOL_WINDOW_H

#include "ops/emit.h"

/* ---- pool_index ---------------------------------------------------------
 * in: x f32[N, spatial..., C]; out: i64[N, out..., C], where the maximum of
 * each window is, counted over x as [N, C, spatial...]; column_major: with the
 * first spatial axis fastest. The first of equal ones; the first NaN if there
 * is one; the plane's first element for a window without taps. */
typedef struct wai_pool_index_params {
    uint32_t column_major, spatial; /* as wai_pool_params from here */
    uint32_t kernel[3], stride[3], dilation[3], pad_before[3], pad_after[3], out[3];
} wai_pool_index_params;

/* infer and flops of pool with these params. */
wai_status wai_pool_infer(wai_signature *s, const wai_pool_params *p);
uint64_t wai_pool_flops(const wai_signature *s, const wai_pool_params *p);

typedef struct wai_pool_axis {
    uint32_t in, kernel, stride, dilation, before, after, out;
} wai_pool_axis;

/* The taps of one window along one axis that lie inside the input: `count` of
 * them, from input position `first`, `step` apart. */
typedef struct wai_pool_span {
    size_t first, count, step, padded_count;
} wai_pool_span;

/* Axis i of three; axes that the tensor does not have come first, as 1. */
wai_pool_axis wai_pool_axis_of(const wai_type *x, const wai_pool_params *p, uint32_t i);
wai_pool_span wai_pool_span_of(const wai_pool_axis *a, size_t position);

#endif
