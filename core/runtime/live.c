#include "runtime/live.h"

#include <string.h>

#include "package/format.h"
#include "runtime/harden.h"

static wai_status no_memory(wai_diag *diag, const char *what) {
    return wai_fail(diag, WAI_ERR_MEMORY, "session", "no memory for %s", what);
}

bool wai_live_wanted(const wai_program *program) {
    bool wanted = program->symbol_count > 0;
    for (uint32_t i = 0; i < program->step_count; i++) {
        wanted = wanted || program->steps[i].row->op->data_count != NULL;
    }
    return wanted;
}

/* ---- open ---- */

/* A step is live by its own uses, by its operator, or by what it reads. */
static wai_status find_live(wai_live *live, wai_pool *scratch, wai_diag *diag) {
    const wai_program *p = live->program;
    bool *varies = wai_pool_array(scratch, p->value_count, sizeof *varies);
    if (varies == NULL) {
        return no_memory(diag, "the dims");
    }
    for (uint32_t i = 0; i < p->axis_count; i++) {
        varies[p->inputs[p->axes[i].input].value] = true;
    }
    for (uint32_t i = 0, use = 0; i < p->step_count; i++) {
        const wai_program_step *step = &p->steps[i];
        wai_live_step *own = &live->own[i];
        own->uses = p->uses + use;
        for (; use < p->use_count && p->uses[use].step == i; use++) {
            own->use_count++;
        }
        own->live = own->use_count > 0 || step->row->op->data_count != NULL;
        live->by_value = live->by_value || step->row->op->data_count != NULL;
        for (uint32_t k = 0; k < step->in_count; k++) {
            own->live = own->live || (step->in[k] != WAI_FORMAT_ABSENT && varies[step->in[k]]);
        }
        for (uint32_t k = 0; k < step->out_count && own->live; k++) {
            varies[step->out[k]] = true;
        }
    }
    return WAI_OK;
}

static wai_status own_params(wai_live *live, uint32_t i, wai_pool *pool, wai_diag *diag) {
    const size_t size = live->steps[i].op->params_size;
    live->own[i].words = wai_pool_alloc(pool, size);
    if (live->own[i].words == NULL) {
        return no_memory(diag, "params");
    }
    memcpy(live->own[i].words, live->steps[i].params, size);
    live->steps[i].params = live->own[i].words;
    return WAI_OK;
}

/* Prepare a live step for the largest dims to see what it takes, and set that
 * aside. Which block is used again depends on sizes, so none counts as such here;
 * and fewer rows may mean other tiles, which take a little more. */
static wai_status reserve(wai_live *live, uint32_t i, wai_pool *pool, wai_diag *diag) {
    wai_pool trial;
    wai_pool_init(&trial, pool->allocator, UINT64_MAX);
    trial.fence = pool->fence;
    trial.wasteful = true;
    wai_status status = wai_step_prepare(&live->steps[i], live->threads, &trial, diag);
    const uint64_t size = trial.total + trial.total / 8 + 1024;
    wai_pool_free(&trial);
    live->steps[i].state = NULL;
    if (status != WAI_OK) {
        return status;
    }
    void *base = size <= SIZE_MAX ? wai_pool_alloc(pool, (size_t)size) : NULL;
    if (base == NULL) {
        return no_memory(diag, "the state of a step");
    }
    wai_region_init(&live->own[i].region, base, (size_t)size);
    return live->own[i].use_count > 0 ? own_params(live, i, pool, diag) : WAI_OK;
}

static wai_status make_workspace(wai_live *live, wai_pool *pool, wai_diag *diag) {
    live->workspace = wai_pool_alloc(pool, live->workspace_size);
    if (live->workspace == NULL) {
        return no_memory(diag, "workspace");
    }
    wai_status status = WAI_OK;
    for (uint32_t i = 0; i < live->program->step_count && status == WAI_OK; i++) {
        wai_step *step = &live->steps[i];
        step->workspace = live->workspace;
        if (!live->own[i].live && step->kernel->setup != NULL) {
            status = step->kernel->setup(step, diag);
        }
    }
    return status;
}

/* The widest step's operands, for infer. */
static void count_operands(const wai_program *p, uint32_t *in, uint32_t *out) {
    *in = *out = 1;
    for (uint32_t i = 0; i < p->step_count; i++) {
        *in = p->steps[i].in_count > *in ? p->steps[i].in_count : *in;
        *out = p->steps[i].out_count > *out ? p->steps[i].out_count : *out;
    }
}

wai_status wai_live_open(wai_live *live, const wai_program *program, wai_step *steps,
                         struct pthreadpool *threads, wai_pool *pool, wai_diag *diag) {
    uint32_t in_count, out_count;
    count_operands(program, &in_count, &out_count);
    *live =
        (wai_live){.program = program, .steps = steps, .threads = threads, .fence = pool->fence};
    live->own = wai_pool_array(pool, program->step_count, sizeof *live->own);
    live->types = wai_pool_array(pool, program->value_count, sizeof *live->types);
    live->in = wai_pool_array(pool, in_count, sizeof *live->in);
    live->out = wai_pool_array(pool, out_count, sizeof *live->out);
    if (live->own == NULL || live->types == NULL || live->in == NULL || live->out == NULL) {
        return no_memory(diag, "the dims");
    }
    for (uint32_t i = 0; i < program->value_count; i++) {
        live->types[i] = program->values[i].type;
    }
    wai_pool scratch;
    wai_pool_init(&scratch, pool->allocator, UINT64_MAX);
    scratch.fence = pool->fence;
    wai_status status = find_live(live, &scratch, diag);
    wai_pool_free(&scratch);
    for (uint32_t i = 0; i < program->step_count && status == WAI_OK; i++) {
        status = live->own[i].live ? reserve(live, i, pool, diag)
                                   : wai_step_prepare(&steps[i], threads, pool, diag);
        if (steps[i].workspace_size > live->workspace_size) {
            live->workspace_size = steps[i].workspace_size;
        }
    }
    return status == WAI_OK ? make_workspace(live, pool, diag) : status;
}

bool wai_live_varies(const wai_live *live, uint32_t value) {
    const wai_program *p = live->program;
    for (uint32_t i = 0; i < p->step_count; i++) {
        for (uint32_t k = 0; k < p->steps[i].out_count; k++) {
            if (p->steps[i].out[k] == value) {
                return live->own[i].live;
            }
        }
    }
    return true;
}

/* ---- dims of inputs ---- */

static const wai_program_axis *find_axis(const wai_program *p, uint32_t input, uint32_t axis) {
    for (uint32_t i = 0; i < p->axis_count; i++) {
        if (p->axes[i].input == input && p->axes[i].axis == axis) {
            return &p->axes[i];
        }
    }
    return NULL;
}

wai_status wai_live_resize(wai_live *live, uint32_t input, const uint32_t *dims, wai_diag *diag) {
    const wai_program *p = live->program;
    wai_type *type = &live->types[p->inputs[input].value];
    for (uint32_t i = 0; i < type->rank; i++) {
        const wai_program_axis *axis = find_axis(p, input, i);
        if (axis == NULL && dims[i] != type->dims[i]) {
            return wai_fail(diag, WAI_ERR_ARGUMENT, p->inputs[input].name,
                            "axis %u is %u, the model takes %u", i, dims[i], type->dims[i]);
        }
        const wai_program_symbol *s = axis != NULL ? &p->symbols[axis->symbol] : NULL;
        if (s != NULL && (dims[i] < s->min || dims[i] > s->max)) {
            return wai_fail(diag, WAI_ERR_ARGUMENT, p->inputs[input].name,
                            "axis %u is %u, %s can be %u to %u", i, dims[i], s->name, s->min,
                            s->max);
        }
    }
    if (memcmp(type->dims, dims, type->rank * sizeof *dims) != 0) {
        memcpy(type->dims, dims, type->rank * sizeof *dims);
        live->settled = false;
    }
    return WAI_OK;
}

/* One symbol is one number. */
static wai_status check_symbols(const wai_live *live, wai_diag *diag) {
    const wai_program *p = live->program;
    for (uint32_t i = 0; i < p->axis_count; i++) {
        const wai_program_axis *a = &p->axes[i];
        const uint32_t dim = live->types[p->inputs[a->input].value].dims[a->axis];
        for (uint32_t k = 0; k < i; k++) {
            const wai_program_axis *b = &p->axes[k];
            const uint32_t other = live->types[p->inputs[b->input].value].dims[b->axis];
            if (a->symbol == b->symbol && dim != other) {
                return wai_fail(diag, WAI_ERR_ARGUMENT, p->inputs[a->input].name,
                                "%s is %u on axis %u here and %u on axis %u of %s",
                                p->symbols[a->symbol].name, dim, a->axis, other, b->axis,
                                p->inputs[b->input].name);
            }
        }
    }
    return WAI_OK;
}

/* ---- one step ---- */

/* The types that the step reads now; true if one has changed. */
static bool take_inputs(wai_live *live, uint32_t i) {
    const wai_program_step *from = &live->program->steps[i];
    wai_step *step = &live->steps[i];
    bool changed = false;
    for (uint32_t k = 0; k < step->in_count; k++) {
        live->in[k] = NULL;
        if (from->in[k] != WAI_FORMAT_ABSENT) {
            const wai_type *type = &live->types[from->in[k]];
            changed = changed || !wai_type_equal(type, &step->in[k].type);
            step->in[k].type = *type;
            live->in[k] = type;
        }
    }
    return changed;
}

static wai_status take_words(wai_live *live, uint32_t i, bool *changed, wai_diag *diag) {
    const wai_program *p = live->program;
    wai_live_step *own = &live->own[i];
    for (uint32_t k = 0; k < own->use_count; k++) {
        const wai_program_use *use = &own->uses[k];
        const wai_formula *over = use->over != WAI_FORMAT_ABSENT ? &p->formulas[use->over] : NULL;
        uint32_t word;
        if (!wai_formula_word(&p->formulas[use->formula], over, live->types, &word)) {
            return wai_fail(diag, WAI_ERR_LIMIT, live->steps[i].where,
                            "a number that follows from dims is too large, or no whole one");
        }
        *changed = *changed || own->words[use->word] != word;
        own->words[use->word] = word;
    }
    return WAI_OK;
}

/* Types are the plan's business as far as sizes go: what was reserved holds
 * them, and what shares its place is of one size. */
static wai_status check_sizes(const wai_live *live, uint32_t i, wai_diag *diag) {
    const wai_program_step *from = &live->program->steps[i];
    const wai_step *step = &live->steps[i];
    for (uint32_t k = 0; k < step->out_count; k++) {
        const wai_type *type = &live->out[k];
        if (!wai_type_is_valid(type) || type->dtype != step->out[k].type.dtype ||
            wai_type_size(type) > live->program->values[from->out[k]].size) {
            return wai_fail(diag, WAI_ERR_LIMIT, step->where,
                            "with these dims %s gives more than the package reserved",
                            step->op->name);
        }
        for (uint32_t n = 0; n < step->in_count; n++) {
            const bool shared = step->in[n].data == step->out[k].data && live->in[n] != NULL;
            const size_t other = shared ? wai_type_size(live->in[n]) : 0;
            if (shared && other != 0 && wai_type_size(type) != 0 && other != wai_type_size(type)) {
                return wai_fail(diag, WAI_ERR_MALFORMED, step->where,
                                "%s works in place on two sizes", step->op->name);
            }
        }
    }
    return WAI_OK;
}

static wai_status infer(wai_live *live, uint32_t i, wai_diag *diag) {
    const wai_program_step *from = &live->program->steps[i];
    wai_step *step = &live->steps[i];
    wai_signature signature = {step->params, live->in, step->in_count, live->out, step->out_count,
                               step->where,  diag};
    memset(live->out, 0, step->out_count * sizeof *live->out);
    wai_status status = step->op->infer(&signature);
    if (status == WAI_OK) {
        status = check_sizes(live, i, diag);
    }
    for (uint32_t k = 0; k < step->out_count && status == WAI_OK; k++) {
        step->out[k].type = live->types[from->out[k]] = live->out[k];
    }
    return status;
}

static wai_status prepare_again(wai_live *live, uint32_t i, wai_diag *diag) {
    wai_step *step = &live->steps[i];
    wai_live_step *own = &live->own[i];
    wai_region_reset(&own->region);
    wai_pool_init(&own->pool, &own->region.allocator, UINT64_MAX);
    own->pool.fence = live->fence;
    step->state = NULL;
    step->workspace_size = 0;
    wai_status status = wai_step_prepare(step, live->threads, &own->pool, diag);
    if (status == WAI_ERR_MEMORY ||
        (status == WAI_OK && step->workspace_size > live->workspace_size)) {
        status = wai_fail(diag, WAI_ERR_LIMIT, step->where,
                          "with these dims %s needs more memory than was reserved", step->op->name);
    }
    if (status == WAI_OK && step->kernel->setup != NULL) {
        status = step->kernel->setup(step, diag);
    }
    own->prepared = status == WAI_OK;
    return status;
}

/* Make one live step fit what it reads. */
static wai_status settle_step(wai_live *live, uint32_t i, wai_diag *diag) {
    bool changed = take_inputs(live, i);
    wai_status status = take_words(live, i, &changed, diag);
    changed = changed || !live->own[i].prepared;
    if (status == WAI_OK && (changed || live->steps[i].op->data_count != NULL)) {
        status = infer(live, i, diag);
    }
    return status == WAI_OK && changed ? prepare_again(live, i, diag) : status;
}

/* ---- all of them ---- */

wai_status wai_live_settle(wai_live *live, wai_diag *diag) {
    if (live->settled) {
        return WAI_OK;
    }
    wai_status status = check_symbols(live, diag);
    for (uint32_t i = 0; i < live->program->step_count && status == WAI_OK; i++) {
        if (live->own[i].live) {
            status = settle_step(live, i, diag);
            if (status != WAI_OK) {
                live->own[i].prepared = false; /* its types are new, its state is not */
            }
        }
    }
    live->settled = status == WAI_OK;
    if (status == WAI_ERR_MALFORMED || status == WAI_ERR_LIMIT || status == WAI_ERR_UNSUPPORTED) {
        status = WAI_ERR_ARGUMENT;
        if (diag != NULL) {
            diag->status = status;
        }
    }
    return status;
}

static wai_status run_hardened(wai_live *live, uint32_t i, wai_diag *diag) {
    const wai_step *step = &live->steps[i];
    wai_status status = wai_hardened_step(&live->steps[i], live->fence, diag);
    bool front;
    if (status == WAI_OK && live->own[i].prepared &&
        wai_pool_broken(&live->own[i].pool, &front) != NULL) {
        status = wai_fail(diag, WAI_ERR_INTEGRITY, step->where,
                          "the state of %s was written past its %s", step->op->name,
                          front ? "front" : "end");
    }
    return status;
}

wai_status wai_live_run(wai_live *live, uint32_t from, uint32_t count, wai_diag *diag) {
    const wai_program *p = live->program;
    wai_status status = WAI_OK;
    for (uint32_t i = from; i < from + count && status == WAI_OK; i++) {
        wai_step *step = &live->steps[i];
        const bool skipped = wai_step_is_skipped(step);
        if (live->by_value && live->own[i].live) {
            status = settle_step(live, i, skipped ? NULL : diag);
        }
        if (skipped) {
            /* Who reads it all the same (where) wants its type; where it has
             * none, because counts before it were skipped too, nobody does. */
            live->own[i].prepared = live->own[i].prepared && status == WAI_OK;
            status = live->fence != 0 ? wai_hardened_arm(step, live->fence, diag) : WAI_OK;
            continue;
        }
        if (status == WAI_OK) {
            status = live->fence != 0 ? run_hardened(live, i, diag) : step->kernel->run(step, diag);
        }
        for (uint32_t k = 0;
             status == WAI_OK && step->op->data_count != NULL && k < step->out_count; k++) {
            live->types[p->steps[i].out[k]] = step->out[k].type;
        }
    }
    return status;
}
