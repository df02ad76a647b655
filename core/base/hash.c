#include "base/hash.h"

/* Four side by side, because each waits for its own last word. */
uint64_t wai_hash_wide(uint64_t hash, const void *data, size_t size) {
    const uint8_t *bytes = data;
    uint64_t a = hash, b = hash + 1, c = hash + 2, d = hash + 3;
    uint64_t words[4];
    for (; size >= sizeof words; size -= sizeof words, bytes += sizeof words) {
        memcpy(words, bytes, sizeof words);
        a = wai_hash(a, words[0]);
        b = wai_hash(b, words[1]);
        c = wai_hash(c, words[2]);
        d = wai_hash(d, words[3]);
    }
    hash = wai_hash(wai_hash(wai_hash(wai_hash(hash, a), b), c), d);
    return wai_hash_bytes(hash, bytes, size);
}
