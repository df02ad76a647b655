#include "package/read.h"

#include "base/cursor.h"
#include "base/diag.h"
#include "base/limits.h"
#include "package/head.h"
#include "package/widen.h"

typedef struct section {
    const uint8_t *data;
    size_t size;
} section;

typedef struct reader {
    wai_bytes package;
    wai_pool *pool;
    wai_diag *diag;
    section sections[WAI_SECTION_COUNT + 1]; /* by kind                     */
} reader;

#define REFUSE(r, where, ...) wai_fail((r)->diag, WAI_ERR_MALFORMED, where, __VA_ARGS__)

/* ---- header ---- */

static wai_status check_magic(wai_bytes package, wai_diag *diag) {
    if (package.size < wai_head_size(0)) {
        return wai_fail(diag, WAI_ERR_MALFORMED, "header", "%zu bytes are too few for a package",
                        package.size);
    }
    if (memcmp(package.data, WAI_FORMAT_MAGIC, 4) != 0) {
        return wai_fail(diag, WAI_ERR_MALFORMED, "header", "not a WasmAI package");
    }
    return WAI_OK;
}

/* The header; *section_count beside the certificate. */
static wai_status read_header(wai_certificate *out, uint32_t *section_count, wai_bytes package,
                              wai_diag *diag) {
    memset(out, 0, sizeof *out);
    if (check_magic(package, diag) != WAI_OK) {
        return WAI_ERR_MALFORMED;
    }
    wai_cursor c = wai_cursor_make(package.data + 4, WAI_FORMAT_HEADER_SIZE - 4);
    uint32_t version = wai_cursor_u32(&c);
    if (version != WAI_FORMAT_VERSION) {
        return wai_fail(diag, WAI_ERR_UNSUPPORTED, "header",
                        "package format %u, this build reads %u: compile the model again", version,
                        WAI_FORMAT_VERSION);
    }
    out->layout = wai_cursor_u32(&c);
    uint32_t flags = wai_cursor_u32(&c);
    out->package_size = wai_cursor_u64(&c);
    out->arena_size = wai_cursor_u64(&c);
    out->state_size = wai_cursor_u64(&c);
    out->peak_size = wai_cursor_u64(&c);
    out->param_count = wai_cursor_u64(&c);
    out->flop_count = wai_cursor_u64(&c);
    out->step_count = wai_cursor_u32(&c);
    *section_count = wai_cursor_u32(&c);
    memcpy(out->source_digest, wai_cursor_bytes(&c, sizeof out->source_digest),
           sizeof out->source_digest);
    out->fuel = wai_cursor_u64(&c);
    if (flags != 0 || *section_count != WAI_SECTION_COUNT) {
        return wai_fail(diag, WAI_ERR_UNSUPPORTED, "header",
                        "flags or sections that this build does not know");
    }
    if (out->package_size != package.size) {
        return wai_fail(diag, WAI_ERR_MALFORMED, "header",
                        "the package says it has %llu bytes, there are %zu: truncated or damaged",
                        (unsigned long long)out->package_size, package.size);
    }
    return WAI_OK;
}

wai_status wai_certificate_read(wai_certificate *out, wai_bytes package, wai_diag *diag) {
    uint32_t section_count;
    wai_diag_clear(diag);
    return read_header(out, &section_count, package, diag);
}

/* ---- sections ---- */

static bool all_zero(const uint8_t *from, const uint8_t *to) {
    for (; from < to; from++) {
        if (*from != 0) {
            return false;
        }
    }
    return true;
}

/* The hashes in the head are for who reads a file; here it only has to end
 * where the first section starts, zero up to its chunk table. */
static wai_status check_head(const reader *r, uint64_t head_size) {
    const uint64_t size = r->package.size;
    if (head_size > size || wai_head_size(size - head_size) != head_size) {
        return REFUSE(r, "section table", "section 1 does not start where the head must end");
    }
    const uint64_t hashes =
        (wai_head_chunks(size - head_size) + 1) * (uint64_t)WAI_FORMAT_DIGEST_SIZE;
    const size_t table_end = WAI_FORMAT_HEADER_SIZE + WAI_SECTION_COUNT * WAI_FORMAT_ENTRY_SIZE;
    return all_zero(r->package.data + table_end, r->package.data + (head_size - hashes))
               ? WAI_OK
               : REFUSE(r, "section table", "bytes before the chunk table are not zero");
}

static wai_status read_sections(reader *r) {
    wai_bytes p = r->package;
    wai_cursor c =
        wai_cursor_make(p.data + WAI_FORMAT_HEADER_SIZE, p.size - WAI_FORMAT_HEADER_SIZE);
    size_t end = 0;
    for (uint32_t kind = 1; kind <= WAI_SECTION_COUNT; kind++) {
        uint32_t found = wai_cursor_u32(&c);
        uint32_t zero = wai_cursor_u32(&c);
        uint64_t offset = wai_cursor_u64(&c);
        uint64_t size = wai_cursor_u64(&c);
        if (c.failed || found != kind || zero != 0) {
            return REFUSE(r, "section table", "section %u is not where it must be", kind);
        }
        if (kind == 1) {
            if (check_head(r, offset) != WAI_OK) {
                return WAI_ERR_MALFORMED;
            }
            end = (size_t)offset;
        }
        if (offset < end || offset > p.size || offset % WAI_ALIGN != 0 ||
            offset - end >= WAI_ALIGN || size > p.size - offset) {
            return REFUSE(r, "section table", "section %u lies outside the package", kind);
        }
        if (!all_zero(p.data + end, p.data + offset)) {
            return REFUSE(r, "section table", "bytes between sections are not zero");
        }
        r->sections[kind] = (section){p.data + offset, (size_t)size};
        end = (size_t)(offset + size);
    }
    if (end != p.size) {
        return REFUSE(r, "section table", "bytes follow the last section");
    }
    return WAI_OK;
}

static wai_cursor open_section(const reader *r, uint32_t kind) {
    return wai_cursor_make(r->sections[kind].data, r->sections[kind].size);
}

/* A name in the strings section, or NULL. The section ends with a NUL, so
 * every name in it is terminated. */
static const char *name_at(const reader *r, uint32_t offset) {
    const section *s = &r->sections[WAI_SECTION_STRINGS];
    return offset < s->size ? (const char *)s->data + offset : NULL;
}

static wai_status check_strings(const reader *r) {
    const section *s = &r->sections[WAI_SECTION_STRINGS];
    if (s->size == 0 || s->data[s->size - 1] != 0) {
        return REFUSE(r, "strings", "the last name is not terminated");
    }
    return WAI_OK;
}

static wai_status no_memory(reader *r) {
    return wai_fail(r->diag, WAI_ERR_MEMORY, "package",
                    "not enough memory for the package's tables");
}

/* ---- values ---- */

static wai_status check_place(reader *r, const wai_program *p, const wai_program_value *v) {
    uint64_t room = v->constant ? p->data_size : p->arena_size;
    if (v->offset % WAI_ALIGN != 0 || v->offset > room ||
        wai_slot_size(v->half ? v->size / 2 : v->size) > room - v->offset) {
        return REFUSE(r, "values", "a value lies outside the %s",
                      v->constant ? "data section" : "arena");
    }
    return WAI_OK;
}

static wai_status read_value(reader *r, const wai_program *p, wai_cursor *c, wai_program_value *v) {
    v->type.dtype = (wai_dtype)wai_cursor_u32(c);
    v->type.rank = wai_cursor_u32(c);
    bool tidy = v->type.rank <= WAI_MAX_RANK;
    for (uint32_t i = 0; i < WAI_MAX_RANK; i++) {
        v->type.dims[i] = wai_cursor_u32(c);
        tidy = tidy && (i < v->type.rank || v->type.dims[i] == 0);
    }
    uint32_t storage = wai_cursor_u32(c);
    v->offset = wai_cursor_u32(c);
    if (!tidy || !wai_type_is_valid(&v->type)) {
        return REFUSE(r, "values", "a value has no valid type");
    }
    if (storage < WAI_STORAGE_CONSTANT || storage > WAI_STORAGE_HALF) {
        return REFUSE(r, "values", "a value has unknown storage %u", storage);
    }
    v->constant = storage != WAI_STORAGE_ARENA;
    v->half = storage == WAI_STORAGE_HALF;
    v->size = (uint32_t)wai_type_size(&v->type);
    if (v->half && (v->size % 4 != 0 || (v->type.dtype != WAI_F32 && v->type.dtype != WAI_U8))) {
        return REFUSE(r, "values", "a value cannot be stored as f16");
    }
    return check_place(r, p, v);
}

static wai_status read_values(reader *r, wai_program *p) {
    size_t record = WAI_FORMAT_VALUE_WORDS * 4;
    size_t size = r->sections[WAI_SECTION_VALUES].size;
    if (size % record != 0 || size / record > WAI_MAX_VALUES) {
        return REFUSE(r, "values", "%zu bytes are no list of values", size);
    }
    p->value_count = (uint32_t)(size / record);
    p->values = wai_pool_array(r->pool, p->value_count, sizeof *p->values);
    if (p->values == NULL) {
        return no_memory(r);
    }
    wai_cursor c = open_section(r, WAI_SECTION_VALUES);
    for (uint32_t i = 0; i < p->value_count; i++) {
        if (read_value(r, p, &c, &p->values[i]) != WAI_OK) {
            return WAI_ERR_MALFORMED;
        }
    }
    return WAI_OK;
}

/* Constants stored as f16, made f32 once; steps never see the difference. */
static wai_status widen_values(reader *r, wai_program *p) {
    for (uint32_t i = 0; i < p->value_count; i++) {
        wai_program_value *v = &p->values[i];
        if (!v->half) {
            continue;
        }
        size_t count = wai_type_size(&v->type) / 4;
        float *to = wai_pool_array(r->pool, count, sizeof *to);
        if (to == NULL) {
            return wai_fail(r->diag, WAI_ERR_MEMORY, "package",
                            "no memory for %zu weights that are stored as float16", count);
        }
        wai_widen(to, (const uint16_t *)(const void *)(p->data + v->offset), count);
        v->widened = (const uint8_t *)to;
    }
    return WAI_OK;
}

/* ---- steps ---- */

static bool indices_are_valid(const uint32_t *list, uint32_t count, const wai_program *p,
                              bool may_be_absent) {
    for (uint32_t i = 0; i < count; i++) {
        if (list[i] >= p->value_count && !(may_be_absent && list[i] == WAI_FORMAT_ABSENT)) {
            return false;
        }
    }
    return true;
}

/* Sections start at multiples of 64 and words at multiples of 4, so that lists
 * and params can be used in place (wasm and every host here are little-endian). */
static const uint32_t *words(wai_cursor *c, uint32_t count) {
    return count <= WAI_MAX_OPERANDS
               ? (const uint32_t *)(const void *)wai_cursor_bytes(c, count * 4u)
               : NULL;
}

static wai_status read_step(reader *r, const wai_program *p, wai_cursor *c, wai_program_step *s) {
    s->row = wai_op_by_id(wai_cursor_u32(c));
    s->where = name_at(r, wai_cursor_u32(c));
    s->in_count = wai_cursor_u32(c);
    s->out_count = wai_cursor_u32(c);
    s->in = words(c, s->in_count);
    s->out = words(c, s->out_count);
    uint32_t param_words = wai_cursor_u32(c);
    s->params = words(c, param_words);
    if (c->failed || s->in == NULL || s->out == NULL || s->params == NULL || s->where == NULL) {
        return REFUSE(r, "steps", "a step is damaged");
    }
    if (s->row == NULL) {
        return wai_fail(r->diag, WAI_ERR_UNSUPPORTED, s->where,
                        "an operator that this runtime does not have");
    }
    const wai_op *op = s->row->op;
    if (param_words * 4u != op->params_size) {
        return REFUSE(r, s->where, "%s has %u bytes of params, not %u", op->name, op->params_size,
                      param_words * 4u);
    }
    if (s->in_count < op->min_in || s->in_count > op->max_in || s->out_count < op->min_out ||
        s->out_count > op->max_out) {
        return REFUSE(r, s->where, "%s has another number of inputs or outputs", op->name);
    }
    if (!indices_are_valid(s->in, s->in_count, p, true) ||
        !indices_are_valid(s->out, s->out_count, p, false)) {
        return REFUSE(r, s->where, "%s names a value that is not there", op->name);
    }
    return WAI_OK;
}

static wai_status read_steps(reader *r, wai_program *p) {
    if (p->step_count > WAI_MAX_NODES) {
        return wai_fail(r->diag, WAI_ERR_LIMIT, "steps", "%u steps, at most %u are possible",
                        p->step_count, WAI_MAX_NODES);
    }
    p->steps = wai_pool_array(r->pool, p->step_count, sizeof *p->steps);
    if (p->steps == NULL) {
        return no_memory(r);
    }
    wai_cursor c = open_section(r, WAI_SECTION_STEPS);
    for (uint32_t i = 0; i < p->step_count; i++) {
        wai_status status = read_step(r, p, &c, &p->steps[i]);
        if (status != WAI_OK) {
            return status;
        }
    }
    return wai_cursor_left(&c) == 0 ? WAI_OK : REFUSE(r, "steps", "bytes follow the last step");
}

/* ---- io ---- */

/* So that comparing them all costs little. */
static bool name_is_short(const char *name) {
    uint32_t length = 0;
    while (name != NULL && name[length] != 0 && length <= WAI_MAX_NAME) {
        length++;
    }
    return name != NULL && length <= WAI_MAX_NAME;
}

/* The loader finds tensors by name. */
static bool names_are_unique(const wai_program_io *list, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        for (uint32_t k = 0; k < i; k++) {
            if (strcmp(list[i].name, list[k].name) == 0) {
                return false;
            }
        }
    }
    return true;
}

static wai_status read_io(reader *r, wai_program *p) {
    wai_cursor c = open_section(r, WAI_SECTION_IO);
    p->input_count = wai_cursor_u32(&c);
    p->output_count = wai_cursor_u32(&c);
    if (p->input_count > WAI_MAX_IO || p->output_count > WAI_MAX_IO) {
        return wai_fail(r->diag, WAI_ERR_LIMIT, "io", "more than %u inputs or outputs", WAI_MAX_IO);
    }
    p->inputs = wai_pool_array(r->pool, p->input_count + p->output_count, sizeof *p->inputs);
    if (p->inputs == NULL) {
        return no_memory(r);
    }
    p->outputs = p->inputs + p->input_count;
    for (uint32_t i = 0; i < p->input_count + p->output_count; i++) {
        p->inputs[i].name = name_at(r, wai_cursor_u32(&c));
        p->inputs[i].value = wai_cursor_u32(&c);
        bool good =
            !c.failed && name_is_short(p->inputs[i].name) && p->inputs[i].value < p->value_count;
        /* Inputs are written, so they cannot be constants. */
        if (!good || (i < p->input_count && p->values[p->inputs[i].value].constant)) {
            return REFUSE(r, "io", "an input or output is damaged");
        }
    }
    if (!names_are_unique(p->inputs, p->input_count) ||
        !names_are_unique(p->outputs, p->output_count)) {
        return REFUSE(r, "io", "two inputs or two outputs have one name");
    }
    return wai_cursor_left(&c) == 0 ? WAI_OK : REFUSE(r, "io", "bytes follow the last output");
}

/* ---- dynamic ---- */

/* A list of `count` records of `size` words, in place; NULL when it is damaged. */
static const void *read_list(wai_cursor *c, uint32_t *count, size_t size, uint32_t most) {
    *count = wai_cursor_u32(c);
    const bool there = *count <= most && *count <= wai_cursor_left(c) / (size * 4);
    return there ? wai_cursor_bytes(c, *count * size * 4) : NULL;
}

static wai_status read_symbols(reader *r, wai_program *p, wai_cursor *c) {
    const uint32_t *words = read_list(c, &p->symbol_count, 3, WAI_MAX_IO);
    p->symbols = wai_pool_array(r->pool, words != NULL ? p->symbol_count : 0, sizeof *p->symbols);
    if (p->symbols == NULL) {
        return no_memory(r);
    }
    bool good = words != NULL;
    for (uint32_t i = 0; good && i < p->symbol_count; i++, words += 3) {
        p->symbols[i] = (wai_program_symbol){name_at(r, words[0]), words[1], words[2]};
        good = name_is_short(p->symbols[i].name) && words[1] <= words[2] && words[2] <= WAI_MAX_DIM;
    }
    return good ? WAI_OK : REFUSE(r, "dynamic", "a symbol is damaged");
}

/* An input's axis is its symbol's largest value in the table of values; inputs and
 * axes ascend. */
static bool axes_are_valid(const wai_program *p) {
    bool good = p->axes != NULL;
    for (uint32_t i = 0; good && i < p->axis_count; i++) {
        const wai_program_axis *a = &p->axes[i];
        good =
            a->input < p->input_count && a->symbol < p->symbol_count &&
            (i == 0 || a[-1].input < a->input || (a[-1].input == a->input && a[-1].axis < a->axis));
        const wai_type *type = good ? &p->values[p->inputs[a->input].value].type : NULL;
        good = good && a->axis < type->rank && type->dims[a->axis] == p->symbols[a->symbol].max;
    }
    return good;
}

static bool uses_are_valid(const wai_program *p) {
    bool good = p->formulas != NULL && p->uses != NULL;
    for (uint32_t i = 0; good && i < p->formula_count; i++) {
        good = wai_formula_is_valid(&p->formulas[i], p->value_count);
    }
    for (uint32_t i = 0; good && i < p->use_count; i++) {
        const wai_program_use *u = &p->uses[i];
        good = u->step < p->step_count && (i == 0 || p->uses[i - 1].step <= u->step) &&
               u->word < p->steps[u->step].row->op->params_size / 4 &&
               u->formula < p->formula_count &&
               (u->over == WAI_FORMAT_ABSENT || u->over < p->formula_count);
    }
    return good;
}

/* Whether the formula reads only what is there before step `step`: values that
 * no step writes, or an earlier one. `writers`: per value the step behind it. */
static bool is_known_at(const wai_formula *f, const uint32_t *writers, uint32_t step) {
    for (uint32_t t = 0; t < WAI_FORMULA_TERMS; t++) {
        for (uint32_t i = 0; i < WAI_FORMULA_FACTORS; i++) {
            const uint32_t value = f->terms[t].dims[i].value;
            if (value != WAI_NO_VALUE && writers[value] > step) {
                return false;
            }
        }
    }
    return true;
}

static wai_status check_order(reader *r, const wai_program *p) {
    uint32_t *writers = wai_pool_array(r->pool, p->use_count > 0 ? p->value_count : 0, 4);
    if (writers == NULL) {
        return no_memory(r);
    }
    for (uint32_t i = 0; p->use_count > 0 && i < p->step_count; i++) {
        for (uint32_t k = 0; k < p->steps[i].out_count; k++) {
            writers[p->steps[i].out[k]] = i + 1;
        }
    }
    for (uint32_t i = 0; i < p->use_count; i++) {
        const wai_program_use *u = &p->uses[i];
        if (!is_known_at(&p->formulas[u->formula], writers, u->step) ||
            (u->over != WAI_FORMAT_ABSENT &&
             !is_known_at(&p->formulas[u->over], writers, u->step))) {
            return REFUSE(r, p->steps[u->step].where, "its dims follow from a later step's");
        }
    }
    return WAI_OK;
}

static wai_status read_reserves(reader *r, wai_program *p, wai_cursor *c) {
    uint32_t count;
    const uint32_t *words = read_list(c, &count, 2, p->value_count);
    for (uint32_t i = 0; words != NULL && i < count; i++, words += 2) {
        wai_program_value *v = words[0] < p->value_count ? &p->values[words[0]] : NULL;
        if (v == NULL || v->constant || words[1] <= v->size || words[1] > WAI_MAX_TENSOR_SIZE) {
            return REFUSE(r, "dynamic", "a reserve is damaged");
        }
        v->size = words[1];
        if (check_place(r, p, v) != WAI_OK) {
            return WAI_ERR_MALFORMED;
        }
    }
    return words != NULL ? WAI_OK : REFUSE(r, "dynamic", "the reserves are damaged");
}

/* That a guard is written before its step is for wai_plan_prove. */
static bool guards_are_valid(const wai_program *p) {
    bool good = p->guards != NULL;
    for (uint32_t i = 0; good && i < p->guard_count; i++) {
        const wai_program_guard *g = &p->guards[i];
        good = g->step < p->step_count && (i == 0 || p->guards[i - 1].step < g->step) &&
               g->value < p->value_count && p->values[g->value].type.dtype == WAI_BOOL &&
               wai_type_count(&p->values[g->value].type) == 1;
    }
    return good;
}

static wai_status read_dynamic(reader *r, wai_program *p) {
    wai_cursor c = open_section(r, WAI_SECTION_DYNAMIC);
    wai_status status = read_symbols(r, p, &c);
    if (status != WAI_OK) {
        return status;
    }
    const uint32_t most_uses = (uint32_t)(r->sections[WAI_SECTION_DYNAMIC].size / 4);
    p->axes = read_list(&c, &p->axis_count, 3, WAI_MAX_IO * WAI_MAX_RANK);
    p->formulas = read_list(&c, &p->formula_count, WAI_FORMULA_WORDS, most_uses);
    p->uses = read_list(&c, &p->use_count, 4, most_uses);
    if (!axes_are_valid(p) || !uses_are_valid(p)) {
        return REFUSE(r, "dynamic", "an axis, a formula or its use is damaged");
    }
    if ((status = check_order(r, p)) != WAI_OK || (status = read_reserves(r, p, &c)) != WAI_OK) {
        return status;
    }
    p->guards = read_list(&c, &p->guard_count, 2, p->step_count);
    if (!guards_are_valid(p)) {
        return REFUSE(r, "dynamic", "a guard is damaged");
    }
    return c.failed || wai_cursor_left(&c) != 0 ? REFUSE(r, "dynamic", "the section is damaged")
                                                : WAI_OK;
}

/* ---- golden ---- */

static bool golden_case_fits(wai_cursor *c, const wai_program *p) {
    bool fit = wai_cursor_u32(c) < WAI_GOLDEN_FILLS;
    for (uint32_t i = 0; i < p->input_count; i++) {
        const wai_type *type = &p->values[p->inputs[i].value].type;
        for (uint32_t k = 0; k < type->rank; k++) {
            fit = wai_cursor_u32(c) <= type->dims[k] && fit;
        }
    }
    for (uint32_t i = 0; i < p->output_count; i++) {
        const wai_type *type = &p->values[p->outputs[i].value].type;
        wai_cursor_bytes(c, 4 * (size_t)type->rank + WAI_FORMAT_DIGEST_SIZE);
    }
    return fit;
}

static void skip_text(wai_cursor *c) {
    while (wai_cursor_left(c) != 0 && *c->next >= ' ' && *c->next < 0x7f) {
        c->next++;
    }
}

/* Data for who has the loader's inputs and digests; nothing here uses it. */
static wai_status read_golden(reader *r, const wai_program *p) {
    wai_cursor c = open_section(r, WAI_SECTION_GOLDEN);
    const uint32_t version = wai_cursor_u32(&c);
    wai_cursor_u32(&c); /* the seed */
    const uint32_t count = wai_cursor_u32(&c);
    bool good = version == WAI_GOLDEN_VERSION && count <= WAI_GOLDEN_CASES;
    for (uint32_t i = 0; good && i < count; i++) {
        good = golden_case_fits(&c, p);
    }
    if (count == 0) {
        skip_text(&c);
    }
    return good && !c.failed && all_zero(c.next, c.end)
               ? WAI_OK
               : REFUSE(r, "golden", "the golden outputs are damaged");
}

wai_status wai_package_read(wai_program *out, wai_bytes package, wai_pool *pool, wai_diag *diag) {
    memset(out, 0, sizeof *out);
    reader r = {package, pool, diag, {{NULL, 0}}};
    wai_certificate certificate;
    uint32_t section_count;
    if ((uintptr_t)package.data % WAI_ALIGN != 0) {
        return wai_fail(diag, WAI_ERR_ARGUMENT, "package",
                        "the package must be aligned to 64 bytes");
    }
    wai_status status = read_header(&certificate, &section_count, package, diag);
    if (status != WAI_OK) {
        return status;
    }
    /* Exactly WAI_MAX_MEMORY would be 0 as a wasm32 size_t. */
    if (certificate.arena_size >= WAI_MAX_MEMORY || certificate.arena_size % WAI_ALIGN != 0) {
        return wai_fail(diag, WAI_ERR_LIMIT, "header", "an arena of %llu bytes is not possible",
                        (unsigned long long)certificate.arena_size);
    }
    status = read_sections(&r);
    if (status != WAI_OK) {
        return status;
    }
    out->arena_size = certificate.arena_size;
    out->data = r.sections[WAI_SECTION_DATA].data;
    out->data_size = r.sections[WAI_SECTION_DATA].size;
    out->step_count = certificate.step_count;
    if ((status = check_strings(&r)) != WAI_OK || (status = read_values(&r, out)) != WAI_OK ||
        (status = widen_values(&r, out)) != WAI_OK || (status = read_steps(&r, out)) != WAI_OK ||
        (status = read_io(&r, out)) != WAI_OK || (status = read_dynamic(&r, out)) != WAI_OK) {
        return status;
    }
    return read_golden(&r, out);
}
