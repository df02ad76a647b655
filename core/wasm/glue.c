/*
 * glue.c - the exports of the browser runtime: one instance, one session.
 *
 *   alloc(size) -> package bytes are copied in -> open -> io -> run ...
 *
 * The module imports its memory and nothing else, so it can ask for nothing.
 * The heap is what lies behind the module's own data; its end is fixed, and
 * blocks are given back newest first, which is how pools free.
 */
#include <string.h>

#include "base/limits.h"
#include "wasmai.h"

#define EXPORT(name) __attribute__((export_name(#name), used)) name

/* The numbers that web/engine.js reads; layout 1. */
#define IO_LAYOUT     1u
#define IO_SLOT_WORDS 14u

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
} glue;

static uintptr_t heap_end(void) {
    /* 65536 pages would wrap to 0; the last page is left out then. */
    uintptr_t pages = __builtin_wasm_memory_size(0);
    return pages >= 65536 ? (uintptr_t)0xffff0000u : pages << 16;
}

static uintptr_t heap_start(void) {
    return ((uintptr_t)&__heap_base + WAI_ALIGN - 1) & ~(uintptr_t)(WAI_ALIGN - 1);
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

/* Room for `size` bytes of package, or 0. Once, before open. */
uint32_t EXPORT(wai_glue_alloc)(uint32_t size);
uint32_t wai_glue_alloc(uint32_t size) {
    return glue.session == NULL ? (uint32_t)(uintptr_t)heap_alloc(&glue.heap, size, WAI_ALIGN) : 0;
}

static uint32_t *add_slot(uint32_t *at, const wai_tensor *t) {
    *at++ = (uint32_t)(uintptr_t)t->name;
    *at++ = (uint32_t)strlen(t->name);
    *at++ = t->dtype;
    *at++ = t->rank;
    memcpy(at, t->dims, sizeof t->dims);
    at += WAI_MAX_RANK;
    *at++ = (uint32_t)(uintptr_t)t->data;
    *at++ = (uint32_t)t->size;
    return at;
}

static wai_status make_io(void) {
    uint32_t inputs = wai_session_input_count(glue.session);
    uint32_t outputs = wai_session_output_count(glue.session);
    uint32_t words = 3 + (inputs + outputs) * IO_SLOT_WORDS + inputs;
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
    for (uint32_t i = 0; i < inputs; i++) {
        wai_session_input(glue.session, i, &tensor);
        at = add_slot(at, &tensor);
    }
    for (uint32_t i = 0; i < outputs; i++) {
        wai_session_output(glue.session, i, &tensor);
        at = add_slot(at, &tensor);
    }
    glue.from = at;
    return WAI_OK;
}

uint32_t EXPORT(wai_glue_open)(uint32_t package, uint32_t size);
uint32_t wai_glue_open(uint32_t package, uint32_t size) {
    if (glue.session != NULL) {
        return WAI_ERR_STATE;
    }
    wai_options options = {{0}, &allocator};
    wai_bytes bytes = {(const uint8_t *)(uintptr_t)package, size};
    wai_status status = wai_session_open(&glue.session, bytes, &options, &glue.diag);
    return status == WAI_OK ? make_io() : status;
}

/* u32 table: layout, input count, output count, then per slot (inputs first)
 * name, name size, dtype, rank, dims[8], data, size. Behind it, for the caller
 * to fill, the argument of carry: per input an output's index or ~0. 0 before
 * open. */
uint32_t EXPORT(wai_glue_io)(void);
uint32_t wai_glue_io(void) {
    return (uint32_t)(uintptr_t)glue.io;
}

uint32_t EXPORT(wai_glue_run)(void);
uint32_t wai_glue_run(void) {
    return glue.session != NULL ? wai_session_run(glue.session, &glue.diag) : WAI_ERR_STATE;
}

uint32_t EXPORT(wai_glue_carry)(void);
uint32_t wai_glue_carry(void) {
    return glue.session != NULL ? wai_session_carry(glue.session, glue.from, &glue.diag)
                                : WAI_ERR_STATE;
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
