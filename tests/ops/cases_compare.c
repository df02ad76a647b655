/* cases_compare.c - outputs beside what a case expects. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cases.h"

static double element(wai_dtype dtype, const void *data, size_t i) {
    switch (dtype) {
    case WAI_F32:
        return ((const float *)data)[i];
    case WAI_F64:
        return ((const double *)data)[i];
    case WAI_F16:
        return ((const uint16_t *)data)[i];
    case WAI_I8:
        return ((const int8_t *)data)[i];
    case WAI_I16:
        return ((const int16_t *)data)[i];
    case WAI_U16:
        return ((const uint16_t *)data)[i];
    case WAI_I32:
        return ((const int32_t *)data)[i];
    case WAI_U32:
        return ((const uint32_t *)data)[i];
    case WAI_I64:
        return (double)((const int64_t *)data)[i];
    case WAI_U64:
        return (double)((const uint64_t *)data)[i];
    default:
        return ((const uint8_t *)data)[i];
    }
}

static bool is_nan(wai_dtype dtype, const void *data, size_t i) {
    if (dtype == WAI_F16) {
        return (((const uint16_t *)data)[i] & 0x7fff) > 0x7c00;
    }
    return isnan(element(dtype, data, i));
}

static bool elements_agree(const op_case *c, wai_dtype dtype, const void *a, const void *b,
                           size_t i) {
    size_t size = wai_dtype_size(dtype);
    if (memcmp((const uint8_t *)a + i * size, (const uint8_t *)b + i * size, size) == 0) {
        return true;
    }
    bool nan_a = is_nan(dtype, a, i), nan_b = is_nan(dtype, b, i);
    if (nan_a || nan_b) {
        return nan_a && nan_b;
    }
    double x = element(dtype, a, i), y = element(dtype, b, i);
    return c->tolerant && (x == y || fabs(x - y) <= c->absolute + c->relative * fabs(y));
}

bool case_output_agrees(const op_case *c, uint32_t index, const wai_type *type, const void *data,
                        char text[160]) {
    if (strncmp(c->out[index].values, "any", 3) == 0) {
        return true;
    }
    void *expected = calloc(1, wai_type_size(type) + 1);
    case_tensor_fill(&c->out[index], expected);
    const size_t count = wai_type_count(type);
    size_t i = 0;
    while (i < count && elements_agree(c, type->dtype, data, expected, i)) {
        i++;
    }
    if (i < count) {
        snprintf(text, 160, "out %u[%zu] is %.9g, expected %.9g", index, i,
                 element(type->dtype, data, i), element(type->dtype, expected, i));
    }
    free(expected);
    return i == count;
}
