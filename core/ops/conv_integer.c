/*
 * conv_integer: conv2d of 8-bit numbers, exact in 32 bits (sums wrap).
 *
 * Padding is with the input's zero point, that is, with nothing. The input's
 * zero point comes off while one pixel's taps are gathered, the weights' one
 * afterwards, from the sum of the taps: the inner loop is a plain product.
 */
#include <math.h>
#include <string.h>

#include "base/limits.h"
#include "ops/conv_common.h"
#include "ops/conv_lower.h"
#include "ops/quantize.h"
#include "ops/vector.h"

/* ---- meaning ------------------------------------------------------------
 * in:  x i8 or u8[N,H,W,I*G], w i8 or u8[G*O,KH,KW,I]
 *      zero point of x, one element; of w, one element or [G*O]; optional
 *      bias i32[G*O], optional
 * out: y i32[N,OH,OW,G*O]. Params of conv2d, without packed, min and max. */

enum { X, W, ZERO_X, ZERO_W, BIAS, INPUTS };

static bool is_8_bit(const wai_type *type) {
    return type != NULL && (type->dtype == WAI_I8 || type->dtype == WAI_U8);
}

/* Absent, one element, or a vector of `count` (0: not allowed). */
static bool zero_fits(const wai_type *zero, wai_dtype dtype, uint64_t count) {
    return zero == NULL || (zero->dtype == dtype && zero->rank <= 1 &&
                            (wai_type_count(zero) == 1 ||
                             (count != 0 && zero->rank == 1 && zero->dims[0] == count)));
}

static wai_status infer(wai_signature *s) {
    const wai_conv_params *p = s->params;
    const wai_type *in[INPUTS] = {NULL};
    for (uint32_t i = 0; i < s->in_count; i++) {
        in[i] = s->in[i];
    }
    if (!is_8_bit(in[X]) || !is_8_bit(in[W])) {
        return WAI_REFUSE(s, "input and weights must be i8 or u8");
    }
    if (p->packed != 0 || p->min != -INFINITY || p->max != INFINITY || p->adjust_h != 0 ||
        p->adjust_w != 0) {
        return WAI_REFUSE(s, "conv_integer has no packed weights, clamp or output padding");
    }
    /* The geometry is that of conv2d. */
    wai_type x = *in[X], w = *in[W];
    x.dtype = w.dtype = WAI_F32;
    const wai_type *as_f32[] = {&x, &w};
    wai_signature conv = *s;
    conv.in = as_f32;
    conv.in_count = 2;
    wai_status status = wai_conv_infer(&conv, wai_conv2d_extent);
    if (status != WAI_OK) {
        return status;
    }
    s->out[0].dtype = WAI_I32;
    const uint32_t channels = p->groups * p->group_out;
    if (!zero_fits(in[ZERO_X], in[X]->dtype, 0) || !zero_fits(in[ZERO_W], in[W]->dtype, channels)) {
        return WAI_REFUSE(s, "a zero point does not fit input or weights");
    }
    const wai_type *bias = in[BIAS];
    if (bias != NULL && (bias->dtype != WAI_I32 || bias->rank != 1 || bias->dims[0] != channels)) {
        return WAI_REFUSE(s, "the bias is not i32[%u]", channels);
    }
    /* One pixel's taps are gathered as 16-bit numbers. */
    const uint64_t most = WAI_MAX_TENSOR_SIZE / sizeof(int16_t);
    const uint64_t taps = (uint64_t)p->kernel_h * p->kernel_w;
    if (taps > most || p->group_in > most / taps) {
        return wai_fail(s->diag, WAI_ERR_LIMIT, s->where,
                        "%u x %u taps of %u channels are too many", p->kernel_h, p->kernel_w,
                        p->group_in);
    }
    return WAI_OK;
}

static uint64_t flops(const wai_signature *s) {
    const wai_conv_params *p = s->params;
    return 2 * wai_type_count(&s->out[0]) * (uint64_t)p->kernel_h * p->kernel_w * p->group_in;
}

const wai_op wai_op_conv_integer = {
    .name = "conv_integer",
    .params_size = sizeof(wai_conv_params),
    .fields = wai_conv_fields,
    .field_count = WAI_CONV_FIELD_COUNT,
    .min_in = 2,
    .max_in = INPUTS,
    .min_out = 1,
    .max_out = 1,
    .infer = infer,
    .flops = flops,
};

/* ---- kernel ------------------------------------------------------------- */

static size_t row_length(const wai_conv_params *p) {
    return (size_t)p->kernel_h * p->kernel_w * p->group_in;
}

/* One channel in, one out per group: a loop over channels instead of taps. */
static bool is_depthwise(const wai_conv_params *p) {
    return p->group_in == 1 && p->group_out == 1 && p->groups > 1;
}

/* 16-bit numbers: one pixel's taps in a group, or all weights turned to
 * [KH,KW,G]. */
static wai_status prepare(wai_step *step, wai_pool *pool, wai_diag *diag) {
    (void)pool, (void)diag;
    const wai_conv_params *p = step->params;
    if (wai_type_count(&step->out[0].type) != 0) {
        const size_t count = is_depthwise(p) ? wai_type_count(&step->in[W].type) : row_length(p);
        step->workspace_size = count * sizeof(int16_t);
    }
    return WAI_OK;
}

static const void *data_of(const wai_step *step, uint32_t index) {
    return index < step->in_count ? step->in[index].data : NULL;
}

static int32_t number_at(const void *data, wai_dtype dtype, size_t at) {
    return dtype == WAI_I8 ? ((const int8_t *)data)[at] : ((const uint8_t *)data)[at];
}

#define SUBTRACT(type)                                                                             \
    WAI_VECTOR_LOOP                                                                                \
    for (size_t i = 0; i < count; i++) {                                                           \
        out[i] = (int16_t)(((const type *)in)[i] - zero);                                          \
    }

static void subtract(int16_t *out, const void *in, wai_dtype dtype, int32_t zero, size_t count) {
    if (dtype == WAI_I8) {
        SUBTRACT(int8_t)
    } else {
        SUBTRACT(uint8_t)
    }
}

#define DOT(type)                                                                                  \
    for (size_t i = 0; i < count; i++) {                                                           \
        sum += (uint32_t)((int32_t)taps[i] * (int32_t)((const type *)w)[i]);                       \
    }

static uint32_t dot(const int16_t *taps, const void *w, wai_dtype dtype, size_t count) {
    uint32_t sum = 0;
    if (dtype == WAI_I8) {
        DOT(int8_t)
    } else {
        DOT(uint8_t)
    }
    return sum;
}

/* The input pixel under a tap of an output pixel; NULL: padding. */
static const uint8_t *pixel_at(const wai_step *step, size_t n, size_t oy, size_t ox, uint32_t ky,
                               uint32_t kx) {
    const wai_conv_params *p = step->params;
    const uint32_t *dims = step->in[X].type.dims;
    int64_t row = (int64_t)oy * p->stride_h + (int64_t)ky * p->dilation_h - p->pad_top;
    int64_t column = (int64_t)ox * p->stride_w + (int64_t)kx * p->dilation_w - p->pad_left;
    if (row < 0 || row >= dims[1] || column < 0 || column >= dims[2]) {
        return NULL;
    }
    size_t pixel = (n * dims[1] + (size_t)row) * dims[2] + (size_t)column;
    return (const uint8_t *)step->in[X].data + pixel * dims[3];
}

/* The taps of one output pixel in one group, less the zero point. */
static void gather(const wai_step *step, size_t n, size_t oy, size_t ox, uint32_t group,
                   int32_t zero, int16_t *taps) {
    const wai_conv_params *p = step->params;
    for (uint32_t ky = 0; ky < p->kernel_h; ky++) {
        for (uint32_t kx = 0; kx < p->kernel_w; kx++, taps += p->group_in) {
            const uint8_t *x = pixel_at(step, n, oy, ox, ky, kx);
            if (x == NULL) {
                memset(taps, 0, p->group_in * sizeof *taps);
            } else {
                subtract(taps, x + (size_t)group * p->group_in, step->in[X].type.dtype, zero,
                         p->group_in);
            }
        }
    }
}

/* The output channels of one group. */
static void channels(const wai_step *step, uint32_t group, const int16_t *taps, uint32_t *out) {
    const wai_conv_params *p = step->params;
    const wai_dtype dtype = step->in[W].type.dtype;
    const size_t length = row_length(p), first = (size_t)group * p->group_out;
    const uint8_t *w = (const uint8_t *)step->in[W].data + first * length;
    const void *zeros = data_of(step, ZERO_W);
    const int32_t *bias = data_of(step, BIAS);
    const bool each = zeros != NULL && wai_type_count(&step->in[ZERO_W].type) != 1;
    uint32_t total = 0;
    for (size_t i = 0; i < length && zeros != NULL; i++) {
        total += (uint32_t)taps[i];
    }
    for (uint32_t o = 0; o < p->group_out; o++, w += length) {
        uint32_t sum = dot(taps, w, dtype, length);
        if (zeros != NULL) {
            sum -= (uint32_t)number_at(zeros, dtype, each ? first + o : 0) * total;
        }
        out[o] = bias != NULL ? sum + (uint32_t)bias[first + o] : sum;
    }
}

static void pixel(const wai_step *step, size_t n, size_t y, size_t x, int32_t zero, uint32_t *out) {
    const wai_conv_params *p = step->params;
    for (uint32_t group = 0; group < p->groups; group++, out += p->group_out) {
        gather(step, n, y, x, group, zero, step->workspace);
        channels(step, group, step->workspace, out);
    }
}

/* ---- depthwise ---- */

/* [G,KH,KW] -> [KH,KW,G], less the zero points. */
static void turn_weights(const wai_step *step, int16_t *turned) {
    const wai_conv_params *p = step->params;
    const wai_dtype dtype = step->in[W].type.dtype;
    const size_t length = row_length(p);
    const void *zeros = data_of(step, ZERO_W);
    const bool each = zeros != NULL && wai_type_count(&step->in[ZERO_W].type) != 1;
    for (uint32_t g = 0; g < p->groups; g++) {
        const int32_t zero = zeros != NULL ? number_at(zeros, dtype, each ? g : 0) : 0;
        for (size_t t = 0; t < length; t++) {
            turned[t * p->groups + g] =
                (int16_t)(number_at(step->in[W].data, dtype, g * length + t) - zero);
        }
    }
}

#define ADD_TAP(type)                                                                              \
    WAI_VECTOR_LOOP                                                                                \
    for (size_t i = 0; i < count; i++) {                                                           \
        out[i] += (uint32_t)((((const type *)x)[i] - zero) * (int32_t)w[i]);                       \
    }

static void add_tap(uint32_t *out, const void *x, wai_dtype dtype, int32_t zero, const int16_t *w,
                    size_t count) {
    if (dtype == WAI_I8) {
        ADD_TAP(int8_t)
    } else {
        ADD_TAP(uint8_t)
    }
}

static void depthwise_pixel(const wai_step *step, size_t n, size_t y, size_t x, int32_t zero,
                            uint32_t *out) {
    const wai_conv_params *p = step->params;
    const int16_t *w = step->workspace;
    if (data_of(step, BIAS) != NULL) {
        memcpy(out, data_of(step, BIAS), p->groups * sizeof *out);
    } else {
        memset(out, 0, p->groups * sizeof *out);
    }
    for (uint32_t ky = 0; ky < p->kernel_h; ky++) {
        for (uint32_t kx = 0; kx < p->kernel_w; kx++, w += p->groups) {
            const uint8_t *in = pixel_at(step, n, y, x, ky, kx);
            if (in != NULL) {
                add_tap(out, in, step->in[X].type.dtype, zero, w, p->groups);
            }
        }
    }
}

static wai_status run(wai_step *step, wai_diag *diag) {
    (void)diag;
    const uint32_t *dims = step->out[0].type.dims;
    const void *zeros = data_of(step, ZERO_X);
    const int32_t zero = zeros != NULL ? number_at(zeros, step->in[X].type.dtype, 0) : 0;
    const bool depthwise = is_depthwise(step->params);
    uint32_t *out = step->out[0].data;
    if (wai_type_count(&step->out[0].type) == 0) {
        return WAI_OK;
    }
    if (depthwise) {
        turn_weights(step, step->workspace);
    }
    for (size_t n = 0; n < dims[0]; n++) {
        for (size_t y = 0; y < dims[1]; y++) {
            for (size_t x = 0; x < dims[2]; x++, out += dims[3]) {
                (depthwise ? depthwise_pixel : pixel)(step, n, y, x, zero, out);
            }
        }
    }
    return WAI_OK;
}

const wai_kernel wai_op_conv_integer_kernel = {.prepare = prepare, .run = run};

/* ---- ONNX ConvInteger, QLinearConv ---------------------------------------- */

static wai_value *as_vector(wai_lower *l, wai_value *value) {
    const uint32_t one = 1;
    return value != NULL && wai_type_count(&value->type) == 1
               ? wai_emit_reshape(l->graph, value, 1, &one)
               : value;
}

/* The i32 sums, channels last. */
static wai_value *emit_sums(wai_lower *l, wai_value *const in[INPUTS], uint32_t *spatial) {
    wai_conv_params p = {0};
    *spatial = wai_conv_lower_spatial(l, in[X], in[W]);
    if (*spatial == 0 || !wai_conv_lower_read(l, in[X], in[W], *spatial, &p)) {
        return NULL;
    }
    wai_value *operands[INPUTS] = {wai_conv_lower_enter(l, in[X]), wai_conv_lower_enter(l, in[W]),
                                   as_vector(l, in[ZERO_X]), as_vector(l, in[ZERO_W]), in[BIAS]};
    return wai_emit(l->graph, &wai_op_conv_integer, &p, operands, INPUTS);
}

void wai_lower_conv_integer(wai_lower *l) {
    wai_value *in[INPUTS] = {wai_lower_input(l, 0), wai_lower_input(l, 1), wai_lower_optional(l, 2),
                             wai_lower_optional(l, 3), NULL};
    uint32_t spatial;
    wai_value *sums = emit_sums(l, in, &spatial);
    l->out[0] = sums != NULL ? wai_conv_lower_leave(l, sums, spatial) : NULL;
}

void wai_lower_qlinear_conv(wai_lower *l) {
    wai_value *in[INPUTS] = {wai_lower_input(l, 0), wai_lower_input(l, 3), wai_lower_input(l, 2),
                             wai_lower_input(l, 5), wai_lower_optional(l, 8)};
    wai_value *scale_x = wai_lower_input(l, 1), *scale_w = wai_lower_input(l, 4);
    wai_value *scale_y = wai_lower_input(l, 6), *zero_y = wai_lower_input(l, 7);
    uint32_t spatial;
    wai_value *sums = emit_sums(l, in, &spatial);
    if (sums == NULL) {
        return;
    }
    if (wai_type_count(&scale_x->type) != 1 || wai_type_count(&scale_y->type) != 1 ||
        scale_w->type.rank > 1) {
        WAI_LOWER_REFUSE(l, "scales of input and output must be one number each");
        return;
    }
    wai_value *scale = wai_emit_binary(l->graph, WAI_BINARY_MUL, as_vector(l, scale_x), scale_w);
    scale = wai_emit_binary(l->graph, WAI_BINARY_DIV, scale, as_vector(l, scale_y));
    wai_value *y = wai_emit_requantize(l->graph, sums, scale, zero_y);
    l->out[0] = y != NULL ? wai_conv_lower_leave(l, y, spatial) : NULL;
}
