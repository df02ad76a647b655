/*
 * cursor.h - a bounded little-endian reader with a sticky error: reads past
 * the end give 0 and set `failed`, so that code reads straight through and
 * asks once per record.
 */
#ifndef WAI_CURSOR_H
#define WAI_CURSOR_H

#include <stdbool.h>
#include <string.h>

#include "wasmai.h"

typedef struct wai_cursor {
    const uint8_t *next, *end;
    bool failed;
} wai_cursor;

static inline wai_cursor wai_cursor_make(const uint8_t *data, size_t size) {
    return (wai_cursor){data, data + size, false};
}

static inline size_t wai_cursor_left(const wai_cursor *c) {
    return (size_t)(c->end - c->next);
}

/* `size` bytes in place, or NULL. */
static inline const uint8_t *wai_cursor_bytes(wai_cursor *c, size_t size) {
    if (c->failed || size > wai_cursor_left(c)) {
        c->failed = true;
        return NULL;
    }
    const uint8_t *bytes = c->next;
    c->next += size;
    return bytes;
}

static inline uint32_t wai_cursor_u32(wai_cursor *c) {
    const uint8_t *b = wai_cursor_bytes(c, 4);
    if (b == NULL) {
        return 0;
    }
    return (uint32_t)b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 | (uint32_t)b[3] << 24;
}

static inline uint64_t wai_cursor_u64(wai_cursor *c) {
    uint64_t low = wai_cursor_u32(c);
    return low | (uint64_t)wai_cursor_u32(c) << 32;
}

#endif
