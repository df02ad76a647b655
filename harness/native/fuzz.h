/*
 * fuzz.h - what the fuzz targets share: memory that ends, and one run of a
 * package that may hold anything.
 *
 * A crash is what the sanitizers or abort() say: a read or write out of place,
 * WAI_ERR_INTERNAL, a failure without a sentence. Refusing is never a crash.
 */
#ifndef WAI_FUZZ_H
#define WAI_FUZZ_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/limits.h"
#include "package/read.h"
#include "wasmai.h"

/* Bytes that one input may hold at one time. */
#define FUZZ_MEMORY (256u << 20)
/* Floating-point operations and bytes moved of one run. Packages that are well
 * formed may ask for hours; that is for the metered runtime to stop. */
#define FUZZ_WORK (1u << 25)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef struct fuzz_memory {
    size_t now;
    size_t blocks;
} fuzz_memory;

static inline void *fuzz_alloc(void *context, size_t size, size_t align) {
    fuzz_memory *memory = context;
    if (size > FUZZ_MEMORY || memory->now > FUZZ_MEMORY - size) {
        return NULL;
    }
    uint8_t *block = wai_malloc_allocator.alloc(NULL, size + WAI_ALIGN, align);
    if (block == NULL) {
        return NULL;
    }
    memcpy(block, &size, sizeof size);
    memory->now += size;
    memory->blocks++;
    return block + WAI_ALIGN;
}

static inline void fuzz_free(void *context, void *pointer) {
    fuzz_memory *memory = context;
    uint8_t *block = (uint8_t *)pointer - WAI_ALIGN;
    size_t size;
    memcpy(&size, block, sizeof size);
    memory->now -= size;
    memory->blocks--;
    wai_malloc_allocator.free(NULL, block);
}

static inline wai_allocator fuzz_allocator(fuzz_memory *memory) {
    return (wai_allocator){memory, fuzz_alloc, fuzz_free};
}

static inline void fuzz_crash(const char *what, const wai_diag *diag) {
    fprintf(stderr, "%s: %s: %s: %s\n", what, wai_status_name(diag->status), diag->where,
            diag->message);
    abort();
}

/* Every failure has a status that is not our bug, and a sentence. */
static inline void fuzz_judge(wai_status status, const wai_diag *diag) {
    if (status == WAI_ERR_INTERNAL || status == WAI_ERR_INTEGRITY ||
        (status != WAI_OK && (diag->status != status || diag->message[0] == 0))) {
        fuzz_crash("crash", diag);
    }
}

/* A copy in a block of exactly its size, aligned as wai_session_open wants it. */
static inline uint8_t *fuzz_copy(const uint8_t *data, size_t size) {
    void *copy = NULL;
    if (posix_memalign(&copy, WAI_ALIGN, size != 0 ? size : 1) != 0) {
        abort();
    }
    if (size != 0) {
        memcpy(copy, data, size);
    }
    return copy;
}

static inline uint64_t fuzz_step_work(const wai_program *program, const wai_program_step *step) {
    const wai_type *in[WAI_MAX_OPERANDS] = {NULL};
    wai_type out[WAI_MAX_OPERANDS];
    uint64_t work = 0;
    for (uint32_t i = 0; i < step->in_count; i++) {
        if (step->in[i] < program->value_count) {
            in[i] = &program->values[step->in[i]].type;
            work += wai_type_size(in[i]);
        }
    }
    for (uint32_t i = 0; i < step->out_count; i++) {
        out[i] = program->values[step->out[i]].type;
        work += wai_type_size(&out[i]);
    }
    if (step->row->op->flops != NULL) {
        wai_signature signature = {step->params, in,  step->in_count, out, step->out_count,
                                   step->where,  NULL};
        uint64_t flops = step->row->op->flops(&signature);
        work = flops > FUZZ_WORK ? FUZZ_WORK + 1ull : work + flops;
    }
    return work;
}

/* Of a package that has been opened, so that every type is proven. */
static inline bool fuzz_is_quick(wai_bytes package, const wai_allocator *allocator) {
    wai_pool pool;
    wai_program program;
    uint64_t work = 0;
    wai_pool_init(&pool, allocator, UINT64_MAX);
    bool quick = wai_package_read(&program, package, &pool, NULL) == WAI_OK;
    for (uint32_t i = 0; quick && i < program.step_count; i++) {
        work += fuzz_step_work(&program, &program.steps[i]);
        quick = work <= FUZZ_WORK;
    }
    wai_pool_free(&pool);
    return quick;
}

static inline wai_status fuzz_run(wai_session *session, wai_diag *diag) {
    for (uint32_t i = 0; i < wai_session_input_count(session); i++) {
        wai_tensor input;
        if (wai_session_input(session, i, &input) != WAI_OK) {
            abort();
        }
        for (size_t k = 0; k < input.size; k++) {
            ((uint8_t *)input.data)[k] = (uint8_t)(k % 7 == 3 ? 0x3f : k % 5 == 0 ? k : 0);
        }
    }
    wai_status status = wai_session_run(session, diag);
    /* Every byte of every output must be there to be read. */
    uint8_t sum = 0;
    for (uint32_t i = 0; status == WAI_OK && i < wai_session_output_count(session); i++) {
        wai_tensor output;
        if (wai_session_output(session, i, &output) != WAI_OK) {
            abort();
        }
        for (size_t k = 0; k < output.size; k++) {
            sum ^= ((const uint8_t *)output.data)[k];
        }
    }
    static volatile uint8_t sink;
    sink = sum;
    (void)sink;
    return status;
}

/* An output of the type of input `index`, another one for each input where there
 * are several, or WAI_NO_OUTPUT. */
static inline uint32_t fuzz_output_like(const wai_session *session, uint32_t index) {
    wai_tensor in, out;
    uint32_t count = wai_session_output_count(session);
    wai_session_input(session, index, &in);
    for (uint32_t k = 0; k < count; k++) {
        uint32_t o = (index + 1 + k) % count;
        wai_session_output(session, o, &out);
        if (out.dtype == in.dtype && out.rank == in.rank &&
            memcmp(out.dims, in.dims, sizeof in.dims) == 0) {
            return o;
        }
    }
    return WAI_NO_OUTPUT;
}

/* After a run: outputs become inputs wherever that is possible, whatever the
 * package says about their places, and must arrive whole. */
static inline void fuzz_carry(wai_session *session, wai_diag *diag) {
    uint32_t from[WAI_MAX_IO];
    uint8_t *wanted[WAI_MAX_IO] = {NULL};
    wai_tensor tensor;
    uint32_t count = wai_session_input_count(session);
    for (uint32_t i = 0; i < count; i++) {
        from[i] = fuzz_output_like(session, i);
        if (from[i] != WAI_NO_OUTPUT) {
            wai_session_output(session, from[i], &tensor);
            wanted[i] = fuzz_copy(tensor.data, tensor.size);
        }
    }
    if (wai_session_carry(session, from, diag) != WAI_OK) {
        fuzz_crash("carry failed", diag);
    }
    for (uint32_t i = 0; i < count; i++) {
        wai_session_input(session, i, &tensor);
        if (wanted[i] != NULL && memcmp(tensor.data, wanted[i], tensor.size) != 0) {
            fuzz_crash("carry gave other bytes", diag);
        }
        free(wanted[i]);
    }
}

/* Numbers of a sequence that the package itself starts. */
static inline uint32_t fuzz_next(uint32_t *random) {
    *random ^= *random << 13;
    *random ^= *random >> 17;
    *random ^= *random << 5;
    return *random;
}

/* Other dims for every symbolic axis, mostly one number per symbol and in its range;
 * what is refused leaves the dims as they are. */
static inline void fuzz_resize(wai_session *session, uint32_t *random, wai_diag *diag) {
    const uint32_t round = fuzz_next(random);
    for (uint32_t i = 0; i < wai_session_input_count(session); i++) {
        wai_axis axes[WAI_MAX_RANK];
        wai_tensor input;
        if (wai_session_input(session, i, &input) != WAI_OK ||
            wai_session_axes(session, i, axes) != WAI_OK) {
            abort();
        }
        for (uint32_t k = 0; k < input.rank; k++) {
            const wai_axis *axis = &axes[k];
            uint32_t own = round ^ (axis->symbol != NULL ? (uint8_t)axis->symbol[0] : 0);
            own = fuzz_next(random) % 16 == 0 ? fuzz_next(random) : own;
            input.dims[k] = fuzz_next(random) % 32 == 0
                                ? axis->max + 1 - 2 * (own & 1)
                                : axis->min + own % (axis->max - axis->min + 1);
        }
        fuzz_judge(wai_session_resize(session, i, input.dims, diag), diag);
    }
}

/* Some more runs at other dims, carrying between them. False: a run failed. */
static inline bool fuzz_run_resized(wai_session *session, wai_bytes package, wai_diag *diag) {
    uint32_t random = 0x9e3779b9u;
    for (size_t i = 0; i < package.size; i++) {
        random = (random ^ package.data[i]) * 16777619u;
    }
    random |= 1;
    for (int round = 0; round < 6; round++) {
        fuzz_resize(session, &random, diag);
        const wai_status status = fuzz_run(session, diag);
        fuzz_judge(status, diag);
        wai_tensor tensor;
        if (wai_session_input(session, 0, &tensor) == WAI_ERR_STATE) {
            return false;
        }
        if (status == WAI_OK && round % 2 == 1) {
            fuzz_carry(session, diag);
        }
        if (status == WAI_OK && round % 3 == 1 && wai_session_wipe(session, diag) != WAI_OK &&
            diag->status == WAI_ERR_INTEGRITY) {
            fuzz_crash("the weights have changed", diag);
        }
    }
    return true;
}

/* Open and run under the memory limit. `package` must be aligned. */
static inline wai_status fuzz_open_and_run(wai_bytes package, wai_diag *diag) {
    fuzz_memory memory = {0, 0};
    wai_allocator allocator = fuzz_allocator(&memory);
    /* Every other one hardened, in which a kernel that writes past its place fails. */
    const bool hardened = package.size > 0 && package.data[package.size - 1] % 2 == 1;
    wai_options options = {.allocator = &allocator,
                           .hardening = {hardened ? 0x9e3779b97f4a7c15 : 0, 1}};
    wai_session *session;
    wai_status status = wai_session_open(&session, package, &options, diag);
    fuzz_judge(status, diag);
    if (status == WAI_OK && fuzz_is_quick(package, &allocator)) {
        status = fuzz_run(session, diag);
        fuzz_judge(status, diag);
        if (status == WAI_OK) {
            fuzz_carry(session, diag);
            fuzz_run_resized(session, package, diag);
        }
    }
    wai_session_close(session);
    if (memory.blocks != 0) {
        fuzz_crash("memory is left allocated", diag);
    }
    return status;
}

#endif
