#include "compiler/trace.h"

#include <string.h>

#include "base/hash.h"

uint64_t wai_trace_constant(const wai_value *value) {
    const wai_type *type = &value->type;
    uint64_t hash = wai_hash(wai_hash(WAI_HASH_START, type->dtype), type->rank);
    for (uint32_t i = 0; i < type->rank; i++) {
        hash = wai_hash(hash, type->dims[i]);
    }
    hash = wai_hash_bytes(hash, value->data, wai_type_size(type));
    return hash != 0 ? hash : 1;
}

/* ---- one node ---- */

typedef struct writer {
    wai_trace *trace;
    uint32_t *number_of; /* value id -> number in order                     */
    uint32_t next;
} writer;

/* What both hashes hold of an operand; constants by their types only. */
static uint64_t mix_operand(uint64_t hash, const writer *w, const wai_value *value) {
    if (value == NULL) {
        return wai_hash(hash, UINT64_MAX);
    }
    return value->data != NULL
               ? wai_hash(wai_hash(wai_hash(hash, UINT64_MAX - 1), value->type.dtype),
                          value->type.rank)
               : wai_hash(hash, w->number_of[value->id]);
}

static uint64_t mix_constant(uint64_t hash, const wai_value *value) {
    return value != NULL && value->data != NULL ? wai_hash(hash, wai_trace_constant(value)) : hash;
}

static void write_dims(writer *w, const wai_type *type) {
    memcpy(w->trace->cells + w->trace->cell_count, type->dims, type->rank * sizeof *type->dims);
    w->trace->cell_count += type->rank;
}

static void write_node(writer *w, const wai_node *node) {
    const uint32_t words = node->op->params_size / 4;
    uint64_t hash = wai_hash_bytes(WAI_HASH_START, node->op->name, strlen(node->op->name));
    hash = wai_hash(wai_hash(hash, node->in_count), node->out_count);
    for (uint32_t i = 0; i < node->in_count; i++) {
        hash = mix_operand(hash, w, node->in[i]);
    }
    hash = mix_operand(hash, w, node->guard);
    if (words != 0) {
        memcpy(w->trace->cells + w->trace->cell_count, node->params, words * 4);
        w->trace->cell_count += words;
    }
    for (uint32_t i = 0; i < node->out_count; i++) {
        const wai_value *out = node->out[i];
        w->number_of[out->id] = w->next++;
        hash = wai_hash(wai_hash(hash, out->type.dtype), out->type.rank);
        write_dims(w, &out->type);
    }
    w->trace->forms[w->trace->node_count] = hash;
    for (uint32_t i = 0; i < node->in_count; i++) {
        hash = mix_constant(hash, node->in[i]);
    }
    w->trace->nodes[w->trace->node_count++] = hash;
}

static size_t count_cells(const wai_graph *graph) {
    size_t count = (size_t)graph->input_count * WAI_MAX_RANK;
    for (const wai_node *node = graph->first; node != NULL; node = node->next) {
        count += node->op->params_size / 4 + (size_t)node->out_count * WAI_MAX_RANK;
    }
    return count;
}

bool wai_trace_take(wai_trace *trace, const wai_graph *graph, wai_arena *arena) {
    memset(trace, 0, sizeof *trace);
    trace->cells = wai_arena_array(arena, count_cells(graph), sizeof *trace->cells);
    trace->forms = wai_arena_array(arena, graph->node_count, sizeof *trace->forms);
    trace->nodes = wai_arena_array(arena, graph->node_count, sizeof *trace->nodes);
    writer w = {trace, wai_arena_array(graph->arena, graph->value_count, sizeof *w.number_of), 0};
    if (trace->cells == NULL || trace->forms == NULL || trace->nodes == NULL ||
        w.number_of == NULL) {
        return false;
    }
    trace->form_ends = WAI_HASH_START;
    for (uint32_t i = 0; i < graph->input_count; i++) {
        const wai_value *value = graph->inputs[i].value;
        w.number_of[value->id] = w.next++;
        trace->form_ends =
            wai_hash(wai_hash(trace->form_ends, value->type.dtype), value->type.rank);
        write_dims(&w, &value->type);
    }
    for (const wai_node *node = graph->first; node != NULL; node = node->next) {
        write_node(&w, node);
    }
    for (uint32_t i = 0; i < graph->output_count; i++) {
        trace->form_ends = mix_operand(trace->form_ends, &w, graph->outputs[i].value);
    }
    trace->ends = WAI_HASH_START;
    for (uint32_t i = 0; i < graph->output_count; i++) {
        trace->ends = mix_constant(trace->ends, graph->outputs[i].value);
    }
    trace->decisions = graph->decisions;
    return true;
}

static bool same_hashes(const uint64_t *a, const uint64_t *b, uint32_t count) {
    return count == 0 || memcmp(a, b, count * sizeof *a) == 0;
}

bool wai_trace_same_form(const wai_trace *a, const wai_trace *b) {
    return a->decisions == b->decisions && a->form_ends == b->form_ends &&
           a->node_count == b->node_count && a->cell_count == b->cell_count &&
           same_hashes(a->forms, b->forms, a->node_count);
}

bool wai_trace_same(const wai_trace *a, const wai_trace *b) {
    return wai_trace_same_form(a, b) && a->ends == b->ends &&
           same_hashes(a->nodes, b->nodes, a->node_count);
}

uint64_t wai_trace_form(const wai_graph *graph) {
    uint64_t hash = wai_hash(wai_hash(WAI_HASH_START, graph->value_count), graph->decisions);
    for (const wai_node *node = graph->first; node != NULL; node = node->next) {
        hash = wai_hash_bytes(hash, node->op->name, strlen(node->op->name));
        hash = wai_hash(wai_hash(hash, node->in_count), node->out_count);
        for (uint32_t i = 0; i < node->in_count; i++) {
            hash = wai_hash(hash, node->in[i] != NULL ? node->in[i]->id : UINT64_MAX);
        }
        for (uint32_t i = 0; i < node->out_count; i++) {
            hash = wai_hash(wai_hash(hash, node->out[i]->id), node->out[i]->type.rank);
        }
    }
    for (uint32_t i = 0; i < graph->output_count; i++) {
        hash = wai_hash(hash, graph->outputs[i].value->id);
    }
    return hash;
}
