/*
 * ONNX Col2Im, for one to three spatial axes.
 *
 * Blocks of [N, C * kernel, L] are added where they lie in the image: a
 * transposed convolution of one group per channel, whose weights send the k-th
 * of a group's inputs to the k-th tap and nowhere else. With three axes the
 * last two are done first, for every block of the first one by itself, then
 * the first, with the other two as one.
 */
#include <math.h>
#include <string.h>

#include "base/limits.h"
#include "ops/lowering.h"

#define AXES 3

typedef struct fold {
    int64_t image, block, stride, dilation, before, after;
    int64_t windows; /* blocks along the axis */
} fold;

static const fold whole = {1, 1, 1, 1, 0, 0, 1};

/* ---- reading ----------------------------------------------------------------- */

/* The axes that the node has, at the end of the list. Returns their count. */
static uint32_t read_axes(wai_lower *l, fold axes[AXES]) {
    int64_t image[AXES], block[AXES], stride[AXES], dilation[AXES], pads[2 * AXES] = {0};
    bool there;
    const uint32_t count = wai_lower_ints(l, 1, image, AXES, &there);
    const uint32_t blocks = wai_lower_ints(l, 2, block, AXES, &there);
    const uint32_t strides = wai_attr_ints(l, "strides", stride, AXES);
    const uint32_t dilations = wai_attr_ints(l, "dilations", dilation, AXES);
    const uint32_t pad_count = wai_attr_ints(l, "pads", pads, 2 * AXES);
    if (wai_lower_failed(l)) {
        return 0;
    }
    if (count == 0 || blocks != count || (strides != 0 && strides != count) ||
        (dilations != 0 && dilations != count) || (pad_count != 0 && pad_count != 2 * count)) {
        WAI_LOWER_REFUSE(l, "Col2Im has attributes for another count of axes than %u", count);
        return 0;
    }
    for (uint32_t i = 0; i < AXES; i++) {
        const uint32_t from = i + count - AXES; /* wraps where the node has no such axis */
        axes[i] = whole;
        if (i + count >= AXES) {
            axes[i] = (fold){.image = image[from],
                             .block = block[from],
                             .stride = strides != 0 ? stride[from] : 1,
                             .dilation = dilations != 0 ? dilation[from] : 1,
                             .before = pads[from],
                             .after = pads[from + count]};
        }
    }
    return count;
}

static bool in_range(int64_t value, int64_t least, int64_t most) {
    return value >= least && value <= most;
}

static bool check_axis(fold *f) {
    const int64_t most = 1 << 24;
    if (!in_range(f->image, 1, most) || !in_range(f->block, 1, 4096) ||
        !in_range(f->stride, 1, most) || !in_range(f->dilation, 1, 4096) ||
        !in_range(f->before, 0, most) || !in_range(f->after, 0, most)) {
        return false;
    }
    const int64_t room = f->image + f->before + f->after - ((f->block - 1) * f->dilation + 1);
    f->windows = room / f->stride + 1;
    return room >= 0;
}

/* [N, C * kernel, L], which fits 32 bits, against the axes. */
static bool check(wai_lower *l, const wai_value *x, fold axes[AXES]) {
    int64_t taps = 1, windows = 1;
    bool fits = x->type.rank == 3;
    for (uint32_t i = 0; i < AXES && fits; i++) {
        fits = check_axis(&axes[i]) && windows <= (int64_t)WAI_MAX_DIM;
        taps *= axes[i].block;
        windows *= axes[i].windows;
    }
    char text[WAI_TYPE_TEXT];
    if (!fits || x->type.dims[1] % taps != 0 || windows != x->type.dims[2]) {
        WAI_LOWER_REFUSE(l, "blocks %s do not fit image, kernel, pads and strides of Col2Im",
                         wai_type_text(&x->type, text));
        return false;
    }
    if (x->type.dtype != WAI_F32 || wai_type_count(&x->type) == 0 || taps > 4096) {
        WAI_LOWER_DECLINE(l, "Col2Im of %s", wai_type_text(&x->type, text));
        return false;
    }
    return true;
}

/* ---- two axes ------------------------------------------------------------------ */

/* [channels, h, w, h * w], ones where tap k meets input k. */
static wai_value *emit_taps(wai_lower *l, const fold *h, const fold *w, uint32_t channels) {
    const uint32_t taps = (uint32_t)(h->block * w->block);
    const uint32_t dims[] = {channels, (uint32_t)h->block, (uint32_t)w->block, taps};
    if ((uint64_t)channels * taps * taps > WAI_MAX_FOLD_SIZE / sizeof(float)) {
        WAI_LOWER_DECLINE(l, "Col2Im of %u channels in blocks of %u elements", channels, taps);
        return NULL;
    }
    const wai_type type = wai_type_make(WAI_F32, 4, dims);
    float *data = wai_arena_alloc(l->graph->arena, wai_slot_size(wai_type_size(&type)));
    if (data == NULL) {
        wai_graph_fail(l->graph, WAI_ERR_MEMORY, "out of memory in the compiler");
        return NULL;
    }
    memset(data, 0, wai_type_size(&type));
    for (size_t i = 0; i < (size_t)channels * taps; i++) {
        data[i * taps + i % taps] = 1;
    }
    return wai_graph_constant(l->graph, &type, data, NULL);
}

static uint32_t adjust(const fold *f) {
    return (uint32_t)((f->image + f->before + f->after - ((f->block - 1) * f->dilation + 1)) %
                      f->stride);
}

/* [n, channels * h.block * w.block, h.windows * w.windows] -> [n, channels,
 * h.image, w.image] */
static wai_value *fold_plane(wai_lower *l, wai_value *x, uint32_t n, uint32_t channels,
                             const fold *h, const fold *w) {
    wai_graph *g = l->graph;
    const uint32_t taps = (uint32_t)(h->block * w->block);
    const uint32_t dims[] = {n, channels * taps, (uint32_t)h->windows, (uint32_t)w->windows};
    const wai_conv_params p = {.groups = channels,
                               .group_in = taps,
                               .group_out = 1,
                               .kernel_h = (uint32_t)h->block,
                               .kernel_w = (uint32_t)w->block,
                               .stride_h = (uint32_t)h->stride,
                               .stride_w = (uint32_t)w->stride,
                               .dilation_h = (uint32_t)h->dilation,
                               .dilation_w = (uint32_t)w->dilation,
                               .pad_top = (uint32_t)h->before,
                               .pad_left = (uint32_t)w->before,
                               .pad_bottom = (uint32_t)h->after,
                               .pad_right = (uint32_t)w->after,
                               .adjust_h = adjust(h),
                               .adjust_w = adjust(w),
                               .min = -INFINITY,
                               .max = INFINITY};
    wai_value *in[] = {wai_emit_channels_last(g, wai_emit_reshape(g, x, 4, dims)),
                       emit_taps(l, h, w, channels)};
    return wai_lower_failed(l)
               ? NULL
               : wai_emit_channels_first(g, wai_emit(g, &wai_op_deconv2d, &p, in, 2));
}

/* ---- three axes ----------------------------------------------------------------- */

static wai_value *fold_space(wai_lower *l, wai_value *x, uint32_t n, uint32_t channels,
                             const fold axes[AXES]) {
    static const uint32_t perm_apart[] = {0, 3, 1, 2, 4}, perm_back[] = {0, 2, 1, 3};
    wai_graph *g = l->graph;
    const fold *d = &axes[0], *h = &axes[1], *w = &axes[2];
    const uint32_t depth = (uint32_t)d->windows, block = (uint32_t)d->block;
    const uint32_t taps = (uint32_t)(h->block * w->block);
    const uint32_t windows = (uint32_t)(h->windows * w->windows);
    /* [n, C * block, taps, depth, windows] -> [n, depth, C * block, taps, windows] */
    const uint32_t apart[] = {n, channels * block, taps, depth, windows};
    x = wai_emit_transpose(g, wai_emit_reshape(g, x, 5, apart), perm_apart);
    x = fold_plane(l, x, n * depth, channels * block, h, w);
    if (x == NULL) {
        return NULL;
    }
    const fold plane = {h->image * w->image, 1, 1, 1, 0, 0, h->image * w->image};
    const uint32_t planes[] = {n, depth, channels * block, x->type.dims[2] * x->type.dims[3]};
    x = wai_emit_transpose(g, wai_emit_reshape(g, x, 4, planes), perm_back);
    return fold_plane(l, x, n, channels, d, &plane);
}

void wai_lower_col2im(wai_lower *l) {
    wai_value *x = wai_lower_input(l, 0);
    fold axes[AXES];
    const uint32_t count = read_axes(l, axes);
    if (wai_lower_failed(l) || !check(l, x, axes)) {
        return;
    }
    const uint32_t taps = (uint32_t)(axes[0].block * axes[1].block * axes[2].block);
    const uint32_t n = x->type.dims[0], channels = x->type.dims[1] / taps;
    x = count == AXES ? fold_space(l, x, n, channels, axes)
                      : fold_plane(l, x, n, channels, &axes[1], &axes[2]);
    uint32_t dims[2 + AXES] = {n, channels};
    for (uint32_t i = 0; i < count; i++) {
        dims[2 + i] = (uint32_t)axes[i + AXES - count].image;
    }
    l->out[0] = wai_emit_reshape(l->graph, x, 2 + count, dims);
}
