/* Shape, Size, Constant, ConstantOfShape and Range: everything is static when
 * a model is compiled, so these are constants (large ones of one value are an
 * expand of it). */
#include <math.h>
#include <string.h>

#include "base/limits.h"
#include "onnx/lower.h"
#include "ops/emit.h"

static wai_value *emit_list(wai_lower *l, wai_dtype dtype, const void *data, uint32_t count) {
    wai_type type = {dtype, 1, {count}};
    return wai_emit_constant(l->graph, &type, data);
}

/* `position` as in Python's slices: negative from the end, then clamped. */
static uint32_t clamp_position(int64_t position, uint32_t rank) {
    position = position < 0 ? position + rank : position;
    return position < 0 ? 0 : position > rank ? rank : (uint32_t)position;
}

void wai_lower_shape(wai_lower *l) {
    wai_value *x = wai_lower_input(l, 0);
    int64_t from = wai_attr_int(l, "start", 0);
    int64_t to = wai_attr_int(l, "end", WAI_MAX_RANK);
    if (wai_lower_failed(l)) {
        return;
    }
    uint32_t start = clamp_position(from, x->type.rank), end = clamp_position(to, x->type.rank);
    int64_t dims[WAI_MAX_RANK];
    uint32_t count = 0;
    for (uint32_t i = start; i < end; i++) {
        dims[count++] = x->type.dims[i];
    }
    l->out[0] = emit_list(l, WAI_I64, dims, count);
}

void wai_lower_size(wai_lower *l) {
    wai_value *x = wai_lower_input(l, 0);
    if (wai_lower_failed(l)) {
        return;
    }
    int64_t count = (int64_t)wai_type_count(&x->type);
    wai_type type = {WAI_I64, 0, {0}};
    l->out[0] = wai_emit_constant(l->graph, &type, &count);
}

/* Numbers that stand in a Constant's attributes rather than in a tensor are
 * shapes, axes and pads: short. */
#define MAX_LISTED 1024u

void wai_lower_constant(wai_lower *l) {
    static const char *const declined[] = {"sparse_value", "value_string", "value_strings"};
    for (size_t i = 0; i < sizeof declined / sizeof declined[0]; i++) {
        if (wai_attr_has(l, declined[i])) {
            WAI_LOWER_DECLINE(l, "a constant given as %s is not supported", declined[i]);
            return;
        }
    }
    if (wai_attr_has(l, "value_int")) {
        int64_t value = wai_attr_int(l, "value_int", 0);
        wai_type type = {WAI_I64, 0, {0}};
        l->out[0] = wai_emit_constant(l->graph, &type, &value);
    } else if (wai_attr_has(l, "value_float")) {
        l->out[0] = wai_emit_scalar_f32(l->graph, wai_attr_float(l, "value_float", 0));
    } else if (wai_attr_has(l, "value_ints")) {
        int64_t values[MAX_LISTED];
        uint32_t count = wai_attr_ints(l, "value_ints", values, MAX_LISTED);
        l->out[0] = emit_list(l, WAI_I64, values, count);
    } else if (wai_attr_has(l, "value_floats")) {
        float values[MAX_LISTED];
        uint32_t count = wai_attr_floats(l, "value_floats", values, MAX_LISTED);
        l->out[0] = emit_list(l, WAI_F32, values, count);
    } else {
        l->out[0] = wai_attr_tensor(l, "value");
        if (l->out[0] == NULL && !wai_lower_failed(l)) {
            WAI_LOWER_REFUSE(l, "Constant has no value attribute");
        }
    }
}

void wai_lower_constant_of_shape(wai_lower *l) {
    int64_t dims[WAI_MAX_RANK];
    bool there = false;
    uint32_t count = wai_lower_ints(l, 0, dims, WAI_MAX_RANK, &there);
    wai_value *value = wai_attr_tensor(l, "value");
    if (wai_lower_failed(l)) {
        return;
    }
    if (!there || (value != NULL && wai_type_count(&value->type) != 1)) {
        WAI_LOWER_REFUSE(l, "ConstantOfShape needs a shape and a value of one element");
        return;
    }
    value = value != NULL ? wai_emit_reshape(l->graph, value, 0, NULL)
                          : wai_emit_scalar_f32(l->graph, 0);
    wai_expand_params params = {.rank = count};
    for (uint32_t i = 0; i < count; i++) {
        params.dims[i] = wai_lower_dim(l, dims[i], "shape");
    }
    if (!wai_lower_failed(l)) {
        l->out[0] = count == 0 ? value : wai_emit(l->graph, &wai_op_expand, &params, &value, 1);
    }
}

/* ---- Range ----------------------------------------------------------------- */

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
    int16_t narrow;
    int32_t word;
    switch (dtype) {
    case WAI_F32:
        memcpy(&single, value->data, sizeof single);
        out->real = single;
        return true;
    case WAI_F64:
        memcpy(&out->real, value->data, sizeof out->real);
        return true;
    case WAI_I16:
        memcpy(&narrow, value->data, sizeof narrow);
        out->whole = narrow;
        return true;
    case WAI_I32:
        memcpy(&word, value->data, sizeof word);
        out->whole = word;
        return true;
    case WAI_I64:
        memcpy(&out->whole, value->data, sizeof out->whole);
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

static void fill_range(uint8_t *out, wai_dtype dtype, uint32_t count, const number *start,
                       const number *delta) {
    for (uint32_t i = 0; i < count; i++) {
        float single = (float)start->real + (float)i * (float)delta->real;
        double real = start->real + i * delta->real;
        /* Low bits only: wraps like two's complement, of any width. */
        uint64_t whole = (uint64_t)start->whole + i * (uint64_t)delta->whole;
        size_t size = wai_dtype_size(dtype);
        const void *from = dtype == WAI_F32   ? (const void *)&single
                           : dtype == WAI_F64 ? (const void *)&real
                                              : (const void *)&whole;
        memcpy(out + i * size, from, size); /* little-endian, as packages are */
    }
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
    wai_type type = {dtype, 1, {0}};
    type.dims[0] = real ? count_real(start.real, limit.real, delta.real)
                        : count_whole(start.whole, limit.whole, delta.whole);
    size_t limit_count = WAI_MAX_FOLD_SIZE / wai_dtype_size(dtype);
    if (type.dims[0] > limit_count) {
        wai_graph_fail(l->graph, WAI_ERR_LIMIT, "Range has more than %zu elements", limit_count);
        return;
    }
    uint8_t *data = wai_arena_array(l->graph->arena, type.dims[0], wai_dtype_size(dtype));
    if (data == NULL) {
        wai_graph_fail(l->graph, WAI_ERR_MEMORY, "out of memory in the compiler");
        return;
    }
    fill_range(data, dtype, type.dims[0], &start, &delta);
    l->out[0] = wai_graph_constant(l->graph, &type, data, NULL);
}
