/* ONNX AffineGrid: theta times a constant grid in homogeneous coordinates. */
#include "base/limits.h"
#include "onnx/lower.h"
#include "ops/emit.h"

/* -1 to 1 over `dim` pixels: by their centers, or from edge to edge. */
static float place(uint32_t i, uint32_t dim, bool centers) {
    if (centers) {
        return dim > 1 ? (float)(2.0 * i / (dim - 1.0) - 1) : 0;
    }
    return (float)((2.0 * i + 1) / dim - 1);
}

/* f32[pixels, spatial + 1]: x, y, (z,) 1 of every pixel. */
static wai_value *emit_pixels(wai_lower *l, uint32_t spatial, const uint32_t *dims, bool centers) {
    size_t pixels = wai_dims_product(dims, 0, spatial);
    uint32_t list[2] = {(uint32_t)pixels, spatial + 1};
    wai_type type = wai_type_make(WAI_F32, 2, list);
    float *data = wai_arena_alloc(l->graph->arena, wai_slot_size(wai_type_size(&type)));
    if (data == NULL) {
        wai_graph_fail(l->graph, WAI_ERR_MEMORY, "no memory for a grid of %zu pixels", pixels);
        return NULL;
    }
    float *at = data;
    for (size_t i = 0; i < pixels; i++) {
        size_t rest = i;
        for (uint32_t a = spatial; a-- > 0; rest /= dims[a]) {
            *at++ = place((uint32_t)(rest % dims[a]), dims[a], centers);
        }
        *at++ = 1;
    }
    return wai_graph_constant(l->graph, &type, data, NULL);
}

void wai_lower_affine_grid(wai_lower *l) {
    wai_value *theta = wai_lower_input(l, 0);
    int64_t size[5];
    bool there = false;
    const uint32_t count = wai_lower_ints(l, 1, size, 5, &there);
    const bool centers = wai_attr_int(l, "align_corners", 0) != 0;
    if (wai_lower_failed(l)) {
        return;
    }
    const uint32_t spatial = count - 2;
    if (!there || (count != 4 && count != 5) || theta->type.rank != 3 ||
        theta->type.dims[0] != size[0] || theta->type.dims[1] != spatial ||
        theta->type.dims[2] != spatial + 1) {
        char text[WAI_TYPE_TEXT];
        WAI_LOWER_REFUSE(l, "theta is %s for a size of %u numbers",
                         wai_type_text(&theta->type, text), count);
        return;
    }
    uint32_t dims[5] = {theta->type.dims[0]};
    uint64_t pixels = 1;
    for (uint32_t i = 0; i < spatial; i++) {
        dims[i + 1] = wai_lower_dim(l, size[i + 2], "size");
        pixels = pixels <= WAI_MAX_FOLD_SIZE ? pixels * dims[i + 1] : pixels;
    }
    if (pixels > WAI_MAX_FOLD_SIZE / (4 * sizeof(float))) {
        WAI_LOWER_DECLINE(l, "AffineGrid of so many pixels");
    }
    if (wai_lower_failed(l)) {
        return;
    }
    dims[spatial + 1] = spatial;
    wai_value *in[2] = {emit_pixels(l, spatial, dims + 1, centers), theta};
    wai_matmul_params p = {.transpose_b = 1};
    wai_value *y = in[0] != NULL ? wai_emit(l->graph, &wai_op_matmul, &p, in, 2) : NULL;
    l->out[0] = wai_emit_reshape(l->graph, y, spatial + 2, dims);
}
