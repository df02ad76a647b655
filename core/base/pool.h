/* pool.h - memory of one session: taken in open, sealed before the first run,
 * given back as a whole at close. Kernels take their state from it, and
 * XNNPACK's allocations are routed here (runtime/xnn.c). */
#ifndef WAI_POOL_H
#define WAI_POOL_H

#include <stdbool.h>

#include "wasmai.h"

typedef struct wai_pool_block wai_pool_block;

typedef struct wai_pool {
    const wai_allocator *allocator;
    wai_pool_block *blocks;
    uint64_t total; /* bytes taken, headers and rounding included */
    uint64_t limit;
    bool sealed;   /* every later allocation fails                */
    bool violated; /* somebody tried to allocate after the seal   */
    void *freed;   /* what XNNPACK gave back; runtime/xnn.c reuses it */
    bool wasteful; /* but not here: `total` is to be the sum of all   */
} wai_pool;

void wai_pool_init(wai_pool *pool, const wai_allocator *allocator, uint64_t limit);

/* `size` zeroed bytes aligned to WAI_ALIGN, plus spare bytes behind them, or
 * NULL. */
void *wai_pool_alloc(wai_pool *pool, size_t size);

/* `count` elements of `size`; NULL also when the product wraps. */
void *wai_pool_array(wai_pool *pool, size_t count, size_t size);

void wai_pool_free(wai_pool *pool);

#endif
