/* roi_pool: pools regions of an image, given by a tensor, to one size; channels
 * last. ONNX RoiAlign and MaxRoiPool. */
#include "ops/roi_pool.h"

#include <math.h>
#include <string.h>

#include "onnx/lower.h"
#include "ops/emit.h"

static const char *const kinds[] = {NULL, "average", "max", "pixels", NULL};

static const wai_field fields[] = {
    WAI_FIELD_ENUM(wai_roi_pool_params, kind, kinds),
    WAI_FIELD(wai_roi_pool_params, WAI_FIELD_U32, out_h),
    WAI_FIELD(wai_roi_pool_params, WAI_FIELD_U32, out_w),
    WAI_FIELD(wai_roi_pool_params, WAI_FIELD_U32, samples),
    WAI_FIELD(wai_roi_pool_params, WAI_FIELD_U32, half_pixel),
    WAI_FIELD(wai_roi_pool_params, WAI_FIELD_F32, scale),
};

static wai_status infer(wai_signature *s) {
    const wai_roi_pool_params *p = s->params;
    const wai_type *x = s->in[0], *regions = s->in[1], *batch = s->in[2];
    if (x == NULL || regions == NULL || batch == NULL || p->kind - 1 >= WAI_ROI_PIXELS ||
        p->half_pixel > 1 || p->samples > WAI_ROI_MAX_SAMPLES) {
        return WAI_REFUSE(s, "three inputs are needed, a kind, not %u, and at most %u samples",
                          p->kind, WAI_ROI_MAX_SAMPLES);
    }
    if (x->dtype != WAI_F32 || regions->dtype != WAI_F32 || batch->dtype != WAI_I64) {
        return WAI_DECLINE(s, "roi_pool of %s, %s and %s", wai_dtype_name(x->dtype),
                           wai_dtype_name(regions->dtype), wai_dtype_name(batch->dtype));
    }
    if (x->rank != 4 || regions->rank != 2 || regions->dims[1] != 4 || batch->rank != 1 ||
        batch->dims[0] != regions->dims[0]) {
        char a[WAI_TYPE_TEXT], b[WAI_TYPE_TEXT], c[WAI_TYPE_TEXT];
        return WAI_REFUSE(s, "input %s, regions %s and batch indices %s do not fit",
                          wai_type_text(x, a), wai_type_text(regions, b), wai_type_text(batch, c));
    }
    uint32_t dims[4] = {regions->dims[0], p->out_h, p->out_w, x->dims[3]};
    s->out[0] = wai_type_make(WAI_F32, 4, dims);
    if (!wai_type_is_valid(&s->out[0])) {
        char text[WAI_TYPE_TEXT];
        return wai_fail(s->diag, WAI_ERR_LIMIT, s->where, "the output %s is too large",
                        wai_type_text(&s->out[0], text));
    }
    if ((x->dims[1] == 0 || x->dims[2] == 0) && wai_type_count(&s->out[0]) != 0) {
        return WAI_REFUSE(s, "the input has no pixels");
    }
    return WAI_OK;
}

static uint64_t flops(const wai_signature *s) {
    const wai_roi_pool_params *p = s->params;
    uint64_t samples = p->samples != 0 && p->kind != WAI_ROI_PIXELS ? p->samples : 2;
    return 8 * samples * samples * wai_type_count(&s->out[0]);
}

const wai_op wai_op_roi_pool = {
    .name = "roi_pool",
    .params_size = sizeof(wai_roi_pool_params),
    .fields = fields,
    .field_count = sizeof fields / sizeof fields[0],
    .min_in = 3,
    .max_in = 3,
    .min_out = 1,
    .max_out = 1,
    .infer = infer,
    .flops = flops,
};

/* ---- kernel ------------------------------------------------------------- */

/* One region along one axis. */
typedef struct axis {
    uint32_t dim, samples;
    float start, bin;
} axis;

/* False: the region is not finite, or so large that it is no region of this
 * image: its samples would take for ever. */
static bool set_axis(axis *a, const wai_roi_pool_params *p, float from, float to, uint32_t dim,
                     uint32_t out) {
    const float offset = p->half_pixel ? 0.5f : 0;
    a->dim = dim;
    a->start = from * p->scale - offset;
    float length = to * p->scale - offset - a->start;
    if (p->kind == WAI_ROI_PIXELS) {
        a->start = roundf(from * p->scale);
        length = roundf(to * p->scale) - a->start + 1;
    }
    if (!p->half_pixel && !(length >= 1)) {
        length = 1;
    }
    a->bin = length / (float)out;
    const float most = 2.0f * (float)dim + 8;
    const float samples = p->samples != 0 ? (float)p->samples : ceilf(a->bin);
    a->samples = samples > 0 && samples <= most ? (uint32_t)samples : p->samples;
    return isfinite(a->start) && isfinite(length) && (p->samples != 0 || samples <= most);
}

typedef struct sample {
    size_t low, high;
    float part; /* weight of high */
    bool inside;
} sample;

static sample get_sample(const axis *a, uint32_t bin, uint32_t i) {
    float v = a->start + (float)bin * a->bin + ((float)i + 0.5f) * a->bin / (float)a->samples;
    if (!(v >= -1 && v <= (float)a->dim)) {
        return (sample){0};
    }
    v = v > 0 ? v : 0;
    if (v >= (float)(a->dim - 1)) {
        return (sample){a->dim - 1, a->dim - 1, 0, true};
    }
    size_t low = (size_t)v;
    low = low + 1 < a->dim ? low : a->dim - 1; /* where floats are coarser than pixels */
    return (sample){low, low + 1 < a->dim ? low + 1 : low, v - (float)low, true};
}

static void add_sample(float *out, const float *const corner[4], const float weight[4],
                       size_t channels) {
    for (size_t c = 0; c < channels; c++) {
        out[c] += weight[0] * corner[0][c] + weight[1] * corner[1][c] + weight[2] * corner[2][c] +
                  weight[3] * corner[3][c];
    }
}

static void max_sample(float *out, const float *const corner[4], const float weight[4],
                       size_t channels, bool first) {
    for (size_t c = 0; c < channels; c++) {
        float most = first ? -INFINITY : out[c];
        for (uint32_t i = 0; i < 4; i++) {
            float v = weight[i] * corner[i][c];
            most = v > most || v != v ? v : most;
        }
        out[c] = most;
    }
}

/* `out` is zero. */
static void align_bin(const wai_step *step, const float *image, const axis *h, const axis *w,
                      uint32_t y, uint32_t x, float *out) {
    const wai_roi_pool_params *p = step->params;
    const size_t channels = step->in[0].type.dims[3], row = channels * w->dim;
    bool first = true;
    for (uint32_t iy = 0; iy < h->samples; iy++) {
        const sample sy = get_sample(h, y, iy);
        for (uint32_t ix = 0; ix < w->samples; ix++) {
            const sample sx = get_sample(w, x, ix);
            const bool inside = sy.inside && sx.inside;
            const float *top = image + sy.low * row, *bottom = image + sy.high * row;
            const float *corner[4] = {top + sx.low * channels, top + sx.high * channels,
                                      bottom + sx.low * channels, bottom + sx.high * channels};
            const float weight[4] = {(1 - sy.part) * (1 - sx.part), (1 - sy.part) * sx.part,
                                     sy.part * (1 - sx.part), sy.part * sx.part};
            static const float nothing[4] = {0};
            if (p->kind == WAI_ROI_MAX) { /* a sample outside counts as 0 */
                max_sample(out, corner, inside ? weight : nothing, channels, first);
                first = false;
            } else if (inside) {
                add_sample(out, corner, weight, channels);
            }
        }
    }
    const float count = (float)h->samples * (float)w->samples;
    for (size_t c = 0; p->kind == WAI_ROI_AVERAGE && count > 0 && c < channels; c++) {
        out[c] /= count;
    }
}

/* Pixels of bin `i`, cut to the image. */
static void bin_pixels(const axis *a, uint32_t i, size_t *from, size_t *to) {
    float low = a->start + floorf((float)i * a->bin);
    float high = a->start + ceilf((float)(i + 1) * a->bin);
    low = low > 0 ? low : 0;
    high = high < (float)a->dim ? high : (float)a->dim;
    *from = low < (float)a->dim ? (size_t)low : a->dim;
    *to = high > 0 ? (size_t)high : 0;
    *to = *to < a->dim ? *to : a->dim;
}

/* `out` is zero, and stays so for an empty bin. */
static void pixels_bin(const wai_step *step, const float *image, const axis *h, const axis *w,
                       uint32_t y, uint32_t x, float *out) {
    const size_t channels = step->in[0].type.dims[3];
    size_t top, bottom, left, right;
    bin_pixels(h, y, &top, &bottom);
    bin_pixels(w, x, &left, &right);
    for (size_t iy = top; iy < bottom; iy++) {
        for (size_t ix = left; ix < right; ix++) {
            const float *pixel = image + (iy * w->dim + ix) * channels;
            const bool first = iy == top && ix == left;
            for (size_t c = 0; c < channels; c++) {
                bool more = first || pixel[c] > out[c] || pixel[c] != pixel[c];
                out[c] = more ? pixel[c] : out[c];
            }
        }
    }
}

static wai_status run(wai_step *step, wai_diag *diag) {
    const wai_roi_pool_params *p = step->params;
    const uint32_t *dims = step->in[0].type.dims;
    if (wai_type_count(&step->out[0].type) == 0) {
        return WAI_OK;
    }
    const float *region = step->in[1].data;
    const int64_t *batch = step->in[2].data;
    float *out = step->out[0].data;
    memset(out, 0, wai_type_size(&step->out[0].type));
    for (uint32_t r = 0; r < step->in[1].type.dims[0]; r++, region += 4) {
        axis h, w;
        if (batch[r] < 0 || batch[r] >= dims[0]) {
            return wai_fail(diag, WAI_ERR_ARGUMENT, step->where,
                            "index %lld at position %u is outside axis 0 of %u images",
                            (long long)batch[r], r, dims[0]);
        }
        if (!set_axis(&w, p, region[0], region[2], dims[2], p->out_w) ||
            !set_axis(&h, p, region[1], region[3], dims[1], p->out_h)) {
            return wai_fail(diag, WAI_ERR_ARGUMENT, step->where,
                            "region %u is not finite, or far larger than the image of %u x %u", r,
                            dims[1], dims[2]);
        }
        const float *image =
            (const float *)step->in[0].data + (size_t)batch[r] * dims[1] * dims[2] * dims[3];
        for (uint32_t y = 0; y < p->out_h; y++) {
            for (uint32_t x = 0; x < p->out_w; x++, out += dims[3]) {
                (p->kind == WAI_ROI_PIXELS ? pixels_bin : align_bin)(step, image, &h, &w, y, x,
                                                                     out);
            }
        }
    }
    return WAI_OK;
}

const wai_kernel wai_op_roi_pool_kernel = {.run = run};

/* ---- ONNX --------------------------------------------------------------- */

static wai_value *emit(wai_lower *l, const wai_roi_pool_params *p, wai_value *x, wai_value *regions,
                       wai_value *batch) {
    wai_value *in[3] = {wai_emit_channels_last(l->graph, x), regions,
                        wai_emit_cast(l->graph, batch, WAI_I64)};
    return wai_emit_channels_first(l->graph, wai_emit(l->graph, &wai_op_roi_pool, p, in, 3));
}

void wai_lower_roi_align(wai_lower *l) {
    wai_value *x = wai_lower_input(l, 0), *regions = wai_lower_input(l, 1);
    wai_value *batch = wai_lower_input(l, 2);
    const char *mode = wai_attr_string(l, "mode", "avg");
    const char *coordinates = "output_half_pixel"; /* all that opset 10 has */
    if (l->opset >= 16) {
        coordinates = wai_attr_string(l, "coordinate_transformation_mode", "half_pixel");
    }
    int64_t samples = wai_attr_int(l, "sampling_ratio", 0);
    const bool half_pixel = strcmp(coordinates, "half_pixel") == 0;
    wai_roi_pool_params p = {
        .kind = strcmp(mode, "max") == 0 ? WAI_ROI_MAX : WAI_ROI_AVERAGE,
        .out_h = wai_lower_dim(l, wai_attr_int(l, "output_height", 1), "output_height"),
        .out_w = wai_lower_dim(l, wai_attr_int(l, "output_width", 1), "output_width"),
        .samples = samples > 0 ? wai_lower_dim(l, samples, "sampling_ratio") : 0,
        .half_pixel = half_pixel,
        .scale = wai_attr_float(l, "spatial_scale", 1),
    };
    if (wai_lower_failed(l)) {
        return;
    }
    if ((p.kind == WAI_ROI_AVERAGE && strcmp(mode, "avg") != 0) ||
        (!half_pixel && strcmp(coordinates, "output_half_pixel") != 0)) {
        WAI_LOWER_REFUSE(l, "mode is %s, coordinate_transformation_mode is %s", mode, coordinates);
        return;
    }
    if (x->type.rank != 4) {
        WAI_LOWER_REFUSE(l, "the input has rank %u, not 4", x->type.rank);
        return;
    }
    l->out[0] = emit(l, &p, x, regions, batch);
}

/* Columns `from` to `to` of the regions. */
static wai_value *columns(wai_lower *l, wai_value *x, uint32_t from, uint32_t to) {
    wai_slice_params p = {{0, from}, {1, 1}, {x->type.dims[0], to - from}};
    return wai_emit(l->graph, &wai_op_slice, &p, &x, 1);
}

void wai_lower_max_roi_pool(wai_lower *l) {
    wai_value *x = wai_lower_input(l, 0), *regions = wai_lower_input(l, 1);
    int64_t shape[2];
    uint32_t count = wai_attr_ints(l, "pooled_shape", shape, 2);
    wai_roi_pool_params p = {.kind = WAI_ROI_PIXELS,
                             .scale = wai_attr_float(l, "spatial_scale", 1)};
    if (wai_lower_failed(l)) {
        return;
    }
    if (count != 2 || x->type.rank != 4 || regions->type.rank != 2 || regions->type.dims[1] != 5) {
        WAI_LOWER_REFUSE(l, "an input of rank 4, regions [n,5] and two numbers of pooled_shape "
                            "are needed");
        return;
    }
    p.out_h = wai_lower_dim(l, shape[0], "pooled_shape");
    p.out_w = wai_lower_dim(l, shape[1], "pooled_shape");
    const uint32_t length = regions->type.dims[0];
    wai_value *batch = wai_emit_reshape(l->graph, columns(l, regions, 0, 1), 1, &length);
    l->out[0] = emit(l, &p, x, columns(l, regions, 1, 5), batch);
}
