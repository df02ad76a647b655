/* weighted_plain.c - the plain loops of weighted.h, in a file of their own: a
 * runtime linked for packed weights is linked without them (parts.h). */
#include "ops/emit.h"
#include "ops/weighted.h"

/* ---- conv2d --------------------------------------------------------------- */

/* One output pixel of one group. */
static void conv2d_pixel(const wai_step *step, size_t n, size_t oy, size_t ox, uint32_t group,
                         float *out) {
    const wai_conv_params *p = step->params;
    const uint32_t *dims = step->in[0].type.dims;
    const float *x = step->in[0].data;
    const float *bias = step->in_count > 2 ? step->in[2].data : NULL;
    const size_t channels = dims[3], first = (size_t)group * p->group_out;
    for (uint32_t o = 0; o < p->group_out; o++) {
        float sum = bias != NULL ? bias[first + o] : 0;
        const float *w =
            (const float *)step->in[1].data + (first + o) * p->kernel_h * p->kernel_w * p->group_in;
        for (uint32_t ky = 0; ky < p->kernel_h; ky++) {
            int64_t y = (int64_t)oy * p->stride_h + (int64_t)ky * p->dilation_h - p->pad_top;
            for (uint32_t kx = 0; kx < p->kernel_w; kx++, w += p->group_in) {
                int64_t column =
                    (int64_t)ox * p->stride_w + (int64_t)kx * p->dilation_w - p->pad_left;
                if (y < 0 || y >= dims[1] || column < 0 || column >= dims[2]) {
                    continue;
                }
                const float *pixel =
                    x + ((n * dims[1] + (size_t)y) * dims[2] + (size_t)column) * channels +
                    (size_t)group * p->group_in;
                for (uint32_t i = 0; i < p->group_in; i++) {
                    sum += pixel[i] * w[i];
                }
            }
        }
        out[o] = wai_clamp_f32(sum, p->min, p->max);
    }
}

void wai_conv2d_plain(const wai_step *step) {
    const wai_conv_params *p = step->params;
    const uint32_t *dims = step->out[0].type.dims;
    float *out = step->out[0].data;
    for (size_t n = 0; n < dims[0]; n++) {
        for (size_t y = 0; y < dims[1]; y++) {
            for (size_t x = 0; x < dims[2]; x++) {
                for (uint32_t group = 0; group < p->groups; group++, out += p->group_out) {
                    conv2d_pixel(step, n, y, x, group, out);
                }
            }
        }
    }
}

/* ---- deconv2d ------------------------------------------------------------- */

/* Add one input pixel of one group to all output pixels that it reaches. */
static void deconv2d_pixel(const wai_step *step, size_t n, size_t iy, size_t ix, uint32_t group,
                           const float *pixel) {
    const wai_conv_params *p = step->params;
    const uint32_t *dims = step->out[0].type.dims;
    const size_t first = (size_t)group * p->group_out;
    for (uint32_t ky = 0; ky < p->kernel_h; ky++) {
        int64_t y = (int64_t)iy * p->stride_h + (int64_t)ky * p->dilation_h - p->pad_top;
        for (uint32_t kx = 0; kx < p->kernel_w; kx++) {
            int64_t x = (int64_t)ix * p->stride_w + (int64_t)kx * p->dilation_w - p->pad_left;
            if (y < 0 || y >= dims[1] || x < 0 || x >= dims[2]) {
                continue;
            }
            float *out = (float *)step->out[0].data +
                         ((n * dims[1] + (size_t)y) * dims[2] + (size_t)x) * dims[3] + first;
            const float *w = step->in[1].data;
            const size_t taps = (size_t)p->kernel_h * p->kernel_w;
            w += (first * taps + (size_t)ky * p->kernel_w + kx) * p->group_in;
            for (uint32_t o = 0; o < p->group_out; o++, w += taps * p->group_in) {
                for (uint32_t i = 0; i < p->group_in; i++) {
                    out[o] += pixel[i] * w[i];
                }
            }
        }
    }
}

void wai_deconv2d_plain(const wai_step *step) {
    const wai_conv_params *p = step->params;
    const float *bias = step->in_count > 2 ? step->in[2].data : NULL;
    const size_t channels = step->out[0].type.dims[3];
    const size_t count = wai_type_count(&step->out[0].type);
    float *out = step->out[0].data;
    for (size_t i = 0; i < count; i += channels) {
        for (size_t c = 0; c < channels; c++) {
            out[i + c] = bias != NULL ? bias[c] : 0;
        }
    }
    const uint32_t *dims = step->in[0].type.dims;
    const float *pixel = step->in[0].data;
    for (size_t n = 0; n < dims[0]; n++) {
        for (size_t y = 0; y < dims[1]; y++) {
            for (size_t x = 0; x < dims[2]; x++) {
                for (uint32_t group = 0; group < p->groups; group++, pixel += p->group_in) {
                    deconv2d_pixel(step, n, y, x, group, pixel);
                }
            }
        }
    }
    for (size_t i = 0; i < count; i++) {
        out[i] = wai_clamp_f32(out[i], p->min, p->max);
    }
}

/* ---- fully_connected ------------------------------------------------------ */

void wai_fully_connected_plain(const wai_step *step) {
    const wai_fully_connected_params *p = step->params;
    const float *bias = step->in_count > 2 ? step->in[2].data : NULL;
    const uint32_t *dims = step->in[0].type.dims;
    const float *x = step->in[0].data;
    float *out = step->out[0].data;
    for (size_t row = wai_dims_product(dims, 0, step->in[0].type.rank - 1); row > 0;
         row--, x += p->in_features) {
        const float *w = step->in[1].data;
        for (uint32_t o = 0; o < p->out_features; o++, w += p->in_features) {
            float sum = bias != NULL ? bias[o] : 0;
            for (uint32_t i = 0; i < p->in_features; i++) {
                sum += x[i] * w[i];
            }
            *out++ = wai_clamp_f32(sum, p->min, p->max);
        }
    }
}
