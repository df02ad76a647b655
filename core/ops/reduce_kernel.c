/*
 * reduce_kernel.c - sums, means, extremes over axes.
 *
 * Neighbouring axes of one fate are joined. If the last ones are reduced, an
 * output element is made of contiguous runs; if they are kept, rows are
 * accumulated into a tile of output columns.
 *
 * Sums: f32 lanes over blocks of a few hundred elements, f64 over the blocks.
 * The order is fixed by the shape alone, so that every build gives the same
 * bits; the error is that of some 16 f32 additions. (All in f64 would halve
 * the speed.)
 */
#include <math.h>

#include "ops/doubles.h"
#include "ops/emit.h"
#include "ops/integers.h"
#include "ops/vector.h"

typedef struct loops {
    uint32_t rank;
    size_t count; /* product of dims */
    size_t dims[WAI_MAX_RANK], strides[WAI_MAX_RANK];
} loops;

typedef struct reduce_plan {
    loops kept, reduced; /* without the innermost, contiguous axis          */
    size_t columns;      /* kept elements innermost; 1 if they are reduced  */
    size_t run;          /* reduced elements innermost; 1 if they are kept  */
} reduce_plan;

typedef struct place {
    size_t index[WAI_MAX_RANK];
    size_t at;
} place;

static void advance(const loops *l, place *p) {
    for (uint32_t i = l->rank; i-- > 0;) {
        p->at += l->strides[i];
        if (++p->index[i] < l->dims[i]) {
            return;
        }
        p->at -= l->strides[i] * l->dims[i];
        p->index[i] = 0;
    }
}

static void add_loop(loops *l, size_t dim, size_t stride, bool joined) {
    if (joined) {
        l->dims[l->rank - 1] *= dim;
        l->strides[l->rank - 1] = stride;
    } else {
        l->dims[l->rank] = dim;
        l->strides[l->rank++] = stride;
    }
}

static void take_innermost(loops *l, size_t *dim) {
    *dim = l->dims[--l->rank];
}

static void plan_init(reduce_plan *plan, const wai_type *type, uint32_t axes) {
    size_t strides[WAI_MAX_RANK];
    wai_type_strides(type, strides);
    bool any = false, last = false; /* fate of the axis before */
    for (uint32_t i = 0; i < type->rank; i++) {
        bool reduced = (axes >> i & 1u) != 0;
        if (type->dims[i] != 1) {
            add_loop(reduced ? &plan->reduced : &plan->kept, type->dims[i], strides[i],
                     any && last == reduced);
            any = true;
            last = reduced;
        }
    }
    plan->columns = plan->run = 1;
    if (any) {
        take_innermost(last ? &plan->reduced : &plan->kept, last ? &plan->run : &plan->columns);
    }
    loops *both[] = {&plan->kept, &plan->reduced};
    for (uint32_t k = 0; k < 2; k++) {
        both[k]->count = 1;
        for (uint32_t i = 0; i < both[k]->rank; i++) {
            both[k]->count *= both[k]->dims[i];
        }
    }
}

/* ---- f32 ----------------------------------------------------------------- */

#define LANES      16
#define BLOCK_ROWS 16 /* f32 additions in a row before f64 takes over */
#define COLUMNS    256

#define PLUS(a, b)    ((a) + (b))
#define TIMES(a, b)   ((a) * (b))
#define LARGER(a, b)  ((b) > (a) || (b) != (b) ? (b) : (a)) /* NaN stays */
#define SMALLER(a, b) ((b) < (a) || (b) != (b) ? (b) : (a))

/* run: of `count` contiguous elements. rows: accumulate a row into acc.
 * merge: of two results; merge_rows: of as many. `shift` is for log_sum_exp. */
#define REDUCTION(name, first, map, combine)                                                       \
    static double run_##name(const float *in, size_t count, float shift) {                         \
        double total = first;                                                                      \
        (void)shift;                                                                               \
        while (count >= LANES) {                                                                   \
            float lane[LANES];                                                                     \
            for (size_t j = 0; j < LANES; j++) {                                                   \
                lane[j] = first;                                                                   \
            }                                                                                      \
            for (size_t k = 0; k < BLOCK_ROWS && count >= LANES; k++) {                            \
                WAI_VECTOR_LOOP                                                                    \
                for (size_t j = 0; j < LANES; j++) {                                               \
                    float x = in[j];                                                               \
                    float y = (map);                                                               \
                    lane[j] = combine(lane[j], y);                                                 \
                }                                                                                  \
                in += LANES;                                                                       \
                count -= LANES;                                                                    \
            }                                                                                      \
            for (size_t half = LANES / 2; half > 0; half /= 2) {                                   \
                for (size_t j = 0; j < half; j++) {                                                \
                    lane[j] = combine(lane[j], lane[j + half]);                                    \
                }                                                                                  \
            }                                                                                      \
            total = combine(total, lane[0]);                                                       \
        }                                                                                          \
        for (size_t j = 0; j < count; j++) {                                                       \
            float x = in[j];                                                                       \
            float y = (map);                                                                       \
            total = combine(total, y);                                                             \
        }                                                                                          \
        return total;                                                                              \
    }                                                                                              \
    static void rows_##name(float *acc, const float *in, size_t count, const float *shifts) {      \
        (void)shifts;                                                                              \
        WAI_VECTOR_LOOP                                                                            \
        for (size_t j = 0; j < count; j++) {                                                       \
            float x = in[j];                                                                       \
            SHIFT_##name;                                                                          \
            float y = (map);                                                                       \
            acc[j] = combine(acc[j], y);                                                           \
        }                                                                                          \
    }                                                                                              \
    static double merge_##name(double a, double b) {                                               \
        return combine(a, b);                                                                      \
    }                                                                                              \
    static void merge_rows_##name(double *total, const float *acc, size_t count) {                 \
        WAI_VECTOR_LOOP                                                                            \
        for (size_t j = 0; j < count; j++) {                                                       \
            total[j] = combine(total[j], acc[j]);                                                  \
        }                                                                                          \
    }

/* Four rows at once, in the order of one after the other: what is summed up stays in registers.
 * Only for sums, of which global average pools are made. */
static void four_rows(float *acc, const float *in, size_t stride, size_t count) {
    const float *second = in + stride, *third = second + stride, *fourth = third + stride;
    WAI_VECTOR_LOOP
    for (size_t j = 0; j < count; j++) {
        acc[j] = (((acc[j] + in[j]) + second[j]) + third[j]) + fourth[j];
    }
}

#define SHIFT_sum
#define SHIFT_abs
#define SHIFT_square
#define SHIFT_prod
#define SHIFT_max
#define SHIFT_min
#define SHIFT_exp float shift = shifts[j]

REDUCTION(sum, 0.0f, x, PLUS)
REDUCTION(abs, 0.0f, wai_abs(x), PLUS)
REDUCTION(square, 0.0f, x *x, PLUS)
REDUCTION(exp, 0.0f, wai_exp(x - shift), PLUS)
REDUCTION(prod, 1.0f, x, TIMES)
REDUCTION(max, -INFINITY, x, LARGER)
REDUCTION(min, INFINITY, x, SMALLER)

typedef struct reduction {
    float first;
    double (*run)(const float *in, size_t count, float shift);
    void (*rows)(float *acc, const float *in, size_t count, const float *shifts);
    double (*merge)(double a, double b);
    void (*merge_rows)(double *total, const float *acc, size_t count);
    const struct reduction *shift; /* what is to be taken off before, or NULL */
    void (*four_rows)(float *acc, const float *in, size_t stride, size_t count); /* or NULL */
} reduction;

#define ROW(name, first)                                                                           \
    {first, run_##name, rows_##name, merge_##name, merge_rows_##name, NULL, NULL}

#define SUM_ROW {0.0f, run_sum, rows_sum, merge_sum, merge_rows_sum, NULL, four_rows}

static const reduction maximum = ROW(max, -INFINITY);

#define REDUCE_SUM         SUM_ROW
#define REDUCE_MEAN        SUM_ROW
#define REDUCE_MAX         ROW(max, -INFINITY)
#define REDUCE_MIN         ROW(min, INFINITY)
#define REDUCE_PROD        ROW(prod, 1.0f)
#define REDUCE_L1          ROW(abs, 0.0f)
#define REDUCE_L2          ROW(square, 0.0f)
#define REDUCE_LOG_SUM     SUM_ROW
#define REDUCE_LOG_SUM_EXP {0.0f, run_exp, rows_exp, merge_exp, merge_rows_exp, &maximum, NULL}
#define REDUCE_SUM_SQUARE  ROW(square, 0.0f)

/* A runtime linked for models has a shorter reduce.def on the include path, and
 * nothing here for what it lacks. */
#define WAI_REDUCE_TYPE(TYPE, name)
static const reduction reductions[WAI_REDUCE_SUM_SQUARE + 1] = {
#define WAI_REDUCE_KIND(KIND, name) [WAI_REDUCE_##KIND] = REDUCE_##KIND,
#include "ops/reduce.def"
#undef WAI_REDUCE_KIND
};
#undef WAI_REDUCE_TYPE

static float finish(uint32_t kind, double total, double count, float shift) {
    switch (kind) {
    case WAI_REDUCE_MEAN:
        return (float)(total / count);
    case WAI_REDUCE_L2:
        return (float)sqrt(total);
    case WAI_REDUCE_LOG_SUM:
        return (float)log(total);
    case WAI_REDUCE_LOG_SUM_EXP:
        return (float)(log(total) + shift);
    default:
        return (float)total;
    }
}

/* What log_sum_exp takes off before exp: the maximum, if that is finite. */
static float shift_of(double max) {
    return isinf(max) ? 0.0f : (float)max;
}

static double reduce_runs(const reduction *r, const reduce_plan *plan, const float *in,
                          float shift) {
    double total = r->first;
    place p = {{0}, 0};
    for (size_t i = 0; i < plan->reduced.count; i++) {
        total = r->merge(total, r->run(in + p.at, plan->run, shift));
        advance(&plan->reduced, &p);
    }
    return total;
}

static void reduce_tile(const reduction *r, const reduce_plan *plan, const float *in,
                        size_t columns, const float *shifts, double *total) {
    float acc[COLUMNS];
    place p = {{0}, 0};
    for (size_t j = 0; j < columns; j++) {
        total[j] = r->first;
    }
    for (size_t done = 0; done < plan->reduced.count;) {
        for (size_t j = 0; j < columns; j++) {
            acc[j] = r->first;
        }
        const size_t left = plan->reduced.count - done;
        const size_t end = done + (left < BLOCK_ROWS ? left : BLOCK_ROWS);
        for (; r->four_rows != NULL && plan->reduced.rank == 1 && end - done >= 4; done += 4) {
            const size_t stride = plan->reduced.strides[0];
            r->four_rows(acc, in + done * stride, stride, columns);
            p.at = (done + 4) * stride;
        }
        for (; done < end; done++) {
            r->rows(acc, in + p.at, columns, shifts);
            advance(&plan->reduced, &p);
        }
        r->merge_rows(total, acc, columns);
    }
}

static void reduce_columns(uint32_t kind, const reduce_plan *plan, const float *in, float *out) {
    double total[COLUMNS];
    float shifts[COLUMNS];
    double count = (double)plan->reduced.count;
    for (size_t j = 0; j < plan->columns; j += COLUMNS) {
        size_t columns = plan->columns - j < COLUMNS ? plan->columns - j : COLUMNS;
        for (size_t i = 0; i < columns; i++) {
            shifts[i] = 0;
        }
        if (reductions[kind].shift != NULL) {
            reduce_tile(reductions[kind].shift, plan, in + j, columns, shifts, total);
            for (size_t i = 0; i < columns; i++) {
                shifts[i] = shift_of(total[i]);
            }
        }
        reduce_tile(&reductions[kind], plan, in + j, columns, shifts, total);
        for (size_t i = 0; i < columns; i++) {
            out[j + i] = finish(kind, total[i], count, shifts[i]);
        }
    }
}

static void reduce_f32(uint32_t kind, wai_dtype dtype, const reduce_plan *plan, const void *x,
                       void *y) {
    (void)dtype;
    const float *in = x;
    float *out = y;
    place p = {{0}, 0};
    double count = (double)(plan->reduced.count * plan->run);
    for (size_t i = 0; i < plan->kept.count; i++, out += plan->columns) {
        const float *start = in + p.at;
        if (plan->columns != 1) {
            reduce_columns(kind, plan, start, out);
        } else {
            float shift = 0;
            if (reductions[kind].shift != NULL) {
                shift = shift_of(reduce_runs(reductions[kind].shift, plan, start, 0));
            }
            double total = reduce_runs(&reductions[kind], plan, start, shift);
            *out = finish(kind, total, count, shift);
        }
        advance(&plan->kept, &p);
    }
}

/* ---- integers and bool: shape arithmetic, kept simple ---------------------- */

/* u64 with its top bit turned has the order of i64. */
#define TOP_BIT(dtype) ((dtype) == WAI_U64 ? 1ull << 63 : 0)

static bool less(wai_dtype dtype, int64_t x, int64_t y) {
    uint64_t flip = TOP_BIT(dtype);
    return (int64_t)((uint64_t)x ^ flip) < (int64_t)((uint64_t)y ^ flip);
}

static int64_t add_integer(uint32_t kind, wai_dtype dtype, int64_t total, int64_t x) {
    uint64_t bits = (uint64_t)x;
    switch (kind) {
    case WAI_REDUCE_MAX:
        return less(dtype, total, x) ? x : total;
    case WAI_REDUCE_MIN:
        return less(dtype, x, total) ? x : total;
    case WAI_REDUCE_PROD:
        return (int64_t)((uint64_t)total * bits);
    case WAI_REDUCE_L1:
        return (int64_t)((uint64_t)total + (less(dtype, x, 0) ? 0 - bits : bits));
    case WAI_REDUCE_SUM_SQUARE:
        return (int64_t)((uint64_t)total + bits * bits);
    default:
        return (int64_t)((uint64_t)total + bits);
    }
}

/* What max and min of nothing are: the ends of the dtype. */
static int64_t first_integer(uint32_t kind, wai_dtype dtype) {
    uint32_t bits = (uint32_t)wai_dtype_size(dtype) * 8;
    bool is_signed = dtype == WAI_I8 || dtype == WAI_I16 || dtype == WAI_I32 || dtype == WAI_I64;
    uint64_t top = dtype == WAI_BOOL ? 1 : UINT64_MAX >> (64 - bits + (is_signed ? 1 : 0));
    switch (kind) {
    case WAI_REDUCE_MAX:
        return is_signed ? (int64_t)~top : 0;
    case WAI_REDUCE_MIN:
        return (int64_t)top;
    default:
        return kind == WAI_REDUCE_PROD;
    }
}

static int64_t reduce_integer(uint32_t kind, wai_dtype dtype, const reduce_plan *plan,
                              const uint8_t *in) {
    int64_t chunk[WAI_CHUNK], total = first_integer(kind, dtype);
    size_t width = wai_dtype_size(dtype);
    place p = {{0}, 0};
    for (size_t i = 0; i < plan->reduced.count; i++) {
        for (size_t done = 0; done < plan->run; done += WAI_CHUNK) {
            size_t part = plan->run - done < WAI_CHUNK ? plan->run - done : WAI_CHUNK;
            wai_integers_load(chunk, dtype, in + (p.at + done) * width, part);
            for (size_t j = 0; j < part; j++) {
                total = add_integer(kind, dtype, total, chunk[j]);
            }
        }
        advance(&plan->reduced, &p);
    }
    int64_t count = (int64_t)(plan->reduced.count * plan->run);
    if (kind == WAI_REDUCE_MEAN && dtype == WAI_U64) {
        return count != 0 ? (int64_t)((uint64_t)total / (uint64_t)count) : 0;
    }
    if (kind == WAI_REDUCE_MEAN) {
        return count != 0 ? total / count : 0;
    }
    return total;
}

static void reduce_whole(uint32_t kind, wai_dtype dtype, const reduce_plan *plan, const void *x,
                         void *y) {
    const uint8_t *in = x;
    uint8_t *out = y;
    size_t width = wai_dtype_size(dtype);
    place p = {{0}, 0};
    for (size_t i = 0; i < plan->kept.count; i++) {
        for (size_t j = 0; j < plan->columns; j++, out += width) {
            int64_t total = reduce_integer(kind, dtype, plan, in + (p.at + j) * width);
            wai_integers_store(out, dtype, &total, 1);
        }
        advance(&plan->kept, &p);
    }
}

/* ---- f64: rare, element by element ----------------------------------------- */

static double add_double(uint32_t kind, double total, double x, double shift) {
    switch (kind) {
    case WAI_REDUCE_MAX:
        return LARGER(total, x);
    case WAI_REDUCE_MIN:
        return SMALLER(total, x);
    case WAI_REDUCE_PROD:
        return total * x;
    case WAI_REDUCE_L1:
        return total + fabs(x);
    case WAI_REDUCE_L2:
    case WAI_REDUCE_SUM_SQUARE:
        return total + x * x;
    case WAI_REDUCE_LOG_SUM_EXP:
        return total + wai_exp_double(x - shift);
    default:
        return total + x;
    }
}

static double sum_doubles(uint32_t kind, const reduce_plan *plan, const double *in, double shift) {
    double total = kind == WAI_REDUCE_MAX ? -INFINITY : reductions[kind].first;
    place p = {{0}, 0};
    for (size_t i = 0; i < plan->reduced.count; i++) {
        for (size_t j = 0; j < plan->run; j++) {
            total = add_double(kind, total, in[p.at + j], shift);
        }
        advance(&plan->reduced, &p);
    }
    return total;
}

static double reduce_double(uint32_t kind, const reduce_plan *plan, const double *in) {
    double shift = 0;
    if (kind == WAI_REDUCE_LOG_SUM_EXP) {
        shift = sum_doubles(WAI_REDUCE_MAX, plan, in, 0);
        shift = isinf(shift) ? 0 : shift;
    }
    double total = sum_doubles(kind, plan, in, shift);
    switch (kind) {
    case WAI_REDUCE_MEAN:
        return total / (double)(plan->reduced.count * plan->run);
    case WAI_REDUCE_L2:
        return sqrt(total);
    case WAI_REDUCE_LOG_SUM:
    case WAI_REDUCE_LOG_SUM_EXP:
        return log(total) + shift;
    default:
        return total;
    }
}

static void reduce_f64(uint32_t kind, wai_dtype dtype, const reduce_plan *plan, const void *x,
                       void *y) {
    (void)dtype;
    const double *in = x;
    double *out = y;
    place p = {{0}, 0};
    for (size_t i = 0; i < plan->kept.count; i++) {
        for (size_t j = 0; j < plan->columns; j++) {
            *out++ = reduce_double(kind, plan, in + p.at + j);
        }
        advance(&plan->kept, &p);
    }
}

/* ---- step ------------------------------------------------------------------ */

typedef void reduce_function(uint32_t kind, wai_dtype dtype, const reduce_plan *plan, const void *x,
                             void *y);

static reduce_function *function_of(wai_dtype dtype) {
    enum { WHOLE, F32, F64 };
#define WAI_REDUCE_KIND(KIND, name)
    static reduce_function *const functions[F64 + 1] = {
#define WAI_REDUCE_TYPE(TYPE, name) [TYPE] = reduce_##name,
#include "ops/reduce.def"
#undef WAI_REDUCE_TYPE
    };
#undef WAI_REDUCE_KIND
    return functions[dtype == WAI_F32 ? F32 : dtype == WAI_F64 ? F64 : WHOLE];
}

static wai_status prepare(wai_step *step, wai_pool *pool, wai_diag *diag) {
    const wai_reduce_params *p = step->params;
    const wai_type *type = &step->in[0].type;
    if (function_of(type->dtype) == NULL || reductions[p->kind].run == NULL) {
        return wai_fail(diag, WAI_ERR_UNSUPPORTED, step->where,
                        "reduce %s of %s is not in this runtime",
                        step->op->fields[0].values[p->kind], wai_dtype_name(type->dtype));
    }
    reduce_plan *plan = wai_pool_alloc(pool, sizeof *plan);
    if (plan == NULL) {
        return wai_fail(diag, WAI_ERR_MEMORY, step->where, "no memory for %zu bytes", sizeof *plan);
    }
    plan_init(plan, type, p->axes);
    step->state = plan;
    return WAI_OK;
}

static wai_status run(wai_step *step, wai_diag *diag) {
    (void)diag;
    wai_dtype dtype = step->in[0].type.dtype;
    function_of(dtype)(((const wai_reduce_params *)step->params)->kind, dtype, step->state,
                       step->in[0].data, step->out[0].data);
    return WAI_OK;
}

const wai_kernel wai_op_reduce_kernel = {.prepare = prepare, .run = run};
