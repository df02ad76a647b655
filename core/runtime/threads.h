/*
 * threads.h - the work of a step spread over threads, behind pthreadpool's interface, which
 * XNNPACK's operators and our kernels call with the pool of their step (wai_step.threads).
 *
 * A call hands over a range of tiles. The caller and those helpers that come take pieces of it
 * until none is left, so nothing waits for a helper that the system has not woken yet. A tile is
 * computed whole, by one thread, in the order of one thread: results are the same bits for any
 * number of them.
 *
 * Steps of little work have no pool (step.c). XNNPACK's archive is that of one thread: nothing in
 * it is compiled for atomics, and nothing needs to be.
 *
 * The pool is memory that all threads see and nothing else: it starts no thread and knows no
 * system. Who has threads lets each enter wai_threads_help and gives the two functions below. One
 * caller at a time, and no calls from inside a tile.
 */
#ifndef WAI_THREADS_H
#define WAI_THREADS_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

enum { WAI_MAX_THREADS = 16 };

typedef struct wai_work wai_work;
typedef void wai_call_tile(const wai_work *work, const size_t *at, const size_t *size,
                           size_t thread);

/* Tiles of up to six dims; those that are not used have one tile. */
struct wai_work {
    wai_call_tile *call;
    void (*task)(void);
    void *argument;
    size_t range[6], tile[6];
    uint32_t total; /* tiles                                                */
    uint32_t piece; /* tiles that are taken at a time                       */
};

/* Zeroed but for `count`. */
struct pthreadpool {
    uint32_t count; /* threads, the caller's included                       */
    /* Number of the work << 8, WAI_THREADS_OPEN, helpers inside. */
    _Alignas(64) atomic_uint gate;
    atomic_uint left;              /* counts up when the last helper leaves closed work */
    atomic_uint broken;            /* not 0: a helper is lost, in the middle of a tile  */
    wai_work work;                 /* written by the caller when nobody is inside        */
    _Alignas(64) atomic_uint next; /* the first tile that nobody has taken   */
};

/* Helper `index`, 1 to count - 1: works for ever. */
_Noreturn void wai_threads_help(struct pthreadpool *pool, uint32_t index);

/* A helper is lost and will never finish: the caller traps instead of waiting for it. */
void wai_threads_break(struct pthreadpool *pool);

/* For whoever has threads to define. Sleep while `word` has `value`; may return early. */
void wai_threads_sleep(atomic_uint *word, uint32_t value);
/* Wake up to `count` of those who sleep at `word`. */
void wai_threads_wake(atomic_uint *word, uint32_t count);

#endif
