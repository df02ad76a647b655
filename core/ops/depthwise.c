/* depthwise: convolution of every channel by itself, channels last. */
#include "ops/depthwise.h"

#include <pthreadpool.h>

#include "ops/conv_common.h"

#define FIELD(member) WAI_FIELD(wai_depthwise_params, WAI_FIELD_U32, member)
static const wai_field fields[] = {
    FIELD(kernel),
    FIELD(stride),
    FIELD(dilation),
    FIELD(pad_top),
    FIELD(pad_left),
    FIELD(pad_bottom),
    FIELD(pad_right),
    WAI_FIELD(wai_depthwise_params, WAI_FIELD_F32, min),
    WAI_FIELD(wai_depthwise_params, WAI_FIELD_F32, max),
};

static wai_status check_weights(wai_signature *s) {
    const wai_depthwise_params *p = s->params;
    const uint32_t channels = s->in[0]->dims[3];
    const wai_type expected =
        wai_type_make(WAI_F32, 3, (uint32_t[]){channels / 4, 1 + p->kernel * p->kernel, 4});
    if (channels % 4 != 0 || !wai_type_equal(s->in[1], &expected)) {
        char is[WAI_TYPE_TEXT], wanted[WAI_TYPE_TEXT];
        return WAI_REFUSE(s, "the weights of %u channels are %s, expected %s", channels,
                          wai_type_text(s->in[1], is), wai_type_text(&expected, wanted));
    }
    return WAI_OK;
}

static wai_status infer(wai_signature *s) {
    const wai_depthwise_params *p = s->params;
    const wai_type *x = s->in[0];
    if (x == NULL || s->in[1] == NULL || x->rank != 4) {
        return WAI_REFUSE(s, "an input of rank 4 and weights are needed");
    }
    if ((p->kernel != 3 && p->kernel != 5) || p->stride == 0 || p->stride > 2 ||
        (p->stride == 2 && p->dilation != 1)) {
        return WAI_REFUSE(s, "kernel %u, stride %u and dilation %u are not for depthwise",
                          p->kernel, p->stride, p->dilation);
    }
    wai_status status = check_weights(s);
    if (status != WAI_OK) {
        return status;
    }
    /* The rest is what conv2d checks. */
    const wai_conv_params conv = {
        .groups = x->dims[3],
        .group_in = 1,
        .group_out = 1,
        .kernel_h = p->kernel,
        .kernel_w = p->kernel,
        .stride_h = p->stride,
        .stride_w = p->stride,
        .dilation_h = p->dilation,
        .dilation_w = p->dilation,
        .pad_top = p->pad_top,
        .pad_left = p->pad_left,
        .pad_bottom = p->pad_bottom,
        .pad_right = p->pad_right,
        .min = p->min,
        .max = p->max,
    };
    const wai_type weights =
        wai_type_make(WAI_F32, 4, (uint32_t[]){x->dims[3], p->kernel, p->kernel, 1});
    const wai_type *in[] = {x, &weights};
    wai_signature as_conv = {&conv, in, 2, s->out, 1, s->where, s->diag};
    return wai_conv_infer(&as_conv, wai_conv2d_extent);
}

static uint64_t flops(const wai_signature *s) {
    const wai_depthwise_params *p = s->params;
    return 2 * wai_type_count(&s->out[0]) * (uint64_t)p->kernel * p->kernel;
}

const wai_op wai_op_depthwise = {
    .name = "depthwise",
    .params_size = sizeof(wai_depthwise_params),
    .fields = fields,
    .field_count = sizeof fields / sizeof fields[0],
    .min_in = 2,
    .max_in = 2,
    .min_out = 1,
    .max_out = 1,
    .infer = infer,
    .flops = flops,
};

/* ---- kernel ------------------------------------------------------------- */

static wai_status prepare(wai_step *step, wai_pool *pool, wai_diag *diag) {
    const wai_type *x = &step->in[0].type, *y = &step->out[0].type;
    if (wai_type_count(y) == 0) {
        return WAI_OK;
    }
    wai_depthwise *d = step->state = wai_pool_alloc(pool, sizeof *d);
    float *zeros = wai_pool_array(pool, x->dims[3], sizeof *zeros);
    if (d == NULL || zeros == NULL) {
        return wai_fail(diag, WAI_ERR_MEMORY, step->where, "no memory for the state of depthwise");
    }
    *d = (wai_depthwise){.params = step->params,
                         .x = step->in[0].data,
                         .weights = step->in[1].data,
                         .y = step->out[0].data,
                         .zeros = zeros,
                         .height = x->dims[1],
                         .width = x->dims[2],
                         .out_height = y->dims[1],
                         .out_width = y->dims[2],
                         .channels = x->dims[3]};
    return WAI_OK;
}

static wai_status run(wai_step *step, wai_diag *diag) {
    (void)diag;
    const wai_type *y = &step->out[0].type;
    if (wai_type_count(y) != 0) {
        pthreadpool_parallelize_2d(step->threads, (pthreadpool_task_2d_t)wai_depthwise_row,
                                   step->state, y->dims[0], y->dims[1], 0);
    }
    return WAI_OK;
}

const wai_kernel wai_op_depthwise_kernel = {.prepare = prepare, .run = run};
