/* bitwise.c - and, or, xor and shifts of the bits of integers. */
#include "ops/bitwise.h"

#include <string.h>

#include "ops/broadcast.h"
#include "ops/integers.h"
#include "ops/lowering.h"

static const char *const kind_names[] = {
    NULL,
    [WAI_BITWISE_AND] = "and",
    [WAI_BITWISE_OR] = "or",
    [WAI_BITWISE_XOR] = "xor",
    [WAI_BITWISE_LEFT] = "left",
    [WAI_BITWISE_RIGHT] = "right",
    NULL,
};

static const wai_field fields[] = {
    WAI_FIELD_ENUM(wai_bitwise_params, kind, kind_names),
};

static wai_status infer(wai_signature *s) {
    const wai_bitwise_params *p = s->params;
    if (p->kind < WAI_BITWISE_AND || p->kind > WAI_BITWISE_RIGHT) {
        return WAI_REFUSE(s, "kind %u is no bitwise function", p->kind);
    }
    if (s->in[0] != NULL && !wai_dtype_is_integer(s->in[0]->dtype)) {
        return WAI_REFUSE(s, "bits of %s, which is no integer", wai_dtype_name(s->in[0]->dtype));
    }
    return wai_broadcast_infer(s, kind_names[p->kind], 0);
}

const wai_op wai_op_bitwise = {
    .name = "bitwise",
    .params_size = sizeof(wai_bitwise_params),
    .fields = fields,
    .field_count = sizeof fields / sizeof fields[0],
    .min_in = 2,
    .max_in = 2,
    .min_out = 1,
    .max_out = 1,
    .in_place = 1u << 0 | 1u << 1,
    .infer = infer,
};

/* ---- kernel -------------------------------------------------------------- */

/* x is sign- or zero-extended from `width` bits, y as well. */
static int64_t join(uint32_t kind, int64_t x, int64_t y, uint32_t width, bool is_u64) {
    const bool whole = (uint64_t)y >= width; /* a negative count as well */
    switch (kind) {
    case WAI_BITWISE_AND:
        return x & y;
    case WAI_BITWISE_OR:
        return x | y;
    case WAI_BITWISE_XOR:
        return x ^ y;
    case WAI_BITWISE_LEFT:
        return whole ? 0 : (int64_t)((uint64_t)x << y);
    default:
        return is_u64 ? (whole ? 0 : (int64_t)((uint64_t)x >> y))
                      : x >> (whole ? width - 1 : (uint32_t)y);
    }
}

static void join_row(uint32_t kind, wai_dtype dtype, uint8_t *out, const uint8_t *const in[2],
                     const size_t step[2], size_t count) {
    int64_t x[WAI_CHUNK], y[WAI_CHUNK];
    const size_t width = wai_dtype_size(dtype);
    wai_integers_load(x, dtype, in[0], 1);
    wai_integers_load(y, dtype, in[1], 1);
    const int64_t first[2] = {x[0], y[0]};
    for (size_t done = 0; done < count; done += WAI_CHUNK) {
        const size_t part = count - done < WAI_CHUNK ? count - done : WAI_CHUNK;
        if (step[0] != 0) {
            wai_integers_load(x, dtype, in[0] + done * width, part);
        }
        if (step[1] != 0) {
            wai_integers_load(y, dtype, in[1] + done * width, part);
        }
        for (size_t i = 0; i < part; i++) {
            x[i] = join(kind, step[0] != 0 ? x[i] : first[0], step[1] != 0 ? y[i] : first[1],
                        (uint32_t)width * 8, dtype == WAI_U64);
        }
        wai_integers_store(out + done * width, dtype, x, part);
    }
}

static wai_status run(wai_step *step, wai_diag *diag) {
    (void)diag;
    const wai_broadcast *b = step->state;
    const wai_bitwise_params *p = step->params;
    const wai_dtype dtype = step->in[0].type.dtype;
    const size_t width = wai_dtype_size(dtype);
    const uint8_t *x = step->in[0].data, *y = step->in[1].data;
    uint8_t *out = step->out[0].data;
    wai_broadcast_place place = {{0}, {0}};
    for (size_t i = 0; i < b->outer; i++) {
        const uint8_t *in[] = {x + place.at[0] * width, y + place.at[1] * width};
        join_row(p->kind, dtype, out, in, b->inner, b->count);
        out += b->count * width;
        wai_broadcast_next(b, &place);
    }
    return WAI_OK;
}

const wai_kernel wai_op_bitwise_kernel = {.prepare = wai_broadcast_prepare, .run = run};

/* ---- ONNX ---------------------------------------------------------------- */

static wai_bitwise_kind shift_kind(wai_lower *l) {
    const char *direction = wai_attr_string(l, "direction", "");
    if (strcmp(direction, "LEFT") != 0 && strcmp(direction, "RIGHT") != 0) {
        WAI_LOWER_REFUSE(l, "direction of BitShift is `%s`, not LEFT or RIGHT", direction);
    }
    return direction[0] == 'L' ? WAI_BITWISE_LEFT : WAI_BITWISE_RIGHT;
}

void wai_lower_bitwise(wai_lower *l) {
    static const struct {
        const char *name;
        wai_bitwise_kind kind;
    } names[] = {
        {"BitwiseAnd", WAI_BITWISE_AND},
        {"BitwiseNot", WAI_BITWISE_XOR},
        {"BitwiseOr", WAI_BITWISE_OR},
        {"BitwiseXor", WAI_BITWISE_XOR},
    };
    wai_value *in[] = {wai_lower_input(l, 0), NULL};
    wai_bitwise_params p = {0};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (strcmp(names[i].name, l->op_type) == 0) {
            p.kind = names[i].kind;
        }
    }
    if (p.kind == 0) {
        p.kind = shift_kind(l);
    }
    if (in[0] == NULL) {
        return;
    }
    /* Not x is x xor all ones. */
    in[1] = strcmp(l->op_type, "BitwiseNot") == 0 ? wai_emit_scalar(l->graph, in[0]->type.dtype, -1)
                                                  : wai_lower_input(l, 1);
    l->out[0] = wai_lower_failed(l) ? NULL : wai_emit(l->graph, &wai_op_bitwise, &p, in, 2);
}
