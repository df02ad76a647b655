/* Offsets for slots: one slot after the other into the tightest gap between
 * those already placed that live at the same time, in several orders. */
#include <stdlib.h>
#include <string.h>

#include "plan/plan.h"

/* Placing is quadratic in the number of slots; above this only the first order
 * is tried. */
#define MANY_SLOTS 4096u

typedef struct ranked {
    uint64_t key[3]; /* larger first */
    uint32_t slot;
} ranked;

static int compare_ranked(const void *left, const void *right) {
    const ranked *a = left;
    const ranked *b = right;
    for (int i = 0; i < 3; i++) {
        if (a->key[i] != b->key[i]) {
            return a->key[i] > b->key[i] ? -1 : 1;
        }
    }
    return a->slot < b->slot ? -1 : a->slot > b->slot;
}

/* What an order ranks slots by. `pressure` is the largest sum of live slots
 * during the slot's life. */
typedef void (*rank_function)(ranked *rank, const wai_slot *slot, uint64_t pressure);

static uint64_t life(const wai_slot *slot) {
    return (uint64_t)slot->last - slot->first + 1;
}

static void by_size(ranked *rank, const wai_slot *slot, uint64_t pressure) {
    (void)pressure;
    rank->key[0] = slot->size;
    rank->key[1] = life(slot);
}

static void by_pressure(ranked *rank, const wai_slot *slot, uint64_t pressure) {
    rank->key[0] = pressure;
    rank->key[1] = slot->size;
    rank->key[2] = life(slot);
}

static void by_area(ranked *rank, const wai_slot *slot, uint64_t pressure) {
    (void)pressure;
    rank->key[0] = slot->size * life(slot);
}

static void by_life(ranked *rank, const wai_slot *slot, uint64_t pressure) {
    (void)pressure;
    rank->key[0] = life(slot);
    rank->key[1] = slot->size;
}

static void by_time(ranked *rank, const wai_slot *slot, uint64_t pressure) {
    (void)pressure;
    rank->key[0] = UINT32_MAX - slot->first;
    rank->key[1] = slot->size;
}

static const rank_function orders[] = {by_size, by_pressure, by_area, by_life, by_time};

/* The smallest gap that holds `slot` among `placed` (sorted by offset). */
static uint64_t tightest_gap(const wai_slot *slots, const uint32_t *placed, uint32_t placed_count,
                             const wai_slot *slot) {
    uint64_t best = UINT64_MAX;
    uint64_t best_gap = UINT64_MAX;
    uint64_t free_from = 0;
    for (uint32_t i = 0; i < placed_count; i++) {
        const wai_slot *other = &slots[placed[i]];
        if (other->first > slot->last || other->last < slot->first) {
            continue;
        }
        if (other->offset > free_from) {
            uint64_t gap = other->offset - free_from;
            if (gap >= slot->size && gap < best_gap) {
                best = free_from;
                best_gap = gap;
            }
        }
        if (other->offset + other->size > free_from) {
            free_from = other->offset + other->size;
        }
    }
    return best != UINT64_MAX ? best : free_from;
}

static uint64_t place_in_order(wai_slot *slots, const ranked *ranks, uint32_t count,
                               uint32_t *placed) {
    uint64_t arena_size = 0;
    for (uint32_t i = 0; i < count; i++) {
        wai_slot *slot = &slots[ranks[i].slot];
        slot->offset = tightest_gap(slots, placed, i, slot);
        if (slot->offset + slot->size > arena_size) {
            arena_size = slot->offset + slot->size;
        }
        uint32_t at = i;
        while (at > 0 && slots[placed[at - 1]].offset > slot->offset) {
            placed[at] = placed[at - 1];
            at--;
        }
        placed[at] = ranks[i].slot;
    }
    return arena_size;
}

/* sums[t]: bytes live at time t; tree of maxima over them, leaves at [n, 2n). */
static uint64_t largest_between(const uint64_t *tree, uint32_t n, uint32_t first, uint32_t last) {
    uint64_t largest = 0;
    for (uint32_t from = first + n, to = last + n + 1; from < to; from /= 2, to /= 2) {
        if (from % 2 == 1) {
            largest = tree[from] > largest ? tree[from] : largest;
            from++;
        }
        if (to % 2 == 1) {
            to--;
            largest = tree[to] > largest ? tree[to] : largest;
        }
    }
    return largest;
}

static void sum_live(uint64_t *tree, uint32_t n, const wai_slot *slots, uint32_t count) {
    /* Differences first: they wrap below zero and the sums come out right. */
    for (uint32_t i = 0; i < count; i++) {
        tree[n + slots[i].first] += slots[i].size;
        if (slots[i].last + 1 < n) {
            tree[n + slots[i].last + 1] -= slots[i].size;
        }
    }
    for (uint32_t time = 1; time < n; time++) {
        tree[n + time] += tree[n + time - 1];
    }
    for (uint32_t node = n; node-- > 1;) {
        uint64_t left = tree[2 * node];
        uint64_t right = tree[2 * node + 1];
        tree[node] = left > right ? left : right;
    }
}

uint64_t wai_place_slots(wai_arena *arena, wai_slot *slots, uint32_t slot_count,
                         uint32_t time_count, uint64_t lower_bound) {
    ranked *ranks = wai_arena_array(arena, slot_count, sizeof *ranks);
    uint32_t *placed = wai_arena_array(arena, slot_count, sizeof *placed);
    uint64_t *offsets = wai_arena_array(arena, slot_count, sizeof *offsets);
    uint64_t *tree = wai_arena_array(arena, 2 * (size_t)time_count, sizeof *tree);
    if (ranks == NULL || placed == NULL || offsets == NULL || tree == NULL) {
        return UINT64_MAX;
    }
    sum_live(tree, time_count, slots, slot_count);
    uint64_t best = UINT64_MAX;
    for (size_t o = 0; o < sizeof orders / sizeof orders[0]; o++) {
        if (best == lower_bound || (o > 0 && slot_count > MANY_SLOTS)) {
            break;
        }
        for (uint32_t i = 0; i < slot_count; i++) {
            ranks[i] = (ranked){{0, 0, 0}, i};
            orders[o](&ranks[i], &slots[i],
                      largest_between(tree, time_count, slots[i].first, slots[i].last));
        }
        qsort(ranks, slot_count, sizeof *ranks, compare_ranked);
        uint64_t size = place_in_order(slots, ranks, slot_count, placed);
        if (size < best) {
            best = size;
            for (uint32_t i = 0; i < slot_count; i++) {
                offsets[i] = slots[i].offset;
            }
        }
    }
    for (uint32_t i = 0; i < slot_count; i++) {
        slots[i].offset = offsets[i];
    }
    return best;
}
