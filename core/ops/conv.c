/* conv2d: convolution, channels last, by XNNPACK. */
#include "base/limits.h"
#include "ops/conv_common.h"

int64_t wai_conv2d_extent(int64_t in, int64_t kernel, int64_t stride, int64_t dilation,
                          int64_t pads, int64_t adjust) {
    (void)adjust;
    int64_t room = in + pads - ((kernel - 1) * dilation + 1);
    if (room < 0) {
        /* Nothing comes of nothing; less than a kernel is a mistake. */
        return in + pads == 0 ? 0 : -1;
    }
    return room / stride + 1;
}

static wai_status infer(wai_signature *s) {
    const wai_conv_params *p = s->params;
    if (p->adjust_h != 0 || p->adjust_w != 0) {
        return WAI_REFUSE(s, "conv2d has no output padding");
    }
    return wai_conv_infer(s, wai_conv2d_extent);
}

static uint64_t flops(const wai_signature *s) {
    const wai_conv_params *p = s->params;
    return 2 * wai_type_count(&s->out[0]) * (uint64_t)p->kernel_h * p->kernel_w * p->group_in;
}

const wai_op wai_op_conv2d = {
    .name = "conv2d",
    .params_size = sizeof(wai_conv_params),
    .fields = wai_conv_fields,
    .field_count = WAI_CONV_FIELD_COUNT,
    .min_in = 2,
    .max_in = 3,
    .min_out = 1,
    .max_out = 1,
    .infer = infer,
    .flops = flops,
};

/* ---- kernel ------------------------------------------------------------- */

static bool fits(const wai_step *step) {
    const wai_conv_params *p = step->params;
    const wai_type *x = &step->in[0].type, *y = &step->out[0].type;
    if (x->dims[1] == 0 || x->dims[2] == 0 || p->group_in == 0) {
        return false;
    }
    /* The indirection buffer: one pointer per tap and output pixel, pixels
     * rounded up to a tile of at most 8, and up to 25 behind the last. */
    uint64_t pixels = (uint64_t)y->dims[1] * y->dims[2] + 32;
    uint64_t taps = (uint64_t)p->kernel_h * p->kernel_w;
    return taps <= WAI_MAX_TENSOR_SIZE && pixels <= WAI_MAX_TENSOR_SIZE &&
           wai_conv_sizes_fit(p, pixels * taps, 1);
}

static enum xnn_status create(const wai_step *step, const float *weights, const float *bias,
                              xnn_weights_cache_t cache, xnn_operator_t *out) {
    return wai_conv_create(step, weights, bias, cache, out, xnn_create_convolution2d_nhwc_f32);
}

static wai_status reshape(wai_step *step, xnn_operator_t op, wai_diag *diag) {
    const uint32_t *x = step->in[0].type.dims;
    size_t alignment = 0, height = 0, width = 0;
    enum xnn_status status = xnn_reshape_convolution2d_nhwc_f32(
        op, x[0], x[1], x[2], &step->workspace_size, &alignment, &height, &width, NULL);
    return wai_conv_check(step, status, height, width, diag);
}

static enum xnn_status setup(const wai_step *step, xnn_operator_t op) {
    return xnn_setup_convolution2d_nhwc_f32(op, step->workspace, step->in[0].data,
                                            step->out[0].data);
}

/* One output pixel of one group. */
static void plain_pixel(const wai_step *step, size_t n, size_t oy, size_t ox, uint32_t group,
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

static void plain(const wai_step *step) {
    const wai_conv_params *p = step->params;
    const uint32_t *dims = step->out[0].type.dims;
    float *out = step->out[0].data;
    for (size_t n = 0; n < dims[0]; n++) {
        for (size_t y = 0; y < dims[1]; y++) {
            for (size_t x = 0; x < dims[2]; x++) {
                for (uint32_t group = 0; group < p->groups; group++, out += p->group_out) {
                    plain_pixel(step, n, y, x, group, out);
                }
            }
        }
    }
}

const wai_weighted_kind wai_conv2d_kind = {
    offsetof(wai_conv_params, packed), fits, create, reshape, setup, plain};

static wai_status prepare(wai_step *step, wai_pool *pool, wai_diag *diag) {
    return wai_weighted_prepare(step, &wai_conv2d_kind, pool, diag);
}

const wai_kernel wai_op_conv2d_kernel = {prepare, wai_weighted_setup, wai_weighted_run};
