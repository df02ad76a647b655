/* view.h - a value as what it is a view of: reshapes, transposes and cuts only move
 * elements, so who reads with strides can read what stands in front of them. */
#ifndef WAI_VIEW_H
#define WAI_VIEW_H

#include "passes/pass.h"

/* Element i,j.. is scale * base[offset + i * stride[0] + j * stride[1] ..]. The stride of
 * an axis of size 1 says nothing. */
typedef struct wai_view {
    wai_value *base;
    uint32_t rank, dims[WAI_MAX_RANK];
    uint64_t stride[WAI_MAX_RANK];
    uint64_t offset;
    float scale;
} wai_view;

/* All of `value`, in its own order. */
wai_view wai_view_whole(wai_value *value);

/* `value` seen through as many reshapes, transposes, cuts and multiplications with one
 * number as strides can say. */
wai_view wai_view_of(wai_value *value);

/* The view behind `node`, whose first input it was. False, and nothing changed, where
 * the node does more or strides cannot say it. */
bool wai_view_apply(wai_view *view, const wai_node *node);

void wai_view_transpose(wai_view *view, const wai_transpose_params *p);
bool wai_view_reshape(wai_view *view, uint32_t rank, const uint32_t *dims);

/* Whether it is base, whole and in its order (dims may differ). */
bool wai_view_is_whole(const wai_view *view);

/* Whether the strides of axes of more than one element are these. */
bool wai_view_has_strides(const wai_view *view, const uint64_t *stride);

#endif
