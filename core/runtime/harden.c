#include "runtime/harden.h"

#include <string.h>

#include "base/fence.h"
#include "base/hash.h"
#include "package/format.h"

/* ---- fences of tensors ---- */

/* Behind the bytes that the tensor has now, up to the end of a slot of that
 * size. A tensor without elements has none: its slot may be of no bytes, and
 * others lie there. */
static uint8_t *fence_of(const wai_operand *o, size_t *size) {
    const size_t used = wai_type_size(&o->type);
    *size = o->data == NULL || o->constant || used == 0 ? 0 : wai_slot_size(used) - used;
    return *size != 0 ? (uint8_t *)o->data + used : NULL;
}

static void arm(const wai_operand *o, uint64_t key) {
    size_t size;
    uint8_t *at = fence_of(o, &size);
    if (size != 0) {
        wai_fence_arm(key, at, size);
    }
}

static bool holds(const wai_operand *o, uint64_t key) {
    size_t size;
    const uint8_t *at = fence_of(o, &size);
    return size == 0 || wai_fence_holds(key, at, size);
}

static wai_status broken(wai_diag *diag, const char *where, const char *kind, uint32_t index,
                         const wai_type *type, const char *who) {
    char text[WAI_TYPE_TEXT];
    return wai_fail(diag, WAI_ERR_INTEGRITY, where, "%s %u, %s, was written past its end%s", kind,
                    index, wai_type_text(type, text), who);
}

/* ---- one step ---- */

static wai_status broken_input(const wai_step *step, uint32_t index, wai_diag *diag) {
    return broken(diag, step->where, "input", index, &step->in[index].type,
                  " since it was made, by this step or one before");
}

/* An output that lies where an input does has the fence of that. */
wai_status wai_hardened_arm(const wai_step *step, uint64_t key, wai_diag *diag) {
    for (uint32_t i = 0; i < step->in_count; i++) {
        if (step->in[i].data == step->out[0].data && !holds(&step->in[i], key)) {
            return broken_input(step, i, diag);
        }
    }
    for (uint32_t i = 0; i < step->out_count; i++) {
        arm(&step->out[i], key);
    }
    return WAI_OK;
}

wai_status wai_hardened_step(wai_step *step, uint64_t key, wai_diag *diag) {
    /* Where values decide how many results there are, run makes outputs smaller. */
    const bool shrinks = step->op->data_count != NULL;
    wai_operand largest[WAI_HARDENED_COUNTED];
    for (uint32_t i = 0; shrinks && i < step->out_count; i++) {
        largest[i] = step->out[i];
    }
    wai_status status = wai_hardened_arm(step, key, diag);
    status = status == WAI_OK ? step->kernel->run(step, diag) : status;
    for (uint32_t i = 0; i < step->out_count && status == WAI_OK; i++) {
        const wai_operand *out = shrinks ? &largest[i] : &step->out[i];
        if (!holds(out, key)) {
            return broken(diag, step->where, "output", i, &out->type, " by this step");
        }
        if (shrinks) {
            arm(&step->out[i], key);
        }
    }
    for (uint32_t i = 0; i < step->in_count && status == WAI_OK; i++) {
        if (!holds(&step->in[i], key)) {
            return broken_input(step, i, diag);
        }
    }
    return status;
}

/* ---- constants ---- */

/* Those that lie in the package; what was widened is in blocks of the pool. */
static uint8_t *constant_fence(const wai_hardened *h, const wai_program_value *value,
                               size_t *size) {
    const size_t used = value->half ? value->size / 2 : value->size;
    *size = value->constant ? wai_slot_size(used) - used : 0;
    return (uint8_t *)(uintptr_t)h->program->data + value->offset + used;
}

void wai_hardened_fence_weights(const wai_hardened *h) {
    for (uint32_t i = 0; i < h->program->value_count; i++) {
        size_t size;
        uint8_t *at = constant_fence(h, &h->program->values[i], &size);
        if (size != 0) {
            wai_fence_arm(h->key, at, size);
        }
    }
}

static wai_status check_constants(const wai_hardened *h, wai_diag *diag) {
    for (uint32_t i = 0; i < h->program->value_count; i++) {
        const wai_program_value *value = &h->program->values[i];
        size_t size;
        const uint8_t *at = constant_fence(h, value, &size);
        if (size != 0 && !wai_fence_holds(h->key, at, size)) {
            return broken(diag, "weights", "constant", i, &value->type, "");
        }
    }
    return WAI_OK;
}

static uint64_t hash_weights(const wai_hardened *h) {
    uint64_t hash = wai_hash_wide(h->key, h->package.data, h->package.size);
    for (uint32_t i = 0; i < h->program->value_count; i++) {
        const wai_program_value *value = &h->program->values[i];
        if (value->half) {
            hash = wai_hash_wide(hash, value->widened, value->size);
        }
    }
    return hash;
}

/* ---- the session ---- */

/* A value in the arena, at its largest or as it is now. */
static wai_operand slot_of(const wai_hardened *h, uint32_t value, bool largest) {
    const wai_program_value *v = &h->program->values[value];
    const wai_type *type = h->types != NULL && !largest ? &h->types[value] : &v->type;
    return (wai_operand){*type, h->arena + v->offset, false};
}

static void arm_inputs(wai_hardened *h) {
    for (uint32_t i = 0; i < h->program->input_count; i++) {
        const wai_operand slot = slot_of(h, h->program->inputs[i].value, true);
        arm(&slot, h->key);
    }
    h->armed = true;
}

void wai_hardened_seal(wai_hardened *h) {
    arm_inputs(h);
    h->weights = hash_weights(h);
}

wai_status wai_hardened_begin(wai_hardened *h, wai_diag *diag) {
    for (uint32_t i = 0; i < h->program->input_count; i++) {
        const wai_program_io *input = &h->program->inputs[i];
        const wai_operand slot = slot_of(h, input->value, true);
        if (h->armed && !holds(&slot, h->key)) {
            return broken(diag, input->name, "input", i, &slot.type, " before the run");
        }
        const wai_operand now = slot_of(h, input->value, false);
        arm(&now, h->key);
    }
    h->armed = false;
    return WAI_OK;
}

static wai_status check_pool(const wai_hardened *h, wai_diag *diag) {
    bool front;
    const void *block = wai_pool_broken(h->pool, &front);
    if (block == NULL) {
        return WAI_OK;
    }
    return wai_fail(diag, WAI_ERR_INTEGRITY, "memory", "the %s was written past its %s",
                    block == h->arena       ? "arena"
                    : block == h->workspace ? "workspace"
                                            : "state of the operators",
                    front ? "front" : "end");
}

wai_status wai_hardened_end(const wai_hardened *h, wai_diag *diag) {
    for (uint32_t i = 0; i < h->program->output_count; i++) {
        const wai_program_io *output = &h->program->outputs[i];
        const wai_operand slot = slot_of(h, output->value, false);
        if (!holds(&slot, h->key)) {
            return broken(diag, output->name, "output", i, &slot.type, " since it was made");
        }
    }
    wai_status status = check_constants(h, diag);
    return status == WAI_OK ? check_pool(h, diag) : status;
}

/* The kept input that begins first at `from` or behind it; NULL: none. */
static const wai_program_io *next_kept(const wai_hardened *h, uint64_t from) {
    const wai_program *p = h->program;
    const wai_program_io *best = NULL;
    for (uint32_t i = 0; i < p->input_count; i++) {
        const uint64_t at = p->values[p->inputs[i].value].offset;
        const bool kept = (h->kept[i / 32] >> i % 32 & 1) != 0;
        if (kept && p->values[p->inputs[i].value].size != 0 && at >= from &&
            (best == NULL || at < p->values[best->value].offset)) {
            best = &p->inputs[i];
        }
    }
    return best;
}

static void wipe_arena(const wai_hardened *h) {
    uint64_t at = 0;
    for (const wai_program_io *io; (io = next_kept(h, at)) != NULL;) {
        const wai_operand slot = slot_of(h, io->value, false);
        const uint64_t offset = h->program->values[io->value].offset;
        memset(h->arena + at, 0, (size_t)(offset - at));
        at = offset + wai_type_size(&slot.type);
    }
    memset(h->arena + at, 0, (size_t)(h->program->arena_size - at));
}

wai_status wai_hardened_wipe(wai_hardened *h, wai_diag *diag) {
    wipe_arena(h);
    if (h->workspace != NULL) {
        memset(h->workspace, 0, wai_pool_block_size(h->workspace));
    }
    arm_inputs(h);
    if (h->every != 0 && ++h->wipes % h->every == 0 && hash_weights(h) != h->weights) {
        return wai_fail(diag, WAI_ERR_INTEGRITY, "weights",
                        "the package in memory has changed since it was opened");
    }
    return WAI_OK;
}
