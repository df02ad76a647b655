/* forget.h - for kernels that keep tensors' values on the stack, which no wipe (runtime/harden.h)
 * reaches. */
#ifndef WAI_FORGET_H
#define WAI_FORGET_H

#include <string.h>

/* Zeroes it, though nobody reads it again. */
static inline void wai_forget(void *data, size_t size) {
    memset(data, 0, size);
    __asm__ volatile("" : : "r"(data) : "memory");
}

#endif
