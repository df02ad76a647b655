/* ONNX DeformConv: its columns by grid_sample, then a matrix product. */
#include "base/limits.h"
#include "onnx/lower.h"
#include "ops/emit.h"
#include "ops/grid_sample.h"
#include "ops/window.h"

typedef struct geometry {
    wai_window window;
    uint32_t groups, offset_groups, taps;
    uint32_t n, in, out; /* images, channels per group, output channels per group */
    uint32_t height, width;
} geometry;

static bool is_type(const wai_value *value, uint32_t rank, const uint32_t *dims) {
    wai_type type = wai_type_make(WAI_F32, rank, dims);
    return wai_type_equal(&value->type, &type);
}

/* Windows along spatial axis i; more than a tensor can have when there are none. */
static uint64_t windows(const geometry *g, const wai_value *x, uint32_t i) {
    uint64_t room = (uint64_t)x->type.dims[i + 2] + g->window.before[i] + g->window.after[i];
    uint64_t extent = wai_window_extent(&g->window, i);
    return room < extent ? UINT64_MAX : (room - extent) / g->window.stride[i] + 1;
}

static bool read_geometry(wai_lower *l, geometry *g, wai_value *const in[5]) {
    const int64_t groups = wai_attr_int(l, "group", 1);
    const int64_t offset_groups = wai_attr_int(l, "offset_group", 1);
    if (wai_lower_failed(l)) {
        return false;
    }
    const wai_value *x = in[0], *w = in[1], *offset = in[2], *bias = in[3], *mask = in[4];
    if (x->type.rank != 4 || w->type.rank != 4 || offset->type.rank != 4 ||
        x->type.dtype != WAI_F32) {
        WAI_LOWER_DECLINE(l, "DeformConv of %s with %u axes, f32 with 4 is supported",
                          wai_dtype_name(x->type.dtype), x->type.rank);
        return false;
    }
    if (!wai_window_read(l, &g->window, 2, w->type.dims + 2)) {
        return false;
    }
    const uint32_t *dims = x->type.dims;
    const uint64_t taps = (uint64_t)w->type.dims[2] * w->type.dims[3];
    bool fits = groups >= 1 && groups <= WAI_MAX_DIM && offset_groups >= 1 &&
                offset_groups <= WAI_MAX_DIM && dims[1] % groups == 0 &&
                w->type.dims[0] % groups == 0 && dims[1] % offset_groups == 0 && taps >= 1 &&
                taps <= WAI_MAX_DIM && taps * (uint64_t)offset_groups <= WAI_MAX_DIM / 2;
    if (fits) {
        *g = (geometry){.window = g->window,
                        .groups = (uint32_t)groups,
                        .offset_groups = (uint32_t)offset_groups,
                        .taps = (uint32_t)taps,
                        .n = dims[0],
                        .in = dims[1] / (uint32_t)groups,
                        .out = w->type.dims[0] / (uint32_t)groups,
                        .height = offset->type.dims[2],
                        .width = offset->type.dims[3]};
        const uint32_t masks = g->offset_groups * g->taps;
        const uint32_t offsets[4] = {g->n, 2 * masks, g->height, g->width};
        const uint32_t mask_dims[4] = {g->n, masks, g->height, g->width};
        fits = w->type.dtype == WAI_F32 && w->type.dims[1] == g->in &&
               is_type(offset, 4, offsets) && (mask == NULL || is_type(mask, 4, mask_dims)) &&
               (bias == NULL || is_type(bias, 1, w->type.dims)) && windows(g, x, 0) == g->height &&
               windows(g, x, 1) == g->width;
    }
    if (!fits) {
        char a[WAI_TYPE_TEXT], b[WAI_TYPE_TEXT], c[WAI_TYPE_TEXT];
        WAI_LOWER_REFUSE(l, "input %s, weights %s and offsets %s, or bias or mask, do not fit",
                         wai_type_text(&x->type, a), wai_type_text(&w->type, b),
                         wai_type_text(&offset->type, c));
    }
    return fits;
}

/* Where the taps are without offsets, along spatial axis i: f32[windows,1,taps,2] or
 * f32[windows,taps,2], 0 for the other axis. */
static wai_value *emit_places(wai_lower *l, const geometry *g, uint32_t i) {
    const uint32_t dims[2][4] = {{g->height, 1, g->taps, 2}, {g->width, g->taps, 2}};
    wai_type type = wai_type_make(WAI_F32, 4 - i, dims[i]);
    if (!wai_type_is_valid(&type) || wai_type_size(&type) > WAI_MAX_FOLD_SIZE) {
        WAI_LOWER_DECLINE(l, "DeformConv of so many taps");
        return NULL;
    }
    float *data = wai_arena_alloc(l->graph->arena, wai_slot_size(wai_type_size(&type)));
    if (data == NULL) {
        wai_graph_fail(l->graph, WAI_ERR_MEMORY, "no memory for %u taps", g->taps);
        return NULL;
    }
    float *at = data;
    const wai_window *w = &g->window;
    for (uint32_t o = 0; o < dims[i][0]; o++) {
        for (uint32_t tap = 0; tap < g->taps; tap++, at += 2) {
            const uint32_t k = i == 0 ? tap / w->kernel[1] : tap % w->kernel[1];
            at[1 - i] = 0;
            at[i] = (float)((double)o * w->stride[i] + (double)k * w->dilation[i] - w->before[i]);
        }
    }
    return wai_graph_constant(l->graph, &type, data, NULL);
}

/* [N,OG*taps*parts,H,W] -> [N*OG,H,W,taps,parts]. */
static wai_value *turn(wai_lower *l, const geometry *g, wai_value *value, uint32_t parts) {
    static const uint32_t perm[5] = {0, 3, 4, 1, 2};
    const uint32_t dims[5] = {g->n * g->offset_groups, g->taps, parts, g->height, g->width};
    return wai_emit_transpose(l->graph, wai_emit_reshape(l->graph, value, 5, dims), perm);
}

/* The input under every tap: [N*OG,H,W*taps,C/OG]. */
static wai_value *emit_columns(wai_lower *l, const geometry *g, wai_value *x, wai_value *offset,
                               wai_value *mask) {
    static const uint32_t perm[5] = {0, 3, 1, 2, 4};
    wai_graph *graph = l->graph;
    const uint32_t rows = g->n * g->offset_groups, channels = x->type.dims[1] / g->offset_groups;
    const uint32_t height = x->type.dims[2], width = x->type.dims[3];
    const uint32_t apart[5] = {g->n, height, width, g->offset_groups, channels};
    const uint32_t images[4] = {rows, height, width, channels};
    const uint32_t grid[4] = {rows, g->height, g->width * g->taps, 2};
    x = wai_emit_reshape(graph, wai_emit_channels_last(graph, x), 5, apart);
    x = wai_emit_reshape(graph, wai_emit_transpose(graph, x, perm), 4, images);
    offset = turn(l, g, offset, 2);
    offset = wai_emit_binary(graph, WAI_BINARY_ADD, offset, emit_places(l, g, 0));
    offset = wai_emit_binary(graph, WAI_BINARY_ADD, offset, emit_places(l, g, 1));
    wai_value *in[2] = {x, wai_emit_reshape(graph, offset, 4, grid)};
    const wai_grid_sample_params p = {WAI_GRID_LINEAR, WAI_GRID_ZEROS, WAI_GRID_PIXELS};
    x = wai_emit(graph, &wai_op_grid_sample, &p, in, 2);
    if (mask == NULL) {
        return x;
    }
    const uint32_t factors[4] = {rows, g->height, g->width * g->taps, 1};
    mask = wai_emit_reshape(graph, turn(l, g, mask, 1), 4, factors);
    return wai_emit_binary(graph, WAI_BINARY_MUL, x, mask);
}

void wai_lower_deform_conv(wai_lower *l) {
    wai_value *in[5] = {wai_lower_input(l, 0), wai_lower_input(l, 1), wai_lower_input(l, 2),
                        wai_lower_optional(l, 3), wai_lower_optional(l, 4)};
    geometry g;
    if (!read_geometry(l, &g, in)) {
        return;
    }
    wai_graph *graph = l->graph;
    const uint64_t sizes[3] = {(uint64_t)g.n * g.offset_groups, (uint64_t)g.width * g.taps,
                               (uint64_t)g.n * g.height * g.width};
    const uint64_t depth = (uint64_t)g.taps * g.in;
    if (sizes[0] > WAI_MAX_DIM || sizes[1] > WAI_MAX_DIM || g.height > WAI_MAX_DIM / 4 ||
        sizes[2] > WAI_MAX_DIM || depth > WAI_MAX_DIM) {
        WAI_LOWER_REFUSE(l, "too many images, windows or taps");
        return;
    }
    const uint32_t pixels = (uint32_t)sizes[2], per_offset = in[0]->type.dims[1] / g.offset_groups;
    /* [N*OG,H,W*taps,C/OG] -> [N,H,W,taps,OG,C/OG] -> [pixels,taps,G,I] -> [G,pixels,taps*I] */
    static const uint32_t channels_last[5] = {0, 2, 3, 1, 4}, groups_first[4] = {2, 0, 1, 3};
    const uint32_t apart[5] = {g.n, g.offset_groups, g.height * g.width, g.taps, per_offset};
    const uint32_t groups[4] = {pixels, g.taps, g.groups, g.in};
    const uint32_t left[3] = {g.groups, pixels, (uint32_t)depth};
    wai_value *x = emit_columns(l, &g, in[0], in[2], in[4]);
    x = wai_emit_reshape(graph, x, 5, apart);
    x = wai_emit_reshape(graph, wai_emit_transpose(graph, x, channels_last), 4, groups);
    x = wai_emit_reshape(graph, wai_emit_transpose(graph, x, groups_first), 3, left);
    /* [G*O,I,taps] -> [G,taps*I,O] */
    static const uint32_t weights_perm[4] = {0, 3, 2, 1}, out_perm[3] = {1, 0, 2};
    const uint32_t weights[4] = {g.groups, g.out, g.in, g.taps};
    const uint32_t right[3] = {g.groups, (uint32_t)depth, g.out};
    wai_value *w = wai_emit_reshape(graph, in[1], 4, weights);
    w = wai_emit_reshape(graph, wai_emit_transpose(graph, w, weights_perm), 3, right);
    wai_value *factors[2] = {x, w};
    const wai_matmul_params p = {0};
    wai_value *y = wai_emit(graph, &wai_op_matmul, &p, factors, 2);
    const uint32_t out[4] = {g.n, g.height, g.width, g.groups * g.out};
    y = wai_emit_reshape(graph, wai_emit_transpose(graph, y, out_perm), 4, out);
    y = in[3] != NULL ? wai_emit_binary(graph, WAI_BINARY_ADD, y, in[3]) : y;
    l->out[0] = wai_emit_channels_first(graph, y);
}
