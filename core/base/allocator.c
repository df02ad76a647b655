/* The default allocator: aligned blocks from malloc. */
#include <stdlib.h>

#include "base/arena.h"
#include "base/limits.h"

static void *heap_alloc(void *context, size_t size, size_t align) {
    (void)context;
    (void)align;
    if (size > SIZE_MAX - WAI_ALIGN) {
        return NULL;
    }
    size = (size + (WAI_ALIGN - 1)) & ~(size_t)(WAI_ALIGN - 1);
    return aligned_alloc(WAI_ALIGN, size != 0 ? size : WAI_ALIGN);
}

static void heap_free(void *context, void *pointer) {
    (void)context;
    free(pointer);
}

const wai_allocator wai_malloc_allocator = {NULL, heap_alloc, heap_free};
