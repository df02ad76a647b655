/* layer_norm.h - params of layer_norm. */
#ifndef WAI_LAYER_NORM_H
#define WAI_LAYER_NORM_H

#include <stdint.h>

/*
 * Rows are the axes from `axis` on, as one. y = (x - mean) / sqrt(variance +
 * epsilon) * scale + bias; rms: y = x / sqrt(mean of squares + epsilon) * ...
 * in: x f32, scale f32[row] and bias f32[row], both optional.
 */
typedef struct wai_layer_norm_params {
    uint32_t axis, rms;
    float epsilon;
} wai_layer_norm_params;

#endif
