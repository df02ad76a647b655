/* cast.c - from any dtype to any other. */
#include <math.h>

#include "onnx/lower.h"
#include "ops/emit.h"
#include "ops/float8.h"
#include "ops/half.h"
#include "ops/integers.h"
#include "ops/lowering.h"

static const wai_field fields[] = {
    WAI_FIELD_ENUM(wai_cast_params, dtype, wai_dtype_names),
};

static wai_status infer(wai_signature *s) {
    const wai_cast_params *p = s->params;
    char text[WAI_TYPE_TEXT];
    if (p->dtype < WAI_F32 || p->dtype > WAI_I4) {
        return WAI_REFUSE(s, "%u is no dtype", p->dtype);
    }
    if (s->in[0] == NULL) {
        return WAI_REFUSE(s, "input 0 is absent");
    }
    s->out[0] = *s->in[0];
    s->out[0].dtype = (wai_dtype)p->dtype;
    if (!wai_type_is_valid(&s->out[0])) {
        return wai_fail(s->diag, WAI_ERR_LIMIT, s->where, "%s is too large as %s",
                        wai_type_text(s->in[0], text), wai_dtype_names[p->dtype]);
    }
    return WAI_OK;
}

const wai_op wai_op_cast = {
    .name = "cast",
    .params_size = sizeof(wai_cast_params),
    .fields = fields,
    .field_count = sizeof fields / sizeof fields[0],
    .min_in = 1,
    .max_in = 1,
    .min_out = 1,
    .max_out = 1,
    .in_place = 1u << 0, /* of equal width: every chunk is read before it is written */
    .infer = infer,
};

/* ---- kernel --------------------------------------------------------------
 * Through f64 or i64 in chunks: f64 holds every f16, f32 and f64 and every
 * integer of 32 bits. The pairs that nets use at run time have own loops. */

/* Signed range of an integer dtype, as f64, exact but for i64's and u64's top. */
static void range_of(wai_dtype dtype, double *low, double *high) {
    const bool is_narrow = dtype == WAI_I4 || dtype == WAI_U4;
    double span = is_narrow ? 16 : 2.0 * (double)(1ull << (wai_dtype_size(dtype) * 8 - 1));
    bool is_signed = dtype == WAI_I8 || dtype == WAI_I16 || dtype == WAI_I32 || dtype == WAI_I64 ||
                     dtype == WAI_I4;
    *low = is_signed ? -span / 2 : 0;
    *high = is_signed ? span / 2 : span;
}

/* Toward zero; out of range to the nearest end; NaN to 0. */
static int64_t integer_of(double x, wai_dtype dtype, double low, double high) {
    if (x != x) {
        return 0;
    }
    if (dtype == WAI_U64) {
        return x <= low ? 0 : x >= high ? -1 : (int64_t)(uint64_t)x;
    }
    if (x <= low) {
        return (int64_t)low;
    }
    if (x >= high) {
        return dtype == WAI_I64 ? INT64_MAX : (int64_t)high - 1;
    }
    return (int64_t)x;
}

static float bf16_to_float(uint16_t x) {
    return wai_float_from_bits((uint32_t)x << 16);
}

/* Nearest, ties to even; every NaN to 0x7fc0 with its sign. */
static uint16_t float_to_bf16(float value) {
    uint32_t bits = wai_float_bits(value);
    if (value != value) {
        return (uint16_t)((bits >> 16 & 0x8000u) | 0x7fc0u);
    }
    return (uint16_t)((bits + 0x7fffu + (bits >> 16 & 1u)) >> 16);
}

static void load_reals(double *out, wai_dtype dtype, const void *in, size_t count) {
    for (size_t i = 0; i < count; i++) {
        switch (dtype) {
        case WAI_F32:
            out[i] = ((const float *)in)[i];
            break;
        case WAI_F64:
            out[i] = ((const double *)in)[i];
            break;
        case WAI_F16:
            out[i] = wai_half_to_float(((const uint16_t *)in)[i]);
            break;
        case WAI_BF16:
            out[i] = bf16_to_float(((const uint16_t *)in)[i]);
            break;
        default:
            out[i] = wai_float8_load(dtype, ((const uint8_t *)in)[i]);
            break;
        }
    }
}

/* f64 to f32 such that rounding on to fewer bits gives what one rounding would: the
 * f32 is cut to odd, which keeps what decides a tie ("round to odd"). */
static float odd_float(double x) {
    float near = (float)x;
    if ((double)near == x || near != near || isinf(near)) {
        return near;
    }
    uint32_t bits = wai_float_bits(near);
    bool above = fabs((double)near) > fabs(x);
    return wai_float_from_bits((bits & 1u) != 0 ? bits : above ? bits - 1 : bits + 1);
}

static void store_real(void *out, wai_dtype dtype, size_t i, double x) {
    if (dtype == WAI_F32) {
        ((float *)out)[i] = (float)x;
    } else if (dtype == WAI_F64) {
        ((double *)out)[i] = x;
    } else if (dtype == WAI_F16) {
        ((uint16_t *)out)[i] = wai_float_to_half(odd_float(x));
    } else if (dtype == WAI_BF16) {
        ((uint16_t *)out)[i] = float_to_bf16(odd_float(x));
    } else {
        ((uint8_t *)out)[i] = wai_float8_store(dtype, odd_float(x));
    }
}

/* i64 and u64 to f32 in one rounding, not by way of f64. */
static void store_whole(void *out, wai_dtype to, size_t i, int64_t x, bool is_unsigned) {
    if (to == WAI_F32) {
        ((float *)out)[i] = is_unsigned ? (float)(uint64_t)x : (float)x;
    } else {
        store_real(out, to, i, is_unsigned ? (double)(uint64_t)x : (double)x);
    }
}

static bool is_real(wai_dtype dtype) {
    return dtype == WAI_F64 || wai_dtype_computed(dtype) == WAI_F32;
}

static void cast_reals(void *out, wai_dtype to, const void *in, wai_dtype from, size_t count) {
    double x[WAI_CHUNK], low, high;
    int64_t whole[WAI_CHUNK];
    load_reals(x, from, in, count);
    if (is_real(to)) {
        for (size_t i = 0; i < count; i++) {
            store_real(out, to, i, x[i]);
        }
        return;
    }
    range_of(to, &low, &high);
    for (size_t i = 0; i < count; i++) {
        whole[i] = to == WAI_BOOL ? x[i] != 0 : integer_of(x[i], to, low, high);
    }
    wai_integers_store(out, to, whole, count);
}

static void cast_integers(void *out, wai_dtype to, const void *in, wai_dtype from, size_t count) {
    int64_t x[WAI_CHUNK];
    wai_integers_load(x, from, in, count);
    if (is_real(to)) {
        for (size_t i = 0; i < count; i++) {
            store_whole(out, to, i, x[i], from == WAI_U64);
        }
        return;
    }
    for (size_t i = 0; i < count && (to == WAI_BOOL || from == WAI_BOOL); i++) {
        x[i] = x[i] != 0;
    }
    wai_integers_store(out, to, x, count);
}

/* True if the pair has a loop of its own. */
static bool cast_fast(void *out, wai_dtype to, const void *in, wai_dtype from, size_t count) {
    if (from == WAI_U8 && to == WAI_F32) { /* pictures */
        WAI_VECTOR_LOOP
        for (size_t i = 0; i < count; i++) {
            ((float *)out)[i] = ((const uint8_t *)in)[i];
        }
    } else if (from == WAI_F16 && to == WAI_F32) { /* weights, inputs */
        WAI_VECTOR_LOOP
        for (size_t i = 0; i < count; i++) {
            ((float *)out)[i] = wai_half_to_float(((const uint16_t *)in)[i]);
        }
    } else if (from == WAI_F32 && to == WAI_F16) { /* outputs */
        WAI_VECTOR_LOOP
        for (size_t i = 0; i < count; i++) {
            ((uint16_t *)out)[i] = wai_float_to_half(((const float *)in)[i]);
        }
    } else if (from == to && from < WAI_U4) { /* those lose their upper bits */
        memmove(out, in, count * wai_dtype_size(to));
    } else {
        return false;
    }
    return true;
}

static wai_status run(wai_step *step, wai_diag *diag) {
    (void)diag;
    wai_dtype from = step->in[0].type.dtype, to = step->out[0].type.dtype;
    size_t count = wai_type_count(&step->in[0].type);
    const uint8_t *in = step->in[0].data;
    uint8_t *out = step->out[0].data;
    if (cast_fast(out, to, in, from, count)) {
        return WAI_OK;
    }
    for (size_t done = 0; done < count; done += WAI_CHUNK) {
        size_t part = count - done < WAI_CHUNK ? count - done : WAI_CHUNK;
        const void *part_in = in + done * wai_dtype_size(from);
        void *part_out = out + done * wai_dtype_size(to);
        if (is_real(from)) {
            cast_reals(part_out, to, part_in, from, part);
        } else {
            cast_integers(part_out, to, part_in, from, part);
        }
    }
    return WAI_OK;
}

const wai_kernel wai_op_cast_kernel = {.run = run};

/* ---- ONNX ---------------------------------------------------------------- */

/* ONNX rounds to 4 bits, ties to even, and then clamps; ours go on as 8 bits. */
static wai_value *to_4_bits(wai_lower *l, wai_value *x, wai_dtype dtype) {
    wai_graph *g = l->graph;
    if (x->type.dtype == WAI_F32 || x->type.dtype == WAI_F64) {
        x = wai_emit_unary(g, WAI_UNARY_ROUND, 0, 0, x);
    }
    return wai_emit_cast(g, wai_lower_4_bits(l, x, dtype), wai_dtype_computed(dtype));
}

wai_value *wai_lower_4_bits(wai_lower *l, wai_value *x, wai_dtype dtype) {
    wai_graph *g = l->graph;
    if (x == NULL || x->type.dtype == WAI_BOOL) {
        return x;
    }
    const wai_dtype own = x->type.dtype;
    const bool is_unsigned =
        own == WAI_U8 || own == WAI_U16 || own == WAI_U32 || own == WAI_U64 || dtype == WAI_U4;
    wai_value *low = wai_emit_scalar(g, own, is_unsigned ? 0 : -8);
    wai_value *high = wai_emit_scalar(g, own, dtype == WAI_U4 ? 15 : 7);
    return wai_emit_binary(g, WAI_BINARY_MIN, wai_emit_binary(g, WAI_BINARY_MAX, x, low), high);
}

/* Nothing is computed in narrow floats: to FLOAT16 rounds as f16 and goes on as
 * f32. `saturate` (opset 19) is about float8: what is beyond its range, infinity
 * too, becomes its largest number. */
wai_value *wai_lower_cast_to(wai_lower *l, wai_value *x, wai_dtype dtype) {
    const bool saturate = wai_attr_int(l, "saturate", 1) != 0;
    if (x != NULL && saturate && dtype >= WAI_F8E4M3FN && dtype <= WAI_F8E5M2FNUZ) {
        const float max = wai_float8_max(dtype);
        x = wai_emit_clamp(l->graph, wai_emit_cast(l->graph, x, WAI_F32), -max, max);
    }
    if (x != NULL && (dtype == WAI_U4 || dtype == WAI_I4)) {
        return to_4_bits(l, x, dtype);
    }
    return wai_emit_cast(l->graph, wai_emit_cast(l->graph, x, dtype), wai_dtype_computed(dtype));
}

void wai_lower_cast(wai_lower *l) {
    wai_value *x = wai_lower_input(l, 0);
    if (!wai_attr_has(l, "to")) {
        WAI_LOWER_REFUSE(l, "attribute `to` is missing");
        return;
    }
    l->out[0] = wai_lower_cast_to(l, x, wai_lower_dtype(l, wai_attr_int(l, "to", 0)));
}

void wai_lower_cast_like(wai_lower *l) {
    wai_value *x = wai_lower_input(l, 0);
    wai_value *like = wai_lower_input(l, 1);
    if (like != NULL) {
        l->out[0] = wai_lower_cast_to(l, x, wai_lower_declared(l, 1));
    }
}
