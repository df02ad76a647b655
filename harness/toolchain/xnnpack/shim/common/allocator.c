/* Stands for XNNPACK's allocator.c: there is no default allocator. The caller of xnn_initialize()
 * always brings one, so nothing of malloc comes into the wasm runtime. */
#include <xnnpack.h>

#include "xnnpack/allocator.h"

const struct xnn_allocator xnn_default_allocator = {0};
