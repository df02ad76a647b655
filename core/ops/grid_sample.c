/* grid_sample: reads an image at positions given by a tensor, channels last.
 * Positions and taps as in ONNX GridSample (which follows PyTorch's). */
#include "ops/grid_sample.h"

#include <math.h>
#include <string.h>

#include "onnx/lower.h"
#include "ops/emit.h"

static const char *const modes[] = {NULL, "nearest", "linear", "cubic", NULL};
static const char *const paddings[] = {NULL, "zeros", "border", "reflection", NULL};
static const char *const coordinates[] = {NULL, "edges", "centers", "pixels", NULL};

static const wai_field fields[] = {
    WAI_FIELD_ENUM(wai_grid_sample_params, mode, modes),
    WAI_FIELD_ENUM(wai_grid_sample_params, padding, paddings),
    WAI_FIELD_ENUM(wai_grid_sample_params, coordinates, coordinates),
};

static wai_status infer(wai_signature *s) {
    const wai_grid_sample_params *p = s->params;
    const wai_type *x = s->in[0], *grid = s->in[1];
    if (x == NULL || grid == NULL || p->mode - 1 >= WAI_GRID_CUBIC ||
        p->padding - 1 >= WAI_GRID_REFLECTION || p->coordinates - 1 >= WAI_GRID_PIXELS) {
        return WAI_REFUSE(s, "two inputs and known modes are needed, not %u, %u, %u", p->mode,
                          p->padding, p->coordinates);
    }
    if (x->dtype != WAI_F32 || grid->dtype != WAI_F32 || x->rank < 3 || x->rank > 5) {
        return WAI_DECLINE(s, "grid_sample of %s of rank %u by %s", wai_dtype_name(x->dtype),
                           x->rank, wai_dtype_name(grid->dtype));
    }
    const uint32_t spatial = x->rank - 2;
    if (grid->rank != x->rank || grid->dims[0] != x->dims[0] ||
        grid->dims[spatial + 1] != spatial) {
        char is[WAI_TYPE_TEXT], text[WAI_TYPE_TEXT];
        return WAI_REFUSE(s, "the grid %s does not fit an input %s (channels last)",
                          wai_type_text(grid, is), wai_type_text(x, text));
    }
    s->out[0] = *grid;
    s->out[0].dims[spatial + 1] = x->dims[spatial + 1];
    if (!wai_type_is_valid(&s->out[0])) {
        char text[WAI_TYPE_TEXT];
        return wai_fail(s->diag, WAI_ERR_LIMIT, s->where, "the output %s is too large",
                        wai_type_text(&s->out[0], text));
    }
    if (wai_dims_product(x->dims, 1, spatial + 1) == 0 && wai_type_count(&s->out[0]) != 0) {
        return WAI_REFUSE(s, "the input has no pixels to sample");
    }
    return WAI_OK;
}

static uint64_t flops(const wai_signature *s) {
    const wai_grid_sample_params *p = s->params;
    static const uint64_t widths[] = {0, 1, 2, 4};
    uint64_t taps = 1;
    for (uint32_t i = 2; i < s->in[0]->rank; i++) {
        taps *= widths[p->mode];
    }
    return 2 * taps * wai_type_count(&s->out[0]) + 8 * wai_type_count(s->in[1]);
}

const wai_op wai_op_grid_sample = {
    .name = "grid_sample",
    .params_size = sizeof(wai_grid_sample_params),
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

/* What one position reads along one axis; taps in the zeros are left out. */
typedef struct taps {
    uint32_t count;
    size_t index[4];
    float weight[4];
} taps;

/* Mirrors `v` at min and max until it lies between. */
static float reflect(float v, float min, float max) {
    const float range = max - min;
    float d = fmodf(fabsf(v - min), 2 * range); /* NaN for an infinite v or no range */
    d = d > range ? 2 * range - d : d;
    return d >= 0 ? min + d : min;
}

/* Pixel `i` (a whole number) of `dim`, or -1 for none. */
static int64_t pixel_at(const wai_grid_sample_params *p, float i, uint32_t dim) {
    const float low = p->coordinates == WAI_GRID_EDGES ? -0.5f : 0;
    if (p->padding == WAI_GRID_REFLECTION) {
        i = reflect(i, low, (float)(dim - 1) - low);
    } else if (p->padding == WAI_GRID_ZEROS && !(i >= 0 && i <= (float)(dim - 1))) {
        return -1;
    }
    int64_t index = i > 0 ? (i < (float)dim ? (int64_t)i : dim) : 0;
    return index < dim ? index : (int64_t)dim - 1;
}

static float position(const wai_grid_sample_params *p, float v, uint32_t dim) {
    if (p->coordinates == WAI_GRID_EDGES) {
        v = ((v + 1) * (float)dim - 1) / 2;
    } else if (p->coordinates == WAI_GRID_CENTERS) {
        v = (v + 1) / 2 * (float)(dim - 1);
    }
    if (p->mode == WAI_GRID_NEAREST) {
        v = rintf(v);
    }
    const float low = p->coordinates == WAI_GRID_EDGES ? -0.5f : 0;
    const float high = (float)(dim - 1) - low;
    if (p->padding == WAI_GRID_ZEROS || (v >= low && v <= high)) {
        return v;
    }
    if (p->padding == WAI_GRID_REFLECTION) {
        return reflect(v, low, high);
    }
    /* PyTorch and onnxruntime let cubic swing over the border, by its outer taps
     * (ONNX's reference does not); two pixels out there is nothing but the border. */
    const float beyond = p->mode == WAI_GRID_CUBIC ? 2 : 0, last = (float)(dim - 1) + beyond;
    return v > -beyond ? (v < last ? v : last) : -beyond;
}

static void cubic(float x, float weight[4]) {
    const float a = -0.75f, y = 1 - x;
    weight[0] = ((a * (x + 1) - 5 * a) * (x + 1) + 8 * a) * (x + 1) - 4 * a;
    weight[1] = ((a + 2) * x - (a + 3)) * x * x + 1;
    weight[2] = ((a + 2) * y - (a + 3)) * y * y + 1;
    weight[3] = ((a * (y + 1) - 5 * a) * (y + 1) + 8 * a) * (y + 1) - 4 * a;
}

static taps read_axis(const wai_grid_sample_params *p, float v, uint32_t dim) {
    v = position(p, v, dim);
    float first = floorf(v), weight[4] = {1};
    const float part = v - first;
    uint32_t count = 1;
    if (p->mode == WAI_GRID_LINEAR) {
        count = 2;
        weight[0] = 1 - part;
        weight[1] = part;
    } else if (p->mode == WAI_GRID_CUBIC) {
        count = 4;
        first -= 1;
        cubic(part, weight);
    }
    taps t = {0};
    for (uint32_t i = 0; i < count; i++) {
        int64_t index = pixel_at(p, first + (float)i, dim);
        if (index >= 0) {
            t.index[t.count] = (size_t)index;
            t.weight[t.count++] = weight[i];
        }
    }
    return t;
}

/* One output pixel from an image with three axes; strides in elements. */
static void sample(const taps axes[3], const size_t stride[3], const float *image, size_t channels,
                   float *restrict out) {
    memset(out, 0, channels * sizeof *out);
    for (uint32_t d = 0; d < axes[0].count; d++) {
        const float *plane = image + axes[0].index[d] * stride[0];
        for (uint32_t h = 0; h < axes[1].count; h++) {
            const float *row = plane + axes[1].index[h] * stride[1];
            const float weight = axes[0].weight[d] * axes[1].weight[h];
            for (uint32_t w = 0; w < axes[2].count; w++) {
                const float *x = row + axes[2].index[w] * stride[2];
                const float factor = weight * axes[2].weight[w];
                for (size_t c = 0; c < channels; c++) {
                    out[c] += factor * x[c];
                }
            }
        }
    }
}

static wai_status run(wai_step *step, wai_diag *diag) {
    (void)diag;
    const wai_grid_sample_params *p = step->params;
    const wai_type *x = &step->in[0].type, *out = &step->out[0].type;
    const uint32_t spatial = x->rank - 2, absent = 3 - spatial;
    if (wai_type_count(out) == 0) {
        return WAI_OK;
    }
    const size_t channels = x->dims[spatial + 1];
    size_t stride[3], image_size = channels;
    for (uint32_t i = 3; i-- > 0;) {
        stride[i] = image_size;
        image_size *= i >= absent ? x->dims[i - absent + 1] : 1;
    }
    taps axes[3] = {{1, {0}, {1}}, {1, {0}, {1}}, {1, {0}, {1}}};
    const size_t pixels = wai_dims_product(out->dims, 1, spatial + 1);
    const bool reversed = p->coordinates != WAI_GRID_PIXELS;
    const float *image = step->in[0].data, *grid = step->in[1].data;
    float *y = step->out[0].data;
    for (uint32_t n = 0; n < x->dims[0]; n++, image += image_size) {
        for (size_t i = 0; i < pixels; i++, grid += spatial, y += channels) {
            for (uint32_t a = 0; a < spatial; a++) {
                axes[absent + a] =
                    read_axis(p, grid[reversed ? spatial - 1 - a : a], x->dims[a + 1]);
            }
            sample(axes, stride, image, channels, y);
        }
    }
    return WAI_OK;
}

const wai_kernel wai_op_grid_sample_kernel = {.run = run};

/* ---- ONNX --------------------------------------------------------------- */

/* Index of `name` in a table of names, from 1; 0 after a failure. */
static uint32_t choose(wai_lower *l, const char *attribute, const char *name,
                       const char *const *names) {
    for (uint32_t i = 1; names[i] != NULL; i++) {
        if (strcmp(name, names[i]) == 0) {
            return i;
        }
    }
    WAI_LOWER_REFUSE(l, "%s is %s", attribute, name);
    return 0;
}

void wai_lower_grid_sample(wai_lower *l) {
    wai_value *in[2] = {wai_lower_input(l, 0), wai_lower_input(l, 1)};
    const char *mode = wai_attr_string(l, "mode", "linear");
    const char *padding = wai_attr_string(l, "padding_mode", "zeros");
    const bool centers = wai_attr_int(l, "align_corners", 0) != 0;
    if (wai_lower_failed(l)) {
        return;
    }
    /* Until opset 19 linear and cubic were called so. */
    mode += strcmp(mode, "bilinear") == 0 || strcmp(mode, "bicubic") == 0 ? 2 : 0;
    wai_grid_sample_params p = {choose(l, "mode", mode, modes),
                                choose(l, "padding_mode", padding, paddings),
                                centers ? WAI_GRID_CENTERS : WAI_GRID_EDGES};
    if (wai_lower_failed(l)) {
        return;
    }
    if (in[0]->type.rank < 4 || in[0]->type.rank > 5) {
        WAI_LOWER_DECLINE(l, "GridSample of rank %u, 4 and 5 are supported", in[0]->type.rank);
        return;
    }
    in[0] = wai_emit_channels_last(l->graph, in[0]);
    wai_value *y = wai_emit(l->graph, &wai_op_grid_sample, &p, in, 2);
    l->out[0] = wai_emit_channels_first(l->graph, y);
}
