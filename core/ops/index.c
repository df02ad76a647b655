#include "ops/index.h"

#include <string.h>

#include "ops/integers.h"
#include "ops/move.h"

const char *const wai_scatter_kinds[] = {NULL, "set", "add", "mul", "min", "max", NULL};

wai_status wai_index_fail(const wai_step *step, wai_diag *diag, size_t i, uint32_t axis) {
    return wai_fail(diag, WAI_ERR_ARGUMENT, step->where,
                    "index %lld at position %zu is outside axis %u of %u elements",
                    (long long)wai_index_at(&step->in[1], i), i, axis, step->in[0].type.dims[axis]);
}

wai_status wai_index_check_elements(wai_signature *s, uint32_t axis) {
    const wai_type *data = s->in[0], *indices = s->in[1];
    if (data == NULL || indices == NULL || axis >= data->rank || indices->rank != data->rank) {
        return WAI_REFUSE(s, "axis %u of data of rank %u by indices of rank %u", axis,
                          data != NULL ? data->rank : 0, indices != NULL ? indices->rank : 0);
    }
    if (!wai_index_is(indices)) {
        return WAI_REFUSE(s, "indices of type %s, not i32 or i64", wai_dtype_name(indices->dtype));
    }
    for (uint32_t i = 0; i < data->rank; i++) {
        if (i != axis && indices->dims[i] > data->dims[i]) {
            return WAI_REFUSE(s, "axis %u has %u indices for %u elements", i, indices->dims[i],
                              data->dims[i]);
        }
    }
    return WAI_OK;
}

void wai_index_walk_begin(wai_index_walk *w, const wai_type *type, const wai_type *indices,
                          uint32_t axis) {
    *w = (wai_index_walk){.rank = type->rank, .axis = axis, .dims = indices->dims};
    wai_type_strides(type, w->strides);
    w->axis_stride = w->strides[axis];
    w->strides[axis] = 0;
    w->step = w->strides[type->rank - 1];
    w->length = indices->dims[type->rank - 1];
    w->rows = wai_dims_product(indices->dims, 0, type->rank - 1);
}

void wai_index_walk_next(wai_index_walk *w) {
    for (uint32_t i = w->rank - 1; i-- > 0;) {
        w->base += w->strides[i];
        if (++w->at[i] < w->dims[i]) {
            return;
        }
        w->base -= w->strides[i] * w->at[i];
        w->at[i] = 0;
    }
}

/* ---- scatter -------------------------------------------------------------- */

wai_status wai_scatter_check(wai_signature *s, uint32_t kind) {
    const wai_type *data = s->in[0], *updates = s->in[2];
    if (kind < WAI_SCATTER_SET || kind > WAI_SCATTER_MAX) {
        return WAI_REFUSE(s, "scatter of unknown kind %u", kind);
    }
    if (data == NULL || updates == NULL || data->dtype != updates->dtype) {
        return WAI_REFUSE(s, "updates must be there and have the data's type");
    }
    if (kind != WAI_SCATTER_SET && data->dtype != WAI_F32 && !wai_dtype_is_integer(data->dtype)) {
        return WAI_DECLINE(s, "scatter with %s of %s is not supported", wai_scatter_kinds[kind],
                           wai_dtype_name(data->dtype));
    }
    return WAI_OK;
}

uint64_t wai_scatter_flops(const wai_signature *s) {
    const uint32_t *kind = s->params; /* the first member of both */
    return *kind == WAI_SCATTER_SET ? 0 : wai_type_count(s->in[2]);
}

void wai_scatter_begin(wai_step *step) {
    size_t size = wai_type_size(&step->in[0].type);
    if (size != 0 && step->out[0].data != step->in[0].data) {
        memcpy(step->out[0].data, step->in[0].data, size);
    }
}

static float combined(float a, float b, uint32_t kind) {
    switch (kind) {
    case WAI_SCATTER_ADD:
        return a + b;
    case WAI_SCATTER_MUL:
        return a * b;
    case WAI_SCATTER_MIN:
        return a < b || a != a ? a : b;
    default:
        return a > b || a != a ? a : b;
    }
}

/* `top`: the sign bit for u64, whose order is then that of i64. */
static uint64_t combined_integers(uint64_t a, uint64_t b, uint64_t top, uint32_t kind) {
    switch (kind) {
    case WAI_SCATTER_ADD:
        return a + b;
    case WAI_SCATTER_MUL:
        return a * b;
    default:
        return ((int64_t)(a ^ top) < (int64_t)(b ^ top)) == (kind == WAI_SCATTER_MIN) ? a : b;
    }
}

void wai_scatter_write(void *out, const void *in, wai_dtype dtype, size_t count, uint32_t kind) {
    size_t width = wai_dtype_size(dtype);
    if (kind == WAI_SCATTER_SET) {
        wai_move_bytes(out, in, count * width);
        return;
    }
    if (dtype == WAI_F32) {
        float *to = out;
        const float *from = in;
        for (size_t i = 0; i < count; i++) {
            to[i] = combined(to[i], from[i], kind);
        }
        return;
    }
    uint64_t top = dtype == WAI_U64 ? 1ull << 63 : 0;
    for (size_t i = 0; i < count; i++) {
        uint8_t *to = (uint8_t *)out + i * width;
        int64_t a, b;
        wai_integers_load(&a, dtype, to, 1);
        wai_integers_load(&b, dtype, (const uint8_t *)in + i * width, 1);
        a = (int64_t)combined_integers((uint64_t)a, (uint64_t)b, top, kind);
        wai_integers_store(to, dtype, &a, 1);
    }
}
