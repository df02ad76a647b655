#include "tensor/formula.h"

#include <string.h>

/* Sums of three such terms cannot leave int64. */
#define MOST ((int64_t)1 << 60)

bool wai_formula_is_valid(const wai_formula *f, uint32_t value_count) {
    bool valid = (f->divisor & ~WAI_FORMULA_EXACT) != 0;
    for (uint32_t t = 0; t < WAI_FORMULA_TERMS; t++) {
        for (uint32_t i = 0; i < WAI_FORMULA_FACTORS; i++) {
            const wai_dim_of *d = &f->terms[t].dims[i];
            valid = valid && (d->value == WAI_NO_VALUE ||
                              (d->value < value_count && d->axis < WAI_MAX_RANK));
        }
    }
    return valid;
}

bool wai_formula_evaluate(const wai_formula *f, const wai_type *types, int32_t *out) {
    int64_t sum = 0;
    for (uint32_t t = 0; t < WAI_FORMULA_TERMS; t++) {
        int64_t product = f->terms[t].factor;
        for (uint32_t i = 0; i < WAI_FORMULA_FACTORS && product != 0; i++) {
            const wai_dim_of *d = &f->terms[t].dims[i];
            int64_t dim = d->value == WAI_NO_VALUE ? 1 : (int64_t)types[d->value].dims[d->axis];
            if (__builtin_mul_overflow(product, dim, &product) || product > MOST ||
                product < -MOST) {
                return false;
            }
        }
        sum += product;
    }
    if (f->modulus != 0) {
        sum %= f->modulus;
        sum += sum < 0 ? f->modulus : 0;
    }
    sum += f->constant;
    const int64_t divisor = f->divisor & ~WAI_FORMULA_EXACT, rest = sum % divisor;
    int64_t quotient = sum / divisor;
    quotient -= rest < 0; /* down, as the divisor is positive */
    quotient += f->offset;
    if (((f->divisor & WAI_FORMULA_EXACT) != 0 && rest != 0) || quotient > INT32_MAX ||
        quotient < INT32_MIN) {
        return false;
    }
    quotient = quotient < f->least ? f->least : quotient > f->most ? f->most : quotient;
    *out = (int32_t)quotient;
    return true;
}

bool wai_formula_word(const wai_formula *f, const wai_formula *over, const wai_type *types,
                      uint32_t *word) {
    int32_t value, divisor = 1;
    if (!wai_formula_evaluate(f, types, &value) ||
        (over != NULL && !wai_formula_evaluate(over, types, &divisor))) {
        return false;
    }
    const float quotient = (float)value / (float)divisor;
    memcpy(word, over != NULL ? (const void *)&quotient : (const void *)&value, sizeof *word);
    return true;
}
