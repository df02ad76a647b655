#include "ops/conv_common.h"

#include "base/limits.h"

#define FIELD(member) WAI_FIELD(wai_conv_params, WAI_FIELD_U32, member)
const wai_field wai_conv_fields[WAI_CONV_FIELD_COUNT] = {
    FIELD(groups),
    FIELD(group_in),
    FIELD(group_out),
    FIELD(kernel_h),
    FIELD(kernel_w),
    FIELD(stride_h),
    FIELD(stride_w),
    FIELD(dilation_h),
    FIELD(dilation_w),
    FIELD(pad_top),
    FIELD(pad_left),
    FIELD(pad_bottom),
    FIELD(pad_right),
    FIELD(adjust_h),
    FIELD(adjust_w),
    FIELD(packed),
    WAI_FIELD(wai_conv_params, WAI_FIELD_F32, min),
    WAI_FIELD(wai_conv_params, WAI_FIELD_F32, max),
};

/* ---- infer -------------------------------------------------------------- */

static wai_status check_axis(wai_signature *s, const char *axis, uint32_t kernel, uint32_t stride,
                             uint32_t dilation, uint32_t before, uint32_t after, uint32_t adjust,
                             uint32_t in) {
    if (kernel == 0 || stride == 0 || dilation == 0) {
        return WAI_REFUSE(s, "kernel, stride and dilation of %s must not be 0", axis);
    }
    uint64_t extent = ((uint64_t)kernel - 1) * dilation + 1;
    uint64_t padded = (uint64_t)in + before + after;
    uint64_t stretched = (uint64_t)in * stride + extent + adjust;
    if (extent > WAI_MAX_DIM || padded > WAI_MAX_DIM || stretched > WAI_MAX_DIM ||
        stride > WAI_MAX_DIM) {
        return wai_fail(s->diag, WAI_ERR_LIMIT, s->where,
                        "kernel %u, stride %u, dilation %u, pads %u and %u of %s are too large",
                        kernel, stride, dilation, before, after, axis);
    }
    return WAI_OK;
}

static wai_status check_operands(wai_signature *s) {
    const wai_conv_params *p = s->params;
    const wai_type *x = s->in[0], *w = s->in[1];
    const wai_type *bias = s->in_count > 2 ? s->in[2] : NULL;
    if (x == NULL || w == NULL) {
        return WAI_REFUSE(s, "input or weights are missing");
    }
    if (x->dtype != WAI_F32 || x->rank != 4) {
        return WAI_REFUSE(s, "the input must be f32 of rank 4, not %s of rank %u",
                          wai_dtype_name(x->dtype), x->rank);
    }
    if (p->groups == 0 || (uint64_t)p->groups * p->group_in != x->dims[3]) {
        return WAI_REFUSE(s, "%u groups of %u channels, but the input has %u channels", p->groups,
                          p->group_in, x->dims[3]);
    }
    if ((uint64_t)p->groups * p->group_out > WAI_MAX_DIM) {
        return WAI_REFUSE(s, "%u groups of %u output channels are too many", p->groups,
                          p->group_out);
    }
    uint32_t channels = p->groups * p->group_out;
    if (p->packed == 1) {
        return wai_weighted_infer_packed(s);
    }
    uint32_t dims[4] = {channels, p->kernel_h, p->kernel_w, p->group_in};
    wai_type expected = wai_type_make(WAI_F32, 4, dims);
    char is[WAI_TYPE_TEXT], wanted[WAI_TYPE_TEXT];
    if (!wai_type_equal(w, &expected)) {
        return WAI_REFUSE(s, "the weights are %s, expected %s", wai_type_text(w, is),
                          wai_type_text(&expected, wanted));
    }
    if (bias != NULL && (bias->dtype != WAI_F32 || bias->rank != 1 || bias->dims[0] != channels)) {
        return WAI_REFUSE(s, "the bias is %s, expected f32[%u]", wai_type_text(bias, is), channels);
    }
    return WAI_OK;
}

wai_status wai_conv_infer(wai_signature *s, wai_conv_extent *extent) {
    const wai_conv_params *p = s->params;
    if (p->packed > 1) {
        return WAI_REFUSE(s, "packed is %u, not 0 or 1", p->packed);
    }
    if (!(p->min <= p->max)) {
        return WAI_REFUSE(s, "min must not be above max");
    }
    wai_status status = check_operands(s);
    if (status != WAI_OK) {
        return status;
    }
    const wai_type *x = s->in[0];
    status = check_axis(s, "height", p->kernel_h, p->stride_h, p->dilation_h, p->pad_top,
                        p->pad_bottom, p->adjust_h, x->dims[1]);
    if (status == WAI_OK) {
        status = check_axis(s, "width", p->kernel_w, p->stride_w, p->dilation_w, p->pad_left,
                            p->pad_right, p->adjust_w, x->dims[2]);
    }
    if (status != WAI_OK) {
        return status;
    }
    int64_t height = extent(x->dims[1], p->kernel_h, p->stride_h, p->dilation_h,
                            (int64_t)p->pad_top + p->pad_bottom, p->adjust_h);
    int64_t width = extent(x->dims[2], p->kernel_w, p->stride_w, p->dilation_w,
                           (int64_t)p->pad_left + p->pad_right, p->adjust_w);
    if (height < 0 || width < 0) {
        return WAI_REFUSE(s, "kernel %u x %u and pads leave no output of input %u x %u",
                          p->kernel_h, p->kernel_w, x->dims[1], x->dims[2]);
    }
    uint32_t dims[4] = {x->dims[0], (uint32_t)height, (uint32_t)width, p->groups * p->group_out};
    s->out[0] = wai_type_make(WAI_F32, 4, dims);
    if (!wai_type_is_valid(&s->out[0])) {
        char text[WAI_TYPE_TEXT];
        return wai_fail(s->diag, WAI_ERR_LIMIT, s->where, "the output %s is too large",
                        wai_type_text(&s->out[0], text));
    }
    return WAI_OK;
}

/* ---- kernel ------------------------------------------------------------- */

bool wai_conv_sizes_fit(const wai_conv_params *p, uint64_t entries, uint64_t subkernels) {
    /* Every factor is below 2^31; the products are bounded one by one. */
    const uint64_t most = WAI_MAX_TENSOR_SIZE;
    uint64_t taps = (uint64_t)p->kernel_h * p->kernel_w;
    /* One pointer in wasm32 is 4 bytes; half of the address space at most. */
    if (taps > most / 4 || entries > most / 4 / taps) {
        return false;
    }
    /* Input channels are rounded up to 4, output channels to 8 at most; the
     * depthwise kernels pack up to 25 taps. */
    uint64_t depth = ((uint64_t)p->group_in + 3) / 4 * 16;
    if (depth > most / taps) {
        return false;
    }
    uint64_t column = (taps * depth > 100 ? taps * depth : 100) + 4 * subkernels;
    uint64_t columns = ((uint64_t)p->group_out + 7) / 8 * 8;
    return columns <= most / column && p->groups <= most / (columns * column);
}

uint64_t wai_conv_packed_size(const wai_conv_params *p) {
    const uint64_t most = WAI_MAX_TENSOR_SIZE / (8 * sizeof(float));
    const uint64_t columns = ((uint64_t)p->group_out + 7) / 8;
    const uint64_t taps = (uint64_t)p->kernel_h * p->kernel_w;
    if (taps > most || taps * p->group_in >= most) {
        return UINT64_MAX;
    }
    const uint64_t column = 1 + taps * p->group_in;
    return columns <= most / column ? columns * column * 8 * sizeof(float) : UINT64_MAX;
}

enum xnn_status wai_conv_create(const wai_step *step, const float *weights, const float *bias,
                                xnn_weights_cache_t cache, xnn_operator_t *out,
                                wai_conv_make *make) {
    const wai_conv_params *p = step->params;
    return make(p->pad_top, p->pad_right, p->pad_bottom, p->pad_left, p->kernel_h, p->kernel_w,
                p->stride_h, p->stride_w, p->dilation_h, p->dilation_w, p->groups, p->group_in,
                p->group_out, (size_t)p->groups * p->group_in, (size_t)p->groups * p->group_out,
                weights, bias, p->min, p->max, 0, NULL, cache, out);
}

wai_status wai_conv_check(const wai_step *step, enum xnn_status status, size_t height, size_t width,
                          wai_diag *diag) {
    const uint32_t *out = step->out[0].type.dims;
    if (status == xnn_status_success && (height != out[1] || width != out[2])) {
        return wai_fail(diag, WAI_ERR_INTERNAL, step->where,
                        "XNNPACK makes %zu x %zu where infer says %u x %u", height, width, out[1],
                        out[2]);
    }
    return wai_xnn_check(status, step, diag);
}
