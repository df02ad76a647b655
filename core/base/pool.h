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
    /* Not 0: every block has fences of this key (fence.h) around its bytes, in
     * room that it has anyway, and is filled with WAI_POOL_POISON when it is
     * given back. Set it before the first block is taken. */
    uint64_t fence;
} wai_pool;

#define WAI_POOL_POISON 0xdd

void wai_pool_init(wai_pool *pool, const wai_allocator *allocator, uint64_t limit);

/* `size` zeroed bytes aligned to WAI_ALIGN, plus spare bytes behind them, or
 * NULL. */
void *wai_pool_alloc(wai_pool *pool, size_t size);

/* `count` elements of `size`; NULL also when the product wraps. */
void *wai_pool_array(wai_pool *pool, size_t count, size_t size);

void wai_pool_free(wai_pool *pool);

/* The newest block with a broken fence, as wai_pool_alloc gave it, or NULL;
 * *front says on which side. */
const void *wai_pool_broken(const wai_pool *pool, bool *front);

/* Bytes that the block at `pointer` was asked for. */
size_t wai_pool_block_size(const void *pointer);

#endif
