#include "base/writer.h"

#include <string.h>

#include "base/checked.h"

static bool grow(wai_writer *w, size_t capacity) {
    uint8_t *data = wai_arena_alloc(w->arena, capacity);
    if (data == NULL) {
        w->failed = true;
        return false;
    }
    if (w->size > 0) {
        memcpy(data, w->data, w->size);
    }
    w->data = data;
    w->capacity = capacity;
    return true;
}

static bool reserve(wai_writer *w, size_t more) {
    size_t wanted;
    if (w->failed || !wai_add_size(w->size, more, &wanted)) {
        w->failed = true;
        return false;
    }
    if (wanted <= w->capacity) {
        return true;
    }
    size_t capacity = w->capacity < SIZE_MAX / 4 ? w->capacity * 2 : w->capacity;
    capacity = capacity > wanted ? capacity : wanted;
    return grow(w, capacity > 4096 ? capacity : 4096);
}

void wai_write_reserve(wai_writer *w, size_t size) {
    if (!w->failed && size > w->capacity) {
        grow(w, size);
    }
}

void wai_write_bytes(wai_writer *w, const void *data, size_t size) {
    if (size > 0 && reserve(w, size)) {
        memcpy(w->data + w->size, data, size);
        w->size += size;
    }
}

void wai_write_u32(wai_writer *w, uint32_t value) {
    uint8_t bytes[4] = {(uint8_t)value, (uint8_t)(value >> 8), (uint8_t)(value >> 16),
                        (uint8_t)(value >> 24)};
    wai_write_bytes(w, bytes, sizeof bytes);
}

void wai_write_u64(wai_writer *w, uint64_t value) {
    wai_write_u32(w, (uint32_t)value);
    wai_write_u32(w, (uint32_t)(value >> 32));
}

void wai_write_align(wai_writer *w, size_t align) {
    static const uint8_t zeros[64];
    size_t missing = (0 - w->size) & (align - 1);
    while (missing > 0) {
        size_t piece = missing < sizeof zeros ? missing : sizeof zeros;
        wai_write_bytes(w, zeros, piece);
        missing -= piece;
    }
}
