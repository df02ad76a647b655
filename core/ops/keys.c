#include "ops/keys.h"

#include "ops/integers.h"

/* Floats are loaded as integers of their size: sign and magnitude, and what is
 * above infinity is NaN. */
void wai_keys_load(int64_t *keys, wai_dtype dtype, const void *in, size_t count) {
    wai_dtype bits = dtype == WAI_F32   ? WAI_I32
                     : dtype == WAI_F64 ? WAI_I64
                     : dtype == WAI_F16 ? WAI_I16
                                        : dtype;
    wai_integers_load(keys, bits, in, count);
    if (bits != dtype) {
        int64_t most = dtype == WAI_F32 ? INT32_MAX : dtype == WAI_F64 ? INT64_MAX : INT16_MAX;
        int64_t infinity = dtype == WAI_F32   ? 0x7f800000
                           : dtype == WAI_F64 ? 0x7ff0000000000000
                                              : 0x7c00;
        for (size_t i = 0; i < count; i++) {
            int64_t magnitude = keys[i] & most;
            keys[i] = magnitude > infinity ? INT64_MAX : keys[i] < 0 ? -magnitude : magnitude;
        }
    }
    for (size_t i = 0; i < count && dtype == WAI_U64; i++) {
        keys[i] ^= INT64_MIN;
    }
}
