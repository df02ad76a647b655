/* roi_pool.h - params of roi_pool. */
#ifndef WAI_ROI_POOL_H
#define WAI_ROI_POOL_H

#include <stdint.h>

/*
 * in:  x f32[N,H,W,C]
 *      regions f32[R,4]: x1, y1, x2, y2; times `scale` they are pixels
 *      batch i64[R]: each region's image
 * out: f32[R,out_h,out_w,C]
 */
typedef enum wai_roi_kind {
    WAI_ROI_AVERAGE = 1, /* of `samples`^2 bilinear samples per bin           */
    WAI_ROI_MAX,         /* largest weighted corner of any sample, as ONNX     */
    WAI_ROI_PIXELS,      /* largest pixel of the bin, rounded outwards         */
} wai_roi_kind;

typedef struct wai_roi_pool_params {
    uint32_t kind, out_h, out_w;
    uint32_t samples;    /* along each axis of a bin; 0: one per pixel         */
    uint32_t half_pixel; /* 1: pixel centers are at .5, regions may be empty   */
    float scale;
} wai_roi_pool_params;

/* Along one axis of a bin: exporters use 2. */
#define WAI_ROI_MAX_SAMPLES 1024u

#endif
