/*
 * reduce, softmax and arg_reduce against dull references in double, over
 * seeded random shapes and axes.
 *
 *   check_reduce [rounds] [seed]
 */
#include "check.h"

#include <math.h>

/* Whole eighths: many equal ones, and sums of squares that f64 holds exactly. */
static wai_operand random_input(void) {
    uint32_t rank = 1 + next(5), dims[WAI_MAX_RANK];
    size_t count = 1;
    for (uint32_t i = 0; i < rank; i++) {
        dims[i] = next(4) == 0 ? 1 + next(count > 500 ? 4 : 700) : 1 + next(5);
        count *= dims[i];
    }
    wai_operand x = {.type = wai_type_make(WAI_F32, rank, dims)};
    float *data = x.data = buffer(wai_type_size(&x.type));
    for (size_t i = 0; i < count; i++) {
        data[i] = ((float)next(64) - 31.5f) / 8;
    }
    return x;
}

static bool check(const char *what, const wai_operand *x, uint32_t axes, double got, double wanted,
                  double scale) {
    char text[WAI_TYPE_TEXT];
    compared++;
    if ((isnan(got) && isnan(wanted)) || got == wanted || fabs(got - wanted) <= scale * 1e-6) {
        return true;
    }
    failures++;
    printf("%s of %s, axes %u: %.9g, not %.9g\n", what, wai_type_text(&x->type, text), axes, got,
           wanted);
    return false;
}

/* The output element (keep_dims) that input element `at` belongs to. */
static size_t target(const wai_type *type, uint32_t axes, size_t at) {
    size_t index = 0, stride = 1;
    for (uint32_t i = type->rank; i-- > 0;) {
        size_t digit = at % type->dims[i];
        at /= type->dims[i];
        if ((axes >> i & 1) == 0) {
            index += digit * stride;
            stride *= type->dims[i];
        }
    }
    return index;
}

/* ---- reduce ------------------------------------------------------------------- */

static double map(uint32_t kind, double x) {
    switch (kind) {
    case WAI_REDUCE_L1:
        return fabs(x);
    case WAI_REDUCE_L2:
    case WAI_REDUCE_SUM_SQUARE:
        return x * x;
    case WAI_REDUCE_LOG_SUM_EXP:
        return exp(x);
    default:
        return x;
    }
}

static double finished(uint32_t kind, double total, double count) {
    switch (kind) {
    case WAI_REDUCE_MEAN:
        return total / count;
    case WAI_REDUCE_L2:
        return sqrt(total);
    case WAI_REDUCE_LOG_SUM:
    case WAI_REDUCE_LOG_SUM_EXP:
        return log(total);
    default:
        return total;
    }
}

static void check_reduce(void) {
    wai_operand x = random_input(), out = {0};
    wai_reduce_params p = {1 + next(10), next(1u << x.type.rank), 1};
    const float *in = x.data, *y = execute(&wai_op_reduce, &p, &x, 1, &out);
    size_t outputs = wai_type_count(&out.type), inputs = wai_type_count(&x.type);
    double *total = buffer(outputs * sizeof *total), *size = buffer(outputs * sizeof *size);
    for (size_t i = 0; i < outputs; i++) {
        total[i] = p.kind == WAI_REDUCE_MAX    ? -INFINITY
                   : p.kind == WAI_REDUCE_MIN  ? INFINITY
                   : p.kind == WAI_REDUCE_PROD ? 1
                                               : 0;
        size[i] = 0;
    }
    for (size_t i = 0; i < inputs; i++) {
        size_t to = target(&x.type, p.axes, i);
        double v = map(p.kind, (double)in[i]);
        size[to] += fabs(v);
        total[to] = p.kind == WAI_REDUCE_MAX    ? fmax(total[to], v)
                    : p.kind == WAI_REDUCE_MIN  ? fmin(total[to], v)
                    : p.kind == WAI_REDUCE_PROD ? total[to] * v
                                                : total[to] + v;
    }
    double count = (double)(inputs / outputs);
    for (size_t i = 0; i < outputs; i++) {
        double wanted = finished(p.kind, total[i], count);
        double scale = fmax(fabs(wanted), p.kind == WAI_REDUCE_SUM ? size[i] : size[i] / count);
        if (p.kind == WAI_REDUCE_PROD && (fabs(wanted) > 1e30 || fabs(wanted) < 1e-30)) {
            continue; /* lanes may overflow or vanish where the whole does not */
        }
        if (p.kind == WAI_REDUCE_PROD) {
            scale = fabs(wanted) * count;
        }
        if (p.kind == WAI_REDUCE_LOG_SUM && fabs(total[i]) < 1) {
            continue; /* the error of a sum near 0 is without bound */
        }
        if (!check("reduce", &x, p.axes, (double)y[i], wanted, scale)) {
            printf("  kind %u\n", p.kind);
            break;
        }
    }
    free(total);
    free(size);
    free(x.data);
    free(out.data);
}

/* ---- softmax, arg_reduce -------------------------------------------------------- */

static void check_rows(void) {
    wai_operand x = random_input(), out = {0}, where = {0};
    uint32_t axis = next(x.type.rank);
    wai_softmax_params softmax = {axis, next(2)};
    wai_arg_reduce_params arg = {axis, 1, next(2), next(2)};
    const float *in = x.data;
    const float *y = execute(&wai_op_softmax, &softmax, &x, 1, &out);
    const int64_t *at = execute(&wai_op_arg_reduce, &arg, &x, 1, &where);
    size_t outer = wai_dims_product(x.type.dims, 0, axis), count = x.type.dims[axis];
    size_t inner = wai_dims_product(x.type.dims, axis + 1, x.type.rank);
    bool ok = true;
    for (size_t row = 0; row < outer * inner && ok; row++) {
        size_t base = row / inner * count * inner + row % inner;
        double sum = 0;
        size_t best = 0;
        for (size_t k = 0; k < count; k++) {
            float v = in[base + k * inner], b = in[base + best * inner];
            sum += exp((double)v);
            if (k > 0 && ((arg.max != 0 ? v > b : v < b) || (arg.select_last != 0 && v == b))) {
                best = k;
            }
        }
        ok = check("arg_reduce", &x, axis, (double)at[row], (double)best, 0);
        for (size_t k = 0; k < count && ok; k++) {
            double v = (double)in[base + k * inner];
            double wanted = softmax.log != 0 ? v - log(sum) : exp(v) / sum;
            ok = check("softmax", &x, axis, (double)y[base + k * inner], wanted,
                       fmax(fabs(wanted), softmax.log != 0 ? 1 : 0));
        }
    }
    free(x.data);
    free(out.data);
    free(where.data);
}

int main(int argc, char **argv) {
    unsigned rounds = start(argc, argv, 400);
    for (unsigned i = 0; i < rounds; i++) {
        check_reduce();
        check_rows();
    }
    return finish();
}
