/* pool: maximum and average over windows, channels last, 1 to 3 axes.
 *
 * Ours rather than XNNPACK's: its max pooling wants one pointer per tap and
 * output pixel, takes a border value for a window that lies in the padding,
 * and drops NaN; its average has no dilation and one divisor for all. */
#include <math.h>
#include <pthreadpool.h>
#include <string.h>

#if defined(__wasm_simd128__)
#include <wasm_simd128.h>
#endif

#include "base/limits.h"
#include "ops/pool.h"

static const char *const kinds[] = {NULL, "max", "average", "average_include_pad", NULL};

static const wai_field fields[] = {
    WAI_FIELD_ENUM(wai_pool_params, kind, kinds),
    WAI_FIELD(wai_pool_params, WAI_FIELD_U32, spatial),
    WAI_FIELD(wai_pool_params, WAI_FIELD_U32, kernel),
    WAI_FIELD(wai_pool_params, WAI_FIELD_U32, stride),
    WAI_FIELD(wai_pool_params, WAI_FIELD_U32, dilation),
    WAI_FIELD(wai_pool_params, WAI_FIELD_U32, pad_before),
    WAI_FIELD(wai_pool_params, WAI_FIELD_U32, pad_after),
    WAI_FIELD(wai_pool_params, WAI_FIELD_U32, out),
    WAI_FIELD(wai_pool_params, WAI_FIELD_F32, min),
    WAI_FIELD(wai_pool_params, WAI_FIELD_F32, max),
};

static wai_status check_axis(wai_signature *s, const wai_pool_params *p, uint32_t i) {
    if (i >= p->spatial) {
        return p->kernel[i] == 0 && p->stride[i] == 0 && p->dilation[i] == 0 &&
                       p->pad_before[i] == 0 && p->pad_after[i] == 0 && p->out[i] == 0
                   ? WAI_OK
                   : WAI_REFUSE(s, "axis %u is not used but has numbers", i);
    }
    if (p->kernel[i] == 0 || p->stride[i] == 0 || p->dilation[i] == 0) {
        return WAI_REFUSE(s, "kernel, stride and dilation of axis %u must not be 0", i);
    }
    uint64_t extent = ((uint64_t)p->kernel[i] - 1) * p->dilation[i] + 1;
    uint64_t padded = (uint64_t)s->in[0]->dims[i + 1] + p->pad_before[i] + p->pad_after[i];
    if (extent > WAI_MAX_DIM || padded > WAI_MAX_DIM || p->stride[i] > WAI_MAX_DIM) {
        return wai_fail(s->diag, WAI_ERR_LIMIT, s->where,
                        "kernel %u, stride %u, dilation %u, pads %u and %u are too large",
                        p->kernel[i], p->stride[i], p->dilation[i], p->pad_before[i],
                        p->pad_after[i]);
    }
    /* Every window starts inside the padded input. */
    if (p->out[i] > 1 && (uint64_t)(p->out[i] - 1) > padded / p->stride[i]) {
        return WAI_REFUSE(s, "%u outputs of stride %u over %llu inputs", p->out[i], p->stride[i],
                          (unsigned long long)padded);
    }
    return WAI_OK;
}

wai_status wai_pool_infer(wai_signature *s, const wai_pool_params *p) {
    const wai_type *x = s->in[0];
    if (x == NULL || p->kind < WAI_POOL_MAX || p->kind > WAI_POOL_AVERAGE_INCLUDE_PAD) {
        return WAI_REFUSE(s, "an input and a known kind are needed, kind is %u", p->kind);
    }
    if (p->spatial < 1 || p->spatial > 3 || !(p->min <= p->max)) {
        return WAI_REFUSE(s, "%u spatial axes, 1 to 3 are possible; min must not be above max",
                          p->spatial);
    }
    if (x->dtype != WAI_F32 || x->rank != p->spatial + 2) {
        return WAI_REFUSE(s, "the input must be f32 of rank %u, not %s of rank %u", p->spatial + 2,
                          wai_dtype_name(x->dtype), x->rank);
    }
    s->out[0] = *x;
    for (uint32_t i = 0; i < 3; i++) {
        wai_status status = check_axis(s, p, i);
        if (status != WAI_OK) {
            return status;
        }
        if (i < p->spatial) {
            s->out[0].dims[i + 1] = p->out[i];
        }
    }
    if (!wai_type_is_valid(&s->out[0])) {
        char text[WAI_TYPE_TEXT];
        return wai_fail(s->diag, WAI_ERR_LIMIT, s->where, "the output %s is too large",
                        wai_type_text(&s->out[0], text));
    }
    return WAI_OK;
}

static wai_status infer(wai_signature *s) {
    return wai_pool_infer(s, s->params);
}

uint64_t wai_pool_flops(const wai_signature *s, const wai_pool_params *p) {
    uint64_t taps = 1;
    for (uint32_t i = 0; i < p->spatial; i++) {
        taps *= p->kernel[i];
    }
    return taps * wai_type_count(&s->out[0]);
}

static uint64_t flops(const wai_signature *s) {
    return wai_pool_flops(s, s->params);
}

const wai_op wai_op_pool = {
    .name = "pool",
    .params_size = sizeof(wai_pool_params),
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

wai_pool_axis wai_pool_axis_of(const wai_type *x, const wai_pool_params *p, uint32_t i) {
    const uint32_t absent = 3 - p->spatial;
    if (i < absent) {
        return (wai_pool_axis){1, 1, 1, 1, 0, 0, 1};
    }
    i -= absent;
    return (wai_pool_axis){x->dims[i + 1],   p->kernel[i],    p->stride[i], p->dilation[i],
                           p->pad_before[i], p->pad_after[i], p->out[i]};
}

/* How many of the positions start + i*step, i < most, are below `end`. */
static int64_t below(int64_t start, int64_t step, int64_t end, int64_t most) {
    int64_t count = end > start ? end - start : 0;
    if (step != 1) {
        count = (count + step - 1) / step;
    }
    return count < most ? count : most;
}

wai_pool_span wai_pool_span_of(const wai_pool_axis *a, size_t position) {
    const int64_t start = (int64_t)position * a->stride - a->before;
    const int64_t skipped = below(start, a->dilation, 0, a->kernel);
    const int64_t end = below(start, a->dilation, a->in, a->kernel);
    const int64_t padded = below(start, a->dilation, (int64_t)a->in + a->after, a->kernel);
    return (wai_pool_span){(size_t)(end > skipped ? start + skipped * a->dilation : 0),
                           (size_t)(end - skipped), a->dilation, (size_t)padded};
}

/* Four channels; in gcc's and clang's vectors, which every target has. */
typedef float lanes __attribute__((vector_size(16)));
typedef int32_t mask __attribute__((vector_size(16)));

static inline lanes load(const float *p) {
    lanes v;
    memcpy(&v, p, sizeof v);
    return v;
}

static inline lanes splat(float value) {
    return (lanes){value, value, value, value};
}

static inline lanes choose(mask m, lanes yes, lanes no) {
    return (lanes)(((mask)yes & m) | ((mask)no & ~m));
}

/* Where a comparison with NaN is false: a < b ? b : a. */
static inline lanes larger(lanes a, lanes b) {
#if defined(__wasm_simd128__)
    return (lanes)wasm_f32x4_pmax((v128_t)a, (v128_t)b); /* one instruction, the same bits */
#else
    return choose((mask)(a < b), b, a);
#endif
}

typedef struct window {
    wai_pool_span d, h, w;
    size_t row, plane; /* elements between input rows and planes */
    size_t channels;
    lanes divisor, min, max;
} window;

/* `count` vectors of channels of one output pixel. Reads whole vectors: behind
 * the last channel lies the next pixel or the buffer's spare bytes. */
static inline void reduce(const window *win, const float *image, bool max, uint32_t count,
                          lanes acc[4]) {
    /* A comparison with NaN is false, so the maximum passes NaN over; that one
     * was seen is kept beside it, for half of what a maximum that keeps it
     * costs. */
    mask nan[4];
    for (uint32_t v = 0; v < count; v++) {
        acc[v] = splat(max ? -INFINITY : 0);
        nan[v] = (mask){0};
    }
    for (size_t d = 0; d < win->d.count; d++) {
        for (size_t h = 0; h < win->h.count; h++) {
            const float *p = image + (win->d.first + d * win->d.step) * win->plane +
                             (win->h.first + h * win->h.step) * win->row +
                             win->w.first * win->channels;
            for (size_t w = 0; w < win->w.count; w++, p += win->w.step * win->channels) {
                for (uint32_t v = 0; v < count; v++) {
                    lanes x = load(p + 4 * v);
                    acc[v] = max ? larger(acc[v], x) : acc[v] + x;
                    nan[v] |= max ? (mask)(x != x) : (mask){0};
                }
            }
        }
    }
    for (uint32_t v = 0; v < count; v++) {
        acc[v] = max ? choose(nan[v], splat(NAN), acc[v]) : acc[v] / win->divisor;
        acc[v] = choose((mask)(acc[v] < win->min), win->min, acc[v]);
        acc[v] = choose((mask)(acc[v] > win->max), win->max, acc[v]);
    }
}

static void pixel(const window *win, const float *image, bool max, float *out) {
    lanes acc[4];
    size_t c = 0;
    for (; c + 16 <= win->channels; c += 16) {
        reduce(win, image + c, max, 4, acc);
        memcpy(out + c, acc, sizeof acc);
    }
    for (; c < win->channels; c += 4) {
        reduce(win, image + c, max, 1, acc);
        size_t left = win->channels - c;
        memcpy(out + c, acc, (left < 4 ? left : 4) * sizeof *out);
    }
}

static float divisor_of(const window *win, uint32_t kind) {
    size_t taps = kind == WAI_POOL_AVERAGE
                      ? win->d.count * win->h.count * win->w.count
                      : win->d.padded_count * win->h.padded_count * win->w.padded_count;
    return taps != 0 ? (float)taps : 1;
}

typedef struct pooling {
    const wai_pool_params *params;
    wai_pool_axis depth, height, width;
    size_t channels;
    const float *x;
    float *y;
} pooling;

/* A task of pthreadpool: row `index` of all that the outputs have. */
static void row(const pooling *s, size_t index) {
    const wai_pool_params *p = s->params;
    const size_t h = index % s->height.out, plane = index / s->height.out;
    const size_t d = plane % s->depth.out, n = plane / s->depth.out;
    window win = {.d = wai_pool_span_of(&s->depth, d),
                  .h = wai_pool_span_of(&s->height, h),
                  .channels = s->channels,
                  .min = splat(p->min),
                  .max = splat(p->max),
                  .divisor = splat(1)};
    win.row = s->width.in * win.channels;
    win.plane = s->height.in * win.row;
    const float *image = s->x + n * s->depth.in * win.plane;
    float *out = s->y + index * s->width.out * win.channels;
    for (size_t w = 0; w < s->width.out; w++, out += win.channels) {
        win.w = wai_pool_span_of(&s->width, w);
        if (p->kind == WAI_POOL_MAX) {
            pixel(&win, image, true, out);
        } else {
            win.divisor = splat(divisor_of(&win, p->kind));
            pixel(&win, image, false, out);
        }
    }
}

static wai_status run(wai_step *step, wai_diag *diag) {
    (void)diag;
    const wai_pool_params *p = step->params;
    const wai_type *type = &step->in[0].type;
    pooling s = {.params = p,
                 .depth = wai_pool_axis_of(type, p, 0),
                 .height = wai_pool_axis_of(type, p, 1),
                 .width = wai_pool_axis_of(type, p, 2),
                 .channels = type->dims[type->rank - 1],
                 .x = step->in[0].data,
                 .y = step->out[0].data};
    if (wai_type_count(&step->out[0].type) != 0) {
        const size_t rows = (size_t)type->dims[0] * s.depth.out * s.height.out;
        pthreadpool_parallelize_1d(step->threads, (pthreadpool_task_1d_t)row, &s, rows, 0);
    }
    return WAI_OK;
}

const wai_kernel wai_op_pool_kernel = {.run = run};
