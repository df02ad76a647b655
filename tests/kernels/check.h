/*
 * check.h - what the kernel checks share: seeded numbers, buffers whose rest
 * is poisoned, one step's way from infer to run, and the count at the end.
 *
 * An operand without dtype is an absent input, as in hostile packages.
 */
#ifndef WAI_TEST_CHECK_H
#define WAI_TEST_CHECK_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "ops/emit.h"

/* What lies where nothing was written: a large float. */
#define POISON 0x7f

/* Bytes that a step may take for its state, and again for its workspace. */
#define MAX_STATE (1u << 26)

static uint32_t seed = 1;
static unsigned failures, compared;

/* The arguments [rounds] [seed]; returns the rounds. */
static inline unsigned start(int argc, char **argv, unsigned rounds) {
    seed = argc > 2 ? (uint32_t)atoi(argv[2]) : 1;
    return argc > 1 ? (unsigned)atoi(argv[1]) : rounds;
}

/* The last line, and what main returns. */
static inline int finish(void) {
    printf("%u passed, %u failed, 0 skipped\n", failures < compared ? compared - failures : 0,
           failures);
    return failures != 0;
}

static inline uint32_t next(uint32_t below) {
    seed ^= seed << 13;
    seed ^= seed >> 17;
    seed ^= seed << 5;
    return (seed >> 4) % below;
}

/* Aligned; `size` bytes and the spare ones that kernels may read. */
static inline void *buffer(size_t size) {
    void *p = NULL;
    if (posix_memalign(&p, WAI_ALIGN, size + WAI_SPARE_SIZE) != 0) {
        abort();
    }
    memset(p, POISON, size + WAI_SPARE_SIZE);
    return p;
}

/* Numbers from -1 to 1. */
static inline wai_operand random_operand(uint32_t rank, const uint32_t *dims, bool constant) {
    wai_operand o = {wai_type_make(WAI_F32, rank, dims), NULL, constant};
    float *data = o.data = buffer(wai_type_size(&o.type));
    for (size_t i = 0; i < wai_type_count(&o.type); i++) {
        data[i] = (float)next(2001) / 1000.0f - 1.0f;
    }
    return o;
}

/* The next index of a walk over `type`, the last axis first. */
static inline void next_index(const wai_type *type, uint32_t *at) {
    for (uint32_t axis = type->rank; axis-- > 0;) {
        if (++at[axis] < type->dims[axis]) {
            return;
        }
        at[axis] = 0;
    }
}

static inline wai_step make_step(const wai_op *op, const void *params, wai_operand *in,
                                 uint32_t in_count, wai_operand *out) {
    return (wai_step){.op = op,
                      .kernel = wai_op_find(op)->kernel,
                      .params = params,
                      .where = "check",
                      .in = in,
                      .out = out,
                      .in_count = in_count,
                      .out_count = 1};
}

#define MAX_OPERANDS 64
#define MAX_RESULTS  4

/* Fills in the types of the outputs, and *flops unless NULL. */
static inline wai_status infer_step(const wai_step *step, uint64_t *flops, wai_diag *diag) {
    const wai_type *in[MAX_OPERANDS];
    wai_type out[MAX_RESULTS] = {{0}};
    if (step->in_count > MAX_OPERANDS || step->out_count > MAX_RESULTS) {
        abort();
    }
    for (uint32_t i = 0; i < step->in_count; i++) {
        in[i] = step->in[i].type.dtype != 0 ? &step->in[i].type : NULL;
    }
    wai_signature s = {step->params, in, step->in_count, out, step->out_count, step->where, diag};
    wai_status status = step->op->infer(&s);
    for (uint32_t i = 0; i < step->out_count && status == WAI_OK; i++) {
        step->out[i].type = out[i];
    }
    if (flops != NULL && status == WAI_OK) {
        *flops = step->op->flops != NULL ? step->op->flops(&s) : wai_type_count(&out[0]);
    }
    return status;
}

/*
 * Prepare, set up, seal the pool, and run twice over a poisoned output: a run
 * leaves nothing behind that the next one needs or minds. `allocator`: NULL
 * for malloc. A step that allocates in run ends the program.
 */
static inline wai_status run_step(wai_step *step, const wai_allocator *allocator, wai_diag *diag) {
    wai_pool pool;
    wai_pool_init(&pool, allocator, MAX_STATE);
    const wai_kernel *kernel = step->kernel;
    wai_status status = kernel->prepare != NULL ? kernel->prepare(step, &pool, diag) : WAI_OK;
    if (status == WAI_OK && step->workspace_size > MAX_STATE) {
        status = WAI_ERR_MEMORY;
    }
    step->workspace = status == WAI_OK ? buffer(step->workspace_size) : NULL;
    pool.sealed = true;
    if (status == WAI_OK && kernel->setup != NULL) {
        status = kernel->setup(step, diag);
    }
    for (int i = 0; i < 2 && status == WAI_OK; i++) {
        for (uint32_t k = 0; k < step->out_count; k++) {
            memset(step->out[k].data, POISON, wai_type_size(&step->out[k].type));
        }
        status = kernel->run(step, diag);
    }
    if (pool.violated) {
        printf("FAIL %s allocates after prepare\n", step->op->name);
        abort();
    }
    free(step->workspace);
    wai_pool_free(&pool);
    return status;
}

/* All of it, where nothing may be refused. Returns out->data, a new buffer. */
static inline void *execute(const wai_op *op, const void *params, wai_operand *in,
                            uint32_t in_count, wai_operand *out) {
    wai_diag diag = {0};
    wai_step step = make_step(op, params, in, in_count, out);
    wai_status status = infer_step(&step, NULL, &diag);
    if (status == WAI_OK) {
        out->data = buffer(wai_type_size(&out->type));
        status = run_step(&step, NULL, &diag);
    }
    if (status != WAI_OK) {
        printf("FAIL %s: %s\n", op->name, diag.message);
        exit(1);
    }
    return out->data;
}

#endif
