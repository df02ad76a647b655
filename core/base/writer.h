/* writer.h - bytes into a growing buffer in an arena, little-endian, with a
 * sticky failure when the arena says no. */
#ifndef WAI_WRITER_H
#define WAI_WRITER_H

#include <stdbool.h>

#include "base/arena.h"

typedef struct wai_writer {
    wai_arena *arena;
    uint8_t *data;
    size_t size, capacity;
    bool failed;
} wai_writer;

/* Room for `size` bytes in all, at once: a buffer that grows leaves its old
 * ones behind in the arena. */
void wai_write_reserve(wai_writer *w, size_t size);
void wai_write_bytes(wai_writer *w, const void *data, size_t size);
void wai_write_u32(wai_writer *w, uint32_t value);
void wai_write_u64(wai_writer *w, uint64_t value);
/* Zero bytes up to the next multiple of `align`, a power of two. */
void wai_write_align(wai_writer *w, size_t align);

#endif
