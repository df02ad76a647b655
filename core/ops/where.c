/* where.c - out = condition ? a : b, elementwise with broadcasting. */
#include "base/limits.h"
#include "onnx/lower.h"
#include "ops/broadcast.h"
#include "ops/emit.h"

static wai_status infer(wai_signature *s) {
    const wai_type *c = s->in[0], *a = s->in[1], *b = s->in[2];
    char text[3][WAI_TYPE_TEXT];
    for (uint32_t i = 0; i < 3; i++) {
        if (s->in[i] == NULL) {
            return WAI_REFUSE(s, "input %u is absent", i);
        }
        wai_type_text(s->in[i], text[i]);
    }
    if (c->dtype != WAI_BOOL) {
        return WAI_REFUSE(s, "the condition is %s, not bool", text[0]);
    }
    if (a->dtype != b->dtype) {
        return WAI_REFUSE(s, "dtypes of %s and %s differ", text[1], text[2]);
    }
    wai_type both;
    if (!wai_type_broadcast(&both, a, b) || !wai_type_broadcast(&s->out[0], c, &both)) {
        return WAI_REFUSE(s, "%s, %s and %s do not broadcast", text[0], text[1], text[2]);
    }
    s->out[0].dtype = a->dtype;
    if (!wai_type_is_valid(&s->out[0])) {
        return wai_fail(s->diag, WAI_ERR_LIMIT, s->where,
                        "%s, %s and %s broadcast to over %u bytes", text[0], text[1], text[2],
                        WAI_MAX_TENSOR_SIZE);
    }
    return WAI_OK;
}

const wai_op wai_op_where = {
    .name = "where",
    .min_in = 3,
    .max_in = 3,
    .min_out = 1,
    .max_out = 1,
    .in_place = 1u << 1 | 1u << 2,
    .infer = infer,
};

/* ---- kernel -------------------------------------------------------------- */

#define SELECT(type)                                                                               \
    for (size_t i = 0; i < count; i++) {                                                           \
        type x = ((const type *)a)[i * step[1]], y = ((const type *)b)[i * step[2]];               \
        ((type *)out)[i] = condition[i * step[0]] != 0 ? x : y;                                    \
    }                                                                                              \
    break

static void select_row(uint8_t *out, size_t width, const uint8_t *condition, const uint8_t *a,
                       const uint8_t *b, const size_t *step, size_t count) {
    switch (width) {
    case 1:
        SELECT(uint8_t);
    case 2:
        SELECT(uint16_t);
    case 4:
        SELECT(uint32_t);
    default:
        SELECT(uint64_t);
    }
}

static wai_status run(wai_step *step, wai_diag *diag) {
    (void)diag;
    const wai_broadcast *b = step->state;
    size_t width = wai_dtype_size(step->out[0].type.dtype);
    const uint8_t *condition = step->in[0].data, *x = step->in[1].data, *y = step->in[2].data;
    uint8_t *out = step->out[0].data;
    wai_broadcast_place place = {{0}, {0}};
    for (size_t i = 0; i < b->outer; i++) {
        select_row(out, width, condition + place.at[0], x + place.at[1] * width,
                   y + place.at[2] * width, b->inner, b->count);
        out += b->count * width;
        wai_broadcast_next(b, &place);
    }
    return WAI_OK;
}

const wai_kernel wai_op_where_kernel = {.prepare = wai_broadcast_prepare, .run = run};

/* ---- ONNX ---------------------------------------------------------------- */

void wai_lower_where(wai_lower *l) {
    wai_value *in[] = {wai_lower_input(l, 0), wai_lower_input(l, 1), wai_lower_input(l, 2)};
    l->out[0] = wai_emit(l->graph, &wai_op_where, NULL, in, 3);
}
