/*
 * binary_kernel.c - elementwise functions of two tensors.
 *
 * XNNPACK's vadd and friends are not used: the loops below become the same
 * code and speed (0.5 ns per element in wasm, bound by memory), take in-place
 * and one-element operands, and its vmin and vmax lose NaN.
 */
#include <math.h>
#include <pthreadpool.h>

#include "ops/broadcast.h"
#include "ops/emit.h"
#include "ops/integers.h"
#include "ops/vector.h"

/* a or b of the innermost loop may be one element: stride 0. */
typedef void (*join_function)(float *out, const float *a, size_t step_a, const float *b,
                              size_t step_b, size_t count);

#define JOIN(name, expression)                                                                     \
    static inline float one_##name(float x, float y) {                                             \
        return expression;                                                                         \
    }                                                                                              \
    static void join_##name(float *out, const float *a, size_t step_a, const float *b,             \
                            size_t step_b, size_t count) {                                         \
        if (step_a != 0 && step_b != 0) {                                                          \
            WAI_VECTOR_LOOP                                                                        \
            for (size_t i = 0; i < count; i++) {                                                   \
                out[i] = one_##name(a[i], b[i]);                                                   \
            }                                                                                      \
        } else if (step_a != 0) {                                                                  \
            float y = b[0];                                                                        \
            WAI_VECTOR_LOOP                                                                        \
            for (size_t i = 0; i < count; i++) {                                                   \
                out[i] = one_##name(a[i], y);                                                      \
            }                                                                                      \
        } else {                                                                                   \
            /* Both have one element only where count is 1. */                                     \
            float x = a[0];                                                                        \
            WAI_VECTOR_LOOP                                                                        \
            for (size_t i = 0; i < count; i++) {                                                   \
                out[i] = one_##name(x, b[i]);                                                      \
            }                                                                                      \
        }                                                                                          \
    }

/* Python's %: the result has the divisor's sign. */
static float mod(float x, float y) {
    float r = fmodf(x, y);
    return r != 0.0f && (r < 0.0f) != (y < 0.0f) ? r + y : r;
}

JOIN(add, x + y)
JOIN(sub, x - y)
JOIN(mul, x *y)
JOIN(div, x / y)
JOIN(pow, powf(x, y))
JOIN(min, x < y || x != x ? x : y)
JOIN(max, x > y || x != x ? x : y)
JOIN(mod, mod(x, y))
JOIN(fmod, fmodf(x, y))
JOIN(prelu, x < 0.0f ? x * y : x)

static const join_function joins[] = {
    [WAI_BINARY_ADD] = join_add,     [WAI_BINARY_SUB] = join_sub, [WAI_BINARY_MUL] = join_mul,
    [WAI_BINARY_DIV] = join_div,     [WAI_BINARY_POW] = join_pow, [WAI_BINARY_MIN] = join_min,
    [WAI_BINARY_MAX] = join_max,     [WAI_BINARY_MOD] = join_mod, [WAI_BINARY_FMOD] = join_fmod,
    [WAI_BINARY_PRELU] = join_prelu,
};

/* ---- integers, widened to 64 bits --------------------------------------- */

/* Division by zero gives 0; the one overflow wraps. */
static int64_t divide(int64_t x, int64_t y, bool is_unsigned) {
    if (y == 0) {
        return 0;
    }
    if (is_unsigned) {
        return (int64_t)((uint64_t)x / (uint64_t)y);
    }
    return y == -1 ? (int64_t)(0 - (uint64_t)x) : x / y;
}

static int64_t remainder_of(int64_t x, int64_t y, bool is_unsigned) {
    if (y == 0) {
        return 0;
    }
    if (is_unsigned) {
        return (int64_t)((uint64_t)x % (uint64_t)y);
    }
    return y == -1 ? 0 : x % y;
}

static int64_t modulo(int64_t x, int64_t y, bool is_unsigned) {
    int64_t r = remainder_of(x, y, is_unsigned);
    return !is_unsigned && r != 0 && (r < 0) != (y < 0) ? r + y : r;
}

/* Wraps; a negative exponent gives the quotient 1 / x^-y cut to a whole. */
static int64_t power(int64_t x, int64_t y, bool is_unsigned) {
    if (y < 0 && !is_unsigned) {
        return x == 1 || (x == -1 && y % 2 == 0) ? 1 : x == -1 ? -1 : 0;
    }
    uint64_t result = 1, base = (uint64_t)x;
    for (uint64_t left = (uint64_t)y; left != 0; left >>= 1) {
        result *= (left & 1) != 0 ? base : 1;
        base *= base;
    }
    return (int64_t)result;
}

static bool less(int64_t x, int64_t y, bool is_unsigned) {
    return is_unsigned ? (uint64_t)x < (uint64_t)y : x < y;
}

/* `is_unsigned` is u64 only: all others fit int64_t. */
static int64_t integer(uint32_t kind, int64_t x, int64_t y, bool is_unsigned) {
    switch (kind) {
    case WAI_BINARY_ADD:
        return (int64_t)((uint64_t)x + (uint64_t)y);
    case WAI_BINARY_SUB:
        return (int64_t)((uint64_t)x - (uint64_t)y);
    case WAI_BINARY_MUL:
        return (int64_t)((uint64_t)x * (uint64_t)y);
    case WAI_BINARY_DIV:
        return divide(x, y, is_unsigned);
    case WAI_BINARY_POW:
        return power(x, y, is_unsigned);
    case WAI_BINARY_MIN:
        return less(x, y, is_unsigned) ? x : y;
    case WAI_BINARY_MAX:
        return less(x, y, is_unsigned) ? y : x;
    case WAI_BINARY_MOD:
        return modulo(x, y, is_unsigned);
    case WAI_BINARY_FMOD:
        return remainder_of(x, y, is_unsigned);
    case WAI_BINARY_PRELU:
        return less(x, 0, is_unsigned) ? (int64_t)((uint64_t)x * (uint64_t)y) : x;
    case WAI_BINARY_AND:
        return (x != 0) & (y != 0);
    case WAI_BINARY_OR:
        return (x != 0) | (y != 0);
    default:
        return (x != 0) ^ (y != 0);
    }
}

static void join_integers(uint32_t kind, wai_dtype dtype, uint8_t *out, const uint8_t *a,
                          size_t step_a, const uint8_t *b, size_t step_b, size_t count) {
    int64_t x[WAI_CHUNK], y[WAI_CHUNK];
    size_t width = wai_dtype_size(dtype);
    wai_integers_load(x, dtype, a, 1);
    wai_integers_load(y, dtype, b, 1);
    int64_t first_x = x[0], first_y = y[0];
    for (size_t done = 0; done < count; done += WAI_CHUNK) {
        size_t part = count - done < WAI_CHUNK ? count - done : WAI_CHUNK;
        if (step_a != 0) {
            wai_integers_load(x, dtype, a + done * width, part);
        }
        if (step_b != 0) {
            wai_integers_load(y, dtype, b + done * width, part);
        }
        for (size_t i = 0; i < part; i++) {
            x[i] = integer(kind, step_a != 0 ? x[i] : first_x, step_b != 0 ? y[i] : first_y,
                           dtype == WAI_U64);
        }
        wai_integers_store(out + done * width, dtype, x, part);
    }
}

/* ---- f64: rare, one function for all ------------------------------------- */

static double real(uint32_t kind, double x, double y) {
    double r;
    switch (kind) {
    case WAI_BINARY_ADD:
        return x + y;
    case WAI_BINARY_SUB:
        return x - y;
    case WAI_BINARY_MUL:
        return x * y;
    case WAI_BINARY_DIV:
        return x / y;
    case WAI_BINARY_MIN:
        return x < y || x != x ? x : y;
    case WAI_BINARY_MAX:
        return x > y || x != x ? x : y;
    case WAI_BINARY_PRELU:
        return x < 0.0 ? x * y : x;
    default:
        r = fmod(x, y);
        return kind == WAI_BINARY_MOD && r != 0.0 && (r < 0.0) != (y < 0.0) ? r + y : r;
    }
}

static void join_doubles(uint32_t kind, double *out, const double *a, size_t step_a,
                         const double *b, size_t step_b, size_t count) {
    /* Read first: out may be where a single element of a or b is. */
    double first_a = a[0], first_b = b[0];
    for (size_t i = 0; i < count; i++) {
        out[i] = real(kind, step_a != 0 ? a[i] : first_a, step_b != 0 ? b[i] : first_b);
    }
}

#define REPEATED 256

/* ---- step ---------------------------------------------------------------- */

/*
 * Rows of a few channels against one such row (a picture minus its means):
 * the row, repeated in a buffer, makes long rows of the short ones. `which` is
 * the input that repeats.
 */
static bool repeats(const wai_broadcast *b, uint32_t which) {
    return b->rank == 1 && b->count <= REPEATED / 4 && b->strides[which][0] == 0 &&
           b->inner[which] == 1 && b->strides[1 - which][0] == b->count;
}

static void join_repeated(const wai_broadcast *b, uint32_t kind, float *out, const float *const *in,
                          uint32_t which, size_t rows) {
    float buffer[REPEATED];
    size_t whole = REPEATED / b->count * b->count;
    size_t left = rows * b->count;
    const float *dense = in[1 - which];
    for (size_t i = 0; i < whole && i < left; i++) {
        buffer[i] = in[which][i % b->count];
    }
    while (left > 0) {
        size_t part = left < whole ? left : whole;
        joins[kind](out, which == 0 ? buffer : dense, 1, which == 0 ? dense : buffer, 1, part);
        dense += part;
        out += part;
        left -= part;
    }
}

static uint32_t kind_of(const wai_step *step) {
    return ((const wai_binary_params *)step->params)->kind;
}

/* Two tasks of pthreadpool, for f32: `count` elements of the only row, and `count` rows of a loop.
 */
static void join_piece(const wai_step *step, size_t first, size_t count) {
    const wai_broadcast *b = step->state;
    const float *x = step->in[0].data, *y = step->in[1].data;
    joins[kind_of(step)]((float *)step->out[0].data + first, x + first * b->inner[0], b->inner[0],
                         y + first * b->inner[1], b->inner[1], count);
}

static void join_rows(const wai_step *step, size_t first, size_t count) {
    const wai_broadcast *b = step->state;
    const size_t step_x = b->strides[0][0], step_y = b->strides[1][0];
    const float *in[] = {(const float *)step->in[0].data + first * step_x,
                         (const float *)step->in[1].data + first * step_y};
    float *out = (float *)step->out[0].data + first * b->count;
    if (repeats(b, 0) || repeats(b, 1)) {
        join_repeated(b, kind_of(step), out, in, repeats(b, 0) ? 0 : 1, count);
        return;
    }
    for (size_t i = 0; i < count; i++, out += b->count, in[0] += step_x, in[1] += step_y) {
        joins[kind_of(step)](out, in[0], b->inner[0], in[1], b->inner[1], b->count);
    }
}

static wai_status run(wai_step *step, wai_diag *diag) {
    (void)diag;
    const wai_broadcast *b = step->state;
    uint32_t kind = kind_of(step);
    wai_dtype dtype = step->in[0].type.dtype;
    size_t width = wai_dtype_size(dtype);
    const uint8_t *x = step->in[0].data, *y = step->in[1].data;
    uint8_t *out = step->out[0].data;
    if (dtype == WAI_F32 && b->outer == 1) {
        pthreadpool_parallelize_1d_tile_1d(step->threads, (pthreadpool_task_1d_tile_1d_t)join_piece,
                                           step, b->count, WAI_PIECE, 0);
        return WAI_OK;
    }
    if (dtype == WAI_F32 && b->outer != 0 && b->rank == 1) {
        const size_t rows = b->count < WAI_PIECE ? WAI_PIECE / b->count : 1;
        pthreadpool_parallelize_1d_tile_1d(step->threads, (pthreadpool_task_1d_tile_1d_t)join_rows,
                                           step, b->outer, rows, 0);
        return WAI_OK;
    }
    wai_broadcast_place place = {{0}, {0}};
    for (size_t i = 0; i < b->outer; i++) {
        const uint8_t *row_x = x + place.at[0] * width, *row_y = y + place.at[1] * width;
        if (dtype == WAI_F32) {
            joins[kind]((float *)out, (const float *)row_x, b->inner[0], (const float *)row_y,
                        b->inner[1], b->count);
        } else if (dtype == WAI_F64) {
            join_doubles(kind, (double *)out, (const double *)row_x, b->inner[0],
                         (const double *)row_y, b->inner[1], b->count);
        } else {
            join_integers(kind, dtype, out, row_x, b->inner[0], row_y, b->inner[1], b->count);
        }
        out += b->count * width;
        wai_broadcast_next(b, &place);
    }
    return WAI_OK;
}

const wai_kernel wai_op_binary_kernel = {.prepare = wai_broadcast_prepare, .run = run};
