#include "package/widen.h"

#include "ops/half.h"

void wai_widen(float *to, const uint16_t *from, size_t count) {
    for (size_t i = 0; i < count; i++) {
        to[i] = wai_half_to_float(from[i]);
    }
}
