#include "compiler/trace.h"

#include <string.h>

/* ---- hashing: FNV-1a, eight bytes at a time ---- */

#define HASH_START 14695981039346656037u

static uint64_t mix(uint64_t hash, uint64_t word) {
    hash = (hash ^ word) * 1099511628211u;
    return hash ^ hash >> 29;
}

static uint64_t mix_bytes(uint64_t hash, const uint8_t *bytes, size_t size) {
    size_t i = 0;
    for (; i + 8 <= size; i += 8) {
        uint64_t word;
        memcpy(&word, bytes + i, sizeof word);
        hash = mix(hash, word);
    }
    for (; i < size; i++) {
        hash = mix(hash, bytes[i]);
    }
    return hash;
}

uint64_t wai_trace_constant(const wai_value *value) {
    const wai_type *type = &value->type;
    uint64_t hash = mix(mix(HASH_START, type->dtype), type->rank);
    for (uint32_t i = 0; i < type->rank; i++) {
        hash = mix(hash, type->dims[i]);
    }
    hash = mix_bytes(hash, value->data, wai_type_size(type));
    return hash != 0 ? hash : 1;
}

/* ---- one node ---- */

typedef struct writer {
    wai_trace *trace;
    uint32_t *number_of; /* value id -> number in order                     */
    uint32_t next;
} writer;

static uint64_t mix_operand(uint64_t hash, const writer *w, const wai_value *value) {
    if (value == NULL) {
        return mix(hash, UINT64_MAX);
    }
    return value->data != NULL ? mix(hash, wai_trace_constant(value))
                               : mix(hash, w->number_of[value->id]);
}

static void write_dims(writer *w, const wai_type *type) {
    memcpy(w->trace->cells + w->trace->cell_count, type->dims, type->rank * sizeof *type->dims);
    w->trace->cell_count += type->rank;
}

static void write_node(writer *w, const wai_node *node) {
    const uint32_t words = node->op->params_size / 4;
    uint64_t hash = mix_bytes(HASH_START, (const uint8_t *)node->op->name, strlen(node->op->name));
    hash = mix(mix(hash, node->in_count), node->out_count);
    for (uint32_t i = 0; i < node->in_count; i++) {
        hash = mix_operand(hash, w, node->in[i]);
    }
    if (words != 0) {
        memcpy(w->trace->cells + w->trace->cell_count, node->params, words * 4);
        w->trace->cell_count += words;
    }
    for (uint32_t i = 0; i < node->out_count; i++) {
        const wai_value *out = node->out[i];
        w->number_of[out->id] = w->next++;
        hash = mix(mix(hash, out->type.dtype), out->type.rank);
        write_dims(w, &out->type);
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
    trace->nodes = wai_arena_array(arena, graph->node_count, sizeof *trace->nodes);
    writer w = {trace, wai_arena_array(graph->arena, graph->value_count, sizeof *w.number_of), 0};
    if (trace->cells == NULL || trace->nodes == NULL || w.number_of == NULL) {
        return false;
    }
    trace->ends = HASH_START;
    for (uint32_t i = 0; i < graph->input_count; i++) {
        const wai_value *value = graph->inputs[i].value;
        w.number_of[value->id] = w.next++;
        trace->ends = mix(mix(trace->ends, value->type.dtype), value->type.rank);
        write_dims(&w, &value->type);
    }
    for (const wai_node *node = graph->first; node != NULL; node = node->next) {
        write_node(&w, node);
    }
    for (uint32_t i = 0; i < graph->output_count; i++) {
        trace->ends = mix_operand(trace->ends, &w, graph->outputs[i].value);
    }
    trace->decisions = graph->decisions;
    return true;
}
