/* unary_kernel.c - elementwise functions of one tensor. */
#include <math.h>
#include <pthreadpool.h>

#include "ops/doubles.h"
#include "ops/emit.h"
#include "ops/integers.h"
#include "ops/sigmoid.h"
#include "ops/vector.h"

/*
 * XNNPACK's kernels where they are faster than ours (measured in wasm, ns per
 * element: tanh 1.4, gelu 1.7). Not used: its vsigmoid (1.3 where sigmoid.c takes
 * 0.9), its vlog (relative error 5e-5 near 1, wrong for inf, NaN and subnormals),
 * its velu (makes -1 of a NaN with the sign bit), the simple ones such as sqrt,
 * abs, leaky relu and rounding, which gain nothing.
 */
struct xnn_f32_default_params;
void xnn_f32_vtanh_ukernel__wasmsimd_rational_9_8_div_u16(
    size_t size, const float *in, float *out, const struct xnn_f32_default_params *params);
void xnn_f32_vgelu_ukernel__wasmsimd_rational_12_10_div_u12(
    size_t size, const float *in, float *out, const struct xnn_f32_default_params *params);

typedef void (*map_function)(float *out, const float *in, size_t count, float alpha, float beta);

/* ---- f32 to f32 --------------------------------------------------------- */

#define MAP(name, expression)                                                                      \
    static void map_##name(float *out, const float *in, size_t count, float alpha, float beta) {   \
        (void)alpha;                                                                               \
        (void)beta;                                                                                \
        WAI_VECTOR_LOOP                                                                            \
        for (size_t i = 0; i < count; i++) {                                                       \
            float x = in[i];                                                                       \
            out[i] = (expression);                                                                 \
        }                                                                                          \
    }

static inline float unit(float x) { /* into 0..1, NaN stays */
    float y = x < 0.0f ? 0.0f : x;
    return y > 1.0f ? 1.0f : y;
}

/* x * tanh(log(1 + e^x)) = x * n / (n + 2) with n = e^x (e^x + 2). */
static inline float mish(float x) {
    float e = wai_exp(x > 20.0f ? 20.0f : x);
    float n = e * (e + 2.0f);
    return x * (n / (n + 2.0f));
}

/* (1 + tanh u) / 2 = sigmoid(2u), u = sqrt(2/pi) (x + 0.044715 x^3) */
static inline float gelu_tanh(float x) {
    float u = 0.797884561f * (x + 0.044715f * x * x * x);
    return x * wai_sigmoid(2.0f * u);
}

static inline float softplus(float x) {
    return (x > 0.0f ? x : 0.0f) + wai_log1p(wai_exp(-wai_abs(x)));
}

static inline float elu(float x, float alpha) {
    return x < 0.0f ? wai_expm1_negative(x) * alpha : x;
}

MAP(abs, wai_abs(x))
MAP(neg, -x)
MAP(sign, x > 0.0f ? 1.0f : x < 0.0f ? -1.0f : x == 0.0f ? 0.0f : x)
MAP(ceil, ceilf(x))
MAP(floor, floorf(x))
MAP(round, rintf(x))
MAP(sqrt, sqrtf(x))
MAP(rsqrt, 1.0f / sqrtf(x))
MAP(reciprocal, 1.0f / x)
MAP(exp, wai_exp(x))
MAP(log, wai_log(x))
MAP(sin, sinf(x))
MAP(cos, cosf(x))
MAP(tan, tanf(x))
MAP(asin, asinf(x))
MAP(acos, acosf(x))
MAP(atan, atanf(x))
MAP(sinh, sinhf(x))
MAP(cosh, coshf(x))
MAP(asinh, asinhf(x))
MAP(acosh, acoshf(x))
MAP(atanh, atanhf(x))
MAP(erf, erff(x))
MAP(hard_sigmoid, unit(alpha *x + beta))
MAP(hard_swish, x *unit(x * (1.0f / 6.0f) + 0.5f))
MAP(leaky_relu, x < 0.0f ? x * alpha : x)
MAP(elu, elu(x, alpha))
MAP(selu, x < 0.0f ? elu(x, alpha) * beta : x * beta)
MAP(celu, x < 0.0f ? wai_expm1_negative(x / alpha) * alpha : x)
MAP(thresholded_relu, x <= alpha ? 0.0f : x)
MAP(softplus, softplus(x))
MAP(softsign, x / (1.0f + wai_abs(x)))
MAP(mish, mish(x))
MAP(gelu_tanh, gelu_tanh(x))

static void map_sigmoid(float *out, const float *in, size_t count, float alpha, float beta) {
    (void)alpha;
    (void)beta;
    wai_sigmoids(out, in, count);
}

static void map_silu(float *out, const float *in, size_t count, float alpha, float beta) {
    (void)alpha;
    (void)beta;
    wai_silus(out, in, count);
}

static void map_tanh(float *out, const float *in, size_t count, float alpha, float beta) {
    (void)alpha;
    (void)beta;
    xnn_f32_vtanh_ukernel__wasmsimd_rational_9_8_div_u16(count * sizeof(float), in, out, NULL);
}

static void map_gelu(float *out, const float *in, size_t count, float alpha, float beta) {
    (void)alpha;
    (void)beta;
    xnn_f32_vgelu_ukernel__wasmsimd_rational_12_10_div_u12(count * sizeof(float), in, out, NULL);
}

/* A runtime linked for models has a shorter unary.def on the include path, and
 * NULL here for what it lacks. */
static const map_function maps[WAI_UNARY_SILU + 1] = {
#define WAI_UNARY(kind, name) [WAI_UNARY_##kind] = map_##name,
#include "ops/unary.def"
#undef WAI_UNARY
};

/* ---- the others --------------------------------------------------------- */

static void test_floats(uint8_t *out, const float *in, size_t count, const wai_unary_params *p) {
    bool nan = p->kind == WAI_UNARY_IS_NAN;
    bool above = !nan && p->alpha != 0, below = !nan && p->beta != 0;
    for (size_t i = 0; i < count; i++) {
        float x = in[i];
        out[i] = (nan & (x != x)) | (above & (x == INFINITY)) | (below & (x == -INFINITY));
    }
}

static void map_integers(void *out, const void *in, wai_dtype dtype, size_t count, uint32_t kind) {
    int64_t chunk[WAI_CHUNK];
    size_t width = wai_dtype_size(dtype);
    for (size_t done = 0; done < count; done += WAI_CHUNK) {
        size_t part = count - done < WAI_CHUNK ? count - done : WAI_CHUNK;
        wai_integers_load(chunk, dtype, (const uint8_t *)in + done * width, part);
        for (size_t i = 0; i < part; i++) {
            /* A u64 of 2^63 or more looks negative here, and is not. */
            bool negative = chunk[i] < 0 && dtype != WAI_U64;
            uint64_t x = (uint64_t)chunk[i];
            if (kind == WAI_UNARY_SIGN) {
                chunk[i] = negative ? -1 : x != 0;
            } else if (kind == WAI_UNARY_NEG || negative) {
                chunk[i] = (int64_t)(0 - x);
            }
        }
        wai_integers_store((uint8_t *)out + done * width, dtype, chunk, part);
    }
}

static double map_double(uint32_t kind, double x) {
    switch (kind) {
    case WAI_UNARY_ABS:
        return fabs(x);
    case WAI_UNARY_NEG:
        return -x;
    case WAI_UNARY_SIGN:
        return x > 0.0 ? 1.0 : x < 0.0 ? -1.0 : x == 0.0 ? 0.0 : x;
    case WAI_UNARY_CEIL:
        return ceil(x);
    case WAI_UNARY_FLOOR:
        return floor(x);
    case WAI_UNARY_ROUND:
        return rint(x);
    case WAI_UNARY_SQRT:
        return sqrt(x);
    case WAI_UNARY_RECIPROCAL:
        return 1.0 / x;
    case WAI_UNARY_EXP:
        return wai_exp_double(x);
    default:
        return log(x);
    }
}

static void map_doubles(void *out, const double *in, size_t count, const wai_unary_params *p) {
    for (size_t i = 0; i < count; i++) {
        double x = in[i];
        if (p->kind == WAI_UNARY_IS_NAN) {
            ((uint8_t *)out)[i] = x != x;
        } else if (p->kind == WAI_UNARY_IS_INF) {
            ((uint8_t *)out)[i] = isinf(x) && (x > 0.0 ? p->alpha : p->beta) != 0;
        } else {
            ((double *)out)[i] = map_double(p->kind, x);
        }
    }
}

/* Whether it is the table's: the others are no map_function. */
static bool is_map(const wai_step *step) {
    uint32_t kind = ((const wai_unary_params *)step->params)->kind;
    return step->in[0].type.dtype == WAI_F32 && kind != WAI_UNARY_IS_NAN &&
           kind != WAI_UNARY_IS_INF;
}

static wai_status prepare(wai_step *step, wai_pool *pool, wai_diag *diag) {
    (void)pool;
    uint32_t kind = ((const wai_unary_params *)step->params)->kind;
    if (is_map(step) && maps[kind] == NULL) {
        return wai_fail(diag, WAI_ERR_UNSUPPORTED, step->where, "unary %s is not in this runtime",
                        step->op->fields[0].values[kind]);
    }
    return WAI_OK;
}

/* A task of pthreadpool: `count` elements from `first` on. */
static void map_piece(const wai_step *step, size_t first, size_t count) {
    const wai_unary_params *p = step->params;
    maps[p->kind]((float *)step->out[0].data + first, (const float *)step->in[0].data + first,
                  count, p->alpha, p->beta);
}

static wai_status run(wai_step *step, wai_diag *diag) {
    (void)diag;
    const wai_unary_params *p = step->params;
    const wai_operand *x = &step->in[0];
    void *out = step->out[0].data;
    size_t count = wai_type_count(&x->type);
    if (count == 0) {
        return WAI_OK;
    }
    if (p->kind == WAI_UNARY_NOT) {
        const uint8_t *in = x->data;
        for (size_t i = 0; i < count; i++) {
            ((uint8_t *)out)[i] = in[i] == 0;
        }
    } else if (x->type.dtype == WAI_F64) {
        map_doubles(out, x->data, count, p);
    } else if (x->type.dtype != WAI_F32) {
        map_integers(out, x->data, x->type.dtype, count, p->kind);
    } else if (p->kind == WAI_UNARY_IS_NAN || p->kind == WAI_UNARY_IS_INF) {
        test_floats(out, x->data, count, p);
    } else {
        pthreadpool_parallelize_1d_tile_1d(step->threads, (pthreadpool_task_1d_tile_1d_t)map_piece,
                                           step, count, WAI_PIECE, 0);
    }
    return WAI_OK;
}

const wai_kernel wai_op_unary_kernel = {.prepare = prepare, .run = run};
