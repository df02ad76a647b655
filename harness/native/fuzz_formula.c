/* Fuzz target: formulas over dims, beside the same sum in 128 bits that cannot
 * overflow. The input: dims of values, then a formula and one to divide by. */
#include "fuzz.h"

#include "tensor/formula.h"

enum { VALUES = 4 };

/* Products are cut off where they could leave 128 bits; *big: one was above 2^60. */
static __int128 sum_of(const wai_formula *f, const wai_type *types, bool *big) {
    __int128 sum = 0;
    for (uint32_t t = 0; t < WAI_FORMULA_TERMS; t++) {
        __int128 product = f->terms[t].factor;
        for (uint32_t i = 0; i < WAI_FORMULA_FACTORS; i++) {
            const wai_dim_of *d = &f->terms[t].dims[i];
            product *= d->value == WAI_NO_VALUE ? 1 : types[d->value].dims[d->axis];
            if (product > (__int128)1 << 60 || product < -((__int128)1 << 60)) {
                *big = true;
                product = product > 0 ? (__int128)1 << 61 : -((__int128)1 << 61);
            }
        }
        sum += product;
    }
    return sum;
}

static __int128 floor_of(__int128 number, __int128 divisor) {
    return number / divisor - (number % divisor < 0);
}

/* False: the result is no 32-bit number with sign, or the division not exact. */
static bool dull(const wai_formula *f, __int128 sum, int64_t *out) {
    const __int128 divisor = f->divisor & ~WAI_FORMULA_EXACT;
    if (f->modulus != 0) {
        sum -= floor_of(sum, f->modulus) * f->modulus;
    }
    sum += f->constant;
    if ((f->divisor & WAI_FORMULA_EXACT) != 0 && sum % divisor != 0) {
        return false;
    }
    __int128 quotient = floor_of(sum, divisor) + f->offset;
    if (quotient > INT32_MAX || quotient < INT32_MIN) {
        return false;
    }
    quotient = quotient < f->least ? f->least : quotient > f->most ? f->most : quotient;
    *out = (int64_t)quotient;
    return true;
}

static void check(const wai_formula *f, const wai_type *types) {
    int32_t fast = 0;
    int64_t slow = 0;
    bool big = false;
    const bool known = wai_formula_evaluate(f, types, &fast);
    const __int128 sum = sum_of(f, types, &big);
    const bool there = !big && dull(f, sum, &slow);
    if (known != there || (known && fast != slow)) {
        fprintf(stderr, "%d %d, not %d %lld\n", known, fast, there, (long long)slow);
        abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    wai_type types[VALUES] = {{WAI_F32, WAI_MAX_RANK, {0}}};
    wai_formula formulas[2];
    const size_t dims = sizeof types[0].dims;
    if (size != VALUES * dims + sizeof formulas) {
        return 0;
    }
    for (uint32_t i = 0; i < VALUES; i++) {
        memcpy(types[i].dims, data + i * dims, dims);
        for (uint32_t k = 0; k < WAI_MAX_RANK; k++) {
            types[i].dims[k] &= WAI_MAX_DIM;
        }
    }
    memcpy(formulas, data + VALUES * dims, sizeof formulas);
    if (wai_formula_is_valid(&formulas[0], VALUES) && wai_formula_is_valid(&formulas[1], VALUES)) {
        uint32_t word;
        check(&formulas[0], types);
        check(&formulas[1], types);
        wai_formula_word(&formulas[0], &formulas[1], types, &word);
    }
    return 0;
}
