/* The browser runtime has no heap: its memory is the caller's. Core's default allocator, which it
 * never chooses, still names these; here they give nothing, and libc's allocator stays out of the
 * binary. */
#include <stddef.h>

void *aligned_alloc(size_t align, size_t size);
void *malloc(size_t size);
void free(void *pointer);

void *aligned_alloc(size_t align, size_t size) {
    (void)align;
    (void)size;
    return NULL;
}

void *malloc(size_t size) {
    (void)size;
    return NULL;
}

void free(void *pointer) {
    (void)pointer;
}
