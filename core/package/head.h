/* head.h - how large the head of a package is, and how many chunks follow it. */
#ifndef WAI_HEAD_H
#define WAI_HEAD_H

#include <stdint.h>

#include "base/limits.h"
#include "package/format.h"

/* `body`: how many bytes are behind the head. */
static inline uint64_t wai_head_chunks(uint64_t body) {
    return body / WAI_FORMAT_CHUNK_SIZE + (body % WAI_FORMAT_CHUNK_SIZE != 0);
}

static inline uint64_t wai_head_size(uint64_t body) {
    uint64_t size = WAI_FORMAT_HEADER_SIZE + WAI_SECTION_COUNT * WAI_FORMAT_ENTRY_SIZE +
                    (wai_head_chunks(body) + 1) * WAI_FORMAT_DIGEST_SIZE;
    return (size + WAI_ALIGN - 1) & ~(uint64_t)(WAI_ALIGN - 1);
}

#endif
