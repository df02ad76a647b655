/*
 * cases.c - run operator cases (format: cases.h) natively.
 *
 *     cases FILE.cases...
 *
 * Every case: infer must give the expected types, or bounds of them where dims
 * depend on values (data_count in op.h); then prepare under an
 * allocator that fails at the n-th request, for every n; then prepare, seal
 * the pool, setup, run twice, compare; then once per input that the operator
 * may overwrite, in place. Buffers are exact, with 16 spare bytes behind them
 * that must not be written to; inputs must stay as they were.
 * One line per failure, the last line is `N passed, N failed, N skipped`.
 *
 * Built by CMake as ops_cases (native-asan); `npm test -- ops` runs all files.
 */
#define _POSIX_C_SOURCE 200809L

#include "cases.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/limits.h"

#define POISON 0x5a

typedef struct totals {
    unsigned passed, failed, skipped;
} totals;

/* One execution of a case: operands, step, memory. */
typedef struct trial {
    const op_case *c;
    wai_operand in[CASE_MAX_OPERANDS], out[CASE_MAX_OPERANDS];
    size_t out_size[CASE_MAX_OPERANDS]; /* before the run, which may lower dims */
    wai_step step;
    wai_pool pool;
    wai_diag diag;
    int in_place; /* input whose memory out[0] shares, or -1 */
} trial;

static bool complain(const op_case *c, const char *what, const char *detail) {
    printf("%s:%u: %s: %s%s%s\n", c->file, c->line, c->name, what, detail[0] != 0 ? ": " : "",
           detail);
    return false;
}

/* ---- memory ----------------------------------------------------------- */

static void *make_buffer(size_t size) {
    void *data = NULL;
    if (posix_memalign(&data, WAI_ALIGN, size + WAI_SPARE_SIZE) != 0) {
        abort();
    }
    memset(data, POISON, size + WAI_SPARE_SIZE);
    return data;
}

static bool spare_is_intact(const void *data, size_t size) {
    const uint8_t *spare = (const uint8_t *)data + size;
    for (size_t i = 0; i < WAI_SPARE_SIZE; i++) {
        if (spare[i] != POISON) {
            return false;
        }
    }
    return true;
}

typedef struct counting_allocator {
    unsigned left; /* requests until one fails */
} counting_allocator;

static void *counting_alloc(void *context, size_t size, size_t align) {
    counting_allocator *counter = context;
    if (counter->left == 0) {
        return NULL;
    }
    counter->left--;
    return wai_malloc_allocator.alloc(wai_malloc_allocator.context, size, align);
}

static void counting_free(void *context, void *pointer) {
    (void)context;
    wai_malloc_allocator.free(wai_malloc_allocator.context, pointer);
}

/* ---- infer ------------------------------------------------------------ */

static bool refused_as_expected(const op_case *c, wai_status status, const wai_diag *diag) {
    char text[512];
    if (status == c->fails && diag->status == status && strstr(diag->message, c->message) != NULL) {
        return true;
    }
    snprintf(text, sizeof text, "%s (%s: %s)", wai_status_name(status),
             wai_status_name(diag->status), diag->message);
    return complain(c, c->fails != WAI_OK ? "another refusal than expected" : "refused", text);
}

static bool arity_is_right(const op_case *c, uint32_t out_count) {
    const wai_op *op = c->row->op;
    return c->in_count >= op->min_in && c->in_count <= op->max_in && out_count >= op->min_out &&
           out_count <= op->max_out;
}

/* Dims that depend on values are upper bounds before the run. */
static bool type_is_expected(const op_case *c, const wai_type *type, const wai_type *expected) {
    if (c->row->op->data_count == NULL) {
        return wai_type_equal(type, expected);
    }
    bool ok = type->dtype == expected->dtype && type->rank == expected->rank;
    for (uint32_t i = 0; ok && i < type->rank; i++) {
        ok = expected->dims[i] <= type->dims[i];
    }
    return ok;
}

/* Sets out types. *refused: the case expects a refusal and it came. */
static bool infer(const op_case *c, wai_type *out, bool *refused) {
    const wai_type *in[CASE_MAX_OPERANDS];
    wai_diag diag = {0};
    for (uint32_t i = 0; i < c->in_count; i++) {
        in[i] = c->in[i].absent ? NULL : &c->in[i].type;
    }
    uint32_t out_count = c->out_count != 0 ? c->out_count : 1;
    if (!arity_is_right(c, out_count)) {
        return complain(c, "arity is outside the operator's", "");
    }
    wai_signature s = {c->params, in, c->in_count, out, out_count, "node", &diag};
    wai_status status = c->row->op->infer(&s);
    if (status != WAI_OK) {
        *refused = refused_as_expected(c, status, &diag);
        return *refused;
    }
    for (uint32_t i = 0; i < out_count; i++) {
        char got[WAI_TYPE_TEXT + 8] = "";
        wai_type_text(&out[i], got);
        if (!wai_type_is_valid(&out[i])) {
            return complain(c, "infer gave an invalid type", got);
        }
        if (i < c->out_count && !type_is_expected(c, &out[i], &c->out[i].type)) {
            return complain(c, "infer gave another type", got);
        }
    }
    if (c->row->op->flops != NULL) {
        c->row->op->flops(&s);
    }
    return true;
}

/* ---- one trial -------------------------------------------------------- */

static void trial_init(trial *t, const op_case *c, const wai_type *out, int in_place) {
    memset(t, 0, sizeof *t);
    t->c = c;
    t->in_place = in_place;
    for (uint32_t i = 0; i < c->in_count; i++) {
        if (!c->in[i].absent) {
            t->in[i].type = c->in[i].type;
            t->in[i].constant = c->in[i].constant;
            t->in[i].data = make_buffer(wai_type_size(&c->in[i].type));
            case_tensor_fill(&c->in[i], t->in[i].data);
        }
    }
    uint32_t out_count = c->out_count != 0 ? c->out_count : 1;
    for (uint32_t i = 0; i < out_count; i++) {
        t->out[i].type = out[i];
        t->out_size[i] = wai_type_size(&out[i]);
        t->out[i].data =
            i == 0 && in_place >= 0 ? t->in[in_place].data : make_buffer(wai_type_size(&out[i]));
    }
    t->step = (wai_step){.op = c->row->op,
                         .kernel = c->row->kernel,
                         .params = c->params,
                         .where = "node",
                         .in = t->in,
                         .out = t->out,
                         .in_count = c->in_count,
                         .out_count = out_count};
}

static wai_status trial_prepare(trial *t, const wai_allocator *allocator) {
    const wai_kernel *kernel = t->step.kernel;
    wai_pool_init(&t->pool, allocator, WAI_MAX_MEMORY);
    wai_status status = kernel->prepare ? kernel->prepare(&t->step, &t->pool, &t->diag) : WAI_OK;
    t->pool.sealed = true;
    if (status == WAI_OK) {
        t->step.workspace = make_buffer(t->step.workspace_size);
    }
    if (status == WAI_OK && kernel->setup != NULL) {
        status = kernel->setup(&t->step, &t->diag);
    }
    return status;
}

static void trial_free(trial *t) {
    wai_pool_free(&t->pool);
    free(t->step.workspace);
    for (uint32_t i = 0; i < t->step.in_count; i++) {
        free(t->in[i].data);
    }
    for (uint32_t i = t->in_place >= 0 ? 1 : 0; i < t->step.out_count; i++) {
        free(t->out[i].data);
    }
}

static bool memory_is_intact(const trial *t) {
    const op_case *c = t->c;
    bool ok = !t->pool.violated || complain(c, "allocates during setup or run", "");
    if (!spare_is_intact(t->step.workspace, t->step.workspace_size)) {
        ok = complain(c, "writes behind the workspace", "");
    }
    for (uint32_t i = 0; i < t->step.out_count; i++) {
        if (!spare_is_intact(t->out[i].data, t->out_size[i])) {
            ok = complain(c, "writes behind an output", "");
        }
    }
    for (uint32_t i = 0; i < t->step.in_count; i++) {
        if (c->in[i].absent || (int)i == t->in_place) {
            continue;
        }
        size_t size = wai_type_size(&t->in[i].type);
        void *before = make_buffer(size);
        case_tensor_fill(&c->in[i], before);
        if (memcmp(before, t->in[i].data, size + WAI_SPARE_SIZE) != 0) {
            ok = complain(c, "writes to an input", "");
        }
        free(before);
    }
    return ok;
}

/* ---- comparison ------------------------------------------------------- */

static bool outputs_agree(const trial *t) {
    for (uint32_t o = 0; o < t->c->out_count; o++) {
        char text[160];
        if (!wai_type_equal(&t->out[o].type, &t->c->out[o].type)) {
            wai_type_text(&t->out[o].type, text);
            return complain(t->c, "run gave another type", text);
        }
        if (!case_output_agrees(t->c, o, &t->out[o].type, t->out[o].data, text)) {
            strncat(text, t->in_place >= 0 ? " (in place)" : "", sizeof text - strlen(text) - 1);
            return complain(t->c, "differs", text);
        }
    }
    return true;
}

/* ---- cases ------------------------------------------------------------ */

/* Every failing allocation must give MEMORY; at last prepare succeeds. */
static bool survives_failing_allocator(const op_case *c, const wai_type *out) {
    for (unsigned n = 0; n < 64; n++) {
        counting_allocator counter = {n};
        wai_allocator allocator = {&counter, counting_alloc, counting_free};
        trial t;
        trial_init(&t, c, out, -1);
        wai_status status = trial_prepare(&t, &allocator);
        trial_free(&t);
        if (status != WAI_ERR_MEMORY) {
            return status == WAI_OK || status == c->fails ||
                   complain(c, "a failing allocator gives", wai_status_name(status));
        }
    }
    return complain(c, "over 64 allocations in prepare", "");
}

static bool run_trial(const op_case *c, const wai_type *out, int in_place) {
    trial t;
    trial_init(&t, c, out, in_place);
    wai_status status = trial_prepare(&t, NULL);
    bool ok = true;
    /* The second run finds the first one's output and workspace. */
    for (int round = 0; ok && status == WAI_OK && round < (in_place >= 0 ? 1 : 2); round++) {
        status = t.step.kernel->run(&t.step, &t.diag);
        ok =
            status != WAI_OK || ((c->fails != WAI_OK || outputs_agree(&t)) && memory_is_intact(&t));
    }
    if (status != WAI_OK) {
        ok = refused_as_expected(c, status, &t.diag);
    } else if (c->fails != WAI_OK) {
        ok = complain(c, "is not refused", "");
    }
    trial_free(&t);
    return ok;
}

static bool values_fit(const op_case *c) {
    const case_tensor *lists[] = {c->in, c->out};
    uint32_t counts[] = {c->in_count, c->out_count};
    for (int k = 0; k < 2; k++) {
        for (uint32_t i = 0; i < counts[k]; i++) {
            const case_tensor *tensor = &lists[k][i];
            void *data = make_buffer(tensor->absent ? 0 : wai_type_size(&tensor->type));
            bool ok = tensor->absent || case_tensor_fill(tensor, data);
            free(data);
            if (!ok) {
                return complain(c, "values do not fit the type", tensor->values);
            }
        }
    }
    return true;
}

static bool run_case(const op_case *c) {
    wai_type out[CASE_MAX_OPERANDS] = {{0}};
    bool refused = false;
    if (c->row->op->infer == NULL) {
        return complain(c, "the operator is not linked", "");
    }
    if (c->out_count == 0 && c->fails == WAI_OK) {
        return complain(c, "expects nothing", "");
    }
    if (!infer(c, out, &refused) || refused) {
        return refused;
    }
    if (c->infer_only) {
        return c->fails == WAI_OK || complain(c, "is not refused", "");
    }
    if (!values_fit(c) || !survives_failing_allocator(c, out) || !run_trial(c, out, -1)) {
        return false;
    }
    for (uint32_t i = 0; i < c->in_count && i < 32; i++) {
        if ((c->row->op->in_place >> i & 1) != 0 && !c->in[i].absent && !c->in[i].constant &&
            wai_type_size(&c->in[i].type) == wai_type_size(&out[0]) && !run_trial(c, out, (int)i)) {
            return false;
        }
    }
    return true;
}

static void visit(void *context, const op_case *c) {
    totals *sum = context;
    if (run_case(c)) {
        sum->passed++;
    } else {
        sum->failed++;
    }
}

int main(int argc, char **argv) {
    totals sum = {0};
    for (int i = 1; i < argc; i++) {
        if (!cases_read(argv[i], visit, &sum)) {
            sum.failed++;
        }
    }
    printf("%u passed, %u failed, %u skipped\n", sum.passed, sum.failed, sum.skipped);
    return sum.failed == 0 && sum.passed > 0 ? 0 : 1;
}
