#include "base/fence.h"

#include <string.h>

uint64_t wai_fence_key(uint64_t number) {
    for (uint32_t shift = 0; shift < 64; shift += 8) {
        if ((number >> shift & 0xff) == 0) {
            number |= (uint64_t)0xa5 << shift;
        }
    }
    return number;
}

/* The key as it lies at an address that is `from` modulo 8. */
static uint64_t turned(uint64_t key, uintptr_t from) {
    const uint32_t shift = (uint32_t)(from % 8) * 8;
    return shift == 0 ? key : key >> shift | key << (64 - shift);
}

void wai_fence_arm(uint64_t key, void *from, size_t size) {
    uint8_t *at = from;
    const uint64_t word = turned(key, (uintptr_t)from);
    for (; size >= sizeof word; size -= sizeof word, at += sizeof word) {
        memcpy(at, &word, sizeof word);
    }
    memcpy(at, &word, size);
}

bool wai_fence_holds(uint64_t key, const void *from, size_t size) {
    const uint8_t *at = from;
    const uint64_t word = turned(key, (uintptr_t)from);
    uint64_t differ = 0;
    uint64_t found;
    for (; size >= sizeof found; size -= sizeof found, at += sizeof found) {
        memcpy(&found, at, sizeof found);
        differ |= found ^ word;
    }
    found = word;
    memcpy(&found, at, size);
    return (differ | (found ^ word)) == 0;
}
