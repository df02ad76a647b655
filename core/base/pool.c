#include "base/pool.h"

#include <string.h>

#include "base/arena.h"
#include "base/checked.h"
#include "base/fence.h"
#include "base/hash.h"
#include "base/limits.h"

/* In front of every block: WAI_ALIGN bytes, the rest of them for a fence. */
struct wai_pool_block {
    wai_pool_block *older;
    size_t size;   /* that was asked for                                    */
    uint64_t seal; /* with fences: of the two above, so that who follows them
                      to look for damage follows nothing damaged            */
};

static uint64_t seal_of(const wai_pool *pool, const wai_pool_block *block) {
    return wai_hash(wai_hash(pool->fence, (uintptr_t)block->older), block->size);
}

void wai_pool_init(wai_pool *pool, const wai_allocator *allocator, uint64_t limit) {
    memset(pool, 0, sizeof *pool);
    pool->allocator = allocator != NULL ? allocator : &wai_malloc_allocator;
    pool->limit = limit;
}

/* Bytes of a block with all that is around it; false when they cannot be counted. */
static bool whole_size(size_t size, size_t *whole) {
    return wai_add_size(size, WAI_ALIGN + WAI_SPARE_SIZE, whole) &&
           wai_round_size(*whole, WAI_ALIGN, whole);
}

#define FRONT (WAI_ALIGN - sizeof(wai_pool_block))

static uint8_t *data_of(const wai_pool_block *block) {
    return (uint8_t *)(uintptr_t)block + WAI_ALIGN;
}

/* Bytes behind the data. */
static size_t back_size(const wai_pool_block *block) {
    size_t whole = 0;
    (void)whole_size(block->size, &whole);
    return whole - WAI_ALIGN - block->size;
}

void *wai_pool_alloc(wai_pool *pool, size_t size) {
    if (pool->sealed) {
        pool->violated = true;
        return NULL;
    }
    size_t whole;
    if (!whole_size(size, &whole) || whole > pool->limit - pool->total) {
        return NULL;
    }
    wai_pool_block *block = pool->allocator->alloc(pool->allocator->context, whole, WAI_ALIGN);
    if (block == NULL) {
        return NULL;
    }
    pool->total += whole;
    memset(block, 0, whole);
    block->older = pool->blocks;
    block->size = size;
    pool->blocks = block;
    if (pool->fence != 0) {
        block->seal = seal_of(pool, block);
        wai_fence_arm(pool->fence, block + 1, FRONT);
        wai_fence_arm(pool->fence, data_of(block) + size, back_size(block));
    }
    return data_of(block);
}

void *wai_pool_array(wai_pool *pool, size_t count, size_t size) {
    size_t bytes;
    return wai_mul_size(count, size, &bytes) ? wai_pool_alloc(pool, bytes) : NULL;
}

void wai_pool_free(wai_pool *pool) {
    while (pool->blocks != NULL) {
        wai_pool_block *block = pool->blocks;
        const bool sealed = pool->fence == 0 || block->seal == seal_of(pool, block);
        pool->blocks = sealed ? block->older : NULL; /* what cannot be found is lost */
        if (pool->fence != 0 && sealed) {
            memset(block, WAI_POOL_POISON, WAI_ALIGN + block->size + back_size(block));
        }
        pool->allocator->free(pool->allocator->context, block);
    }
    pool->total = 0;
}

const void *wai_pool_broken(const wai_pool *pool, bool *front) {
    for (const wai_pool_block *block = pool->blocks; block != NULL; block = block->older) {
        *front =
            block->seal != seal_of(pool, block) || !wai_fence_holds(pool->fence, block + 1, FRONT);
        if (*front ||
            !wai_fence_holds(pool->fence, data_of(block) + block->size, back_size(block))) {
            return data_of(block);
        }
    }
    return NULL;
}

size_t wai_pool_block_size(const void *pointer) {
    return ((const wai_pool_block *)(const void *)((const uint8_t *)pointer - WAI_ALIGN))->size;
}
