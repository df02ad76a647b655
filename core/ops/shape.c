/* shape: dims as a tensor. Beside ONNX's Shape, Size, Constant and
 * ConstantOfShape. */
#include "ops/shape.h"

#include "base/limits.h"
#include "ops/lowering.h"

static const wai_field fields[] = {
    WAI_FIELD(wai_shape_params, WAI_FIELD_U32, start),
    WAI_FIELD(wai_shape_params, WAI_FIELD_U32, end),
};

static wai_status infer(wai_signature *s) {
    const wai_shape_params *p = s->params;
    const wai_type *x = s->in[0];
    if (x == NULL || p->start > p->end || p->end > x->rank) {
        return WAI_REFUSE(s, "shape takes dims %u to %u of rank %u", p->start, p->end,
                          x != NULL ? x->rank : 0);
    }
    const uint32_t count = p->end - p->start;
    s->out[0] = wai_type_make(WAI_I64, 1, &count);
    return WAI_OK;
}

const wai_op wai_op_shape = {
    .name = "shape",
    .params_size = sizeof(wai_shape_params),
    .fields = fields,
    .field_count = sizeof fields / sizeof fields[0],
    .min_in = 1,
    .max_in = 1,
    .min_out = 1,
    .max_out = 1,
    .infer = infer,
};

static wai_status run(wai_step *step, wai_diag *diag) {
    (void)diag;
    const wai_shape_params *p = step->params;
    int64_t *out = step->out[0].data;
    for (uint32_t i = p->start; i < p->end; i++) {
        *out++ = step->in[0].type.dims[i];
    }
    return WAI_OK;
}

const wai_kernel wai_op_shape_kernel = {.run = run};

/* ---- ONNX ------------------------------------------------------------------ */

/* Dims are numbers when a model is compiled, so this is a constant. */
static wai_value *emit_shape(wai_lower *l, wai_value *x, uint32_t start, uint32_t end) {
    const wai_shape_params params = {start, end < start ? start : end};
    int64_t *dims = wai_arena_alloc(l->graph->arena, wai_slot_size(WAI_MAX_RANK * sizeof *dims));
    if (dims == NULL) {
        wai_graph_fail(l->graph, WAI_ERR_MEMORY, "out of memory in the compiler");
        return NULL;
    }
    for (uint32_t i = start; i < end; i++) {
        dims[i - start] = x->type.dims[i];
    }
    return wai_emit_known(l->graph, &wai_op_shape, &params, &x, 1, dims);
}

wai_value *wai_lower_extent(wai_lower *l, wai_value *x, uint32_t axis, wai_dtype dtype) {
    if (x == NULL || wai_lower_failed(l)) {
        return NULL;
    }
    wai_value *dim = emit_shape(l, x, axis, axis + 1);
    return wai_emit_cast(l->graph, wai_emit_reshape(l->graph, dim, 0, NULL), dtype);
}

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
    const uint32_t rank = x->type.rank;
    l->out[0] = emit_shape(l, x, clamp_position(from, rank), clamp_position(to, rank));
}

void wai_lower_size(wai_lower *l) {
    wai_value *x = wai_lower_input(l, 0);
    if (wai_lower_failed(l)) {
        return;
    }
    l->out[0] =
        wai_emit_reduce(l->graph, WAI_REDUCE_PROD, emit_shape(l, x, 0, x->type.rank), 1, false);
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
