#include "tensor/type.h"

#include <string.h>

#include "base/checked.h"
#include "base/limits.h"

/* Also the values of enum fields, so the list ends with a NULL. */
const char *const wai_dtype_names[] = {
    NULL,
    [WAI_F32] = "f32",
    [WAI_F16] = "f16",
    [WAI_F64] = "f64",
    [WAI_I8] = "i8",
    [WAI_U8] = "u8",
    [WAI_I16] = "i16",
    [WAI_U16] = "u16",
    [WAI_I32] = "i32",
    [WAI_U32] = "u32",
    [WAI_I64] = "i64",
    [WAI_U64] = "u64",
    [WAI_BOOL] = "bool",
    [WAI_BF16] = "bf16",
    [WAI_F8E4M3FN] = "f8e4m3fn",
    [WAI_F8E4M3FNUZ] = "f8e4m3fnuz",
    [WAI_F8E5M2] = "f8e5m2",
    [WAI_F8E5M2FNUZ] = "f8e5m2fnuz",
    [WAI_U4] = "u4",
    [WAI_I4] = "i4",
    NULL,
};

static const uint8_t sizes[] = {
    [WAI_F32] = 4,        [WAI_F16] = 2,      [WAI_F64] = 8,        [WAI_I8] = 1,
    [WAI_U8] = 1,         [WAI_I16] = 2,      [WAI_U16] = 2,        [WAI_I32] = 4,
    [WAI_U32] = 4,        [WAI_I64] = 8,      [WAI_U64] = 8,        [WAI_BOOL] = 1,
    [WAI_BF16] = 2,       [WAI_F8E4M3FN] = 1, [WAI_F8E4M3FNUZ] = 1, [WAI_F8E5M2] = 1,
    [WAI_F8E5M2FNUZ] = 1, [WAI_U4] = 1,       [WAI_I4] = 1,
};

static bool known(wai_dtype dtype) {
    return dtype >= WAI_F32 && dtype <= WAI_I4;
}

size_t wai_dtype_size(wai_dtype dtype) {
    return known(dtype) ? sizes[dtype] : 0;
}

const char *wai_dtype_name(wai_dtype dtype) {
    return known(dtype) ? wai_dtype_names[dtype] : "?";
}

bool wai_dtype_is_integer(wai_dtype dtype) {
    return dtype >= WAI_I8 && dtype <= WAI_U64;
}

wai_dtype wai_dtype_computed(wai_dtype dtype) {
    if (dtype == WAI_F16 || (dtype >= WAI_BF16 && dtype <= WAI_F8E5M2FNUZ)) {
        return WAI_F32;
    }
    return dtype == WAI_U4 ? WAI_U8 : dtype == WAI_I4 ? WAI_I8 : dtype;
}

bool wai_dtype_is_storage(wai_dtype dtype) {
    return wai_dtype_computed(dtype) != dtype;
}

wai_type wai_type_make(wai_dtype dtype, uint32_t rank, const uint32_t *dims) {
    wai_type type = {dtype, rank, {0}};
    for (uint32_t i = 0; i < rank && i < WAI_MAX_RANK; i++) {
        type.dims[i] = dims[i];
    }
    return type;
}

bool wai_type_is_valid(const wai_type *type) {
    if (!known(type->dtype) || type->rank > WAI_MAX_RANK) {
        return false;
    }
    /* The product without zeros is bounded too, so that partial products of a
     * zero-size tensor cannot wrap either. */
    size_t size = sizes[type->dtype];
    for (uint32_t i = 0; i < type->rank; i++) {
        size_t dim = type->dims[i];
        if (dim > WAI_MAX_DIM) {
            return false;
        }
        if (!wai_mul_size(size, dim != 0 ? dim : 1, &size) || size > WAI_MAX_TENSOR_SIZE) {
            return false;
        }
    }
    return true;
}

size_t wai_type_count(const wai_type *type) {
    return wai_dims_product(type->dims, 0, type->rank);
}

size_t wai_type_size(const wai_type *type) {
    return wai_type_count(type) * wai_dtype_size(type->dtype);
}

size_t wai_slot_size(size_t size) {
    return (size + WAI_SPARE_SIZE + (WAI_ALIGN - 1)) & ~(size_t)(WAI_ALIGN - 1);
}

bool wai_type_equal(const wai_type *a, const wai_type *b) {
    return a->dtype == b->dtype && a->rank == b->rank &&
           memcmp(a->dims, b->dims, a->rank * sizeof a->dims[0]) == 0;
}

size_t wai_dims_product(const uint32_t *dims, uint32_t from, uint32_t to) {
    size_t product = 1;
    for (uint32_t i = from; i < to; i++) {
        product *= dims[i];
    }
    return product;
}

void wai_type_strides(const wai_type *type, size_t strides[WAI_MAX_RANK]) {
    size_t stride = 1;
    for (uint32_t i = type->rank; i-- > 0;) {
        strides[i] = stride;
        stride *= type->dims[i];
    }
}

bool wai_type_broadcast(wai_type *out, const wai_type *a, const wai_type *b) {
    uint32_t rank = a->rank > b->rank ? a->rank : b->rank;
    if (rank > WAI_MAX_RANK) {
        return false;
    }
    wai_type result = {a->dtype, rank, {0}};
    for (uint32_t i = 0; i < rank; i++) {
        uint32_t from_a = i + a->rank >= rank ? a->dims[i + a->rank - rank] : 1;
        uint32_t from_b = i + b->rank >= rank ? b->dims[i + b->rank - rank] : 1;
        if (from_a != from_b && from_a != 1 && from_b != 1) {
            return false;
        }
        result.dims[i] = from_a == 1 ? from_b : from_a;
    }
    *out = result;
    return true;
}

void wai_broadcast_strides(const wai_type *in, const wai_type *out, size_t strides[WAI_MAX_RANK]) {
    size_t own[WAI_MAX_RANK];
    wai_type_strides(in, own);
    for (uint32_t i = 0; i < out->rank; i++) {
        uint32_t missing = out->rank - in->rank;
        strides[i] = i < missing || in->dims[i - missing] == 1 ? 0 : own[i - missing];
    }
}

const char *wai_type_text(const wai_type *type, char text[WAI_TYPE_TEXT]) {
    char *p = text;
    for (const char *name = wai_dtype_name(type->dtype); *name != 0; name++) {
        *p++ = *name;
    }
    *p++ = '[';
    for (uint32_t i = 0; i < type->rank && i < WAI_MAX_RANK; i++) {
        char digits[10];
        int count = 0;
        uint32_t dim = type->dims[i];
        do {
            digits[count++] = (char)('0' + dim % 10);
            dim /= 10;
        } while (dim != 0);
        if (i > 0) {
            *p++ = ',';
        }
        while (count > 0) {
            *p++ = digits[--count];
        }
    }
    *p++ = ']';
    *p = 0;
    return text;
}
