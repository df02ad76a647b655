/* resize.h - the tables behind resize: where each output position reads, and
 * with which weights. Used by resize.c (infer, kernel) only. */
#ifndef WAI_RESIZE_H
#define WAI_RESIZE_H

#include "ops/emit.h"

/* Index of a position outside the image (tf_crop): it gets the extrapolation
 * value. */
#define WAI_RESIZE_OUTSIDE UINT32_MAX

typedef struct wai_resize_table {
    uint32_t axis;
    bool crops;      /* tf_crop: positions may be outside, or run backwards */
    uint32_t taps;   /* per output position; 1 for nearest                  */
    uint32_t *index; /* [out dim][taps]; consecutive, clamped to the input  */
    float *weight;   /* [out dim][taps]; NULL for nearest                   */
} wai_resize_table;

/* True if `axis` is changed at all. */
bool wai_resize_is_active(const wai_resize_params *p, const wai_type *in, uint32_t axis);

/* Input positions that one output position reads; a proven scale. */
uint64_t wai_resize_taps(const wai_resize_params *p, uint32_t axis);

/* Fills the table of `axis`; memory from `pool`. False when there is none. */
bool wai_resize_build(wai_resize_table *table, const wai_resize_params *p, const wai_type *in,
                      uint32_t axis, wai_pool *pool);

#endif
