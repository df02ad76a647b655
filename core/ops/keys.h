#ifndef WAI_KEYS_H
#define WAI_KEYS_H

#include <stddef.h>
#include <stdint.h>

#include "wasmai.h"

/* keys.h - elements as whole numbers of the same order, for kernels that sort:
 * f32, f64, f16, integers, BOOL. NaN is above all, -0 equals 0. */
void wai_keys_load(int64_t *keys, wai_dtype dtype, const void *in, size_t count);

#endif
