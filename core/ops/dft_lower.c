/* ONNX DFT and STFT. */
#include <math.h>

#include "base/limits.h"
#include "onnx/lower.h"
#include "ops/dft.h"
#include "ops/emit.h"

/* f64[length,2]; clockwise unless `inverse`. */
static wai_value *emit_roots(wai_lower *l, uint32_t length, bool inverse) {
    if (length < 1 || length > WAI_MAX_DFT) {
        WAI_LOWER_DECLINE(l, "a transform of length %u, 1 to %u are supported", length,
                          WAI_MAX_DFT);
        return NULL;
    }
    uint32_t dims[2] = {length, 2};
    wai_type type = wai_type_make(WAI_F64, 2, dims);
    double *data = wai_arena_alloc(l->graph->arena, wai_slot_size(wai_type_size(&type)));
    if (data == NULL) {
        wai_graph_fail(l->graph, WAI_ERR_MEMORY, "no memory for %u roots", length);
        return NULL;
    }
    for (uint32_t i = 0; i < length; i++) {
        const double angle = 2 * 3.14159265358979323846 * i / length;
        data[2 * i] = cos(angle);
        data[2 * i + 1] = inverse ? sin(angle) : -sin(angle);
    }
    return wai_graph_constant(l->graph, &type, data, NULL);
}

/* One whole number; `fallback` where the input is absent. */
static int64_t read_int(wai_lower *l, uint32_t index, int64_t fallback) {
    int64_t value = fallback;
    bool there = false;
    uint32_t count = wai_lower_ints(l, index, &value, 1, &there);
    if (there && count != 1) {
        WAI_LOWER_REFUSE(l, "input %u holds %u numbers, not one", index, count);
    }
    return there ? value : fallback;
}

/* Swaps `axis` and the last but one. */
static wai_value *turn(wai_lower *l, wai_value *x, uint32_t axis) {
    uint32_t perm[WAI_MAX_RANK];
    if (x == NULL) {
        return NULL;
    }
    const uint32_t rank = x->type.rank;
    for (uint32_t i = 0; i < rank; i++) {
        perm[i] = i == axis ? rank - 2 : i == rank - 2 ? axis : i;
    }
    return wai_emit_transpose(l->graph, x, perm);
}

static bool check_signal(wai_lower *l, const wai_value *x, bool onesided) {
    const uint32_t rank = x->type.rank, parts = rank >= 2 ? x->type.dims[rank - 1] : 0;
    if (parts < 1 || parts > 2) {
        char text[WAI_TYPE_TEXT];
        WAI_LOWER_REFUSE(l, "the signal is %s, expected [..., n, 1 or 2]",
                         wai_type_text(&x->type, text));
    } else if (onesided && parts == 2) {
        WAI_LOWER_REFUSE(l, "onesided is for real signals, this one is complex");
    }
    return !wai_lower_failed(l);
}

void wai_lower_dft(wai_lower *l) {
    wai_value *x = wai_lower_input(l, 0);
    const bool inverse = wai_attr_int(l, "inverse", 0) != 0;
    const bool onesided = wai_attr_int(l, "onesided", 0) != 0;
    int64_t given = l->opset >= 20 ? read_int(l, 2, -2) : wai_attr_int(l, "axis", 1);
    if (wai_lower_failed(l) || !check_signal(l, x, onesided)) {
        return;
    }
    const uint32_t rank = x->type.rank, axis = wai_lower_axis(l, given, rank);
    if (!wai_lower_failed(l) && axis == rank - 1) {
        WAI_LOWER_REFUSE(l, "axis %lld is that of real and imaginary part", (long long)given);
    }
    if (wai_lower_failed(l)) {
        return;
    }
    const uint32_t length = wai_lower_dim(l, read_int(l, 1, x->type.dims[axis]), "dft_length");
    wai_value *in[2] = {turn(l, x, axis), emit_roots(l, length, inverse)};
    if (wai_lower_failed(l)) {
        return;
    }
    wai_dft_params p = {.frames = 1,
                        .bins = onesided ? length / 2 + 1 : length,
                        .scale = inverse ? (float)(1.0 / length) : 1};
    wai_value *y = wai_emit(l->graph, &wai_op_dft, &p, in, 2);
    wai_type type = in[0]->type;
    type.dims[rank - 2] = p.bins;
    type.dims[rank - 1] = 2;
    l->out[0] = turn(l, wai_emit_reshape(l->graph, y, rank, type.dims), axis);
}

void wai_lower_stft(wai_lower *l) {
    wai_value *x = wai_lower_input(l, 0), *window = wai_lower_optional(l, 2);
    const int64_t step = read_int(l, 1, 0);
    const bool onesided = wai_attr_int(l, "onesided", 1) != 0;
    if (wai_lower_failed(l) || !check_signal(l, x, onesided)) {
        return;
    }
    const uint32_t rank = x->type.rank, signal = x->type.dims[rank - 2];
    int64_t fallback = signal;
    if (window != NULL && window->type.rank == 1) {
        fallback = window->type.dims[0];
    }
    const uint32_t length = wai_lower_dim(l, read_int(l, 3, fallback), "frame_length");
    if (!wai_lower_failed(l) && (step < 1 || step > WAI_MAX_DIM || length > signal || rank != 3)) {
        WAI_LOWER_REFUSE(l, "frames of %u with step %lld of a signal of rank %u and length %u",
                         length, (long long)step, rank, signal);
    }
    if (wai_lower_failed(l)) {
        return;
    }
    wai_value *in[3] = {x, emit_roots(l, length, false), window};
    wai_dft_params p = {.frames = (signal - length) / (uint32_t)step + 1,
                        .frame_step = (uint32_t)step,
                        .bins = onesided ? length / 2 + 1 : length,
                        .scale = 1};
    l->out[0] = wai_emit(l->graph, &wai_op_dft, &p, in, 3);
}
