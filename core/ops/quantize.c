/* quantize_linear and dequantize_linear. */
#include "ops/quantize.h"

#include "base/limits.h"
#include "onnx/lower.h"
#include "ops/emit.h"
#include "ops/integers.h"
#include "ops/vector.h"

/* ---- meaning ------------------------------------------------------------ */

static const wai_field quantize_fields[] = {
    WAI_FIELD(wai_quantize_params, WAI_FIELD_U32, axis),
    WAI_FIELD(wai_quantize_params, WAI_FIELD_U32, block_size),
    WAI_FIELD_ENUM(wai_quantize_params, dtype, wai_dtype_names),
};

static const wai_field dequantize_fields[] = {
    WAI_FIELD(wai_dequantize_params, WAI_FIELD_U32, axis),
    WAI_FIELD(wai_dequantize_params, WAI_FIELD_U32, block_size),
};

static uint32_t blocks(uint32_t dim, uint32_t block_size) {
    return dim / block_size + (dim % block_size != 0);
}

static bool scale_fits(const wai_type *x, const wai_type *scale, uint32_t axis,
                       uint32_t block_size) {
    if (wai_quantize_per_tensor(scale)) {
        return true;
    }
    if (axis >= x->rank) {
        return false;
    }
    if (block_size == 0) {
        return scale->rank == 1 && scale->dims[0] == x->dims[axis];
    }
    bool fits = scale->rank == x->rank;
    for (uint32_t i = 0; i < x->rank && fits; i++) {
        fits = scale->dims[i] == (i == axis ? blocks(x->dims[i], block_size) : x->dims[i]);
    }
    return fits;
}

static wai_status check(wai_signature *s, uint32_t axis, uint32_t block_size, wai_dtype quantized) {
    const wai_type *x = s->in[0], *scale = s->in[1];
    const wai_type *zero = s->in_count > 2 ? s->in[2] : NULL;
    char text_x[WAI_TYPE_TEXT], text[WAI_TYPE_TEXT];
    if (scale == NULL || scale->dtype != WAI_F32) {
        return WAI_REFUSE(s, "a scale of f32 is needed");
    }
    if (!scale_fits(x, scale, axis, block_size)) {
        return WAI_REFUSE(s, "scale %s does not fit %s, axis %u, block size %u",
                          wai_type_text(scale, text), wai_type_text(x, text_x), axis, block_size);
    }
    wai_type expected = *scale;
    expected.dtype = quantized;
    if (zero != NULL && !wai_type_equal(zero, &expected)) {
        return WAI_REFUSE(s, "the zero point is %s, expected %s", wai_type_text(zero, text),
                          wai_type_text(&expected, text_x));
    }
    return WAI_OK;
}

static wai_status quantize_infer(wai_signature *s) {
    const wai_quantize_params *p = s->params;
    const wai_type *x = s->in[0];
    if (p->dtype < WAI_I8 || p->dtype > WAI_U16) {
        return WAI_REFUSE(s, "dtype %u is not i8, u8, i16 or u16", p->dtype);
    }
    if (x == NULL || (x->dtype != WAI_F32 && x->dtype != WAI_I32)) {
        return WAI_REFUSE(s, "the input must be f32 or i32");
    }
    s->out[0] = *x;
    s->out[0].dtype = (wai_dtype)p->dtype;
    return check(s, p->axis, p->block_size, (wai_dtype)p->dtype);
}

static bool dequantizable(wai_dtype dtype) {
    return (dtype >= WAI_I8 && dtype <= WAI_U16) || dtype == WAI_I32;
}

static wai_status dequantize_infer(wai_signature *s) {
    const wai_dequantize_params *p = s->params;
    const wai_type *x = s->in[0];
    if (x == NULL || !dequantizable(x->dtype)) {
        return WAI_REFUSE(s, "the input must be i8, u8, i16, u16 or i32");
    }
    s->out[0] = *x;
    s->out[0].dtype = WAI_F32;
    if (!wai_type_is_valid(&s->out[0])) {
        char text[WAI_TYPE_TEXT];
        return wai_fail(s->diag, WAI_ERR_LIMIT, s->where, "%s is too large as f32",
                        wai_type_text(x, text));
    }
    return check(s, p->axis, p->block_size, x->dtype);
}

const wai_op wai_op_quantize = {
    .name = "quantize",
    .params_size = sizeof(wai_quantize_params),
    .fields = quantize_fields,
    .field_count = sizeof quantize_fields / sizeof quantize_fields[0],
    .min_in = 2,
    .max_in = 3,
    .min_out = 1,
    .max_out = 1,
    .infer = quantize_infer,
};

const wai_op wai_op_dequantize = {
    .name = "dequantize",
    .params_size = sizeof(wai_dequantize_params),
    .fields = dequantize_fields,
    .field_count = sizeof dequantize_fields / sizeof dequantize_fields[0],
    .min_in = 2,
    .max_in = 3,
    .min_out = 1,
    .max_out = 1,
    .in_place = 1u << 0, /* i32: every chunk is read before it is written */
    .infer = dequantize_infer,
};

/* ---- kernels -------------------------------------------------------------
 * Rows of neighbouring elements whose scales either are one number or lie side
 * by side as well. */

/* `count` elements from `at`, their scales from `first`: one (each = false) or
 * one for each. */
typedef void row_function(const wai_step *step, size_t at, size_t count, size_t first, bool each);

static void walk(const wai_step *step, uint32_t axis, uint32_t block_size, row_function *row) {
    const wai_type *x = &step->in[0].type;
    if (wai_type_count(x) == 0) {
        return;
    }
    if (wai_quantize_per_tensor(&step->in[1].type)) {
        row(step, 0, wai_type_count(x), 0, false);
        return;
    }
    const size_t outer = wai_dims_product(x->dims, 0, axis), n = x->dims[axis];
    const size_t inner = wai_dims_product(x->dims, axis + 1, x->rank);
    const size_t per_outer = block_size != 0 ? blocks(x->dims[axis], block_size) : 0;
    for (size_t o = 0; o < outer; o++) {
        if (inner == 1 && block_size == 0) {
            row(step, o * n, n, 0, true);
            continue;
        }
        const size_t take = inner == 1 ? block_size : 1;
        for (size_t a = 0; a < n; a += take < n - a ? take : n - a) {
            size_t first = block_size != 0 ? (o * per_outer + a / block_size) * inner : a;
            size_t count = take < n - a ? take : n - a;
            row(step, (o * n + a) * inner, count * inner, first, block_size != 0 && inner != 1);
        }
    }
}

#define LOAD(type)                                                                                 \
    WAI_VECTOR_LOOP                                                                                \
    for (size_t i = 0; i < count; i++) {                                                           \
        out[i] = ((const type *)operand->data)[at + i];                                            \
    }                                                                                              \
    break;

static void load(int32_t *out, const wai_operand *operand, size_t at, size_t count) {
    switch (operand->type.dtype) {
    case WAI_I8:
        LOAD(int8_t)
    case WAI_U8:
        LOAD(uint8_t)
    case WAI_I16:
        LOAD(int16_t)
    case WAI_U16:
        LOAD(uint16_t)
    default:
        LOAD(int32_t)
    }
}

/* An absent zero point is 0. */
static void load_zeros(int32_t *out, const wai_step *step, size_t at, size_t count) {
    if (step->in_count > 2 && step->in[2].data != NULL) {
        load(out, &step->in[2], at, count);
    } else {
        memset(out, 0, count * sizeof *out);
    }
}

/*
 * Clamping to whole numbers first, then rounding, is the same as the other way
 * round. Within 2^22, adding 1.5 * 2^23 rounds half to even and leaves the
 * whole number in the low bits.
 */
static inline int32_t quantized(float x, float scale, int32_t zero, int32_t low, int32_t high) {
    float value = x / scale, least = (float)(low - zero), most = (float)(high - zero);
    value = value > least ? value : least; /* NaN as well */
    value = value < most ? value : most;
    return (int32_t)(wai_float_bits(value + 12582912.0f) - 0x4b400000u) + zero;
}

static void store(const wai_operand *operand, size_t at, const int32_t *in, size_t count) {
    if (wai_dtype_size(operand->type.dtype) == 1) {
        uint8_t *out = (uint8_t *)operand->data + at;
        WAI_VECTOR_LOOP
        for (size_t i = 0; i < count; i++) {
            out[i] = (uint8_t)in[i];
        }
    } else {
        uint16_t *out = (uint16_t *)operand->data + at;
        WAI_VECTOR_LOOP
        for (size_t i = 0; i < count; i++) {
            out[i] = (uint16_t)in[i];
        }
    }
}

/* The input's floats; i32 are made so in `buffer`. */
static const float *floats(const wai_operand *operand, size_t at, size_t count, float *buffer) {
    if (operand->type.dtype == WAI_F32) {
        return (const float *)operand->data + at;
    }
    const int32_t *in = (const int32_t *)operand->data + at;
    WAI_VECTOR_LOOP
    for (size_t i = 0; i < count; i++) {
        buffer[i] = (float)in[i];
    }
    return buffer;
}

static void quantize_row(const wai_step *step, size_t at, size_t count, size_t first, bool each) {
    const wai_dtype dtype = step->out[0].type.dtype;
    const int32_t span = (int32_t)(1u << wai_dtype_size(dtype) * 8);
    const int32_t low = dtype == WAI_I8 || dtype == WAI_I16 ? -span / 2 : 0;
    const int32_t high = low + span - 1;
    const float *scales = (const float *)step->in[1].data + first;
    float buffer[WAI_CHUNK];
    int32_t out[WAI_CHUNK], zeros[WAI_CHUNK];
    load_zeros(zeros, step, first, 1);
    for (size_t done = 0; done < count; done += WAI_CHUNK) {
        const size_t part = count - done < WAI_CHUNK ? count - done : WAI_CHUNK;
        const float *x = floats(&step->in[0], at + done, part, buffer);
        if (each) {
            load_zeros(zeros, step, first + done, part);
            WAI_VECTOR_LOOP
            for (size_t i = 0; i < part; i++) {
                out[i] = quantized(x[i], scales[done + i], zeros[i], low, high);
            }
        } else {
            const float scale = scales[0];
            const int32_t zero = zeros[0];
            WAI_VECTOR_LOOP
            for (size_t i = 0; i < part; i++) {
                out[i] = quantized(x[i], scale, zero, low, high);
            }
        }
        store(&step->out[0], at + done, out, part);
    }
}

/* Only i32 can leave the range of the difference; it wraps. */
static inline float dequantized(int32_t q, int32_t zero, float scale) {
    return (float)(int32_t)((uint32_t)q - (uint32_t)zero) * scale;
}

static void dequantize_row(const wai_step *step, size_t at, size_t count, size_t first, bool each) {
    const float *scales = (const float *)step->in[1].data + first;
    int32_t q[WAI_CHUNK], zeros[WAI_CHUNK];
    load_zeros(zeros, step, first, 1);
    for (size_t done = 0; done < count; done += WAI_CHUNK) {
        const size_t part = count - done < WAI_CHUNK ? count - done : WAI_CHUNK;
        float *out = (float *)step->out[0].data + at + done;
        load(q, &step->in[0], at + done, part);
        if (each) {
            load_zeros(zeros, step, first + done, part);
            WAI_VECTOR_LOOP
            for (size_t i = 0; i < part; i++) {
                out[i] = dequantized(q[i], zeros[i], scales[done + i]);
            }
        } else {
            const float scale = scales[0];
            const int32_t zero = zeros[0];
            WAI_VECTOR_LOOP
            for (size_t i = 0; i < part; i++) {
                out[i] = dequantized(q[i], zero, scale);
            }
        }
    }
}

static wai_status quantize_run(wai_step *step, wai_diag *diag) {
    (void)diag;
    const wai_quantize_params *p = step->params;
    walk(step, p->axis, p->block_size, quantize_row);
    return WAI_OK;
}

static wai_status dequantize_run(wai_step *step, wai_diag *diag) {
    (void)diag;
    const wai_dequantize_params *p = step->params;
    walk(step, p->axis, p->block_size, dequantize_row);
    return WAI_OK;
}

const wai_kernel wai_op_quantize_kernel = {.run = quantize_run};
const wai_kernel wai_op_dequantize_kernel = {.run = dequantize_run};
