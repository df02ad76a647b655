/*
 * A session: a package brought to life. wai_session_open is the pipeline in
 * order: read -> bind -> infer again -> prove the plan -> prepare every step.
 */
#include <string.h>

#include "base/fence.h"
#include "base/limits.h"
#include "ops/parts.h"
#include "package/format.h"
#include "package/read.h"
#include "plan/prove.h"
#include "runtime/canonical.h"
#include "runtime/carry.h"
#include "runtime/harden.h"
#include "runtime/live.h"
#include "runtime/xnn.h"

struct wai_session {
    wai_pool pool; /* holds everything, this struct included                */
    wai_program program;
    wai_step *steps;
    uint8_t *arena;
    wai_carrier carrier;
    wai_live live;
    wai_hardened hardened;
    uint32_t at; /* of a run that is under way, the next step              */
    struct pthreadpool *threads;
    bool is_live; /* some dims change from run to run                       */
    bool running; /* between two calls of wai_session_advance: dead as well */
    bool dead;
};

static wai_status no_memory(wai_diag *diag, const char *what) {
    return wai_fail(diag, WAI_ERR_MEMORY, "session", "no memory for %s", what);
}

/* ---- bind: values to addresses ---- */

static wai_operand operand(const wai_session *s, uint32_t index) {
    if (index == WAI_FORMAT_ABSENT) {
        return (wai_operand){{0}, NULL, false};
    }
    const wai_program_value *value = &s->program.values[index];
    /* Constants are never written: wai_plan_prove refuses a step that would. */
    uint8_t *data = value->constant ? (uint8_t *)(uintptr_t)wai_program_constant(&s->program, value)
                                    : s->arena + value->offset;
    return (wai_operand){s->is_live ? s->live.types[index] : value->type, data, value->constant};
}

static wai_status bind(wai_session *s, wai_diag *diag) {
    const wai_program *p = &s->program;
    size_t operand_count = 0;
    for (uint32_t i = 0; i < p->step_count; i++) {
        operand_count += p->steps[i].in_count + p->steps[i].out_count;
    }
    wai_operand *operands = wai_pool_array(&s->pool, operand_count, sizeof *operands);
    s->steps = wai_pool_array(&s->pool, p->step_count, sizeof *s->steps);
    s->arena = wai_pool_alloc(&s->pool, (size_t)p->arena_size);
    if (operands == NULL || s->steps == NULL) {
        return no_memory(diag, "the steps");
    }
    if (s->arena == NULL) {
        return wai_fail(diag, WAI_ERR_MEMORY, "session", "no memory for %llu bytes of tensors",
                        (unsigned long long)p->arena_size);
    }
    for (uint32_t i = 0; i < p->step_count; i++) {
        const wai_program_step *from = &p->steps[i];
        wai_step *step = &s->steps[i];
        *step = (wai_step){.op = from->row->op,
                           .kernel = from->row->kernel,
                           .params = from->params,
                           .where = from->where,
                           .in = operands,
                           .out = operands + from->in_count,
                           .in_count = from->in_count,
                           .out_count = from->out_count};
        for (uint32_t k = 0; k < from->in_count; k++) {
            *operands++ = operand(s, from->in[k]);
        }
        for (uint32_t k = 0; k < from->out_count; k++) {
            *operands++ = operand(s, from->out[k]);
        }
    }
    for (uint32_t i = 0; i < p->guard_count; i++) {
        s->steps[p->guards[i].step].guard = operand(s, p->guards[i].value).data;
    }
    return WAI_OK;
}

/* ---- proofs ---- */

static wai_status infer_again(const wai_session *s, wai_diag *diag) {
    wai_status status = WAI_OK;
    for (uint32_t i = 0; i < s->program.step_count && status == WAI_OK; i++) {
        wai_pool scratch;
        wai_pool_init(&scratch, s->pool.allocator, UINT64_MAX);
        scratch.fence = s->pool.fence;
        status = wai_step_infer(&s->steps[i], &scratch, diag);
        wai_pool_free(&scratch);
    }
    return status;
}

static wai_status prove_with(const wai_program *p, bool apart, wai_pool *scratch, wai_diag *diag) {
    wai_prove_value *values = wai_pool_array(scratch, p->value_count + 1u, sizeof *values);
    wai_prove_step *steps = wai_pool_array(scratch, p->step_count + 1u, sizeof *steps);
    uint32_t *io = wai_pool_array(scratch, p->input_count + p->output_count + 1u, sizeof *io);
    if (values == NULL || steps == NULL || io == NULL) {
        return no_memory(diag, "the memory proof");
    }
    for (uint32_t i = 0; i < p->value_count; i++) {
        values[i] =
            (wai_prove_value){p->values[i].offset, p->values[i].size, p->values[i].constant};
    }
    for (uint32_t i = 0; i < p->step_count; i++) {
        const wai_program_step *step = &p->steps[i];
        steps[i] = (wai_prove_step){step->in,
                                    step->out,
                                    step->in_count,
                                    step->out_count,
                                    WAI_PROVE_ABSENT,
                                    step->row->op->in_place,
                                    step->row->op->same_bytes};
    }
    for (uint32_t i = 0; i < p->guard_count; i++) {
        steps[p->guards[i].step].guard = p->guards[i].value;
    }
    for (uint32_t i = 0; i < p->input_count + p->output_count; i++) {
        io[i] = p->inputs[i].value;
    }
    wai_prove_view view = {p->arena_size,       values,         steps,         io,
                           io + p->input_count, p->value_count, p->step_count, p->input_count,
                           p->output_count,     apart};
    return wai_plan_prove(&view, scratch, diag);
}

static wai_status prove(const wai_session *s, bool apart, wai_diag *diag) {
    wai_pool scratch;
    wai_pool_init(&scratch, s->pool.allocator, UINT64_MAX);
    scratch.fence = s->pool.fence;
    wai_status status = prove_with(&s->program, apart, &scratch, diag);
    wai_pool_free(&scratch);
    return status;
}

/* ---- open ---- */

static wai_status check_certificate(wai_bytes package, const wai_options *options, wai_diag *diag) {
    wai_certificate certificate;
    wai_status status = wai_certificate_read(&certificate, package, diag);
    if (status != WAI_OK) {
        return status;
    }
    if (certificate.layout != wai_xnn_layout()) {
        return wai_fail(
            diag, WAI_ERR_UNSUPPORTED, "header",
            "weights packed for layout %u, this runtime reads %u: compile the model again",
            certificate.layout, wai_xnn_layout());
    }
    if (options->limits.max_memory != 0 && certificate.peak_size > options->limits.max_memory) {
        return wai_fail(diag, WAI_ERR_LIMIT, "header",
                        "the model needs %llu bytes, the limit is %llu",
                        (unsigned long long)certificate.peak_size,
                        (unsigned long long)options->limits.max_memory);
    }
    return WAI_OK;
}

/* Fences in the package before a constant is looked at, and the proof that those in
 * the arena do no harm. */
static wai_status begin_hardened(wai_session *s, wai_bytes package, const wai_hardening *wanted,
                                 wai_diag *diag) {
    if (wanted->key == 0) {
        return WAI_OK;
    }
    s->hardened = (wai_hardened){.key = s->pool.fence,
                                 .every = wanted->weights_every,
                                 .kept = s->carrier.kept,
                                 .package = package,
                                 .program = &s->program,
                                 .pool = &s->pool};
    wai_hardened_fence_weights(&s->hardened);
    return prove(s, true, diag);
}

static void seal_hardened(wai_session *s) {
    if (s->hardened.key == 0) {
        return;
    }
    s->hardened.arena = s->arena;
    s->hardened.types = s->is_live ? s->live.types : NULL;
    s->hardened.workspace = s->program.step_count > 0 ? s->steps[0].workspace : NULL;
    wai_hardened_seal(&s->hardened);
}

static wai_status open_in(wai_session *s, wai_bytes package, const wai_hardening *hardening,
                          wai_diag *diag) {
    wai_status status;
    if ((status = wai_package_read(&s->program, package, &s->pool, diag)) != WAI_OK ||
        (status = prove(s, false, diag)) != WAI_OK ||
        (status = begin_hardened(s, package, hardening, diag)) != WAI_OK ||
        (status = bind(s, diag)) != WAI_OK || (status = infer_again(s, diag)) != WAI_OK ||
        (status = wai_carrier_open(s, &s->pool, diag)) != WAI_OK) {
        return status;
    }
    s->is_live = wai_live_wanted(&s->program);
    if (s->is_live && !wai_has_live()) {
        return wai_fail(diag, WAI_ERR_UNSUPPORTED, "session",
                        "the model has dims that change from run to run, which this runtime was "
                        "linked without");
    }
    status = s->is_live
                 ? wai_live_open(&s->live, &s->program, s->steps, s->threads, &s->pool, diag)
                 : wai_steps_prepare(s->steps, s->program.step_count, s->threads, &s->pool, diag);
    s->pool.sealed = true;
    if (status == WAI_OK) {
        seal_hardened(s);
    }
    return status;
}

wai_status wai_session_open(wai_session **out, wai_bytes package, const wai_options *options,
                            wai_diag *diag) {
    static const wai_options defaults;
    if (out == NULL) {
        return wai_fail(diag, WAI_ERR_ARGUMENT, "wai_session_open", "out is NULL");
    }
    *out = NULL;
    wai_diag_clear(diag);
    options = options != NULL ? options : &defaults;
    if (package.data == NULL) {
        return wai_fail(diag, WAI_ERR_ARGUMENT, "wai_session_open", "there is no package");
    }
    if (options->hardening.key != 0 && !wai_has_hardening()) {
        return wai_fail(diag, WAI_ERR_UNSUPPORTED, "wai_session_open",
                        "this runtime was linked without memory hardening");
    }
    wai_status status = check_certificate(package, options, diag);
    if (status != WAI_OK) {
        return status;
    }
    wai_pool pool;
    wai_pool_init(&pool, options->allocator, UINT64_MAX);
    pool.fence = options->hardening.key != 0 ? wai_fence_key(options->hardening.key) : 0;
    wai_session *s = wai_pool_alloc(&pool, sizeof *s);
    if (s == NULL) {
        return no_memory(diag, "the session");
    }
    s->pool = pool;
    s->threads = options->threads;
    status = open_in(s, package, &options->hardening, diag);
    if (status != WAI_OK) {
        wai_session_close(s);
        return status;
    }
    *out = s;
    return WAI_OK;
}

void wai_session_close(wai_session *session) {
    if (session != NULL) {
        wai_pool pool = session->pool; /* it holds the session itself */
        wai_pool_free(&pool);
    }
}

/* ---- use ---- */

uint32_t wai_session_input_count(const wai_session *session) {
    return session->program.input_count;
}

uint32_t wai_session_output_count(const wai_session *session) {
    return session->program.output_count;
}

static wai_status slot(const wai_session *s, const wai_program_io *list, uint32_t count,
                       uint32_t index, wai_tensor *out) {
    memset(out, 0, sizeof *out);
    if (index >= count) {
        return WAI_ERR_ARGUMENT;
    }
    wai_operand o = operand(s, list[index].value);
    out->name = list[index].name;
    out->dtype = o.type.dtype;
    out->rank = o.type.rank;
    memcpy(out->dims, o.type.dims, sizeof out->dims);
    out->data = o.data;
    out->size = wai_type_size(&o.type);
    return s->dead ? WAI_ERR_STATE : WAI_OK;
}

wai_status wai_session_input(const wai_session *session, uint32_t index, wai_tensor *out) {
    return slot(session, session->program.inputs, session->program.input_count, index, out);
}

wai_status wai_session_output(const wai_session *session, uint32_t index, wai_tensor *out) {
    return slot(session, session->program.outputs, session->program.output_count, index, out);
}

wai_status wai_session_axes(const wai_session *session, uint32_t index,
                            wai_axis out[WAI_MAX_RANK]) {
    const wai_program *p = &session->program;
    if (index >= p->input_count) {
        return WAI_ERR_ARGUMENT;
    }
    const wai_type *type = &p->values[p->inputs[index].value].type;
    for (uint32_t i = 0; i < type->rank; i++) {
        out[i] = (wai_axis){NULL, type->dims[i], type->dims[i]};
    }
    for (uint32_t i = 0; i < p->axis_count; i++) {
        if (p->axes[i].input == index) {
            const wai_program_symbol *s = &p->symbols[p->axes[i].symbol];
            out[p->axes[i].axis] = (wai_axis){s->name, s->min, s->max};
        }
    }
    return WAI_OK;
}

int wai_session_output_varies(const wai_session *session, uint32_t index) {
    return session->is_live && index < session->program.output_count &&
           wai_live_varies(&session->live, session->program.outputs[index].value);
}

wai_status wai_session_resize(wai_session *session, uint32_t index, const uint32_t *dims,
                              wai_diag *diag) {
    wai_diag_clear(diag);
    const wai_program *p = &session->program;
    if (index >= p->input_count) {
        return wai_fail(diag, WAI_ERR_ARGUMENT, "session", "there is no input %u", index);
    }
    if (session->running) {
        return wai_fail(diag, WAI_ERR_STATE, "session",
                        "a run is under way: advance it to its end");
    }
    const wai_program_io *input = &p->inputs[index];
    const wai_type *type = &p->values[input->value].type;
    if (session->is_live) {
        return wai_live_resize(&session->live, index, dims, diag);
    }
    for (uint32_t i = 0; i < type->rank; i++) {
        if (dims[i] != type->dims[i]) {
            return wai_fail(diag, WAI_ERR_ARGUMENT, input->name,
                            "axis %u is %u, the model takes %u", i, dims[i], type->dims[i]);
        }
    }
    return WAI_OK;
}

/* What is wrong with dims shows before the first step and kills nothing. */
static wai_status begin(wai_session *s, wai_diag *diag) {
    wai_status status = s->is_live ? wai_live_settle(&s->live, diag) : WAI_OK;
    if (status != WAI_OK) {
        s->dead = status != WAI_ERR_ARGUMENT;
        return status;
    }
    s->at = 0;
    s->dead = true; /* until it came back well */
    return s->hardened.key != 0 ? wai_hardened_begin(&s->hardened, diag) : WAI_OK;
}

/* Constants are the package's bytes (the compiler folds to this NaN), not ours to write. */
static void finish_outputs(const wai_session *s) {
    for (uint32_t i = 0; i < s->program.output_count; i++) {
        const wai_operand o = operand(s, s->program.outputs[i].value);
        if (!o.constant) {
            wai_canonical_nans(o.type.dtype, o.data, wai_type_size(&o.type));
        }
    }
}

static wai_status end(wai_session *s, wai_diag *diag) {
    wai_status status = s->hardened.key != 0 ? wai_hardened_end(&s->hardened, diag) : WAI_OK;
    if (status == WAI_OK && s->pool.violated) {
        status =
            wai_fail(diag, WAI_ERR_INTERNAL, "session", "a step allocated memory during the run");
    }
    if (status == WAI_OK) {
        finish_outputs(s);
        s->dead = false;
        s->carrier.filled = true;
    }
    return status;
}

wai_status wai_session_advance(wai_session *session, uint32_t count, uint32_t *left,
                               wai_diag *diag) {
    wai_session *s = session;
    wai_diag_clear(diag);
    *left = 0;
    if (s->dead && !s->running) {
        return wai_fail(diag, WAI_ERR_STATE, "session", "an earlier run failed: close the session");
    }
    wai_status status = WAI_OK;
    if (!s->running) {
        s->carrier.filled = false;
        memset(s->carrier.kept, 0, sizeof s->carrier.kept);
        status = begin(s, diag);
    }
    s->running = false;
    if (status != WAI_OK) {
        return status;
    }
    const uint32_t rest = s->program.step_count - s->at;
    count = count < rest ? count : rest;
    status = s->is_live ? wai_live_run(&s->live, s->at, count, diag)
                        : wai_steps_run(s->steps + s->at, count, s->hardened.key, diag);
    s->at += count;
    if (status != WAI_OK || count == rest) {
        return status == WAI_OK ? end(s, diag) : status;
    }
    s->running = true;
    *left = rest - count;
    return WAI_OK;
}

wai_status wai_session_run(wai_session *session, wai_diag *diag) {
    uint32_t left;
    return wai_session_advance(session, UINT32_MAX, &left, diag);
}

wai_status wai_session_step(const wai_session *session, uint32_t index, wai_step_info *out) {
    if (index >= session->program.step_count) {
        return WAI_ERR_ARGUMENT;
    }
    const wai_step *step = &session->steps[index];
    *out = (wai_step_info){step->where, step->op->name, 0, 0};
    for (uint32_t i = 0; i < step->in_count; i++) {
        out->read_size += step->in[i].data != NULL ? wai_type_size(&step->in[i].type) : 0;
    }
    for (uint32_t i = 0; i < step->out_count; i++) {
        out->written_size += wai_type_size(&step->out[i].type);
    }
    return WAI_OK;
}

wai_status wai_session_wipe(wai_session *session, wai_diag *diag) {
    wai_diag_clear(diag);
    if (session->dead || session->hardened.key == 0) {
        return wai_fail(diag, WAI_ERR_STATE, "session",
                        session->dead ? "an earlier run failed: close the session"
                                      : "it was opened without hardening");
    }
    session->carrier.filled = false;
    wai_status status = wai_hardened_wipe(&session->hardened, diag);
    session->dead = status != WAI_OK;
    return status;
}

wai_carrier *wai_session_carrier(wai_session *session) {
    return &session->carrier;
}

uint64_t wai_session_memory(const wai_session *session) {
    return session->pool.total;
}
