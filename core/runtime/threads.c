#include "runtime/threads.h"

#include <pthreadpool.h>
#include <stdbool.h>

#define OPEN   0x80u
#define INSIDE 0x7fu
#define NUMBER 0x100u

/*
 * LOOKS: at a word before the caller sleeps, some 20 microseconds. A helper has a store of them:
 * some for each work that it took part in, up to the most, and the least when it has slept. So from
 * one step to the next it stays awake where cores are free, for a thread that sleeps and wakes is
 * often put beside another on one core; and where they are not, it leaves its own to them. PIECES
 * of work for each thread: so many that one which is held up holds up little. All measured:
 * harness/bench/LOG.md.
 */
enum { LOOKS = 20000, LEAST_LOOKS = 10000, MORE_LOOKS = 20000, MOST_LOOKS = 100000, PIECES = 8 };
/* Sums of pieces stay below 2^32; more tiles than that no step has. */
#define MOST_TILES (1u << 30)

/* ---- tiles ---------------------------------------------------------------- */

static size_t tiles_of(const wai_work *w, int d) {
    return w->range[d] / w->tile[d] + (w->range[d] % w->tile[d] != 0);
}

/* UINT32_MAX: more than MOST_TILES. */
static uint32_t count_tiles(const wai_work *w) {
    size_t total = 1;
    bool many = false;
    for (int d = 0; d < 6; d++) {
        const size_t tiles = tiles_of(w, d);
        if (tiles == 0) {
            return 0;
        }
        many = many || total > MOST_TILES / tiles;
        total *= tiles;
    }
    return many ? UINT32_MAX : (uint32_t)total;
}

/* Tile `first` and those behind it, `count` in all or to the last; the innermost dim is fastest. */
static void run_tiles(const wai_work *w, uint32_t first, uint32_t count, size_t thread) {
    size_t at[6], size[6], rest = first;
    for (int d = 5; d >= 0; d--) {
        const size_t tiles = tiles_of(w, d);
        at[d] = rest % tiles * w->tile[d];
        rest /= tiles;
    }
    for (bool more = true; more && count > 0; count -= count != UINT32_MAX) {
        for (int d = 0; d < 6; d++) {
            const size_t left = w->range[d] - at[d];
            size[d] = left < w->tile[d] ? left : w->tile[d];
        }
        w->call(w, at, size, thread);
        more = false;
        for (int d = 5; d >= 0 && !more; d--) {
            at[d] = size[d] < w->range[d] - at[d] ? at[d] + size[d] : 0;
            more = at[d] != 0;
        }
    }
}

/* ---- threads -------------------------------------------------------------- */

static void take_part(struct pthreadpool *pool, size_t thread) {
    const wai_work *w = &pool->work;
    for (;;) {
        const uint32_t first =
            atomic_fetch_add_explicit(&pool->next, w->piece, memory_order_relaxed);
        if (first >= w->total) {
            return;
        }
        const uint32_t left = w->total - first;
        run_tiles(w, first, left < w->piece ? left : w->piece, thread);
    }
}

/* The helpers that came are waited for; those that did not find the work closed. */
static void close_work(struct pthreadpool *pool) {
    uint32_t gate = atomic_fetch_and(&pool->gate, ~OPEN);
    for (int looks = 0; (gate & INSIDE) != 0; looks++) {
        const uint32_t left = atomic_load(&pool->left);
        gate = atomic_load(&pool->gate);
        if (atomic_load(&pool->broken) != 0) {
            __builtin_trap();
        }
        if (looks >= LOOKS && (gate & INSIDE) != 0) {
            wai_threads_sleep(&pool->left, left);
        }
    }
}

static void spread(struct pthreadpool *pool, wai_work work) {
    work.total = count_tiles(&work);
    if (pool == NULL || pool->count < 2 || work.total < 2 || work.total > MOST_TILES) {
        run_tiles(&work, 0, work.total, 0);
        return;
    }
    const uint32_t pieces = pool->count * PIECES;
    work.piece = work.total > pieces ? work.total / pieces : 1;
    pool->work = work;
    atomic_store_explicit(&pool->next, 0, memory_order_relaxed);
    atomic_fetch_add(&pool->gate, NUMBER | OPEN);
    const uint32_t helpers = pool->count - 1;
    wai_threads_wake(&pool->gate, work.total > helpers ? helpers : work.total - 1);
    take_part(pool, 0);
    close_work(pool);
}

void wai_threads_help(struct pthreadpool *pool, uint32_t index) {
    uint32_t done = 0; /* number of the last work that this helper had a part in */
    /* One variable for all that it knows of its looks: with one more in here, code of V8's first
     * compiler was wrong (Node 20 on x64: other bits, traps; never with --no-liftoff). */
    for (int looks = MOST_LOOKS;; looks--) {
        uint32_t gate = atomic_load(&pool->gate);
        if ((gate & OPEN) == 0 || gate / NUMBER == done) {
            if (looks <= 0) {
                wai_threads_sleep(&pool->gate, gate);
                looks = LEAST_LOOKS;
            }
            continue;
        }
        /* Perhaps it has been closed since: then out again. (No compare-exchange: the same compiler
         * had that wrong, too.) */
        gate = atomic_fetch_add(&pool->gate, 1);
        if ((gate & OPEN) != 0) {
            done = gate / NUMBER;
            take_part(pool, index);
        }
        gate = atomic_fetch_sub(&pool->gate, 1) - 1;
        if ((gate & (OPEN | INSIDE)) == 0) {
            atomic_fetch_add(&pool->left, 1);
            wai_threads_wake(&pool->left, 1);
        }
        looks = looks < MOST_LOOKS - MORE_LOOKS ? looks + MORE_LOOKS : MOST_LOOKS;
    }
}

void wai_threads_break(struct pthreadpool *pool) {
    atomic_store(&pool->broken, 1);
    atomic_fetch_add(&pool->left, 1);
    wai_threads_wake(&pool->left, 1);
}

/* ---- pthreadpool's interface ------------------------------------------------ */

size_t pthreadpool_get_threads_count(struct pthreadpool *pool) {
    return pool != NULL ? pool->count : 1;
}

#define EXPAND(...) __VA_ARGS__
/* Parameters, ranges and tiles of all six dims, arguments of the task. `flags` are about denormals
 * and yielding, and wasm has neither. */
#define PARALLELIZE(name, parameters, ranges, tiles, arguments)                                    \
    static void call_##name(const wai_work *w, const size_t *at, const size_t *size,               \
                            size_t thread) {                                                       \
        (void)size, (void)thread;                                                                  \
        ((pthreadpool_task_##name##_t)w->task)(w->argument, EXPAND arguments);                     \
    }                                                                                              \
    void pthreadpool_parallelize_##name(struct pthreadpool *pool,                                  \
                                        pthreadpool_task_##name##_t task, void *argument,          \
                                        EXPAND parameters, uint32_t flags) {                       \
        (void)flags;                                                                               \
        spread(pool, (wai_work){.call = call_##name,                                               \
                                .task = (void (*)(void))task,                                      \
                                .argument = argument,                                              \
                                .range = {EXPAND ranges},                                          \
                                .tile = {EXPAND tiles}});                                          \
    }

/* All that XNNPACK's operators can ask for (src/operator-run.c). */
PARALLELIZE(1d, (size_t i), (i, 1, 1, 1, 1, 1), (1, 1, 1, 1, 1, 1), (at[0]))
PARALLELIZE(1d_with_thread, (size_t i), (i, 1, 1, 1, 1, 1), (1, 1, 1, 1, 1, 1), (thread, at[0]))
PARALLELIZE(1d_tile_1d, (size_t i, size_t tile_i), (i, 1, 1, 1, 1, 1), (tile_i, 1, 1, 1, 1, 1),
            (at[0], size[0]))
PARALLELIZE(2d, (size_t i, size_t j), (i, j, 1, 1, 1, 1), (1, 1, 1, 1, 1, 1), (at[0], at[1]))
PARALLELIZE(2d_with_thread, (size_t i, size_t j), (i, j, 1, 1, 1, 1), (1, 1, 1, 1, 1, 1),
            (thread, at[0], at[1]))
PARALLELIZE(2d_tile_1d, (size_t i, size_t j, size_t tile_j), (i, j, 1, 1, 1, 1),
            (1, tile_j, 1, 1, 1, 1), (at[0], at[1], size[1]))
PARALLELIZE(2d_tile_2d, (size_t i, size_t j, size_t tile_i, size_t tile_j), (i, j, 1, 1, 1, 1),
            (tile_i, tile_j, 1, 1, 1, 1), (at[0], at[1], size[0], size[1]))
PARALLELIZE(3d, (size_t i, size_t j, size_t k), (i, j, k, 1, 1, 1), (1, 1, 1, 1, 1, 1),
            (at[0], at[1], at[2]))
PARALLELIZE(3d_tile_1d, (size_t i, size_t j, size_t k, size_t tile_k), (i, j, k, 1, 1, 1),
            (1, 1, tile_k, 1, 1, 1), (at[0], at[1], at[2], size[2]))
PARALLELIZE(3d_tile_1d_with_thread, (size_t i, size_t j, size_t k, size_t tile_k),
            (i, j, k, 1, 1, 1), (1, 1, tile_k, 1, 1, 1), (thread, at[0], at[1], at[2], size[2]))
PARALLELIZE(3d_tile_2d, (size_t i, size_t j, size_t k, size_t tile_j, size_t tile_k),
            (i, j, k, 1, 1, 1), (1, tile_j, tile_k, 1, 1, 1),
            (at[0], at[1], at[2], size[1], size[2]))
PARALLELIZE(4d, (size_t i, size_t j, size_t k, size_t l), (i, j, k, l, 1, 1), (1, 1, 1, 1, 1, 1),
            (at[0], at[1], at[2], at[3]))
PARALLELIZE(4d_tile_2d, (size_t i, size_t j, size_t k, size_t l, size_t tile_k, size_t tile_l),
            (i, j, k, l, 1, 1), (1, 1, tile_k, tile_l, 1, 1),
            (at[0], at[1], at[2], at[3], size[2], size[3]))
PARALLELIZE(5d, (size_t i, size_t j, size_t k, size_t l, size_t m), (i, j, k, l, m, 1),
            (1, 1, 1, 1, 1, 1), (at[0], at[1], at[2], at[3], at[4]))
PARALLELIZE(5d_tile_2d,
            (size_t i, size_t j, size_t k, size_t l, size_t m, size_t tile_l, size_t tile_m),
            (i, j, k, l, m, 1), (1, 1, 1, tile_l, tile_m, 1),
            (at[0], at[1], at[2], at[3], at[4], size[3], size[4]))
PARALLELIZE(6d_tile_2d,
            (size_t i, size_t j, size_t k, size_t l, size_t m, size_t n, size_t tile_m,
             size_t tile_n),
            (i, j, k, l, m, n), (1, 1, 1, 1, tile_m, tile_n),
            (at[0], at[1], at[2], at[3], at[4], at[5], size[4], size[5]))
