/*
 * glue.c - the exports of the browser runtime: one instance, one session.
 *
 *   alloc(size) -> package bytes are copied in -> open -> io -> run ...
 *
 * The module imports its memory and nothing else, so it can ask for nothing.
 * The heap is what lies behind the module's own data; its end is fixed, and
 * blocks are given back newest first, which is how pools free.
 */
#include <stdbool.h>
#include <string.h>

#include "base/diag.h"
#include "base/fence.h"
#include "base/limits.h"
#include "ops/parts.h"
#ifdef __wasm_atomics__
#include "runtime/threads.h"
#endif
#include "wasmai.h"

#define EXPORT(name) __attribute__((export_name(#name), used)) name

/* The numbers that web/engine.js reads; layout 2. */
#define IO_LAYOUT       2u
#define IO_HEADER_WORDS 3u
#define IO_SLOT_WORDS   30u
#define IO_DIMS         4u /* where a slot has its dims, and its size        */
#define IO_SIZE         13u

extern uint8_t __heap_base; /* set by the linker */

typedef struct heap {
    uintptr_t next;
    uintptr_t peak;
} heap;

/* One instance is one session: this is the session's place, not a global
 * shared by many. */
static struct {
    heap heap;
    wai_session *session;
    wai_diag diag;
    uint32_t *io;
    uint32_t *from; /* per input, behind the io table                       */
    wai_hardening hardening;
    uint32_t left;    /* steps of a run under way                           */
    uint32_t step[4]; /* what wai_glue_step says                            */
    uintptr_t bottom; /* 0, which the compiler must not know                */
    struct pthreadpool *threads;
    uintptr_t stacks; /* of helpers: the first one's end                    */
} glue;

static uintptr_t heap_end(void) {
    /* 65536 pages would wrap to 0; the last page is left out then. */
    uintptr_t pages = __builtin_wasm_memory_size(0);
    return pages >= 65536 ? (uintptr_t)0xffff0000u : pages << 16;
}

/* With WAI_ALIGN bytes below it for a fence. */
static uintptr_t heap_start(void) {
    return ((uintptr_t)&__heap_base + 2 * WAI_ALIGN - 1) & ~(uintptr_t)(WAI_ALIGN - 1);
}

static void *heap_alloc(void *context, size_t size, size_t align) {
    heap *h = context;
    (void)align; /* everything is aligned to WAI_ALIGN */
    if (h->next == 0) {
        h->next = h->peak = heap_start();
    }
    size_t room = heap_end() - h->next;
    size_t rounded = (size + WAI_ALIGN - 1) & ~(size_t)(WAI_ALIGN - 1);
    if (rounded < size || rounded > room) {
        return NULL;
    }
    uintptr_t block = h->next;
    h->next += rounded;
    h->peak = h->next > h->peak ? h->next : h->peak;
    return (void *)block;
}

/* Pools free newest first, so a block's start is where the heap may end. A
 * block that is not the newest stays until an older one is freed. */
static void heap_free(void *context, void *pointer) {
    heap *h = context;
    if ((uintptr_t)pointer < h->next) {
        h->next = (uintptr_t)pointer;
    }
}

static const wai_allocator allocator = {&glue.heap, heap_alloc, heap_free};

/* Where nothing of C's is: below the deepest stack, where a NULL pointer writes too
 * (a stack that goes deeper yet wraps below 0 and traps), and between our data
 * and the package, which is the first block of the heap. */
typedef struct ground {
    const char *name;
    uintptr_t at;
} ground;

static bool fence_ground(bool (*visit)(ground)) {
    return visit((ground){"stack", glue.bottom}) &&
           visit((ground){"heap", heap_start() - WAI_ALIGN});
}

static bool arm_ground(ground g) {
    wai_fence_arm(glue.hardening.key, (void *)g.at, WAI_ALIGN);
    return true;
}

static bool check_ground(ground g) {
    return wai_fence_holds(glue.hardening.key, (const void *)g.at, WAI_ALIGN) ||
           wai_fail(&glue.diag, WAI_ERR_INTEGRITY, g.name, "memory below it was written") == WAI_OK;
}

/*
 * Memory hardening, before alloc: wai_hardening of wasmai.h, with the key in two
 * halves. UNSUPPORTED in a runtime that was linked without it.
 */
uint32_t EXPORT(wai_glue_harden)(uint32_t low, uint32_t high, uint32_t weights_every);
uint32_t wai_glue_harden(uint32_t low, uint32_t high, uint32_t weights_every) {
    if (glue.heap.next != 0 || !wai_has_hardening()) {
        return glue.heap.next != 0 ? WAI_ERR_STATE : WAI_ERR_UNSUPPORTED;
    }
    glue.hardening.key = wai_fence_key((uint64_t)high << 32 | low);
    glue.hardening.weights_every = weights_every;
    fence_ground(arm_ground);
    return WAI_OK;
}

/* Room for `size` bytes of package, or 0. Once, before open. */
uint32_t EXPORT(wai_glue_alloc)(uint32_t size);
uint32_t wai_glue_alloc(uint32_t size) {
    return glue.session == NULL ? (uint32_t)(uintptr_t)heap_alloc(&glue.heap, size, WAI_ALIGN) : 0;
}

static uint32_t *add_slot(uint32_t *at, const wai_tensor *t, const wai_axis *axes) {
    *at++ = (uint32_t)(uintptr_t)t->name;
    *at++ = (uint32_t)strlen(t->name);
    *at++ = t->dtype;
    *at++ = t->rank;
    memcpy(at, t->dims, sizeof t->dims);
    at += WAI_MAX_RANK;
    *at++ = (uint32_t)(uintptr_t)t->data;
    *at++ = (uint32_t)t->size;
    for (uint32_t i = 0; i < WAI_MAX_RANK; i++) {
        at[i] = i < t->rank ? axes[i].min : 0;
        at[WAI_MAX_RANK + i] = i < t->rank ? (uint32_t)(uintptr_t)axes[i].symbol : 0;
    }
    return at + 2 * WAI_MAX_RANK;
}

/* Outputs have no ranges; those whose dims vary go down to 0. */
static void output_axes(const wai_tensor *t, uint32_t index, wai_axis axes[WAI_MAX_RANK]) {
    const int varies = wai_session_output_varies(glue.session, index);
    for (uint32_t i = 0; i < t->rank; i++) {
        axes[i] = (wai_axis){NULL, varies ? 0 : t->dims[i], t->dims[i]};
    }
}

static uint32_t *slot_at(uint32_t index) {
    return glue.io + IO_HEADER_WORDS + index * IO_SLOT_WORDS;
}

static void show_dims(uint32_t index, const wai_tensor *t) {
    memcpy(slot_at(index) + IO_DIMS, t->dims, sizeof t->dims);
    slot_at(index)[IO_SIZE] = (uint32_t)t->size;
}

static wai_status make_io(void) {
    uint32_t inputs = wai_session_input_count(glue.session);
    uint32_t outputs = wai_session_output_count(glue.session);
    uint32_t words = IO_HEADER_WORDS + (inputs + outputs) * IO_SLOT_WORDS + inputs;
    uint32_t *at = heap_alloc(&glue.heap, words * 4, WAI_ALIGN);
    if (at == NULL) {
        glue.diag.status = WAI_ERR_MEMORY;
        return WAI_ERR_MEMORY;
    }
    glue.io = at;
    *at++ = IO_LAYOUT;
    *at++ = inputs;
    *at++ = outputs;
    wai_tensor tensor;
    wai_axis axes[WAI_MAX_RANK];
    for (uint32_t i = 0; i < inputs; i++) {
        wai_session_input(glue.session, i, &tensor);
        wai_session_axes(glue.session, i, axes);
        at = add_slot(at, &tensor, axes);
    }
    for (uint32_t i = 0; i < outputs; i++) {
        wai_session_output(glue.session, i, &tensor);
        output_axes(&tensor, i, axes);
        at = add_slot(at, &tensor, axes);
    }
    glue.from = at;
    return WAI_OK;
}

uint32_t EXPORT(wai_glue_open)(uint32_t package, uint32_t size);
uint32_t wai_glue_open(uint32_t package, uint32_t size) {
    if (glue.session != NULL) {
        return WAI_ERR_STATE;
    }
    wai_options options = {
        .allocator = &allocator, .hardening = glue.hardening, .threads = glue.threads};
    wai_bytes bytes = {(const uint8_t *)(uintptr_t)package, size};
    wai_status status = wai_session_open(&glue.session, bytes, &options, &glue.diag);
    return status == WAI_OK ? make_io() : status;
}

/*
 * u32 table: layout, input count, output count, then per slot (inputs first)
 * name, name size, dtype, rank, dims[8], data, size, smallest dims[8], symbols[8]
 * (NUL-terminated names, 0: none). At open, dims are the largest. The caller
 * writes those of an input before a run; behind it outputs have theirs, and behind
 * a carry the inputs that were carried to. Behind the slots, for the caller to
 * fill, the argument of carry: per input an output's index or ~0. 0 before open.
 */
uint32_t EXPORT(wai_glue_io)(void);
uint32_t wai_glue_io(void) {
    return (uint32_t)(uintptr_t)glue.io;
}

static wai_status take_dims(uint32_t inputs) {
    wai_status status = WAI_OK;
    for (uint32_t i = 0; i < inputs && status == WAI_OK; i++) {
        status = wai_session_resize(glue.session, i, slot_at(i) + IO_DIMS, &glue.diag);
    }
    return status;
}

/* At most `count` steps more; `glue.left` says how many are left then. */
static wai_status advance(uint32_t count) {
    if (glue.io == NULL) {
        return WAI_ERR_STATE;
    }
    const uint32_t inputs = wai_session_input_count(glue.session);
    wai_status status = glue.left == 0 ? take_dims(inputs) : WAI_OK;
    if (status == WAI_OK) {
        status = wai_session_advance(glue.session, count, &glue.left, &glue.diag);
    }
    if (status != WAI_OK || glue.left > 0) {
        return status;
    }
    if (glue.hardening.key != 0 && !fence_ground(check_ground)) {
        return WAI_ERR_INTEGRITY;
    }
    wai_tensor tensor;
    for (uint32_t i = 0; i < wai_session_output_count(glue.session); i++) {
        wai_session_output(glue.session, i, &tensor);
        show_dims(inputs + i, &tensor);
    }
    return WAI_OK;
}

uint32_t EXPORT(wai_glue_run)(void);
uint32_t wai_glue_run(void) {
    return advance(UINT32_MAX);
}

/*
 * For a profile: one step of a run, as often as there are steps; the last one ends
 * the run. And what step `index` is, as u32: address of its name, of its operator's
 * name, bytes read, bytes written (both at most 2^32 - 1); 0 behind the last.
 */
uint32_t EXPORT(wai_glue_advance)(void);
uint32_t wai_glue_advance(void) {
    return advance(1);
}

static uint32_t word_of(uint64_t size) {
    return size < UINT32_MAX ? (uint32_t)size : UINT32_MAX;
}

uint32_t EXPORT(wai_glue_step)(uint32_t index);
uint32_t wai_glue_step(uint32_t index) {
    wai_step_info info;
    if (glue.io == NULL || wai_session_step(glue.session, index, &info) != WAI_OK) {
        return 0;
    }
    glue.step[0] = (uint32_t)(uintptr_t)info.name;
    glue.step[1] = (uint32_t)(uintptr_t)info.op;
    glue.step[2] = word_of(info.read_size);
    glue.step[3] = word_of(info.written_size);
    return (uint32_t)(uintptr_t)glue.step;
}

uint32_t EXPORT(wai_glue_carry)(void);
uint32_t wai_glue_carry(void) {
    if (glue.io == NULL) {
        return WAI_ERR_STATE;
    }
    wai_status status = wai_session_carry(glue.session, glue.from, &glue.diag);
    wai_tensor tensor;
    for (uint32_t i = 0; status == WAI_OK && i < wai_session_input_count(glue.session); i++) {
        wai_session_input(glue.session, i, &tensor);
        show_dims(i, &tensor);
    }
    return status;
}

/* Behind run, reading its outputs and carry, with hardening only: wai_session_wipe. */
uint32_t EXPORT(wai_glue_wipe)(void);
uint32_t wai_glue_wipe(void) {
    return glue.io != NULL ? wai_session_wipe(glue.session, &glue.diag) : WAI_ERR_STATE;
}

uint32_t EXPORT(wai_glue_diag)(void);
uint32_t wai_glue_diag(void) {
    return (uint32_t)(uintptr_t)&glue.diag;
}

/* The most bytes of memory that were in use at one time, code's data included. */
uint32_t EXPORT(wai_glue_memory)(void);
uint32_t wai_glue_memory(void) {
    return (uint32_t)glue.heap.peak;
}

#ifdef __wasm_atomics__

/* ---- threads: a module that every thread has an instance of, over one memory ---- */

extern uint8_t __stack_high; /* set by the linker */

/* Instances start with one stack pointer, that of the first thread: a function of no frame sets it.
 */
__asm__(".globaltype __stack_pointer, i32\n"
        ".globl wai_glue_use_stack\n"
        ".export_name wai_glue_use_stack,wai_glue_use_stack\n"
        ".type wai_glue_use_stack,@function\n"
        "wai_glue_use_stack:\n"
        ".functype wai_glue_use_stack (i32) -> ()\n"
        "local.get 0\n"
        "global.set __stack_pointer\n"
        "end_function\n");

/*
 * Room for `count` threads, this one included, before alloc; 0, or a status. Every other one is an
 * instance that then calls use_stack(stack(i)), and then help(i), which does not return.
 */
uint32_t EXPORT(wai_glue_threads)(uint32_t count);
uint32_t wai_glue_threads(uint32_t count) {
    static struct pthreadpool pool;
    if (glue.session != NULL || glue.threads != NULL || count == 0 || count > WAI_MAX_THREADS) {
        return WAI_ERR_STATE;
    }
    void *stacks = heap_alloc(&glue.heap, (count - 1) * WAI_THREAD_STACK, WAI_ALIGN);
    if (stacks == NULL) {
        return WAI_ERR_MEMORY;
    }
    glue.stacks = (uintptr_t)stacks;
    glue.threads = &pool;
    pool.count = count;
    return WAI_OK;
}

/* Where the stack of a thread begins; it goes down to 64 of the first, WAI_THREAD_STACK below that
 * of others. */
uint32_t EXPORT(wai_glue_stack)(uint32_t index);
uint32_t wai_glue_stack(uint32_t index) {
    return (uint32_t)(index == 0 ? (uintptr_t)&__stack_high
                                 : glue.stacks + index * WAI_THREAD_STACK);
}

void EXPORT(wai_glue_help)(uint32_t index);
void wai_glue_help(uint32_t index) {
    wai_threads_help(glue.threads, index);
}

/* A helper's instance trapped; asked of it, by the one who called help. */
void EXPORT(wai_glue_break)(void);
void wai_glue_break(void) {
    wai_threads_break(glue.threads);
}

void wai_threads_sleep(atomic_uint *word, uint32_t value) {
    __builtin_wasm_memory_atomic_wait32((int *)(void *)word, (int)value, -1);
}

void wai_threads_wake(atomic_uint *word, uint32_t count) {
    __builtin_wasm_memory_atomic_notify((int *)(void *)word, count);
}

#endif
