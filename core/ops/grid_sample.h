/* grid_sample.h - params of grid_sample. */
#ifndef WAI_GRID_SAMPLE_H
#define WAI_GRID_SAMPLE_H

#include <stdint.h>

/*
 * in:  x f32[N,S...,C] with 1 to 3 spatial axes
 *      grid f32[N,out...,axes]: where each output pixel reads x
 * out: f32[N,out...,C]
 */
typedef enum wai_grid_mode {
    WAI_GRID_NEAREST = 1, /* half to even */
    WAI_GRID_LINEAR,
    WAI_GRID_CUBIC, /* Keys, a = -0.75 */
} wai_grid_mode;

typedef enum wai_grid_padding {
    WAI_GRID_ZEROS = 1,
    WAI_GRID_BORDER,
    WAI_GRID_REFLECTION,
} wai_grid_padding;

typedef enum wai_grid_coordinates {
    WAI_GRID_EDGES = 1, /* -1 and 1 are the outer edges of the corner pixels; x first */
    WAI_GRID_CENTERS,   /* -1 and 1 are the centers of the corner pixels; x first     */
    WAI_GRID_PIXELS,    /* pixels, in the order of the input's axes                   */
} wai_grid_coordinates;

typedef struct wai_grid_sample_params {
    uint32_t mode, padding, coordinates;
} wai_grid_sample_params;

#endif
