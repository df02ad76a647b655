/* Offsets for slots: one slot after the other into the tightest gap between
 * those already placed that live at the same time, in several orders, each with
 * some local search. */
#include <stdlib.h>
#include <string.h>

#include "plan/plan.h"

/* Placing is quadratic in the number of slots; above this only the first order
 * is tried. */
#define MANY_SLOTS 4096u

/* Of one order, each: under a tenth of a second. */
#define MAX_WORK  20000000u
#define MAX_TRIES 1000u

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

/* ---- search ---- */

/* xorshift32: the same plan everywhere. */
static uint32_t random_below(uint32_t *state, uint32_t count) {
    *state ^= *state << 13;
    *state ^= *state >> 17;
    *state ^= *state << 5;
    return *state % count;
}

/* Rank of the slot that ends the arena. */
static uint32_t topmost(const wai_slot *slots, const ranked *ranks, uint32_t count) {
    uint32_t top = 0;
    for (uint32_t i = 1; i < count; i++) {
        const wai_slot *a = &slots[ranks[i].slot];
        const wai_slot *b = &slots[ranks[top].slot];
        if (a->offset + a->size > b->offset + b->size) {
            top = i;
        }
    }
    return top;
}

static void move_rank(ranked *ranks, uint32_t from, uint32_t to) {
    ranked moved = ranks[from];
    for (; from > to; from--) {
        ranks[from] = ranks[from - 1];
    }
    for (; from < to; from++) {
        ranks[from] = ranks[from + 1];
    }
    ranks[to] = moved;
}

typedef struct search {
    wai_slot *slots;
    ranked *ranks;
    uint32_t *placed;
    uint64_t *best_offsets;
    uint64_t best, lower_bound;
    uint32_t count;
} search;

static uint64_t place(search *s) {
    uint64_t size = place_in_order(s->slots, s->ranks, s->count, s->placed);
    if (size < s->best) {
        s->best = size;
        for (uint32_t i = 0; i < s->count; i++) {
            s->best_offsets[i] = s->slots[i].offset;
        }
    }
    return size;
}

/*
 * Local search from the order in s->ranks: the slot on top, or one that lives
 * at the same time, is placed earlier or later; what does not get worse is
 * kept. Deterministic, and bounded by MAX_WORK visits of slots.
 */
static void improve(search *s) {
    uint64_t visits = (uint64_t)s->count * s->count + 1;
    uint64_t tries = MAX_WORK / visits;
    tries = tries < MAX_TRIES ? tries : MAX_TRIES;
    uint32_t state = 0x9e3779b9;
    uint64_t size = place(s);
    for (uint64_t t = 0; t < tries && s->best > s->lower_bound; t++) {
        uint32_t from = topmost(s->slots, s->ranks, s->count);
        const wai_slot *top = &s->slots[s->ranks[from].slot];
        if (t % 2 == 1) {
            uint32_t other = random_below(&state, s->count);
            const wai_slot *slot = &s->slots[s->ranks[other].slot];
            from = slot->first <= top->last && top->first <= slot->last ? other : from;
        }
        uint32_t to = random_below(&state, s->count);
        move_rank(s->ranks, from, to);
        uint64_t now = place(s);
        if (now > size) {
            move_rank(s->ranks, to, from);
            place(s); /* offsets of the order that was kept */
        } else {
            size = now;
        }
    }
}

uint64_t wai_place_slots(wai_arena *arena, wai_slot *slots, uint32_t slot_count,
                         uint32_t time_count, uint64_t lower_bound) {
    search s = {
        .slots = slots, .count = slot_count, .best = UINT64_MAX, .lower_bound = lower_bound};
    s.ranks = wai_arena_array(arena, slot_count, sizeof *s.ranks);
    s.placed = wai_arena_array(arena, slot_count, sizeof *s.placed);
    s.best_offsets = wai_arena_array(arena, slot_count, sizeof *s.best_offsets);
    uint64_t *tree = wai_arena_array(arena, 2 * (size_t)time_count, sizeof *tree);
    if (s.ranks == NULL || s.placed == NULL || s.best_offsets == NULL || tree == NULL) {
        return UINT64_MAX;
    }
    sum_live(tree, time_count, slots, slot_count);
    for (size_t o = 0; o < sizeof orders / sizeof orders[0]; o++) {
        if (s.best == lower_bound || (o > 0 && slot_count > MANY_SLOTS)) {
            break;
        }
        for (uint32_t i = 0; i < slot_count; i++) {
            s.ranks[i] = (ranked){{0, 0, 0}, i};
            orders[o](&s.ranks[i], &slots[i],
                      largest_between(tree, time_count, slots[i].first, slots[i].last));
        }
        qsort(s.ranks, slot_count, sizeof *s.ranks, compare_ranked);
        improve(&s);
    }
    for (uint32_t i = 0; i < slot_count; i++) {
        slots[i].offset = s.best_offsets[i];
    }
    return s.best;
}
