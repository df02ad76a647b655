/*
 * The cases of tests/ops with broken params and types, as a hostile package
 * could hold them: every case, a few numbers changed, many times. What infer
 * lets through must run: buffers are exact (16 readable spare bytes), so that
 * under ASan and UBSan any number that infer failed to check ends the program.
 *
 *   check_hostile ROUNDS SEED FILE.cases...
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "cases.h"

#define MAX_SIZE     (1u << 20) /* of one tensor, bytes: larger ones prove nothing more */
#define MAX_FLOPS    (1u << 22)
#define MAX_PARAMS   128u
#define MAX_OPERANDS CASE_MAX_OPERANDS
#define MAX_RESULTS  4u

static uint32_t seed = 1;

static uint32_t next(uint32_t below) {
    seed ^= seed << 13;
    seed ^= seed >> 17;
    seed ^= seed << 5;
    return (seed >> 4) % below;
}

static void *buffer(size_t size) {
    void *p = NULL;
    if (posix_memalign(&p, WAI_ALIGN, size + WAI_SPARE_SIZE) != 0) {
        abort();
    }
    memset(p, 0x7f, size + WAI_SPARE_SIZE);
    return p;
}

static uint32_t nasty(void) {
    static const uint32_t values[] = {0,          1,          2,          3,          7,
                                      8,          9,          0x7fffffff, 0x80000000, 0xffffffff,
                                      0xfffffffe, 0x10000,    0x40000000, 0x55555556, 0x7fc00000,
                                      0x7f800000, 0xff800000, 0x00000100, 0x3f800000, 0x00800000};
    return values[next(sizeof values / sizeof values[0])];
}

/* One number, changed a little or a lot. */
static uint32_t changed(uint32_t value) {
    switch (next(6)) {
    case 0:
        return nasty();
    case 1:
        return value + 1;
    case 2:
        return value - 1;
    case 3:
        return value * 2;
    case 4:
        return value ^ 1u << next(32);
    default:
        return next(10);
    }
}

static void change_type(wai_type *type) {
    uint32_t at = type->rank > 0 ? next(type->rank) : 0;
    switch (next(6)) {
    case 0:
        type->dtype = WAI_F32 + next(12);
        break;
    case 1:
        if (type->rank < WAI_MAX_RANK) {
            type->dims[type->rank++] = 1 + next(3);
        }
        break;
    case 2:
        if (type->rank > 0) {
            type->dims[--type->rank] = 0;
        }
        break;
    default:
        if (type->rank > 0) {
            type->dims[at] = next(4) == 0 ? next(2) : changed(type->dims[at]) % 64;
        }
        break;
    }
}

static void fill(const wai_operand *operand) {
    size_t size = wai_type_size(&operand->type);
    for (size_t i = 0; i < size; i++) {
        ((uint8_t *)operand->data)[i] =
            (uint8_t)(operand->type.dtype == WAI_BOOL || next(3) != 0 ? next(2) : next(256));
    }
}

static bool is_small(const wai_type *type) {
    return wai_type_is_valid(type) && wai_type_size(type) <= MAX_SIZE;
}

typedef struct trial {
    wai_operand in[MAX_OPERANDS], out[MAX_RESULTS];
    wai_step step;
    wai_diag diag;
} trial;

static void run(const wai_op_row *row, trial *t) {
    wai_pool pool;
    wai_pool_init(&pool, NULL, 1u << 26);
    wai_status status = WAI_OK;
    for (uint32_t i = 0; i < t->step.in_count; i++) {
        if (t->in[i].type.dtype != 0) {
            t->in[i].data = buffer(wai_type_size(&t->in[i].type));
            fill(&t->in[i]);
        }
    }
    for (uint32_t i = 0; i < t->step.out_count; i++) {
        t->out[i].data = buffer(wai_type_size(&t->out[i].type));
    }
    if (row->kernel->prepare != NULL) {
        status = row->kernel->prepare(&t->step, &pool, &t->diag);
    }
    pool.sealed = true;
    if (status == WAI_OK && t->step.workspace_size <= (64u << 20)) {
        t->step.workspace = buffer(t->step.workspace_size);
        if (row->kernel->setup != NULL) {
            status = row->kernel->setup(&t->step, &t->diag);
        }
        if (status == WAI_OK) {
            row->kernel->run(&t->step, &t->diag);
        }
        free(t->step.workspace);
    }
    if (pool.violated) {
        printf("FAIL %s allocates after prepare\n", row->op->name);
        abort();
    }
    wai_pool_free(&pool);
    for (uint32_t i = 0; i < t->step.in_count; i++) {
        free(t->in[i].data);
    }
    for (uint32_t i = 0; i < t->step.out_count; i++) {
        free(t->out[i].data);
    }
}

typedef struct tally {
    int rounds;
    unsigned attacks, ran;
} tally;

/* True if infer let it through and it was run. */
static bool attack(const op_case *c) {
    const wai_op_row *row = c->row;
    uint32_t params[MAX_PARAMS] = {0}, words = row->op->params_size / 4;
    const wai_type *in[MAX_OPERANDS] = {NULL};
    trial t;
    memset(&t, 0, sizeof t);
    if (words > 0) {
        memcpy(params, c->params, row->op->params_size);
    }
    for (uint32_t i = 0; i < c->in_count; i++) {
        t.in[i].type = c->in[i].type;
        t.in[i].constant = c->in[i].constant;
        in[i] = c->in[i].absent ? NULL : &t.in[i].type;
    }
    for (uint32_t changes = 1 + next(3); changes > 0; changes--) {
        uint32_t operand = next(c->in_count);
        if (words > 0 && next(3) != 0) {
            uint32_t word = next(words);
            params[word] = changed(params[word]);
        } else if (next(12) == 0) {
            in[operand] = NULL;
        } else {
            change_type(&t.in[operand].type);
        }
    }
    for (uint32_t i = 0; i < c->in_count; i++) {
        if (in[i] == NULL) {
            t.in[i].type = (wai_type){0};
        } else if (!is_small(&t.in[i].type)) {
            return false; /* infer is promised valid types */
        }
    }
    wai_diag_clear(&t.diag);
    const uint32_t results = c->out_count > row->op->min_out ? c->out_count : row->op->min_out;
    wai_type out[MAX_RESULTS] = {{0}};
    wai_signature s = {params, in, c->in_count, out, results, "hostile", &t.diag};
    if (row->op->infer(&s) != WAI_OK) {
        if (t.diag.status == WAI_OK || t.diag.status == WAI_ERR_INTERNAL) {
            printf("FAIL %s refuses without a reason\n", row->op->name);
            abort();
        }
        return false;
    }
    for (uint32_t i = 0; i < results; i++) {
        t.out[i].type = out[i];
        if (!is_small(&out[i])) {
            return false;
        }
    }
    if (row->op->flops != NULL && row->op->flops(&s) > MAX_FLOPS) {
        return false;
    }
    t.step = (wai_step){.op = row->op,
                        .kernel = row->kernel,
                        .params = params,
                        .where = "hostile",
                        .in = t.in,
                        .out = t.out,
                        .in_count = c->in_count,
                        .out_count = results};
    run(row, &t);
    return true;
}

static void visit(void *context, const op_case *c) {
    tally *sum = context;
    if (c->in_count == 0 || c->out_count > MAX_RESULTS ||
        c->row->op->params_size > 4 * MAX_PARAMS) {
        return;
    }
    for (int i = 0; i < sum->rounds; i++) {
        sum->attacks++;
        sum->ran += attack(c);
    }
}

int main(int argc, char **argv) {
    tally all = {0, 0, 0};
    if (argc < 4) {
        printf("usage: check_hostile ROUNDS SEED FILE.cases...\n");
        return 2;
    }
    seed = (uint32_t)atoi(argv[2]);
    for (int i = 3; i < argc; i++) {
        tally one = {atoi(argv[1]), 0, 0};
        if (!cases_read(argv[i], visit, &one)) {
            return 1;
        }
        printf("%s: %u attacks, %u ran\n", argv[i], one.attacks, one.ran);
        all.attacks += one.attacks;
    }
    printf("%u passed, 0 failed, 0 skipped\n", all.attacks);
    return 0;
}
