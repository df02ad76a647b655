/* cumsum.c - running sums along one axis. */
#include "ops/cumsum.h"

#include "onnx/lower.h"
#include "ops/emit.h"
#include "ops/vector.h"

static const wai_field fields[] = {
    WAI_FIELD(wai_cumsum_params, WAI_FIELD_U32, axis),
    WAI_FIELD(wai_cumsum_params, WAI_FIELD_U32, exclusive),
    WAI_FIELD(wai_cumsum_params, WAI_FIELD_U32, reverse),
};

static wai_status infer(wai_signature *s) {
    const wai_cumsum_params *p = s->params;
    const wai_type *x = s->in[0];
    if (x == NULL) {
        return WAI_REFUSE(s, "input 0 is absent");
    }
    if (p->axis >= x->rank) {
        return WAI_REFUSE(s, "axis %u of rank %u", p->axis, x->rank);
    }
    if (p->exclusive > 1 || p->reverse > 1) {
        return WAI_REFUSE(s, "exclusive %u, reverse %u: not 0 or 1", p->exclusive, p->reverse);
    }
    const bool is_integer = wai_dtype_is_integer(x->dtype) && wai_dtype_size(x->dtype) >= 4;
    if (x->dtype != WAI_F32 && x->dtype != WAI_F64 && !is_integer) {
        return WAI_DECLINE(s, "cumsum of %s is not supported", wai_dtype_name(x->dtype));
    }
    s->out[0] = *x;
    return WAI_OK;
}

const wai_op wai_op_cumsum = {
    .name = "cumsum",
    .params_size = sizeof(wai_cumsum_params),
    .fields = fields,
    .field_count = sizeof fields / sizeof fields[0],
    .min_in = 1,
    .max_in = 1,
    .min_out = 1,
    .max_out = 1,
    .infer = infer,
};

/* ---- kernel --------------------------------------------------------------
 * Row by row: out[k] = out[k - 1] + in[k], or + in[k - 1] when exclusive. */

#define SUMS(name, type)                                                                           \
    static void sums_##name(type *out, const type *in, size_t count, ptrdiff_t stride,             \
                            size_t columns, bool exclusive) {                                      \
        for (size_t j = 0; j < columns; j++) {                                                     \
            out[j] = exclusive ? 0 : in[j];                                                        \
        }                                                                                          \
        for (size_t k = 1; k < count; k++) {                                                       \
            const type *above = out, *add = exclusive ? in : in + stride;                          \
            out += stride;                                                                         \
            in += stride;                                                                          \
            WAI_VECTOR_LOOP                                                                        \
            for (size_t j = 0; j < columns; j++) {                                                 \
                out[j] = above[j] + add[j];                                                        \
            }                                                                                      \
        }                                                                                          \
    }

SUMS(f32, float)
SUMS(f64, double)
SUMS(u32, uint32_t)
SUMS(u64, uint64_t)

static wai_status run(wai_step *step, wai_diag *diag) {
    (void)diag;
    const wai_cumsum_params *p = step->params;
    const wai_type *type = &step->in[0].type;
    const size_t width = wai_dtype_size(type->dtype), count = type->dims[p->axis];
    const size_t outer = wai_dims_product(type->dims, 0, p->axis);
    const size_t inner = wai_dims_product(type->dims, p->axis + 1, type->rank);
    if (wai_type_count(type) == 0) {
        return WAI_OK;
    }
    const ptrdiff_t stride = p->reverse ? -(ptrdiff_t)inner : (ptrdiff_t)inner;
    const size_t start = p->reverse ? (count - 1) * inner : 0;
    for (size_t o = 0; o < outer; o++) {
        const size_t at = (o * count * inner + start) * width;
        const void *in = (const uint8_t *)step->in[0].data + at;
        void *out = (uint8_t *)step->out[0].data + at;
        if (type->dtype == WAI_F32) {
            sums_f32(out, in, count, stride, inner, p->exclusive);
        } else if (type->dtype == WAI_F64) {
            sums_f64(out, in, count, stride, inner, p->exclusive);
        } else if (width == 4) {
            sums_u32(out, in, count, stride, inner, p->exclusive);
        } else {
            sums_u64(out, in, count, stride, inner, p->exclusive);
        }
    }
    return WAI_OK;
}

const wai_kernel wai_op_cumsum_kernel = {.run = run};

/* ---- ONNX ---------------------------------------------------------------- */

void wai_lower_cumsum(wai_lower *l) {
    wai_value *x = wai_lower_input(l, 0);
    int64_t axis = 0;
    bool there = false;
    const uint32_t count = wai_lower_ints(l, 1, &axis, 1, &there);
    wai_cumsum_params p = {.exclusive = wai_attr_int(l, "exclusive", 0) != 0,
                           .reverse = wai_attr_int(l, "reverse", 0) != 0};
    if (wai_lower_failed(l)) {
        return;
    }
    if (count != 1) {
        WAI_LOWER_REFUSE(l, "CumSum needs one axis");
        return;
    }
    p.axis = wai_lower_axis(l, axis, x->type.rank);
    l->out[0] = wai_emit(l->graph, &wai_op_cumsum, &p, &x, 1);
}
