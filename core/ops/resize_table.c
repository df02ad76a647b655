/*
 * Coordinates and weights of resize, as ONNX Resize defines them. Coordinates
 * are computed in float32 in onnxruntime's order of operations: nearest
 * depends on the last bit where a position falls between two pixels.
 */
#include <math.h>

#include "ops/resize.h"

/* Past every index, and far from overflow when taps are added. */
#define FAR 4294967296.0f

bool wai_resize_is_active(const wai_resize_params *p, const wai_type *in, uint32_t axis) {
    if (p->dims[axis] != in->dims[axis]) {
        return true;
    }
    if (p->coordinates == WAI_RESIZE_TF_CROP) {
        return p->roi_start[axis] != 0.0f || p->roi_end[axis] != 1.0f;
    }
    return p->scale[axis] != 1.0f;
}

/* Half of the window of an antialiasing filter, to the left of the position
 * and the position included; at least 1 (linear) or 2 (cubic). */
static double half_window(const wai_resize_params *p, uint32_t axis) {
    double scale = p->scale[axis] < 1.0f ? p->scale[axis] : 1.0;
    double reach = p->mode == WAI_RESIZE_CUBIC ? 2.0 : 1.0;
    return -floor(-reach / scale);
}

uint64_t wai_resize_taps(const wai_resize_params *p, uint32_t axis) {
    if (p->mode == WAI_RESIZE_NEAREST) {
        return 1;
    }
    if (!p->antialias) {
        return p->mode == WAI_RESIZE_CUBIC ? 4 : 2;
    }
    return 2 * (uint64_t)half_window(p, axis);
}

/* align_corners measures by in * scale, which a scale may make fractional
 * where the output has the whole part of it (so the ONNX operator tests). */
static float stretched_length(const wai_resize_params *p, float in, uint32_t axis) {
    float out = (float)p->dims[axis], length = in * p->scale[axis];
    return fabsf(length - out) <= 1e-5f * out ? out : length;
}

static float coordinate(const wai_resize_params *p, const wai_type *type, uint32_t axis,
                        uint32_t position) {
    float x = (float)position, scale = p->scale[axis];
    float in = (float)type->dims[axis], out = (float)p->dims[axis];
    float start = p->roi_start[axis], end = p->roi_end[axis];
    switch (p->coordinates) {
    case WAI_RESIZE_HALF_PIXEL:
        return (x + 0.5f) / scale - 0.5f;
    case WAI_RESIZE_HALF_PIXEL_SYMMETRIC: {
        float adjustment = out / (scale * in);
        return in / 2.0f * (1.0f - adjustment) + (x + 0.5f) / scale - 0.5f;
    }
    case WAI_RESIZE_PYTORCH_HALF_PIXEL:
        return out > 1.0f ? (x + 0.5f) / scale - 0.5f : 0.0f;
    case WAI_RESIZE_ALIGN_CORNERS: {
        float length = stretched_length(p, in, axis);
        return length == 1.0f || out == 1.0f ? 0.0f : x * (in - 1.0f) / (length - 1.0f);
    }
    case WAI_RESIZE_ASYMMETRIC:
        return x / scale;
    case WAI_RESIZE_TF_HALF_PIXEL_FOR_NN:
        return (x + 0.5f) / scale;
    default: /* WAI_RESIZE_TF_CROP */
        return out > 1.0f ? start * (in - 1.0f) + x * (end - start) * (in - 1.0f) / (out - 1.0f)
                          : 0.5f * (start + end) * (in - 1.0f);
    }
}

/* A finite coordinate whose whole part fits an int64 easily. */
static float tame(float x) {
    return x > -FAR ? (x < FAR ? x : FAR) : -FAR; /* NaN: -FAR */
}

static uint32_t clamp_index(int64_t index, uint32_t dim) {
    return index < 0 ? 0 : index >= dim ? dim - 1 : (uint32_t)index;
}

static uint32_t nearest_index(uint32_t rounding, float x, uint32_t dim) {
    float whole = floorf(x), rest = x - whole;
    bool up = rounding == WAI_RESIZE_CEIL                ? rest > 0.0f
              : rounding == WAI_RESIZE_ROUND_PREFER_CEIL ? rest >= 0.5f
              : rounding == WAI_RESIZE_FLOOR             ? false
                                                         : rest > 0.5f;
    return clamp_index((int64_t)whole + (up ? 1 : 0), dim);
}

/* Keys' cubic convolution kernel with coefficient a, at distance d >= 0. */
static float cubic(float a, float d) {
    if (d <= 1.0f) {
        return ((a + 2.0f) * d - (a + 3.0f)) * d * d + 1.0f;
    }
    return d < 2.0f ? ((a * d - 5.0f * a) * d + 8.0f * a) * d - 4.0f * a : 0.0f;
}

/* Fills the taps of one position: window [first, first + taps) around x. */
static void fill_taps(const wai_resize_params *p, wai_resize_table *t, uint32_t dim, float x,
                      uint32_t *index, float *weight) {
    float shrink = p->antialias && p->scale[t->axis] < 1.0f ? p->scale[t->axis] : 1.0f;
    int64_t first = (int64_t)floorf(x) - (t->taps / 2 - 1);
    float sum = 0.0f;
    for (uint32_t i = 0; i < t->taps; i++) {
        int64_t at = first + i;
        float distance = fabsf((float)at - x) * shrink, w;
        if (p->mode == WAI_RESIZE_CUBIC) {
            w = cubic(p->cubic_a, distance);
        } else {
            w = distance < 1.0f ? 1.0f - distance : 0.0f;
        }
        if (p->exclude_outside && (at < 0 || at >= dim)) {
            w = 0.0f;
        }
        index[i] = clamp_index(at, dim);
        weight[i] = w;
        sum += w;
    }
    if (p->exclude_outside || p->antialias) {
        for (uint32_t i = 0; i < t->taps; i++) {
            /* Nothing inside the image: take its nearest pixel. */
            weight[i] = sum != 0.0f ? weight[i] / sum : (i == 0 ? 1.0f : 0.0f);
        }
    }
    if (t->taps == 2 && index[0] == index[1]) {
        weight[0] = weight[1] = 0.5f; /* exactly the pixel, infinity included */
    }
}

bool wai_resize_build(wai_resize_table *table, const wai_resize_params *p, const wai_type *in,
                      uint32_t axis, wai_pool *pool) {
    uint32_t out = p->dims[axis], dim = in->dims[axis];
    table->axis = axis;
    table->crops = p->coordinates == WAI_RESIZE_TF_CROP;
    table->taps = (uint32_t)wai_resize_taps(p, axis);
    size_t count = (size_t)out * table->taps; /* bounded by infer */
    table->index = wai_pool_array(pool, count, sizeof *table->index);
    if (table->index == NULL) {
        return false;
    }
    if (p->mode != WAI_RESIZE_NEAREST) {
        table->weight = wai_pool_array(pool, count, sizeof *table->weight);
        if (table->weight == NULL) {
            return false;
        }
    }
    for (uint32_t i = 0; i < out; i++) {
        float x = tame(coordinate(p, in, axis, i));
        uint32_t *index = table->index + (size_t)i * table->taps;
        if (p->coordinates == WAI_RESIZE_TF_CROP && (x < 0.0f || x > (float)(dim - 1))) {
            index[0] = WAI_RESIZE_OUTSIDE;
        } else if (p->mode == WAI_RESIZE_NEAREST) {
            index[0] = nearest_index(p->rounding, x, dim);
        } else {
            fill_taps(p, table, dim, x, index, table->weight + (size_t)i * table->taps);
        }
    }
    return true;
}
