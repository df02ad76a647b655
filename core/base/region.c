#include "base/region.h"

#include "base/checked.h"
#include "base/limits.h"

static void *take(void *context, size_t size, size_t align) {
    wai_region *r = context;
    size_t whole;
    (void)align; /* at most WAI_ALIGN, which every block has */
    if (!wai_round_size(size, WAI_ALIGN, &whole) || whole > r->size - r->used) {
        return NULL;
    }
    void *block = r->base + r->used;
    r->used += whole;
    return block;
}

static void give_back(void *context, void *pointer) {
    (void)context;
    (void)pointer;
}

void wai_region_init(wai_region *region, void *base, size_t size) {
    *region = (wai_region){{region, take, give_back}, base, size, 0};
}

void wai_region_reset(wai_region *region) {
    region->used = 0;
}
