#include "base/arena.h"

#include <string.h>

#include "base/checked.h"
#include "base/limits.h"

struct wai_arena_block {
    wai_arena_block *older;
};

#define BLOCK_SIZE (256u * 1024u)

void wai_arena_init(wai_arena *arena, const wai_allocator *allocator, uint64_t limit) {
    memset(arena, 0, sizeof *arena);
    arena->allocator = allocator != NULL ? allocator : &wai_malloc_allocator;
    arena->limit = limit;
}

/* A block's first WAI_ALIGN bytes hold its header. */
static uint8_t *add_block(wai_arena *arena, size_t size) {
    size_t whole;
    if (!wai_add_size(size, WAI_ALIGN, &whole) || whole > arena->limit - arena->total) {
        return NULL;
    }
    wai_arena_block *block = arena->allocator->alloc(arena->allocator->context, whole, WAI_ALIGN);
    if (block == NULL) {
        return NULL;
    }
    arena->total += whole;
    block->older = arena->blocks;
    arena->blocks = block;
    return (uint8_t *)block + WAI_ALIGN;
}

void *wai_arena_alloc(wai_arena *arena, size_t size) {
    size_t align = size >= WAI_ALIGN ? WAI_ALIGN : 8;
    size_t rounded;
    if (!wai_round_size(size != 0 ? size : 1, align, &rounded)) {
        return NULL;
    }
    if (rounded >= BLOCK_SIZE / 4) {
        uint8_t *own = add_block(arena, rounded);
        return own != NULL ? memset(own, 0, rounded) : NULL;
    }
    size_t skip = (size_t)(0 - (uintptr_t)arena->next) & (align - 1);
    if (arena->next == NULL || skip > arena->left || rounded > arena->left - skip) {
        uint8_t *fresh = add_block(arena, BLOCK_SIZE);
        if (fresh == NULL) {
            return NULL;
        }
        arena->next = fresh;
        arena->left = BLOCK_SIZE;
        skip = 0;
    }
    uint8_t *result = arena->next + skip;
    arena->next += skip + rounded;
    arena->left -= skip + rounded;
    return memset(result, 0, rounded);
}

void *wai_arena_array(wai_arena *arena, size_t count, size_t size) {
    size_t bytes;
    return wai_mul_size(count, size, &bytes) ? wai_arena_alloc(arena, bytes) : NULL;
}

char *wai_arena_text(wai_arena *arena, const char *text, size_t size) {
    size_t with_nul;
    char *copy = wai_add_size(size, 1, &with_nul) ? wai_arena_alloc(arena, with_nul) : NULL;
    if (copy != NULL && size > 0) {
        memcpy(copy, text, size);
    }
    return copy;
}

void wai_arena_free(wai_arena *arena) {
    while (arena->blocks != NULL) {
        wai_arena_block *block = arena->blocks;
        arena->blocks = block->older;
        arena->allocator->free(arena->allocator->context, block);
    }
    wai_arena_init(arena, arena->allocator, arena->limit);
}
