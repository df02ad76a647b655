#include "base/pool.h"

#include <string.h>

#include "base/arena.h"
#include "base/checked.h"
#include "base/limits.h"

struct wai_pool_block {
    wai_pool_block *older;
};

void wai_pool_init(wai_pool *pool, const wai_allocator *allocator, uint64_t limit) {
    memset(pool, 0, sizeof *pool);
    pool->allocator = allocator != NULL ? allocator : &wai_malloc_allocator;
    pool->limit = limit;
}

void *wai_pool_alloc(wai_pool *pool, size_t size) {
    if (pool->sealed) {
        pool->violated = true;
        return NULL;
    }
    size_t whole;
    if (!wai_add_size(size, WAI_ALIGN + WAI_SPARE_SIZE, &whole) ||
        !wai_round_size(whole, WAI_ALIGN, &whole) || whole > pool->limit - pool->total) {
        return NULL;
    }
    wai_pool_block *block = pool->allocator->alloc(pool->allocator->context, whole, WAI_ALIGN);
    if (block == NULL) {
        return NULL;
    }
    pool->total += whole;
    memset(block, 0, whole);
    block->older = pool->blocks;
    pool->blocks = block;
    return (uint8_t *)block + WAI_ALIGN;
}

void *wai_pool_array(wai_pool *pool, size_t count, size_t size) {
    size_t bytes;
    return wai_mul_size(count, size, &bytes) ? wai_pool_alloc(pool, bytes) : NULL;
}

void wai_pool_free(wai_pool *pool) {
    while (pool->blocks != NULL) {
        wai_pool_block *block = pool->blocks;
        pool->blocks = block->older;
        pool->allocator->free(pool->allocator->context, block);
    }
    pool->total = 0;
}
