#include "ops/integers.h"

#include <string.h>

#define LOAD(type)                                                                                 \
    for (size_t i = 0; i < count; i++) {                                                           \
        out[i] = (int64_t)((const type *)in)[i];                                                   \
    }                                                                                              \
    break

void wai_integers_load(int64_t *out, wai_dtype dtype, const void *in, size_t count) {
    switch (dtype) {
    case WAI_I4:
        for (size_t i = 0; i < count; i++) {
            out[i] = (int64_t)((((const uint8_t *)in)[i] & 15u) ^ 8u) - 8;
        }
        break;
    case WAI_U4:
        for (size_t i = 0; i < count; i++) {
            out[i] = ((const uint8_t *)in)[i] & 15;
        }
        break;
    case WAI_I8:
        LOAD(int8_t);
    case WAI_I16:
        LOAD(int16_t);
    case WAI_U16:
        LOAD(uint16_t);
    case WAI_I32:
        LOAD(int32_t);
    case WAI_U32:
        LOAD(uint32_t);
    case WAI_I64:
    case WAI_U64:
        memcpy(out, in, count * sizeof out[0]);
        break;
    default:
        LOAD(uint8_t);
    }
}

#define STORE(type)                                                                                \
    for (size_t i = 0; i < count; i++) {                                                           \
        ((type *)out)[i] = (type)in[i];                                                            \
    }                                                                                              \
    break

void wai_integers_store(void *out, wai_dtype dtype, const int64_t *in, size_t count) {
    switch (dtype) {
    case WAI_I4:
        for (size_t i = 0; i < count; i++) {
            ((uint8_t *)out)[i] = (uint8_t)((((uint8_t)in[i] & 15u) ^ 8u) - 8u);
        }
        break;
    case WAI_U4:
        for (size_t i = 0; i < count; i++) {
            ((uint8_t *)out)[i] = (uint8_t)in[i] & 15u;
        }
        break;
    case WAI_I16:
    case WAI_U16:
        STORE(uint16_t);
    case WAI_I32:
    case WAI_U32:
        STORE(uint32_t);
    case WAI_I64:
    case WAI_U64:
        memcpy(out, in, count * sizeof in[0]);
        break;
    default:
        STORE(uint8_t);
    }
}
