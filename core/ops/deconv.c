/* deconv2d: transposed convolution, channels last, by XNNPACK. */
#include "base/limits.h"
#include "ops/conv_common.h"

static int64_t deconv_extent(int64_t in, int64_t kernel, int64_t stride, int64_t dilation,
                             int64_t pads, int64_t adjust) {
    if (in == 0) {
        return 0;
    }
    return (in - 1) * stride + (kernel - 1) * dilation + 1 + adjust - pads;
}

static wai_status infer(wai_signature *s) {
    return wai_conv_infer(s, deconv_extent);
}

static uint64_t flops(const wai_signature *s) {
    const wai_conv_params *p = s->params;
    return 2 * wai_type_count(s->in[0]) * (uint64_t)p->kernel_h * p->kernel_w * p->group_out;
}

const wai_op wai_op_deconv2d = {
    .name = "deconv2d",
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

/* XNNPACK splits a deconvolution with a stride into one convolution per output
 * phase; the same condition as in its deconvolution-nhwc.c. */
static bool has_phases(const wai_conv_params *p) {
    return (p->stride_h > 1 || p->stride_w > 1) && p->dilation_h == 1 && p->dilation_w == 1 &&
           p->stride_h <= p->kernel_h && p->stride_w <= p->kernel_w;
}

static bool fits(const wai_step *step) {
    const wai_conv_params *p = step->params;
    const wai_type *x = &step->in[0].type, *y = &step->out[0].type;
    if (x->dims[1] == 0 || x->dims[2] == 0 || p->group_in == 0 || p->adjust_h >= p->stride_h ||
        p->adjust_w >= p->stride_w) {
        return false;
    }
    uint64_t taps = (uint64_t)p->kernel_h * p->kernel_w;
    uint64_t height = y->dims[1], width = (uint64_t)y->dims[2] + 8, subkernels = 1;
    if (has_phases(p)) {
        /* With fewer output rows or columns than phases its count of columns
         * per phase wraps (indirection.c) and it writes out of bounds. */
        if (y->dims[1] < p->stride_h || y->dims[2] < p->stride_w) {
            return false;
        }
        subkernels = (uint64_t)p->stride_h * p->stride_w;
        width = (uint64_t)y->dims[2] + (uint64_t)p->stride_w * 9;
    }
    uint64_t pixels = height * width;
    return taps <= WAI_MAX_TENSOR_SIZE && pixels <= WAI_MAX_TENSOR_SIZE &&
           wai_conv_sizes_fit(p, (pixels + 8) * taps, subkernels);
}

static enum xnn_status create(const wai_step *step, const float *weights, const float *bias,
                              xnn_weights_cache_t cache, xnn_operator_t *out) {
    return wai_conv_create(step, weights, bias, cache, out, xnn_create_deconvolution2d_nhwc_f32);
}

static wai_status reshape(wai_step *step, xnn_operator_t op, wai_diag *diag) {
    const wai_conv_params *p = step->params;
    const uint32_t *x = step->in[0].type.dims;
    size_t height = 0, width = 0;
    enum xnn_status status = xnn_reshape_deconvolution2d_nhwc_f32(
        op, x[0], x[1], x[2], p->adjust_h, p->adjust_w, &height, &width, step->threads);
    return wai_conv_check(step, status, height, width, diag);
}

static enum xnn_status setup(const wai_step *step, xnn_operator_t op) {
    return xnn_setup_deconvolution2d_nhwc_f32(op, step->in[0].data, step->out[0].data);
}

const wai_weighted_kind wai_deconv2d_kind = {
    offsetof(wai_conv_params, packed), fits, create, reshape, setup, wai_deconv2d_plain};

static wai_status prepare(wai_step *step, wai_pool *pool, wai_diag *diag) {
    return wai_weighted_prepare(step, &wai_deconv2d_kind, pool, diag);
}

const wai_kernel wai_op_deconv2d_kernel = {prepare, wai_weighted_setup, wai_weighted_run};
