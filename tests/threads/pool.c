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

#define BOX(...) fill(&(box){__VA_ARGS__})
static void task_1d(void *a, size_t i) {
    (void)a;
    BOX({i}, {1, 1, 1, 1, 1, 1});
}
static void task_1d_tile_1d(void *a, size_t i, size_t n) {
    (void)a;
    BOX({i}, {n, 1, 1, 1, 1, 1});
}
static void task_1d_with_thread(void *a, size_t thread, size_t i) {
    (void)a;
    if (thread < pool.count) {
        BOX({i}, {1, 1, 1, 1, 1, 1});
    }
}
static void task_2d_tile_2d(void *a, size_t i, size_t j, size_t m, size_t n) {
    (void)a;
    BOX({i, j}, {m, n, 1, 1, 1, 1});
}
static void task_3d_tile_2d(void *a, size_t i, size_t j, size_t k, size_t m, size_t n) {
    (void)a;
    BOX({i, j, k}, {1, m, n, 1, 1, 1});
}
static void task_4d_tile_2d(void *a, size_t i, size_t j, size_t k, size_t l, size_t m, size_t n) {
    (void)a;
    BOX({i, j, k, l}, {1, 1, m, n, 1, 1});
}
static void task_6d_tile_2d(void *a, size_t i, size_t j, size_t k, size_t l, size_t m, size_t n,
                            size_t o, size_t p) {
    (void)a;
    BOX({i, j, k, l, m, n}, {1, 1, 1, 1, o, p});
}

/* ---- */

static uint32_t seed = 1;
static size_t draw(size_t below) {
    seed = seed * 1664525u + 1013904223u;
    return (seed >> 8) % below;
}

static void run(int kind, struct pthreadpool *p, const size_t *r, size_t m, size_t n) {
    switch (kind) {
    case 0:
        pthreadpool_parallelize_1d(p, task_1d, NULL, r[0], 0);
        break;
    case 1:
        pthreadpool_parallelize_1d_tile_1d(p, task_1d_tile_1d, NULL, r[0], m, 0);
        break;
    case 2:
        pthreadpool_parallelize_1d_with_thread(p, task_1d_with_thread, NULL, r[0], 0);
        break;
    case 3:
        pthreadpool_parallelize_2d_tile_2d(p, task_2d_tile_2d, NULL, r[0], r[1], m, n, 0);
        break;
    case 4:
        pthreadpool_parallelize_3d_tile_2d(p, task_3d_tile_2d, NULL, r[0], r[1], r[2], m, n, 0);
        break;
    case 5:
        pthreadpool_parallelize_4d_tile_2d(p, task_4d_tile_2d, NULL, r[0], r[1], r[2], r[3], m, n,
                                           0);
        break;
    default:
        pthreadpool_parallelize_6d_tile_2d(p, task_6d_tile_2d, NULL, r[0], r[1], r[2], r[3], r[4],
                                           r[5], m, n, 0);
    }
}

static int check(int kind, int job) {
    static const int dims[] = {1, 1, 1, 2, 3, 4, 6};
    for (int d = 0; d < 6; d++) {
        ranges[d] = d < dims[kind] ? draw(SIDE + 1) : 1;
    }
    const size_t m = 1 + draw(SIDE + 2), n = 1 + draw(SIDE + 2);
    memset(cells, 0, sizeof cells);
    run(kind, job % 16 != 0 ? &pool : NULL, ranges, m, n);
    for (int c = 0; c < CELLS; c++) {
        int inside = 1;
        for (int d = 5, rest = c; d >= 0; rest /= SIDE, d--) {
            inside = inside && (size_t)(rest % SIDE) < ranges[d];
        }
        if (cells[c] != inside) {
            printf("job %d, kind %d: cell %d came %d times, not %d\n", job, kind, c, cells[c],
                   inside);
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
        if (check(job % 7, job) != 0) {
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
