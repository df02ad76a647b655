/* merge_equal: of nodes with equal operator, params and inputs one stays
 * (common subexpressions). Operators have no effects and no state, so equal
 * nodes give equal bytes - as far as they run: the one that stays, which stands
 * first, runs whenever the other did. */
#include <string.h>

#include "passes/pass.h"

typedef struct table {
    wai_node **nodes;
    uint32_t size; /* a power of two, at least twice the nodes */
} table;

static uint32_t mix(uint32_t hash, uint32_t word) {
    return (hash ^ word) * 16777619u; /* FNV-1a, a word at a time */
}

static uint32_t hash_node(const wai_node *node) {
    const uint32_t *words = node->params;
    uint32_t hash = 2166136261u;
    for (const char *c = node->op->name; *c != 0; c++) {
        hash = mix(hash, (uint8_t)*c);
    }
    for (uint32_t i = 0; i < node->op->params_size / 4; i++) {
        hash = mix(hash, words[i]);
    }
    for (uint32_t i = 0; i < node->in_count; i++) {
        hash = mix(hash, node->in[i] != NULL ? node->in[i]->id : UINT32_MAX);
    }
    return hash ^ hash >> 15;
}

static bool equal(const wai_node *a, const wai_node *b) {
    return a->op == b->op && a->in_count == b->in_count && a->out_count == b->out_count &&
           memcmp(a->in, b->in, a->in_count * sizeof *a->in) == 0 &&
           (a->op->params_size == 0 || memcmp(a->params, b->params, a->op->params_size) == 0);
}

/* The node in the table that equals `node`, or NULL after adding it. */
static wai_node *find_or_add(table *t, wai_node *node) {
    uint32_t at = hash_node(node) & (t->size - 1);
    while (t->nodes[at] != NULL) {
        if (equal(t->nodes[at], node) && wai_node_covers(t->nodes[at], node)) {
            return t->nodes[at];
        }
        at = (at + 1) & (t->size - 1);
    }
    t->nodes[at] = node;
    return NULL;
}

wai_status wai_pass_merge_equal(wai_graph *graph) {
    table t = {NULL, 16};
    while (t.size < 2 * graph->node_count) {
        t.size *= 2;
    }
    t.nodes = wai_arena_array(graph->arena, t.size, sizeof *t.nodes);
    if (t.nodes == NULL) {
        return wai_graph_fail(graph, WAI_ERR_MEMORY, "out of memory in the compiler");
    }
    wai_node *next;
    for (wai_node *node = graph->first; node != NULL && graph->status == WAI_OK; node = next) {
        next = node->next;
        /* Counts that were made up for an example are equal by chance. */
        const bool made_up = graph->sample != 0 && node->op->data_count != NULL;
        wai_node *other = made_up ? NULL : find_or_add(&t, node);
        if (other == NULL) {
            continue;
        }
        for (uint32_t i = 0; i < node->out_count; i++) {
            wai_value_replace(graph, node->out[i], other->out[i]);
        }
        wai_graph_remove(graph, node);
    }
    return graph->status;
}
