/* checked.h - size arithmetic that cannot wrap. Every product or sum that
 * comes from a file goes through here. False means "does not fit"; *out is
 * then left as it was. */
#ifndef WAI_CHECKED_H
#define WAI_CHECKED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

static inline bool wai_add_size(size_t a, size_t b, size_t *out) {
    if (a > SIZE_MAX - b) {
        return false;
    }
    *out = a + b;
    return true;
}

static inline bool wai_mul_size(size_t a, size_t b, size_t *out) {
    if (b != 0 && a > SIZE_MAX / b) {
        return false;
    }
    *out = a * b;
    return true;
}

/* Round up to a multiple of `align`, a power of two. */
static inline bool wai_round_size(size_t a, size_t align, size_t *out) {
    if (a > SIZE_MAX - (align - 1)) {
        return false;
    }
    *out = (a + (align - 1)) & ~(align - 1);
    return true;
}

#endif
