/*
 * integers.h - integer arithmetic of all dtypes by one set of loops.
 *
 * Elements are widened to 64 bits, worked on and cut to their width again:
 * sums, products and bit operations wrap as they should, quotients and
 * comparisons are right as well because every dtype but u64 fits int64_t. One
 * loop per function instead of eight, at a cost that index arithmetic does not
 * notice.
 */
#ifndef WAI_INTEGERS_H
#define WAI_INTEGERS_H

#include <stddef.h>
#include <stdint.h>

#include "wasmai.h"

/* Elements that kernels widen at a time; on the stack. */
#define WAI_CHUNK 256u

/* out[i] = in[i] for i in 0..count, sign- or zero-extended. I8..U64 and BOOL. */
void wai_integers_load(int64_t *out, wai_dtype dtype, const void *in, size_t count);

/* The low bits of in[i] to out[i]. */
void wai_integers_store(void *out, wai_dtype dtype, const int64_t *in, size_t count);

#endif
