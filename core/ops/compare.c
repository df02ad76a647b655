/* compare.c - elementwise comparison of two tensors to bool. */
#include <string.h>

#include "onnx/lower.h"
#include "ops/broadcast.h"
#include "ops/emit.h"
#include "ops/integers.h"

static const char *const kind_names[] = {
    NULL,
    [WAI_COMPARE_EQUAL] = "equal",
    [WAI_COMPARE_LESS] = "less",
    [WAI_COMPARE_LESS_OR_EQUAL] = "less_or_equal",
    [WAI_COMPARE_GREATER] = "greater",
    [WAI_COMPARE_GREATER_OR_EQUAL] = "greater_or_equal",
    NULL,
};

static const wai_field fields[] = {
    WAI_FIELD_ENUM(wai_compare_params, kind, kind_names),
};

static bool takes(uint32_t kind, wai_dtype dtype) {
    return dtype == WAI_F32 || dtype == WAI_F64 || wai_dtype_is_integer(dtype) ||
           (dtype == WAI_BOOL && kind == WAI_COMPARE_EQUAL);
}

static wai_status infer(wai_signature *s) {
    const wai_compare_params *p = s->params;
    if (p->kind < WAI_COMPARE_EQUAL || p->kind > WAI_COMPARE_GREATER_OR_EQUAL) {
        return WAI_REFUSE(s, "kind %u is no comparison", p->kind);
    }
    wai_status status = wai_broadcast_infer(s, kind_names[p->kind], WAI_BOOL);
    if (status == WAI_OK && !takes(p->kind, s->in[0]->dtype)) {
        return WAI_DECLINE(s, "%s of %s is not supported", kind_names[p->kind],
                           wai_dtype_name(s->in[0]->dtype));
    }
    return status;
}

const wai_op wai_op_compare = {
    .name = "compare",
    .params_size = sizeof(wai_compare_params),
    .fields = fields,
    .field_count = sizeof fields / sizeof fields[0],
    .min_in = 2,
    .max_in = 2,
    .min_out = 1,
    .max_out = 1,
    .infer = infer,
};

/* ---- kernel --------------------------------------------------------------
 * a > b is b < a, so three loops do for five kinds. */

static void compare_floats(uint32_t kind, uint8_t *out, const float *a, size_t step_a,
                           const float *b, size_t step_b, size_t count) {
    for (size_t i = 0; i < count; i++) {
        float x = a[i * step_a], y = b[i * step_b];
        out[i] = kind == WAI_COMPARE_EQUAL ? x == y : kind == WAI_COMPARE_LESS ? x < y : x <= y;
    }
}

static void compare_doubles(uint32_t kind, uint8_t *out, const double *a, size_t step_a,
                            const double *b, size_t step_b, size_t count) {
    for (size_t i = 0; i < count; i++) {
        double x = a[i * step_a], y = b[i * step_b];
        out[i] = kind == WAI_COMPARE_EQUAL ? x == y : kind == WAI_COMPARE_LESS ? x < y : x <= y;
    }
}

static void compare_integers(uint32_t kind, wai_dtype dtype, uint8_t *out, const uint8_t *a,
                             size_t step_a, const uint8_t *b, size_t step_b, size_t count) {
    int64_t x[WAI_CHUNK], y[WAI_CHUNK];
    size_t width = wai_dtype_size(dtype);
    /* Turns the order of u64 into that of i64. */
    uint64_t flip = dtype == WAI_U64 ? 1ull << 63 : 0;
    for (size_t done = 0; done < count; done += WAI_CHUNK) {
        size_t part = count - done < WAI_CHUNK ? count - done : WAI_CHUNK;
        wai_integers_load(x, dtype, a + done * width * step_a, step_a != 0 ? part : 1);
        wai_integers_load(y, dtype, b + done * width * step_b, step_b != 0 ? part : 1);
        for (size_t i = 0; i < part; i++) {
            int64_t left = (int64_t)((uint64_t)x[i * step_a] ^ flip);
            int64_t right = (int64_t)((uint64_t)y[i * step_b] ^ flip);
            out[done + i] = kind == WAI_COMPARE_EQUAL  ? left == right
                            : kind == WAI_COMPARE_LESS ? left < right
                                                       : left <= right;
        }
    }
}

static wai_status run(wai_step *step, wai_diag *diag) {
    (void)diag;
    const wai_broadcast *b = step->state;
    uint32_t kind = ((const wai_compare_params *)step->params)->kind;
    wai_dtype dtype = step->in[0].type.dtype;
    size_t width = wai_dtype_size(dtype);
    uint32_t first = 0;
    if (kind == WAI_COMPARE_GREATER || kind == WAI_COMPARE_GREATER_OR_EQUAL) {
        first = 1;
        kind = kind == WAI_COMPARE_GREATER ? WAI_COMPARE_LESS : WAI_COMPARE_LESS_OR_EQUAL;
    }
    const uint8_t *x = step->in[first].data, *y = step->in[1 - first].data;
    size_t step_x = b->inner[first], step_y = b->inner[1 - first];
    uint8_t *out = step->out[0].data;
    wai_broadcast_place place = {{0}, {0}};
    for (size_t i = 0; i < b->outer; i++) {
        const uint8_t *row_x = x + place.at[first] * width;
        const uint8_t *row_y = y + place.at[1 - first] * width;
        if (dtype == WAI_F32) {
            compare_floats(kind, out, (const float *)row_x, step_x, (const float *)row_y, step_y,
                           b->count);
        } else if (dtype == WAI_F64) {
            compare_doubles(kind, out, (const double *)row_x, step_x, (const double *)row_y, step_y,
                            b->count);
        } else {
            compare_integers(kind, dtype, out, row_x, step_x, row_y, step_y, b->count);
        }
        out += b->count;
        wai_broadcast_next(b, &place);
    }
    return WAI_OK;
}

const wai_kernel wai_op_compare_kernel = {.prepare = wai_broadcast_prepare, .run = run};

/* ---- ONNX --------------------------------------------------------------- */

static const struct {
    const char *name;
    wai_compare_kind kind;
} names[] = {
    {"Equal", WAI_COMPARE_EQUAL},
    {"Greater", WAI_COMPARE_GREATER},
    {"GreaterOrEqual", WAI_COMPARE_GREATER_OR_EQUAL},
    {"Less", WAI_COMPARE_LESS},
    {"LessOrEqual", WAI_COMPARE_LESS_OR_EQUAL},
};

void wai_lower_compare(wai_lower *l) {
    wai_value *in[] = {wai_lower_input(l, 0), wai_lower_input(l, 1)};
    in[1] = wai_lower_aligned(l, in[0], in[1]);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (strcmp(names[i].name, l->op_type) == 0) {
            wai_compare_params params = {names[i].kind};
            l->out[0] = wai_emit(l->graph, &wai_op_compare, &params, in, 2);
        }
    }
}
