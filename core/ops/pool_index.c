/* pool_index: where the maximum of each window is. */
#include <math.h>

#include "ops/pool.h"

static const wai_field fields[] = {
    WAI_FIELD(wai_pool_index_params, WAI_FIELD_U32, column_major),
    WAI_FIELD(wai_pool_index_params, WAI_FIELD_U32, spatial),
    WAI_FIELD(wai_pool_index_params, WAI_FIELD_U32, kernel),
    WAI_FIELD(wai_pool_index_params, WAI_FIELD_U32, stride),
    WAI_FIELD(wai_pool_index_params, WAI_FIELD_U32, dilation),
    WAI_FIELD(wai_pool_index_params, WAI_FIELD_U32, pad_before),
    WAI_FIELD(wai_pool_index_params, WAI_FIELD_U32, pad_after),
    WAI_FIELD(wai_pool_index_params, WAI_FIELD_U32, out),
};

static wai_pool_params as_pool(const wai_pool_index_params *p) {
    wai_pool_params pool = {
        .kind = WAI_POOL_MAX, .spatial = p->spatial, .min = -INFINITY, .max = INFINITY};
    for (uint32_t i = 0; i < 3; i++) {
        pool.kernel[i] = p->kernel[i];
        pool.stride[i] = p->stride[i];
        pool.dilation[i] = p->dilation[i];
        pool.pad_before[i] = p->pad_before[i];
        pool.pad_after[i] = p->pad_after[i];
        pool.out[i] = p->out[i];
    }
    return pool;
}

static wai_status infer(wai_signature *s) {
    const wai_pool_index_params *p = s->params;
    if (p->column_major > 1) {
        return WAI_REFUSE(s, "column_major is %u, not 0 or 1", p->column_major);
    }
    const wai_pool_params pool = as_pool(p);
    wai_status status = wai_pool_infer(s, &pool);
    s->out[0].dtype = WAI_I64;
    return status;
}

static uint64_t flops(const wai_signature *s) {
    const wai_pool_params pool = as_pool(s->params);
    return wai_pool_flops(s, &pool);
}

const wai_op wai_op_pool_index = {
    .name = "pool_index",
    .params_size = sizeof(wai_pool_index_params),
    .fields = fields,
    .field_count = sizeof fields / sizeof fields[0],
    .min_in = 1,
    .max_in = 1,
    .min_out = 1,
    .max_out = 1,
    .infer = infer,
    .flops = flops,
};

/* ---- kernel ------------------------------------------------------------- */

typedef struct search {
    wai_pool_axis axis[3];
    wai_pool_span span[3];
    size_t channels;
    size_t count[3]; /* of one plane's index, per step along each axis */
} search;

/* Of one window and channel; image: of one N, at this channel. */
static size_t find(const search *s, const float *image) {
    const wai_pool_span *d = &s->span[0], *h = &s->span[1], *w = &s->span[2];
    float best = -INFINITY;
    size_t at = 0;
    bool any = false;
    for (size_t i = 0, z = d->first; i < d->count; i++, z += d->step) {
        for (size_t j = 0, y = h->first; j < h->count; j++, y += h->step) {
            const float *row = image + (z * s->axis[1].in + y) * s->axis[2].in * s->channels;
            for (size_t k = 0, x = w->first; k < w->count; k++, x += w->step) {
                const float value = row[x * s->channels];
                if (!any || value > best || (value != value && best == best)) {
                    any = true;
                    best = value;
                    at = z * s->count[0] + y * s->count[1] + x * s->count[2];
                }
            }
        }
    }
    return at;
}

static wai_status run(wai_step *step, wai_diag *diag) {
    (void)diag;
    const wai_pool_index_params *p = step->params;
    const wai_pool_params pool = as_pool(p);
    const wai_type *x = &step->in[0].type;
    if (wai_type_count(&step->out[0].type) == 0) {
        return WAI_OK;
    }
    search s = {.channels = x->dims[x->rank - 1]};
    for (uint32_t i = 0; i < 3; i++) {
        s.axis[i] = wai_pool_axis_of(x, &pool, i);
    }
    const size_t d = s.axis[0].in, h = s.axis[1].in, w = s.axis[2].in, plane = d * h * w;
    const bool column_major = p->column_major != 0;
    s.count[0] = column_major ? 1 : h * w;
    s.count[1] = column_major ? d : w;
    s.count[2] = column_major ? d * h : 1;
    const float *image = step->in[0].data;
    int64_t *out = step->out[0].data;
    for (size_t n = 0; n < x->dims[0]; n++, image += plane * s.channels) {
        for (size_t i = 0; i < s.axis[0].out; i++) {
            s.span[0] = wai_pool_span_of(&s.axis[0], i);
            for (size_t j = 0; j < s.axis[1].out; j++) {
                s.span[1] = wai_pool_span_of(&s.axis[1], j);
                for (size_t k = 0; k < s.axis[2].out; k++) {
                    s.span[2] = wai_pool_span_of(&s.axis[2], k);
                    for (size_t c = 0; c < s.channels; c++) {
                        *out++ = (int64_t)((n * s.channels + c) * plane + find(&s, image + c));
                    }
                }
            }
        }
    }
    return WAI_OK;
}

const wai_kernel wai_op_pool_index_kernel = {.run = run};
