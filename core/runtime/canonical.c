#include "runtime/canonical.h"

#include "ops/vector.h"

/* What is above infinity but for its sign is a NaN. On whole numbers: a NaN that
 * is moved as a float may change. */
#define REPLACE(type, magnitude, infinity, nan)                                                    \
    {                                                                                              \
        type *const at = data;                                                                     \
        const size_t count = size / sizeof *at;                                                    \
        WAI_VECTOR_LOOP                                                                            \
        for (size_t i = 0; i < count; i++) {                                                       \
            at[i] = (type)(at[i] & (magnitude)) > (infinity) ? (nan) : at[i];                      \
        }                                                                                          \
        break;                                                                                     \
    }

void wai_canonical_nans(wai_dtype dtype, void *data, size_t size) {
    switch (dtype) {
    case WAI_F32:
        REPLACE(uint32_t, 0x7fffffffu, 0x7f800000u, 0x7fc00000u)
    case WAI_F64:
        REPLACE(uint64_t, 0x7fffffffffffffffu, 0x7ff0000000000000u, 0x7ff8000000000000u)
    case WAI_F16:
        REPLACE(uint16_t, 0x7fffu, 0x7c00u, 0x7e00u)
    case WAI_BF16:
        REPLACE(uint16_t, 0x7fffu, 0x7f80u, 0x7fc0u)
    case WAI_F8E4M3FN: /* no infinity: the largest number */
        REPLACE(uint8_t, 0x7fu, 0x7eu, 0x7fu)
    case WAI_F8E5M2:
        REPLACE(uint8_t, 0x7fu, 0x7cu, 0x7fu)
    default:
        break;
    }
}
