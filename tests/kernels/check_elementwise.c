/*
 * unary, binary, compare and where against dull references: every function of
 * unary over a sweep of all of f32 against libm in double, and the
 * broadcasting ones, over seeded random shapes, against index arithmetic.
 *
 *   check_elementwise [rounds] [seed]
 */
#include "check.h"

#include <math.h>

/* ---- unary ------------------------------------------------------------------ */

static double sigmoid(double x) {
    return x < 0 ? exp(x) / (1 + exp(x)) : 1 / (1 + exp(-x));
}

static double softplus(double x) {
    return x > 0 ? x + log1p(exp(-x)) : log1p(exp(x));
}

static double elu(double x) {
    return x > 0 ? x : expm1(x);
}

static double gelu(double x) {
    return 0.5 * x * erfc(-x / sqrt(2));
}

static double gelu_tanh(double x) {
    return x * sigmoid(2 * sqrt(2 / acos(-1)) * (x + 0.044715 * x * x * x));
}

static double mish(double x) {
    return x * tanh(softplus(x));
}

static double silu(double x) {
    return x * sigmoid(x);
}

static double softsign(double x) {
    return x / (1 + fabs(x));
}

static double reciprocal(double x) {
    return 1 / x;
}

static double rsqrt(double x) {
    return 1 / sqrt(x);
}

/* Tolerances: absolute, and in units of the last place of the result. */
static const struct {
    wai_unary_kind kind;
    double (*reference)(double x);
    double absolute, ulps;
} functions[] = {
    {WAI_UNARY_ABS, fabs, 0, 0},
    {WAI_UNARY_CEIL, ceil, 0, 0},
    {WAI_UNARY_FLOOR, floor, 0, 0},
    {WAI_UNARY_ROUND, rint, 0, 0},
    {WAI_UNARY_SQRT, sqrt, 0, 0.5},
    {WAI_UNARY_RSQRT, rsqrt, 0, 1.5},
    {WAI_UNARY_RECIPROCAL, reciprocal, 0, 0.5},
    {WAI_UNARY_EXP, exp, 3e-45, 1.5},
    {WAI_UNARY_LOG, log, 0, 1.5},
    {WAI_UNARY_TANH, tanh, 0, 6},
    {WAI_UNARY_SIGMOID, sigmoid, 2e-38, 4}, /* XNNPACK's gives 0 below -87 */
    {WAI_UNARY_ELU, elu, 0, 3},
    {WAI_UNARY_SOFTPLUS, softplus, 3e-45, 3},
    {WAI_UNARY_SOFTSIGN, softsign, 0, 1.5},
    {WAI_UNARY_MISH, mish, 1e-36, 5},
    {WAI_UNARY_GELU, gelu, 1e-6, 4},
    {WAI_UNARY_GELU_TANH, gelu_tanh, 1e-6, 4},
    {WAI_UNARY_SILU, silu, 3e-36, 5},
};

static double ulp_of(double x) {
    float f = fabsf((float)x);
    return isinf(f) ? 0 : (double)nextafterf(f, INFINITY) - (double)f;
}

static bool is_close(float got, double wanted, double absolute, double ulps) {
    float rounded = (float)wanted;
    if (isnan(got) || isnan(rounded)) {
        return isnan(got) && isnan(rounded);
    }
    if (got == rounded) {
        return true;
    }
    /* An overflow on one side only may be a matter of the last bit. */
    double above = isinf(got) ? (double)3.4028235e38f * (got > 0 ? 1 : -1) : got;
    double limit = fabs(wanted) > (double)3.4028235e38f ? (double)rounded : wanted;
    if (isinf(limit)) {
        limit = (double)3.4028235e38f * (limit > 0 ? 1 : -1);
    }
    return fabs(above - limit) <= absolute + ulps * ulp_of(limit);
}

/* Every 4093rd bit pattern: 1,049,345 floats of all magnitudes. */
#define SWEEP 1049345u

static void check_unary(size_t index) {
    wai_unary_params params = {functions[index].kind, 1, 1};
    uint32_t dims[] = {SWEEP};
    wai_operand in = {.type = wai_type_make(WAI_F32, 1, dims)}, out = {0};
    float *x = in.data = buffer(SWEEP * sizeof *x);
    for (uint32_t i = 0; i < SWEEP; i++) {
        uint32_t bits = i * 4093u;
        memcpy(&x[i], &bits, sizeof bits);
    }
    execute(&wai_op_unary, &params, &in, 1, &out);
    unsigned wrong = 0;
    for (uint32_t i = 0; i < SWEEP; i++) {
        double wanted = functions[index].reference((double)x[i]);
        float got = ((float *)out.data)[i];
        compared++;
        if (!is_close(got, wanted, functions[index].absolute, functions[index].ulps) &&
            wrong++ < 3) {
            printf("unary kind %d of %.9g is %.9g, not %.9g\n", functions[index].kind, (double)x[i],
                   (double)got, wanted);
        }
    }
    failures += wrong;
    free(in.data);
    free(out.data);
}

/* ---- broadcasting -------------------------------------------------------------- */

/* A random shape, and `count` inputs that broadcast to it. */
static void random_types(wai_type *in, uint32_t count) {
    uint32_t rank = next(6), dims[WAI_MAX_RANK];
    for (uint32_t i = 0; i < rank; i++) {
        dims[i] = next(40) == 0 ? 0 : next(3) == 0 ? 1 + next(40) : 1 + next(4);
    }
    for (uint32_t k = 0; k < count; k++) {
        uint32_t drop = next(4) == 0 ? next(rank + 1) : 0;
        in[k].rank = rank - drop;
        memset(in[k].dims, 0, sizeof in[k].dims);
        for (uint32_t i = drop; i < rank; i++) {
            in[k].dims[i - drop] = next(3) == 0 ? 1 : dims[i];
        }
    }
}

static size_t index_in(const wai_type *in, const wai_type *out, size_t at) {
    size_t index = 0, stride = 1;
    for (uint32_t i = 0; i < out->rank; i++) {
        size_t digit = at % out->dims[out->rank - 1 - i];
        at /= out->dims[out->rank - 1 - i];
        if (i < in->rank) {
            uint32_t dim = in->dims[in->rank - 1 - i];
            index += (dim == 1 ? 0 : digit) * stride;
            stride *= dim;
        }
    }
    return index;
}

static void fill(wai_operand *x) {
    size_t count = wai_type_count(&x->type);
    x->data = buffer(wai_type_size(&x->type));
    for (size_t i = 0; i < count; i++) {
        switch (x->type.dtype) {
        case WAI_F32:
            ((float *)x->data)[i] = next(20) == 0 ? NAN : (float)next(9) - 4;
            break;
        case WAI_I32:
            ((int32_t *)x->data)[i] = (int32_t)next(9) - 4;
            break;
        case WAI_I64:
            ((int64_t *)x->data)[i] = (int64_t)next(9) - 4;
            break;
        default:
            ((uint8_t *)x->data)[i] = (uint8_t)next(2);
            break;
        }
    }
}

static double value(const wai_operand *x, size_t i) {
    switch (x->type.dtype) {
    case WAI_F32:
        return ((const float *)x->data)[i];
    case WAI_I32:
        return ((const int32_t *)x->data)[i];
    case WAI_I64:
        return (double)((const int64_t *)x->data)[i];
    default:
        return ((const uint8_t *)x->data)[i];
    }
}

static double binary_reference(uint32_t kind, double a, double b) {
    switch (kind) {
    case WAI_BINARY_ADD:
        return a + b;
    case WAI_BINARY_SUB:
        return a - b;
    case WAI_BINARY_MUL:
        return a * b;
    case WAI_BINARY_MIN:
        return isnan(a) || isnan(b) ? NAN : a < b ? a : b;
    default:
        return isnan(a) || isnan(b) ? NAN : a > b ? a : b;
    }
}

static bool same(double a, double b) {
    return a == b || (isnan(a) && isnan(b));
}

static void report(const char *what, const wai_operand *in, uint32_t count, size_t at) {
    char text[WAI_TYPE_TEXT];
    failures++;
    printf("%s differs at %zu of", what, at);
    for (uint32_t k = 0; k < count; k++) {
        printf(" %s", wai_type_text(&in[k].type, text));
    }
    printf("\n");
}

static void check_broadcast(void) {
    static const wai_dtype dtypes[] = {WAI_F32, WAI_F32, WAI_I32, WAI_I64};
    static const uint32_t kinds[] = {WAI_BINARY_ADD, WAI_BINARY_SUB, WAI_BINARY_MUL, WAI_BINARY_MIN,
                                     WAI_BINARY_MAX};
    wai_type types[3];
    wai_operand in[3] = {{.type = {0}}}, sum = {0}, less = {0}, chosen = {0};
    random_types(types, 3);
    for (uint32_t k = 0; k < 3; k++) {
        in[k].type = types[k];
        in[k].type.dtype = k == 0 ? WAI_BOOL : dtypes[seed >> 8 & 3];
    }
    for (uint32_t k = 0; k < 3; k++) {
        fill(&in[k]);
    }
    wai_binary_params binary = {kinds[next(5)]};
    wai_compare_params compare = {WAI_COMPARE_EQUAL + next(5)};
    execute(&wai_op_binary, &binary, in + 1, 2, &sum);
    execute(&wai_op_compare, &compare, in + 1, 2, &less);
    execute(&wai_op_where, NULL, in, 3, &chosen);
    for (size_t i = 0; i < wai_type_count(&sum.type); i++) {
        double a = value(&in[1], index_in(&in[1].type, &sum.type, i));
        double b = value(&in[2], index_in(&in[2].type, &sum.type, i));
        bool truths[] = {false, a == b, a<b, a <= b, a> b, a >= b};
        compared += 2;
        if (!same(value(&sum, i), binary_reference(binary.kind, a, b))) {
            report("binary", in + 1, 2, i);
            break;
        }
        if (value(&less, i) != truths[compare.kind]) {
            report("compare", in + 1, 2, i);
            break;
        }
    }
    for (size_t i = 0; i < wai_type_count(&chosen.type); i++) {
        double c = value(&in[0], index_in(&in[0].type, &chosen.type, i));
        double a = value(&in[1], index_in(&in[1].type, &chosen.type, i));
        double b = value(&in[2], index_in(&in[2].type, &chosen.type, i));
        compared++;
        if (!same(value(&chosen, i), c != 0 ? a : b)) {
            report("where", in, 3, i);
            break;
        }
    }
    for (uint32_t k = 0; k < 3; k++) {
        free(in[k].data);
    }
    free(sum.data);
    free(less.data);
    free(chosen.data);
}

int main(int argc, char **argv) {
    unsigned rounds = start(argc, argv, 2000);
    for (size_t i = 0; i < sizeof functions / sizeof functions[0]; i++) {
        check_unary(i);
    }
    for (unsigned i = 0; i < rounds; i++) {
        check_broadcast();
    }
    return finish();
}
