/*
 * canonical.h - one NaN. WebAssembly leaves sign and payload of a NaN that an
 * operation makes to the engine, and engines leave it to the processor: 0/0 is
 * negative on x86 and positive on ARM. Everything else about a number is the
 * same everywhere, so outputs are the same bits everywhere when every NaN in
 * them is the positive quiet one without payload.
 */
#ifndef WAI_CANONICAL_H
#define WAI_CANONICAL_H

#include <stddef.h>

#include "wasmai.h"

/* In place; dtypes without a NaN, or with just one, are left alone. */
void wai_canonical_nans(wai_dtype dtype, void *data, size_t size);

#endif
