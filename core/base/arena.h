/* arena.h - memory of one compilation: grows, never frees singly, counts. */
#ifndef WAI_ARENA_H
#define WAI_ARENA_H

#include "wasmai.h"

typedef struct wai_arena_block wai_arena_block;

typedef struct wai_arena {
    const wai_allocator *allocator;
    wai_arena_block *blocks;
    uint8_t *next; /* free part of the newest block */
    size_t left;
    uint64_t total; /* bytes taken from the allocator */
    uint64_t limit;
} wai_arena;

/* `allocator` NULL means malloc. */
void wai_arena_init(wai_arena *arena, const wai_allocator *allocator, uint64_t limit);

/* `size` zeroed bytes, aligned to WAI_ALIGN when size is at least that, else
 * to 8. NULL when the allocator or the limit says no. Size 0 gives a pointer. */
void *wai_arena_alloc(wai_arena *arena, size_t size);

/* `count` elements of `size`; NULL also when the product wraps. */
void *wai_arena_array(wai_arena *arena, size_t count, size_t size);

/* A NUL-terminated copy of text[0..size). */
char *wai_arena_text(wai_arena *arena, const char *text, size_t size);

void wai_arena_free(wai_arena *arena);

/* malloc/free behind the wai_allocator interface. */
extern const wai_allocator wai_malloc_allocator;

#endif
