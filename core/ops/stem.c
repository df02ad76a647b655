/* stem: convolution of few input channels, channels last. */
#include "ops/stem.h"

#include <pthreadpool.h>

#include "ops/conv_common.h"

bool wai_stem_takes(const wai_conv_params *p) {
    /* The largest tile is wider than a kernel by this many outputs. */
    const uint64_t more = WAI_STEM_TILE - 1;
    return p->packed == 1 && p->groups == 1 && p->dilation_h == 1 && p->dilation_w == 1 &&
           p->group_in != 0 && p->group_in <= WAI_STEM_PATCH && p->kernel_h <= WAI_STEM_PATCH &&
           p->kernel_w <= WAI_STEM_PATCH && p->stride_w <= WAI_STEM_PATCH &&
           (more * p->stride_w + p->kernel_w) * p->group_in * p->kernel_h <= WAI_STEM_PATCH;
}

static wai_status infer(wai_signature *s) {
    const wai_conv_params *p = s->params;
    if (!wai_stem_takes(p)) {
        return WAI_REFUSE(s,
                          "a convolution of %u x %u x %u, stride %u, dilation %u x %u and "
                          "%u groups is not for stem",
                          p->kernel_h, p->kernel_w, p->group_in, p->stride_w, p->dilation_h,
                          p->dilation_w, p->groups);
    }
    wai_status status = wai_op_conv2d.infer(s);
    const uint64_t size = wai_conv_packed_size(p);
    if (status == WAI_OK && size != s->in[1]->dims[0]) {
        return WAI_REFUSE(s, "%u bytes of packed weights, not %llu", s->in[1]->dims[0],
                          (unsigned long long)size);
    }
    return status;
}

static uint64_t flops(const wai_signature *s) {
    return wai_op_conv2d.flops(s);
}

const wai_op wai_op_stem = {
    .name = "stem",
    .params_size = sizeof(wai_conv_params),
    .fields = wai_conv_fields,
    .field_count = WAI_CONV_FIELD_COUNT,
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
    wai_stem *s = step->state = wai_pool_alloc(pool, sizeof *s);
    if (s == NULL) {
        return wai_fail(diag, WAI_ERR_MEMORY, step->where, "no memory for the state of stem");
    }
    *s = (wai_stem){.params = step->params,
                    .x = step->in[0].data,
                    .weights = step->in[1].data,
                    .y = step->out[0].data,
                    .height = x->dims[1],
                    .width = x->dims[2],
                    .out_height = y->dims[1],
                    .out_width = y->dims[2]};
    return WAI_OK;
}

static wai_status run(wai_step *step, wai_diag *diag) {
    (void)diag;
    const wai_type *y = &step->out[0].type;
    if (wai_type_count(y) != 0) {
        pthreadpool_parallelize_2d(step->threads, (pthreadpool_task_2d_t)wai_stem_row, step->state,
                                   y->dims[0], y->dims[1], 0);
    }
    return WAI_OK;
}

const wai_kernel wai_op_stem_kernel = {.prepare = prepare, .run = run};
