/* range: numbers at equal distances. */
#include "ops/range.h"

#include <math.h>
#include <string.h>

#include "base/limits.h"
#include "onnx/lower.h"
#include "ops/emit.h"
#include "ops/integers.h"
#include "ops/lowering.h"

static const wai_field fields[] = {WAI_FIELD(wai_range_params, WAI_FIELD_U32, count)};

static wai_status infer(wai_signature *s) {
    const wai_range_params *p = s->params;
    const wai_type *start = s->in[0], *delta = s->in[1];
    if (start == NULL || delta == NULL || start->rank != 0 || !wai_type_equal(start, delta) ||
        p->count > WAI_MAX_DIM) {
        return WAI_REFUSE(s, "range of %u elements from a tensor of rank %u", p->count,
                          start != NULL ? start->rank : 0);
    }
    if (start->dtype != WAI_F32 && start->dtype != WAI_F64 && !wai_dtype_is_integer(start->dtype)) {
        return WAI_DECLINE(s, "range of %s is not supported", wai_dtype_name(start->dtype));
    }
    s->out[0] = wai_type_make(start->dtype, 1, &p->count);
    return WAI_OK;
}

const wai_op wai_op_range = {
    .name = "range",
    .params_size = sizeof(wai_range_params),
    .fields = fields,
    .field_count = sizeof fields / sizeof fields[0],
    .min_in = 2,
    .max_in = 2,
    .min_out = 1,
    .max_out = 1,
    .infer = infer,
};

/* ---- kernel -------------------------------------------------------------- */

/* Sums of 64 bits, cut to their width, are those of every width. */
static void fill_integers(wai_operand *out, const void *first, const void *distance) {
    const wai_dtype dtype = out->type.dtype;
    const size_t count = out->type.dims[0], width = wai_dtype_size(dtype);
    int64_t start, delta, chunk[WAI_CHUNK];
    wai_integers_load(&start, dtype, first, 1);
    wai_integers_load(&delta, dtype, distance, 1);
    for (size_t done = 0; done < count; done += WAI_CHUNK) {
        const size_t length = count - done < WAI_CHUNK ? count - done : WAI_CHUNK;
        for (size_t i = 0; i < length; i++) {
            chunk[i] = (int64_t)((uint64_t)start + (done + i) * (uint64_t)delta);
        }
        wai_integers_store((uint8_t *)out->data + done * width, dtype, chunk, length);
    }
}

static wai_status run(wai_step *step, wai_diag *diag) {
    (void)diag;
    const void *start = step->in[0].data, *delta = step->in[1].data;
    wai_operand *out = &step->out[0];
    const uint32_t count = out->type.dims[0];
    if (out->type.dtype == WAI_F32) {
        float *to = out->data;
        for (uint32_t i = 0; i < count; i++) {
            to[i] = *(const float *)start + (float)i * *(const float *)delta;
        }
    } else if (out->type.dtype == WAI_F64) {
        double *to = out->data;
        for (uint32_t i = 0; i < count; i++) {
            to[i] = *(const double *)start + i * *(const double *)delta;
        }
    } else {
        fill_integers(out, start, delta);
    }
    return WAI_OK;
}

const wai_kernel wai_op_range_kernel = {.run = run};

/* ---- ONNX ------------------------------------------------------------------ */

/* One number of Range's three, as both kinds; false when it is no constant
 * scalar of the dtype of the first. */
typedef struct number {
    double real;
    int64_t whole;
} number;

static bool read_number(wai_lower *l, uint32_t index, wai_dtype dtype, number *out) {
    const wai_value *value = wai_lower_input(l, index);
    if (value == NULL || wai_lower_failed(l)) {
        return false;
    }
    if (value->data == NULL) {
        WAI_LOWER_DECLINE(l, "input %u of Range must be a constant", index);
        return false;
    }
    if (value->type.dtype != dtype || wai_type_count(&value->type) != 1) {
        WAI_LOWER_REFUSE(l, "input %u of Range is not one number of type %s", index,
                         wai_dtype_name(dtype));
        return false;
    }
    float single;
    switch (dtype) {
    case WAI_F32:
        memcpy(&single, value->data, sizeof single);
        out->real = single;
        return true;
    case WAI_F64:
        memcpy(&out->real, value->data, sizeof out->real);
        return true;
    case WAI_I16:
    case WAI_I32:
    case WAI_I64:
        wai_integers_load(&out->whole, dtype, value->data, 1);
        return true;
    default:
        WAI_LOWER_DECLINE(l, "Range of type %s is not supported", wai_dtype_name(dtype));
        return false;
    }
}

/* max(0, ceil((limit - start) / delta)); more than WAI_MAX_DIM counts as that. */
static uint32_t count_whole(int64_t start, int64_t limit, int64_t delta) {
    if (delta > 0 ? start >= limit : start <= limit) {
        return 0;
    }
    /* As unsigned, since the distance of two int64 may need 64 bits. */
    uint64_t distance =
        delta > 0 ? (uint64_t)limit - (uint64_t)start : (uint64_t)start - (uint64_t)limit;
    uint64_t stride = delta > 0 ? (uint64_t)delta : 0 - (uint64_t)delta;
    uint64_t count = (distance - 1) / stride + 1;
    return count < WAI_MAX_DIM ? (uint32_t)count : WAI_MAX_DIM;
}

static uint32_t count_real(double start, double limit, double delta) {
    double count = ceil((limit - start) / delta);
    /* The comparison is false for NaN as well. */
    return count > 0 ? (count < WAI_MAX_DIM ? (uint32_t)count : WAI_MAX_DIM) : 0;
}

static wai_value *emit_range(wai_graph *g, wai_value *start, wai_value *delta, uint32_t count) {
    const wai_range_params params = {count};
    wai_value *in[2] = {start, delta};
    return start != NULL && delta != NULL ? wai_emit(g, &wai_op_range, &params, in, 2) : NULL;
}

void wai_lower_range(wai_lower *l) {
    wai_value *first = wai_lower_input(l, 0);
    if (first == NULL) {
        return;
    }
    wai_dtype dtype = first->type.dtype;
    number start = {0, 0}, limit = {0, 0}, delta = {0, 0};
    if (!read_number(l, 0, dtype, &start) || !read_number(l, 1, dtype, &limit) ||
        !read_number(l, 2, dtype, &delta)) {
        return;
    }
    if (delta.real == 0 && delta.whole == 0) {
        WAI_LOWER_REFUSE(l, "Range has a delta of 0");
        return;
    }
    bool real = dtype == WAI_F32 || dtype == WAI_F64;
    l->out[0] = emit_range(l->graph, wai_emit_reshape(l->graph, first, 0, NULL),
                           wai_emit_reshape(l->graph, wai_lower_input(l, 2), 0, NULL),
                           real ? count_real(start.real, limit.real, delta.real)
                                : count_whole(start.whole, limit.whole, delta.whole));
}

wai_value *wai_lower_iota(wai_lower *l, wai_dtype dtype, uint32_t count) {
    return emit_range(l->graph, wai_emit_scalar(l->graph, dtype, 0),
                      wai_emit_scalar(l->graph, dtype, 1), count);
}
