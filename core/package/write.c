#include "package/write.h"

#include <string.h>

#include "base/limits.h"
#include "graph/dynamic.h"
#include "ops/half.h"
#include "package/head.h"

/* Values are numbered: those of the plan first, then constants as met. */
typedef struct numbering {
    wai_graph *graph;
    const wai_plan *plan;
    wai_value **constants;
    uint32_t *offsets; /* of constants in the data section                  */
    bool *half;        /* per constant: stored as f16                       */
    uint32_t *index;   /* value id -> number, for constants                 */
    uint32_t constant_count;
} numbering;

static wai_status no_memory(wai_graph *graph) {
    return wai_graph_fail(graph, WAI_ERR_MEMORY, "out of memory in the compiler");
}

static uint32_t number_of(const numbering *n, const wai_value *value) {
    if (value == NULL) {
        return WAI_FORMAT_ABSENT;
    }
    return value->data != NULL ? n->index[value->id] : n->plan->index[value->id];
}

static void number_constant(numbering *n, wai_value *value) {
    if (value != NULL && value->data != NULL && n->index[value->id] == 0) {
        n->index[value->id] = n->plan->value_count + n->constant_count;
        n->constants[n->constant_count++] = value;
    }
}

static wai_status number_constants(numbering *n) {
    wai_graph *g = n->graph;
    n->constants = wai_arena_array(g->arena, g->value_count + 1u, sizeof *n->constants);
    n->offsets = wai_arena_array(g->arena, g->value_count + 1u, sizeof *n->offsets);
    n->half = wai_arena_array(g->arena, g->value_count + 1u, sizeof *n->half);
    n->index = wai_arena_array(g->arena, g->value_count + 1u, sizeof *n->index);
    if (n->constants == NULL || n->offsets == NULL || n->half == NULL || n->index == NULL) {
        return no_memory(g);
    }
    for (uint32_t s = 0; s < n->plan->step_count; s++) {
        const wai_node *node = n->plan->steps[s];
        for (uint32_t i = 0; i < node->in_count; i++) {
            number_constant(n, node->in[i]);
        }
        number_constant(n, node->guard);
    }
    return WAI_OK;
}

/* ---- strings ---- */

static uint32_t add_name(wai_writer *strings, const char *name) {
    uint32_t offset = (uint32_t)strings->size;
    wai_write_bytes(strings, name, strlen(name) + 1);
    return offset;
}

/* Step names repeat (one ONNX node becomes several steps): keep the last one. */
static uint32_t add_step_name(wai_writer *strings, const char *name, const char **last,
                              uint32_t *offset) {
    name = name != NULL ? name : "";
    if (*last == NULL || strcmp(*last, name) != 0) {
        *offset = add_name(strings, name);
        *last = name;
    }
    return *offset;
}

/* ---- sections ---- */

/* Below this the slots' rounding to 64 bytes leaves nothing to win. */
#define MIN_HALF_SIZE 256u

/* Whether a constant's words are all f32 that an f16 holds without loss. Packed
 * weights are bytes to us; what matters is that they come back bit by bit. */
static bool fits_half(const wai_value *value, size_t size) {
    if ((value->type.dtype != WAI_F32 && value->type.dtype != WAI_U8) || size % 4 != 0 ||
        size < MIN_HALF_SIZE) {
        return false;
    }
    const uint8_t *bytes = value->data;
    for (size_t i = 0; i < size; i += 4) {
        float number;
        memcpy(&number, bytes + i, 4);
        float back = wai_half_to_float(wai_float_to_half(number));
        if (wai_float_bits(back) != wai_float_bits(number)) {
            return false;
        }
    }
    return true;
}

static void write_half(wai_writer *w, const uint8_t *bytes, size_t size) {
    for (size_t i = 0; i < size; i += 4) {
        float number;
        memcpy(&number, bytes + i, 4);
        uint16_t half = wai_float_to_half(number);
        wai_write_bytes(w, &half, sizeof half);
    }
}

/* Equal constants (shared weights, the zeros and ones that lowerings make)
 * could be written once; only the same value is shared here. */
static size_t place_data(numbering *n) {
    size_t at = 0;
    for (uint32_t i = 0; i < n->constant_count; i++) {
        const wai_value *value = n->constants[i];
        size_t size = wai_type_size(&value->type);
        n->half[i] = n->graph->half_weights && fits_half(value, size);
        size_t slot = wai_slot_size(n->half[i] ? size / 2 : size);
        if (at > 0xffffff00u - slot) {
            wai_graph_fail(n->graph, WAI_ERR_LIMIT, "the constants need more than 4 GB");
            return 0;
        }
        n->offsets[i] = (uint32_t)at;
        at += slot;
    }
    return at;
}

static void write_data(wai_writer *w, const numbering *n) {
    static const uint8_t spare[WAI_SPARE_SIZE];
    for (uint32_t i = 0; i < n->constant_count; i++) {
        const wai_value *value = n->constants[i];
        size_t size = wai_type_size(&value->type);
        if (n->half[i]) {
            write_half(w, value->data, size);
        } else {
            wai_write_bytes(w, value->data, size);
        }
        wai_write_bytes(w, spare, sizeof spare);
        wai_write_align(w, WAI_ALIGN);
    }
}

static void write_value(wai_writer *w, const wai_type *type, uint32_t storage, uint64_t offset) {
    wai_write_u32(w, type->dtype);
    wai_write_u32(w, type->rank);
    for (uint32_t i = 0; i < WAI_MAX_RANK; i++) {
        wai_write_u32(w, i < type->rank ? type->dims[i] : 0);
    }
    wai_write_u32(w, storage);
    wai_write_u32(w, (uint32_t)offset);
}

static void write_values(wai_writer *w, const numbering *n) {
    for (uint32_t i = 0; i < n->plan->value_count; i++) {
        write_value(w, &n->plan->values[i]->type, WAI_STORAGE_ARENA, n->plan->offsets[i]);
    }
    for (uint32_t i = 0; i < n->constant_count; i++) {
        write_value(w, &n->constants[i]->type, n->half[i] ? WAI_STORAGE_HALF : WAI_STORAGE_CONSTANT,
                    n->offsets[i]);
    }
}

static void write_steps(wai_writer *w, wai_writer *strings, const numbering *n) {
    const char *last = NULL;
    uint32_t offset = 0;
    for (uint32_t s = 0; s < n->plan->step_count; s++) {
        const wai_node *node = n->plan->steps[s];
        wai_write_u32(w, wai_op_find(node->op)->id);
        wai_write_u32(w, add_step_name(strings, node->name, &last, &offset));
        wai_write_u32(w, node->in_count);
        wai_write_u32(w, node->out_count);
        for (uint32_t i = 0; i < node->in_count; i++) {
            wai_write_u32(w, number_of(n, node->in[i]));
        }
        for (uint32_t i = 0; i < node->out_count; i++) {
            wai_write_u32(w, number_of(n, node->out[i]));
        }
        wai_write_u32(w, node->op->params_size / 4);
        for (uint32_t i = 0; i < node->op->params_size / 4; i++) {
            uint32_t word;
            memcpy(&word, (const uint8_t *)node->params + 4 * i, 4);
            wai_write_u32(w, word);
        }
    }
}

static void write_io(wai_writer *w, wai_writer *strings, const numbering *n) {
    const wai_graph *g = n->graph;
    wai_write_u32(w, g->input_count);
    wai_write_u32(w, g->output_count);
    for (uint32_t i = 0; i < g->input_count; i++) {
        wai_write_u32(w, add_name(strings, g->inputs[i].name));
        wai_write_u32(w, number_of(n, g->inputs[i].value));
    }
    for (uint32_t i = 0; i < g->output_count; i++) {
        wai_write_u32(w, add_name(strings, g->outputs[i].name));
        wai_write_u32(w, number_of(n, g->outputs[i].value));
    }
}

/* ---- dynamic ---- */

static void write_formula(wai_writer *w, const numbering *n, const wai_formula *from) {
    wai_formula f = *from;
    for (uint32_t t = 0; t < WAI_FORMULA_TERMS; t++) {
        for (uint32_t i = 0; i < WAI_FORMULA_FACTORS; i++) {
            wai_dim_of *d = &f.terms[t].dims[i];
            if (d->value != WAI_NO_VALUE) {
                d->value = number_of(n, n->graph->dynamic->values[d->value]);
            }
        }
    }
    uint32_t words[WAI_FORMULA_WORDS];
    memcpy(words, &f, sizeof words);
    for (uint32_t i = 0; i < WAI_FORMULA_WORDS; i++) {
        wai_write_u32(w, words[i]);
    }
}

/* The uses of every step, in order of steps: those of one node stand together. */
static void write_uses(wai_writer *w, const numbering *n) {
    const wai_dynamic *d = n->graph->dynamic;
    for (uint32_t s = 0; s < n->plan->step_count; s++) {
        n->plan->steps[s]->mark = UINT32_MAX;
    }
    for (uint32_t i = d->use_count; i-- > 0;) {
        d->uses[i].node->mark = i;
    }
    wai_write_u32(w, d->use_count);
    for (uint32_t s = 0; s < n->plan->step_count; s++) {
        const wai_node *node = n->plan->steps[s];
        for (uint32_t i = node->mark; i < d->use_count && d->uses[i].node == node; i++) {
            wai_write_u32(w, s);
            wai_write_u32(w, d->uses[i].word);
            wai_write_u32(w, d->uses[i].formula);
            wai_write_u32(w, d->uses[i].over);
        }
    }
}

static void write_reserves(wai_writer *w, const numbering *n) {
    uint32_t count = 0;
    for (uint32_t pass = 0; pass < 2; pass++) {
        for (uint32_t i = 0; i < n->plan->value_count; i++) {
            const wai_value *value = n->plan->values[i];
            if (value->reserved <= wai_type_size(&value->type)) {
                continue;
            }
            count++;
            if (pass == 1) {
                wai_write_u32(w, i);
                wai_write_u32(w, (uint32_t)value->reserved);
            }
        }
        if (pass == 0) {
            wai_write_u32(w, count);
        }
    }
}

static void write_guards(wai_writer *w, const numbering *n) {
    uint32_t count = 0;
    for (uint32_t s = 0; s < n->plan->step_count; s++) {
        count += n->plan->steps[s]->guard != NULL;
    }
    wai_write_u32(w, count);
    for (uint32_t s = 0; s < n->plan->step_count; s++) {
        if (n->plan->steps[s]->guard != NULL) {
            wai_write_u32(w, s);
            wai_write_u32(w, number_of(n, n->plan->steps[s]->guard));
        }
    }
}

static void write_dynamic(wai_writer *w, wai_writer *strings, const numbering *n) {
    static const wai_dynamic none;
    const wai_dynamic *d = n->graph->dynamic != NULL ? n->graph->dynamic : &none;
    wai_write_u32(w, d->symbol_count);
    for (uint32_t i = 0; i < d->symbol_count; i++) {
        wai_write_u32(w, add_name(strings, d->symbols[i].name));
        wai_write_u32(w, d->symbols[i].min);
        wai_write_u32(w, d->symbols[i].max);
    }
    wai_write_u32(w, d->axis_count);
    for (uint32_t i = 0; i < d->axis_count; i++) {
        wai_write_u32(w, d->axes[i].input);
        wai_write_u32(w, d->axes[i].axis);
        wai_write_u32(w, d->axes[i].symbol);
    }
    wai_write_u32(w, d->formula_count);
    for (uint32_t i = 0; i < d->formula_count; i++) {
        write_formula(w, n, &d->formulas[i]);
    }
    if (d != &none) {
        write_uses(w, n);
    } else {
        wai_write_u32(w, 0);
    }
    write_reserves(w, n);
    write_guards(w, n);
}

/* ---- golden ---- */

static size_t golden_case_size(const wai_graph *g) {
    size_t size = 4;
    for (uint32_t i = 0; i < g->input_count; i++) {
        size += 4 * (size_t)g->inputs[i].value->type.rank;
    }
    for (uint32_t i = 0; i < g->output_count; i++) {
        size += 4 * (size_t)g->outputs[i].value->type.rank + WAI_FORMAT_DIGEST_SIZE;
    }
    return size;
}

/* Room, so that who can run the package only fills it in and its memory, which is
 * measured, stays what it is. */
static void write_golden(wai_writer *w, const wai_graph *g) {
    static const char why[] = "it was not run when it was compiled";
    const bool symbolic = g->dynamic != NULL && g->dynamic->symbol_count != 0;
    size_t room = golden_case_size(g) * (symbolic ? WAI_GOLDEN_CASES : 1);
    room = room > WAI_GOLDEN_TEXT_SIZE ? room : WAI_GOLDEN_TEXT_SIZE;
    wai_write_u32(w, WAI_GOLDEN_VERSION);
    wai_write_u32(w, 0);
    wai_write_u32(w, 0);
    wai_write_bytes(w, why, sizeof why);
    while (!w->failed && w->size < WAI_GOLDEN_HEADER + room) {
        wai_write_bytes(w, "", 1);
    }
}

/* ---- all of it ---- */

static uint64_t aligned(uint64_t offset) {
    return (offset + WAI_ALIGN - 1) & ~(uint64_t)(WAI_ALIGN - 1);
}

static void write_zeros(wai_writer *w, size_t count) {
    static const uint8_t zeros[64];
    for (; count > sizeof zeros; count -= sizeof zeros) {
        wai_write_bytes(w, zeros, sizeof zeros);
    }
    wai_write_bytes(w, zeros, count);
}

/* The head but for what wai_package_seal puts there, and room for the rest. */
static void write_head(wai_writer *out, const wai_writer *sections) {
    uint64_t body = 0;
    for (uint32_t kind = 1; kind <= WAI_SECTION_COUNT; kind++) {
        body = aligned(body) + sections[kind].size;
    }
    const uint64_t head_size = wai_head_size(body);
    wai_write_reserve(out, (size_t)(head_size + body));
    write_zeros(out, WAI_FORMAT_HEADER_SIZE);
    uint64_t offset = head_size;
    for (uint32_t kind = 1; kind <= WAI_SECTION_COUNT; kind++) {
        offset = aligned(offset);
        wai_write_u32(out, kind);
        wai_write_u32(out, 0);
        wai_write_u64(out, offset);
        wai_write_u64(out, sections[kind].size);
        offset += sections[kind].size;
    }
    write_zeros(out, (size_t)head_size - out->size);
}

wai_status wai_package_write(wai_writer *out, wai_graph *graph, const wai_plan *plan,
                             wai_certificate *certificate) {
    wai_arena *arena = graph->arena;
    numbering n = {.graph = graph, .plan = plan};
    wai_writer sections[WAI_SECTION_COUNT + 1];
    for (uint32_t i = 0; i <= WAI_SECTION_COUNT; i++) {
        sections[i] = (wai_writer){.arena = arena};
    }
    if (number_constants(&n) != WAI_OK) {
        return graph->status;
    }
    /* Weights are most of a package: they go straight to their place. */
    sections[WAI_SECTION_DATA].size = place_data(&n);
    if (graph->status != WAI_OK) {
        return graph->status;
    }
    add_name(&sections[WAI_SECTION_STRINGS], "");
    write_values(&sections[WAI_SECTION_VALUES], &n);
    write_steps(&sections[WAI_SECTION_STEPS], &sections[WAI_SECTION_STRINGS], &n);
    write_io(&sections[WAI_SECTION_IO], &sections[WAI_SECTION_STRINGS], &n);
    write_dynamic(&sections[WAI_SECTION_DYNAMIC], &sections[WAI_SECTION_STRINGS], &n);
    write_golden(&sections[WAI_SECTION_GOLDEN], graph);

    *out = (wai_writer){.arena = arena};
    write_head(out, sections);
    for (uint32_t kind = 1; kind <= WAI_SECTION_COUNT; kind++) {
        wai_write_align(out, WAI_ALIGN);
        if (kind == WAI_SECTION_DATA) {
            write_data(out, &n);
        } else {
            wai_write_bytes(out, sections[kind].data, sections[kind].size);
        }
        out->failed = out->failed || sections[kind].failed;
    }
    certificate->package_size = out->size;
    certificate->arena_size = plan->arena_size;
    certificate->step_count = plan->step_count;
    return out->failed ? no_memory(graph) : WAI_OK;
}
