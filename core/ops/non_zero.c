/* non_zero: where elements are that are not 0. */
#include "ops/non_zero.h"

#include "onnx/lower.h"
#include "ops/bound.h"
#include "ops/emit.h"
#include "ops/index.h"

static const wai_field fields[] = {WAI_FIELD(wai_non_zero_params, WAI_FIELD_U32, limit)};

static wai_status infer(wai_signature *s) {
    const wai_non_zero_params *p = s->params;
    const wai_type *x = s->in[0];
    if (x == NULL) {
        return WAI_REFUSE(s, "non_zero has no input");
    }
    uint32_t dims[2] = {x->rank != 0 ? x->rank : 1, 0};
    const wai_status status = wai_bound_infer(s, p->limit, wai_type_count(x), &dims[1]);
    s->out[0] = wai_type_make(WAI_I64, 2, dims);
    return status;
}

static uint32_t data_count(const void *params, const wai_type *out) {
    (void)params;
    return out->dims[1];
}

static uint64_t flops(const wai_signature *s) {
    return wai_type_count(s->in[0]);
}

const wai_op wai_op_non_zero = {
    .name = "non_zero",
    .params_size = sizeof(wai_non_zero_params),
    .fields = fields,
    .field_count = sizeof fields / sizeof fields[0],
    .min_in = 1,
    .max_in = 1,
    .min_out = 1,
    .max_out = 1,
    .infer = infer,
    .data_count = data_count,
    .flops = flops,
};

/* ---- kernel -------------------------------------------------------------- */

/* The bits of an element by which it is not 0. */
static uint64_t bits_that_count(wai_dtype dtype) {
    const uint64_t all = UINT64_MAX >> (64 - 8 * wai_dtype_size(dtype));
    const bool has_minus_zero = dtype == WAI_F32 || dtype == WAI_F64 || dtype == WAI_F16 ||
                                dtype == WAI_BF16 || dtype == WAI_F8E4M3FN || dtype == WAI_F8E5M2;
    return has_minus_zero ? all >> 1 : all;
}

static bool is_zero(const uint8_t *at, size_t width, uint64_t mask) {
    uint64_t bits = 0; /* little-endian */
    wai_index_copy((uint8_t *)&bits, at, width);
    return (bits & mask) == 0;
}

static wai_status run(wai_step *step, wai_diag *diag) {
    const wai_type *x = &step->in[0].type;
    const size_t total = wai_type_count(x), width = wai_dtype_size(x->dtype);
    const uint64_t mask = bits_that_count(x->dtype);
    const uint8_t *in = step->in[0].data;
    size_t count = 0;
    for (size_t i = 0; i < total; i++) {
        count += !is_zero(in + i * width, width, mask);
    }
    const wai_status status = wai_bound_check(step, diag, count);
    if (status != WAI_OK) {
        return status;
    }
    step->out[0].type.dims[1] = (uint32_t)count;
    int64_t *out = step->out[0].data;
    for (size_t i = 0, n = 0; n < count; i++) {
        if (is_zero(in + i * width, width, mask)) {
            continue;
        }
        size_t rest = i;
        for (uint32_t axis = x->rank; axis-- > 0; rest /= x->dims[axis]) {
            out[axis * count + n] = (int64_t)(rest % x->dims[axis]);
        }
        if (x->rank == 0) {
            out[n] = 0;
        }
        n++;
    }
    return WAI_OK;
}

const wai_kernel wai_op_non_zero_kernel = {.run = run};

/* ---- ONNX ------------------------------------------------------------------ */

static wai_value *emit_non_zero(wai_lower *l, wai_value *x) {
    if (x == NULL) {
        return NULL;
    }
    const bool known = wai_value_is_constant(x);
    const wai_non_zero_params params = {
        known ? 0 : wai_graph_limit(l->graph, wai_type_count(&x->type))};
    return wai_emit(l->graph, &wai_op_non_zero, &params, &x, 1);
}

void wai_lower_non_zero(wai_lower *l) {
    l->out[0] = emit_non_zero(l, wai_lower_input(l, 0));
}

/* Gather of where the condition holds. */
void wai_lower_compress(wai_lower *l) {
    wai_graph *g = l->graph;
    wai_value *x = wai_lower_input(l, 0), *condition = wai_lower_input(l, 1);
    wai_gather_params params = {0};
    if (!wai_lower_failed(l) && wai_attr_has(l, "axis")) {
        params.axis = wai_lower_axis(l, wai_attr_int(l, "axis", 0), x->type.rank);
    } else if (!wai_lower_failed(l)) {
        const uint32_t count = (uint32_t)wai_type_count(&x->type);
        x = wai_emit_reshape(g, x, 1, &count);
    }
    if (wai_lower_failed(l)) {
        return;
    }
    const wai_type *type = &condition->type;
    if (type->rank != 1 || type->dtype != WAI_BOOL || type->dims[0] > x->type.dims[params.axis]) {
        char text[WAI_TYPE_TEXT];
        WAI_LOWER_REFUSE(l, "condition %s for %u elements", wai_type_text(type, text),
                         x->type.dims[params.axis]);
        return;
    }
    wai_value *places = emit_non_zero(l, condition);
    if (places != NULL) {
        wai_value *in[2] = {x, wai_emit_reshape(g, places, 1, places->type.dims + 1)};
        l->out[0] = wai_emit(g, &wai_op_gather, &params, in, 2);
    }
}
