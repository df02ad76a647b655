/* conv2d: convolution, channels last, by XNNPACK. */
#include "base/limits.h"
#include "ops/conv_common.h"
#include "ops/conv_direct.h"
#include "ops/parts.h"
#include "ops/product.h"

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
        op, x[0], x[1], x[2], &step->workspace_size, &alignment, &height, &width, step->threads);
    return wai_conv_check(step, status, height, width, diag);
}

static enum xnn_status setup_operator(const wai_step *step, xnn_operator_t op) {
    return xnn_setup_convolution2d_nhwc_f32(op, step->workspace, step->in[0].data,
                                            step->out[0].data);
}

const wai_weighted_kind wai_conv2d_kind = {
    offsetof(wai_conv_params, packed), fits, create, reshape, setup_operator, wai_conv2d_plain};

/* Where weights of a 1x1 convolution are more than stay beside the pixels in the second-level
 * cache; with fewer XNNPACK is as fast or faster. */
#define PRODUCT_SIZE 262144u

static bool is_product(const wai_step *step) {
    const wai_conv_params *p = step->params;
    return p->packed != 0 && p->groups == 1 && p->group_out >= 8 &&
           wai_type_size(&step->in[1].type) >= PRODUCT_SIZE;
}

static wai_status prepare_product(wai_step *step, wai_pool *pool, wai_diag *diag) {
    const wai_conv_params *p = step->params;
    const wai_product product = {.rows = wai_dims_product(step->in[0].type.dims, 0, 3),
                                 .depth = p->group_in,
                                 .columns = p->group_out,
                                 .min = p->min,
                                 .max = p->max};
    return wai_product_prepare(step, &product, pool, diag);
}

static wai_status prepare_weighted(wai_step *step, wai_pool *pool, wai_diag *diag) {
    return wai_weighted_prepare(step, &wai_conv2d_kind, pool, diag);
}

static const wai_kernel product = {prepare_product, wai_product_setup, wai_product_step};
static const wai_kernel weighted = {prepare_weighted, wai_weighted_setup, wai_weighted_run};

/* By params and types alone: prepare, setup and run agree. */
static const wai_kernel *kernel_of(const wai_step *step) {
    const wai_conv_params *p = step->params;
    const bool is_pointwise = p->kernel_h == 1 && p->kernel_w == 1 && p->stride_h == 1 &&
                              p->stride_w == 1 &&
                              (p->pad_top | p->pad_left | p->pad_bottom | p->pad_right) == 0;
    if (wai_type_count(&step->out[0].type) == 0 || !step->in[1].constant || !fits(step)) {
        return &weighted;
    }
    if (is_pointwise) {
        return is_product(step) ? &product : &weighted;
    }
    return wai_direct_takes(p, wai_type_size(&step->in[1].type)) ? &wai_direct_kernel : &weighted;
}

static wai_status prepare(wai_step *step, wai_pool *pool, wai_diag *diag) {
    const wai_conv_params *p = step->params;
    if (p->group_in == 1 && p->group_out == 1 && !wai_has_depthwise()) {
        return wai_fail(diag, WAI_ERR_UNSUPPORTED, step->where,
                        "depthwise convolution is not in this runtime");
    }
    return kernel_of(step)->prepare(step, pool, diag);
}

static wai_status setup(wai_step *step, wai_diag *diag) {
    return kernel_of(step)->setup(step, diag);
}

static wai_status run(wai_step *step, wai_diag *diag) {
    return kernel_of(step)->run(step, diag);
}

const wai_kernel wai_op_conv2d_kernel = {prepare, setup, run};
