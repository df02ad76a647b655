/*
 * The cases of tests/ops with broken params and types, as a hostile package
 * could hold them: every case, a few numbers changed, many times. What infer
 * lets through must run: buffers are exact (16 readable spare bytes), so that
 * under ASan and UBSan any number that infer failed to check ends the program.
 *
 *   check_hostile ROUNDS SEED FILE.cases...
 */
#include "check.h"

#include "cases.h"

#define MAX_SIZE   (1u << 20) /* of one tensor, bytes: larger ones prove nothing more */
#define MAX_FLOPS  (1u << 22)
#define MAX_PARAMS 128u

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

static void run(wai_step *step, wai_diag *diag) {
    for (uint32_t i = 0; i < step->in_count; i++) {
        if (step->in[i].type.dtype != 0) {
            step->in[i].data = buffer(wai_type_size(&step->in[i].type));
            fill(&step->in[i]);
        }
    }
    for (uint32_t i = 0; i < step->out_count; i++) {
        step->out[i].data = buffer(wai_type_size(&step->out[i].type));
    }
    run_step(step, NULL, diag); /* values may be refused as well */
    for (uint32_t i = 0; i < step->in_count; i++) {
        free(step->in[i].data);
    }
    for (uint32_t i = 0; i < step->out_count; i++) {
        free(step->out[i].data);
    }
}

/* A few numbers of params and types, and whether inputs are there. */
static void change(const op_case *c, uint32_t *params, wai_operand *in) {
    uint32_t words = c->row->op->params_size / 4;
    for (uint32_t changes = 1 + next(3); changes > 0; changes--) {
        uint32_t operand = next(c->in_count);
        if (words > 0 && next(3) != 0) {
            uint32_t word = next(words);
            params[word] = changed(params[word]);
        } else if (next(12) == 0) {
            in[operand].type = (wai_type){0};
        } else if (in[operand].type.dtype != 0) {
            change_type(&in[operand].type);
        }
    }
}

/* True if infer let it through and it was run. */
static bool attack(const op_case *c) {
    const wai_op *op = c->row->op;
    uint32_t params[MAX_PARAMS] = {0};
    wai_operand in[CASE_MAX_OPERANDS] = {{.data = NULL}}, out[MAX_RESULTS] = {{.data = NULL}};
    uint64_t flops = 0;
    wai_diag diag = {0};
    if (op->params_size > 0) {
        memcpy(params, c->params, op->params_size);
    }
    for (uint32_t i = 0; i < c->in_count; i++) {
        in[i].type = c->in[i].absent ? (wai_type){0} : c->in[i].type;
        in[i].constant = c->in[i].constant;
    }
    change(c, params, in);
    for (uint32_t i = 0; i < c->in_count; i++) {
        if (in[i].type.dtype != 0 && !is_small(&in[i].type)) {
            return false; /* infer is promised valid types */
        }
    }
    wai_step step = make_step(op, params, in, c->in_count, out);
    step.out_count = c->out_count > op->min_out ? c->out_count : op->min_out;
    if (infer_step(&step, &flops, &diag) != WAI_OK) {
        if (diag.status == WAI_OK || diag.status == WAI_ERR_INTERNAL) {
            printf("FAIL %s refuses without a reason\n", op->name);
            abort();
        }
        return false;
    }
    bool small = flops <= MAX_FLOPS;
    for (uint32_t i = 0; i < step.out_count; i++) {
        small = small && is_small(&out[i].type);
    }
    if (!small) {
        return false;
    }
    run(&step, &diag);
    return true;
}

/* What one file's cases amounted to. */
typedef struct tally {
    int rounds;
    unsigned attacks, ran;
} tally;

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
        compared += one.attacks;
    }
    return finish();
}
