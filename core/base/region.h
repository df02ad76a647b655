/* region.h - an allocator over one block that is used from front to back and
 * given back as a whole: memory that a step takes anew whenever its dims change,
 * without asking anybody. */
#ifndef WAI_REGION_H
#define WAI_REGION_H

#include "wasmai.h"

typedef struct wai_region {
    wai_allocator allocator; /* hand out &region->allocator                 */
    uint8_t *base;           /* aligned to WAI_ALIGN                        */
    size_t size, used;
} wai_region;

void wai_region_init(wai_region *region, void *base, size_t size);

/* All blocks are free again. */
void wai_region_reset(wai_region *region);

#endif
