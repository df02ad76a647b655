/* ONNX CenterCropPad, Col2Im and Shrink. */
#include <math.h>
#include <string.h>

#include "base/limits.h"
#include "ops/lowering.h"

/* ---- Shrink ---------------------------------------------------------------- */

/* x + bias below -lambd, x - bias above lambd, else 0. */
void wai_lower_shrink(wai_lower *l) {
    wai_graph *g = l->graph;
    wai_value *x = wai_lower_input(l, 0);
    const float bias = wai_attr_float(l, "bias", 0), lambd = wai_attr_float(l, "lambd", 0.5f);
    if (wai_lower_failed(l)) {
        return;
    }
    if (x->type.dtype != WAI_F32) {
        WAI_LOWER_DECLINE(l, "Shrink of %s", wai_dtype_name(x->type.dtype));
        return;
    }
    wai_value *below = wai_lower_compare_of(l, WAI_COMPARE_LESS, x, wai_emit_scalar_f32(g, -lambd));
    wai_value *above =
        wai_lower_compare_of(l, WAI_COMPARE_GREATER, x, wai_emit_scalar_f32(g, lambd));
    wai_value *shift = wai_emit_scalar_f32(g, bias), *zero = wai_emit_scalar_f32(g, 0);
    wai_value *up = wai_emit_binary(g, WAI_BINARY_ADD, x, shift);
    wai_value *down = wai_emit_binary(g, WAI_BINARY_SUB, x, shift);
    l->out[0] = wai_lower_where_of(l, below, up, wai_lower_where_of(l, above, down, zero));
}

/* ---- CenterCropPad ----------------------------------------------------------- */

static wai_value *center(wai_lower *l, wai_value *x, uint32_t axis, uint32_t wanted) {
    if (x == NULL) {
        return NULL;
    }
    const uint32_t dim = x->type.dims[axis];
    if (wanted <= dim) {
        return wai_lower_part(l, x, axis, (dim - wanted) / 2, wanted);
    }
    wai_pad_params p = {.mode = WAI_PAD_CONSTANT};
    p.before[axis] = (wanted - dim) / 2;
    p.after[axis] = wanted - dim - p.before[axis];
    return wai_emit(l->graph, &wai_op_pad, &p, &x, 1);
}

void wai_lower_center_crop_pad(wai_lower *l) {
    wai_value *x = wai_lower_input(l, 0);
    int64_t shape[WAI_MAX_RANK], axes[WAI_MAX_RANK];
    bool there = false;
    const uint32_t count = wai_lower_ints(l, 1, shape, WAI_MAX_RANK, &there);
    const bool given = wai_attr_has(l, "axes");
    const uint32_t axis_count = wai_attr_ints(l, "axes", axes, WAI_MAX_RANK);
    if (wai_lower_failed(l)) {
        return;
    }
    if (!there || count != (given ? axis_count : x->type.rank)) {
        WAI_LOWER_REFUSE(l, "shape of CenterCropPad has %u numbers, not one per axis", count);
        return;
    }
    for (uint32_t i = 0; i < count; i++) {
        const uint32_t axis = wai_lower_axis(l, given ? axes[i] : (int64_t)i, x->type.rank);
        const uint32_t wanted = wai_lower_dim(l, shape[i], "shape");
        if (wai_lower_failed(l)) {
            return;
        }
        x = center(l, x, axis, wanted);
        if (x == NULL) {
            return;
        }
    }
    l->out[0] = x;
}

/* ---- Col2Im -------------------------------------------------------------------- */

/*
 * Blocks of [N, C * kernel, L] are added where they lie in the image: a
 * transposed convolution of one group per channel, whose weights send the k-th
 * of a group's inputs to the k-th tap and nowhere else.
 */
typedef struct col2im {
    int64_t image[2], block[2], dilation[2], pad[4], stride[2], windows[2];
} col2im;

/* Values for one or two axes, of which the missing one is `fallback`. */
static void widen(int64_t *list, uint32_t count, int64_t fallback) {
    if (count == 1) {
        list[1] = list[0];
    }
    if (count < 2) {
        list[0] = fallback;
    }
    if (count == 0) {
        list[1] = fallback;
    }
}

static bool read_col2im(wai_lower *l, col2im *c) {
    bool there;
    const wai_value *image = wai_lower_input(l, 1);
    if (!wai_lower_failed(l) && wai_type_count(&image->type) > 2) {
        WAI_LOWER_DECLINE(l, "Col2Im of more than two spatial axes");
        return false;
    }
    const uint32_t spatial = wai_lower_ints(l, 1, c->image, 2, &there);
    const uint32_t blocks = wai_lower_ints(l, 2, c->block, 2, &there);
    int64_t pads[4] = {0, 0, 0, 0};
    const uint32_t pad_count = wai_attr_ints(l, "pads", pads, 4);
    const uint32_t stride_count = wai_attr_ints(l, "strides", c->stride, 2);
    const uint32_t dilation_count = wai_attr_ints(l, "dilations", c->dilation, 2);
    if (wai_lower_failed(l)) {
        return false;
    }
    if (spatial == 0 || blocks != spatial || (pad_count != 0 && pad_count != 2 * spatial) ||
        (stride_count != 0 && stride_count != spatial) ||
        (dilation_count != 0 && dilation_count != spatial)) {
        WAI_LOWER_REFUSE(l, "Col2Im has attributes for another count of axes than %u", spatial);
        return false;
    }
    widen(c->image, spatial, 1);
    widen(c->block, spatial, 1);
    widen(c->stride, stride_count, 1);
    widen(c->dilation, dilation_count, 1);
    for (uint32_t i = 0; i < 4; i++) {
        c->pad[i] = spatial == 2 ? pads[i] : i % 2 == 0 ? 0 : pads[i / 2];
    }
    return true;
}

/* Ranges, and how many blocks there are along each axis. */
static bool check_col2im(wai_lower *l, col2im *c, const wai_value *x) {
    const int64_t most = 1 << 24;
    bool fits = x->type.rank == 3;
    for (uint32_t i = 0; i < 2 && fits; i++) {
        fits = c->image[i] > 0 && c->image[i] <= most && c->block[i] > 0 && c->block[i] <= 4096 &&
               c->stride[i] > 0 && c->stride[i] <= most && c->dilation[i] > 0 &&
               c->dilation[i] <= 4096 && c->pad[i] >= 0 && c->pad[i] <= most &&
               c->pad[i + 2] >= 0 && c->pad[i + 2] <= most;
        const int64_t room = c->image[i] + c->pad[i] + c->pad[i + 2] -
                             (fits ? (c->block[i] - 1) * c->dilation[i] + 1 : 0);
        fits = fits && room >= 0;
        c->windows[i] = fits ? room / c->stride[i] + 1 : 0;
    }
    const int64_t taps = c->block[0] * c->block[1];
    fits = fits && x->type.dims[1] % taps == 0 && x->type.dims[1] > 0 &&
           x->type.dims[2] == c->windows[0] * c->windows[1];
    if (!fits) {
        char text[WAI_TYPE_TEXT];
        WAI_LOWER_REFUSE(l, "blocks %s do not fit image, block, pads and strides of Col2Im",
                         wai_type_text(&x->type, text));
        return false;
    }
    if (x->type.dtype != WAI_F32 || taps > 4096 ||
        (uint64_t)x->type.dims[1] * (uint64_t)taps > WAI_MAX_FOLD_SIZE / sizeof(float)) {
        WAI_LOWER_DECLINE(l, "Col2Im of %s with blocks of %lld elements",
                          wai_dtype_name(x->type.dtype), (long long)taps);
        return false;
    }
    return true;
}

/* [channels, block h, block w, taps], ones where tap k meets input k. */
static wai_value *emit_taps(wai_lower *l, const col2im *c, uint32_t channels) {
    const uint32_t taps = (uint32_t)(c->block[0] * c->block[1]);
    const uint32_t dims[] = {channels, (uint32_t)c->block[0], (uint32_t)c->block[1], taps};
    const wai_type type = wai_type_make(WAI_F32, 4, dims);
    float *data = wai_arena_alloc(l->graph->arena, wai_slot_size(wai_type_size(&type)));
    if (data == NULL) {
        wai_graph_fail(l->graph, WAI_ERR_MEMORY, "out of memory in the compiler");
        return NULL;
    }
    memset(data, 0, wai_type_size(&type));
    for (uint32_t i = 0; i < channels; i++) {
        for (uint32_t k = 0; k < taps; k++) {
            data[((size_t)i * taps + k) * taps + k] = 1;
        }
    }
    return wai_graph_constant(l->graph, &type, data, NULL);
}

void wai_lower_col2im(wai_lower *l) {
    wai_graph *g = l->graph;
    wai_value *x = wai_lower_input(l, 0), *image = wai_lower_input(l, 1);
    col2im c = {{0}, {0}, {0}, {0}, {0}, {0}};
    if (wai_lower_failed(l) || !read_col2im(l, &c) || !check_col2im(l, &c, x)) {
        return;
    }
    const uint32_t batch = x->type.dims[0], inputs = x->type.dims[1];
    const uint32_t taps = (uint32_t)(c.block[0] * c.block[1]), channels = inputs / taps;
    const uint32_t dims[] = {batch, inputs, (uint32_t)c.windows[0], (uint32_t)c.windows[1]};
    uint32_t adjust[2];
    for (uint32_t i = 0; i < 2; i++) {
        adjust[i] =
            (uint32_t)(c.image[i] + c.pad[i] + c.pad[i + 2] -
                       ((c.windows[i] - 1) * c.stride[i] + (c.block[i] - 1) * c.dilation[i] + 1));
    }
    wai_conv_params p = {.groups = channels,
                         .group_in = taps,
                         .group_out = 1,
                         .kernel_h = (uint32_t)c.block[0],
                         .kernel_w = (uint32_t)c.block[1],
                         .stride_h = (uint32_t)c.stride[0],
                         .stride_w = (uint32_t)c.stride[1],
                         .dilation_h = (uint32_t)c.dilation[0],
                         .dilation_w = (uint32_t)c.dilation[1],
                         .pad_top = (uint32_t)c.pad[0],
                         .pad_left = (uint32_t)c.pad[1],
                         .pad_bottom = (uint32_t)c.pad[2],
                         .pad_right = (uint32_t)c.pad[3],
                         .adjust_h = adjust[0],
                         .adjust_w = adjust[1],
                         .min = -INFINITY,
                         .max = INFINITY};
    wai_value *in[] = {wai_emit_channels_last(g, wai_emit_reshape(g, x, 4, dims)),
                       emit_taps(l, &c, channels)};
    if (wai_lower_failed(l)) {
        return;
    }
    wai_value *y = wai_emit_channels_first(g, wai_emit(g, &wai_op_deconv2d, &p, in, 2));
    const uint32_t out[] = {batch, channels, (uint32_t)c.image[0], (uint32_t)c.image[1]};
    const uint32_t line[] = {batch, channels, (uint32_t)c.image[1]};
    const bool is_line = wai_type_count(&image->type) == 1;
    l->out[0] = wai_emit_reshape(g, y, is_line ? 3 : 4, is_line ? line : out);
}
