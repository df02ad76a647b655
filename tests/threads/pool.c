/*
 * The pool of core/runtime/threads.c on the system's threads, for ThreadSanitizer: every tile once
 * and only once, whatever is called with whatever sizes, and a helper that is late or asleep loses
 * nothing.
 *
 *   pool THREADS JOBS      exit status 0 if all of it is right
 */
#include "runtime/threads.h"

#include <pthread.h> /* the sanitizer does not know C11's */
#include <pthreadpool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* As wasm's wait and notify: looking and falling asleep is one. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t woken = PTHREAD_COND_INITIALIZER;

void wai_threads_sleep(atomic_uint *word, uint32_t value) {
    pthread_mutex_lock(&lock);
    if (atomic_load(word) == value) {
        pthread_cond_wait(&woken, &lock);
    }
    pthread_mutex_unlock(&lock);
}

void wai_threads_wake(atomic_uint *word, uint32_t count) {
    (void)word, (void)count;
    pthread_mutex_lock(&lock);
    pthread_cond_broadcast(&woken);
    pthread_mutex_unlock(&lock);
}

static struct pthreadpool pool;

static void *help(void *index) {
    wai_threads_help(&pool, *(const uint32_t *)index);
}

/* ---- what the tiles do: each cell counts who came ---- */

enum { SIDE = 7, CELLS = SIDE * SIDE * SIDE * SIDE * SIDE * SIDE };
static unsigned char cells[CELLS];
static size_t ranges[6];

typedef struct box {
    size_t at[6], size[6];
} box;

static void fill(const box *b) {
    size_t i[6];
    memcpy(i, b->at, sizeof i);
    for (int d = 0; d >= 0;) {
        size_t cell = 0;
        for (int k = 0; k < 6; k++) {
            cell = cell * SIDE + i[k];
        }
        cells[cell]++;
        for (d = 5; d >= 0 && ++i[d] == b->at[d] + b->size[d]; d--) {
            i[d] = b->at[d];
        }
    }
}

/* A function of pthreadpool: its dims, the thread it names or 0, and what its task gets; `m` and
 * `n` are sizes of tiles. */
#define EXPAND(...) __VA_ARGS__
#define KIND(name, thread, parameters, at, size, asked)                                            \
    static void task_##name(void *argument, EXPAND parameters) {                                   \
        (void)argument;                                                                            \
        if ((thread) < pool.count) {                                                               \
            fill(&(box){{EXPAND at}, {EXPAND size}});                                              \
        }                                                                                          \
    }                                                                                              \
    static void run_##name(struct pthreadpool *p, const size_t *r, size_t m, size_t n) {           \
        (void)m, (void)n;                                                                          \
        pthreadpool_parallelize_##name(p, task_##name, NULL, EXPAND asked, 0);                     \
    }

KIND(1d, 0, (size_t i), (i), (1, 1, 1, 1, 1, 1), (r[0]))
KIND(1d_with_thread, t, (size_t t, size_t i), (i), (1, 1, 1, 1, 1, 1), (r[0]))
KIND(1d_tile_1d, 0, (size_t i, size_t a), (i), (a, 1, 1, 1, 1, 1), (r[0], m))
KIND(2d, 0, (size_t i, size_t j), (i, j), (1, 1, 1, 1, 1, 1), (r[0], r[1]))
KIND(2d_with_thread, t, (size_t t, size_t i, size_t j), (i, j), (1, 1, 1, 1, 1, 1), (r[0], r[1]))
KIND(2d_tile_1d, 0, (size_t i, size_t j, size_t b), (i, j), (1, b, 1, 1, 1, 1), (r[0], r[1], m))
KIND(2d_tile_2d, 0, (size_t i, size_t j, size_t a, size_t b), (i, j), (a, b, 1, 1, 1, 1),
     (r[0], r[1], m, n))
KIND(3d, 0, (size_t i, size_t j, size_t k), (i, j, k), (1, 1, 1, 1, 1, 1), (r[0], r[1], r[2]))
KIND(3d_tile_1d, 0, (size_t i, size_t j, size_t k, size_t c), (i, j, k), (1, 1, c, 1, 1, 1),
     (r[0], r[1], r[2], m))
KIND(3d_tile_1d_with_thread, t, (size_t t, size_t i, size_t j, size_t k, size_t c), (i, j, k),
     (1, 1, c, 1, 1, 1), (r[0], r[1], r[2], m))
KIND(3d_tile_2d, 0, (size_t i, size_t j, size_t k, size_t b, size_t c), (i, j, k),
     (1, b, c, 1, 1, 1), (r[0], r[1], r[2], m, n))
KIND(4d, 0, (size_t i, size_t j, size_t k, size_t l), (i, j, k, l), (1, 1, 1, 1, 1, 1),
     (r[0], r[1], r[2], r[3]))
KIND(4d_tile_2d, 0, (size_t i, size_t j, size_t k, size_t l, size_t c, size_t d), (i, j, k, l),
     (1, 1, c, d, 1, 1), (r[0], r[1], r[2], r[3], m, n))
KIND(5d, 0, (size_t i, size_t j, size_t k, size_t l, size_t o), (i, j, k, l, o), (1, 1, 1, 1, 1, 1),
     (r[0], r[1], r[2], r[3], r[4]))
KIND(5d_tile_2d, 0, (size_t i, size_t j, size_t k, size_t l, size_t o, size_t d, size_t e),
     (i, j, k, l, o), (1, 1, 1, d, e, 1), (r[0], r[1], r[2], r[3], r[4], m, n))
KIND(6d_tile_2d, 0,
     (size_t i, size_t j, size_t k, size_t l, size_t o, size_t q, size_t e, size_t f),
     (i, j, k, l, o, q), (1, 1, 1, 1, e, f), (r[0], r[1], r[2], r[3], r[4], r[5], m, n))

#define ROW(dims, name) {#name, dims, run_##name}
static const struct {
    const char *name;
    int dims;
    void (*run)(struct pthreadpool *p, const size_t *r, size_t m, size_t n);
} kinds[] = {ROW(1, 1d),
             ROW(1, 1d_with_thread),
             ROW(1, 1d_tile_1d),
             ROW(2, 2d),
             ROW(2, 2d_with_thread),
             ROW(2, 2d_tile_1d),
             ROW(2, 2d_tile_2d),
             ROW(3, 3d),
             ROW(3, 3d_tile_1d),
             ROW(3, 3d_tile_1d_with_thread),
             ROW(3, 3d_tile_2d),
             ROW(4, 4d),
             ROW(4, 4d_tile_2d),
             ROW(5, 5d),
             ROW(5, 5d_tile_2d),
             ROW(6, 6d_tile_2d)};
enum { KINDS = sizeof kinds / sizeof kinds[0] };

/* ---- every tile once ---- */

static uint32_t seed = 1;
static size_t draw(size_t below) {
    seed = seed * 1664525u + 1013904223u;
    return (seed >> 8) % below;
}

static int check(int kind, int job) {
    for (int d = 0; d < 6; d++) {
        ranges[d] = d < kinds[kind].dims ? draw(SIDE + 1) : 1;
    }
    const size_t m = 1 + draw(SIDE + 2), n = 1 + draw(SIDE + 2);
    memset(cells, 0, sizeof cells);
    kinds[kind].run(job % 15 != 0 ? &pool : NULL, ranges, m, n);
    for (int c = 0; c < CELLS; c++) {
        int inside = 1;
        for (int d = 5, rest = c; d >= 0; rest /= SIDE, d--) {
            inside = inside && (size_t)(rest % SIDE) < ranges[d];
        }
        if (cells[c] != inside) {
            printf("job %d, %s: cell %d came %d times, not %d\n", job, kinds[kind].name, c,
                   cells[c], inside);
            return 1;
        }
    }
    return 0;
}

static void count_one(void *sum, size_t i) {
    ((uint32_t *)sum)[i]++;
}

int main(int argc, char **argv) {
    static uint32_t index[WAI_MAX_THREADS], sums[64];
    pool.count = argc > 1 ? (uint32_t)atoi(argv[1]) : 4;
    const int jobs = argc > 2 ? atoi(argv[2]) : 1000;
    for (uint32_t i = 1; i < pool.count; i++) {
        pthread_t thread;
        index[i] = i;
        if (pthread_create(&thread, NULL, help, &index[i]) != 0) {
            return 2;
        }
    }
    for (int job = 0; job < jobs; job++) {
        if (check(job % KINDS, job) != 0) {
            return 1;
        }
    }
    /* Many small ones: helpers come while it is being closed. */
    for (int job = 0; job < jobs * 20; job++) {
        pthreadpool_parallelize_1d(&pool, count_one, sums, 2 + (size_t)job % 63, 0);
    }
    for (size_t i = 0; i < 64; i++) {
        uint32_t wanted = 0;
        for (int job = 0; job < jobs * 20; job++) {
            wanted += i < 2 + (size_t)job % 63;
        }
        if (sums[i] != wanted) {
            printf("tile %zu was done %u times, not %u\n", i, sums[i], wanted);
            return 1;
        }
    }
    printf("%d jobs on %u threads\n", jobs * 21, pool.count);
    return 0;
}
