/* hash.h - FNV-1a, eight bytes at a time, with the high bits folded in. For
 * tables and comparisons of what we made ourselves; no defence against anybody. */
#ifndef WAI_HASH_H
#define WAI_HASH_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define WAI_HASH_START 14695981039346656037u

static inline uint64_t wai_hash(uint64_t hash, uint64_t word) {
    hash = (hash ^ word) * 1099511628211u;
    return hash ^ hash >> 29;
}

static inline uint64_t wai_hash_bytes(uint64_t hash, const void *data, size_t size) {
    const uint8_t *bytes = data;
    size_t i = 0;
    for (; i + 8 <= size; i += 8) {
        uint64_t word;
        memcpy(&word, bytes + i, sizeof word);
        hash = wai_hash(hash, word);
    }
    for (; i < size; i++) {
        hash = wai_hash(hash, bytes[i]);
    }
    return hash;
}

/* Another hash of bytes, four times as fast for many: finds any damage, but not a
 * change that was computed to be missed. */
uint64_t wai_hash_wide(uint64_t hash, const void *data, size_t size);

#endif
