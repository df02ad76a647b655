/* emit.c - what lowerings and passes emit most. */
#include "ops/emit.h"

#include <math.h>
#include <string.h>

wai_value *wai_emit_reshape(wai_graph *g, wai_value *x, uint32_t rank, const uint32_t *dims) {
    if (x == NULL) {
        return NULL;
    }
    if (rank > WAI_MAX_RANK) {
        wai_graph_fail(g, WAI_ERR_UNSUPPORTED, "rank %u is over %u", rank, WAI_MAX_RANK);
        return NULL;
    }
    wai_type type = wai_type_make(x->type.dtype, rank, dims);
    if (wai_type_equal(&type, &x->type)) {
        return x;
    }
    wai_reshape_params params = {.rank = rank};
    memcpy(params.dims, type.dims, sizeof params.dims);
    return wai_emit(g, &wai_op_reshape, &params, &x, 1);
}

wai_value *wai_emit_transpose(wai_graph *g, wai_value *x, const uint32_t *perm) {
    if (x == NULL) {
        return NULL;
    }
    wai_transpose_params params = {{0}};
    bool moves = false;
    for (uint32_t i = 0; i < x->type.rank; i++) {
        params.perm[i] = perm[i];
        moves |= perm[i] != i;
    }
    return moves ? wai_emit(g, &wai_op_transpose, &params, &x, 1) : x;
}

wai_value *wai_emit_unary(wai_graph *g, wai_unary_kind kind, float alpha, float beta,
                          wai_value *x) {
    wai_unary_params params = {kind, alpha, beta};
    return x != NULL ? wai_emit(g, &wai_op_unary, &params, &x, 1) : NULL;
}

wai_value *wai_emit_binary(wai_graph *g, wai_binary_kind kind, wai_value *a, wai_value *b) {
    wai_binary_params params = {kind};
    wai_value *in[] = {a, b};
    return a != NULL && b != NULL ? wai_emit(g, &wai_op_binary, &params, in, 2) : NULL;
}

wai_value *wai_emit_clamp(wai_graph *g, wai_value *x, float min, float max) {
    wai_clamp_params params = {min, max};
    if (x == NULL || (min == -INFINITY && max == INFINITY)) {
        return x;
    }
    return wai_emit(g, &wai_op_clamp, &params, &x, 1);
}

wai_value *wai_emit_cast(wai_graph *g, wai_value *x, wai_dtype dtype) {
    wai_cast_params params = {dtype};
    if (x == NULL || x->type.dtype == dtype) {
        return x;
    }
    return wai_emit(g, &wai_op_cast, &params, &x, 1);
}

wai_value *wai_emit_reduce(wai_graph *g, wai_reduce_kind kind, wai_value *x, uint32_t axes,
                           bool keep_dims) {
    wai_reduce_params params = {kind, axes, keep_dims};
    if (x == NULL || (axes == 0 && kind <= WAI_REDUCE_PROD)) {
        return x;
    }
    return wai_emit(g, &wai_op_reduce, &params, &x, 1);
}

wai_value *wai_emit_constant(wai_graph *g, const wai_type *type, const void *data) {
    if (g->status != WAI_OK) {
        return NULL;
    }
    size_t size = wai_type_size(type);
    void *copy = wai_arena_alloc(g->arena, wai_slot_size(size));
    if (copy == NULL) {
        wai_graph_fail(g, WAI_ERR_MEMORY, "no memory for a constant of %zu bytes", size);
        return NULL;
    }
    if (size > 0) {
        memcpy(copy, data, size);
    }
    return wai_graph_constant(g, type, copy, NULL);
}

wai_value *wai_emit_scalar_f32(wai_graph *g, float value) {
    wai_type type = wai_type_make(WAI_F32, 0, NULL);
    return wai_emit_constant(g, &type, &value);
}

wai_value *wai_emit_scalar(wai_graph *g, wai_dtype dtype, int64_t value) {
    wai_type type = wai_type_make(dtype, 0, NULL);
    float f32 = (float)value;
    double f64 = (double)value;
    const void *data = &value; /* little-endian: the low bytes come first */
    if (dtype == WAI_F32) {
        data = &f32;
    } else if (dtype == WAI_F64) {
        data = &f64;
    } else if (dtype == WAI_F16) {
        return wai_emit_cast(g, wai_emit_scalar_f32(g, f32), WAI_F16);
    }
    return wai_emit_constant(g, &type, data);
}

/* perm that takes axis `from` out and puts it in at `to`. */
static wai_value *move_axis(wai_graph *g, wai_value *x, uint32_t from, uint32_t to) {
    uint32_t perm[WAI_MAX_RANK];
    uint32_t next = 0;
    for (uint32_t i = 0; i < x->type.rank; i++) {
        if (i == to) {
            perm[i] = from;
            continue;
        }
        next += next == from;
        perm[i] = next++;
    }
    return wai_emit_transpose(g, x, perm);
}

wai_value *wai_emit_channels_last(wai_graph *g, wai_value *x) {
    return x != NULL ? move_axis(g, x, 1, x->type.rank - 1) : NULL;
}

wai_value *wai_emit_channels_first(wai_graph *g, wai_value *x) {
    return x != NULL ? move_axis(g, x, x->type.rank - 1, 1) : NULL;
}
