/* An order of steps that keeps little alive: of all steps whose inputs are
 * there, always the one that lets the sum of live bytes grow least. Greedy,
 * so it can lose to the order of the file: the planner tries both. */
#include <string.h>

#include "plan/plan.h"

/* The list of ready steps is searched anew for every step. */
#define MANY_NODES 4096u

typedef struct list {
    uint32_t *missing; /* per node: inputs not yet written                 */
    uint32_t *unread;  /* per value: reads that are still to come          */
    wai_node **nodes;  /* in list order; node->mark is the index           */
    uint32_t *ready;   /* indices into nodes                               */
    uint32_t ready_count, node_count;
} list;

static bool is_written(const wai_value *value) {
    return value != NULL && value->producer != NULL;
}

/* Bytes that the run of `node` adds to what is alive. */
static int64_t growth(const list *l, const wai_node *node) {
    int64_t bytes = 0;
    for (uint32_t i = 0; i < node->out_count; i++) {
        bytes += (int64_t)wai_plan_size(node->out[i]);
    }
    for (uint32_t i = 0; i < node->in_count; i++) {
        const wai_value *value = node->in[i];
        if (value == NULL || value->data != NULL || value->output_count != 0) {
            continue;
        }
        uint32_t reads = 0;
        bool first = true;
        for (uint32_t k = 0; k < node->in_count; k++) {
            reads += node->in[k] == value;
            first = first && (k >= i || node->in[k] != value);
        }
        if (first && l->unread[value->id] == reads) {
            bytes -= (int64_t)wai_plan_size(value);
        }
    }
    return bytes;
}

static bool start(list *l, wai_graph *graph) {
    l->node_count = graph->node_count;
    l->missing = wai_arena_array(graph->arena, graph->node_count, sizeof *l->missing);
    l->unread = wai_arena_array(graph->arena, graph->value_count, sizeof *l->unread);
    l->nodes = wai_arena_array(graph->arena, graph->node_count, sizeof(wai_node *));
    l->ready = wai_arena_array(graph->arena, graph->node_count, sizeof *l->ready);
    if (l->missing == NULL || l->unread == NULL || l->nodes == NULL || l->ready == NULL) {
        return false;
    }
    uint32_t index = 0;
    for (wai_node *node = graph->first; node != NULL; node = node->next, index++) {
        node->mark = index;
        l->nodes[index] = node;
        for (uint32_t i = 0; i < node->in_count; i++) {
            if (node->in[i] != NULL) {
                l->unread[node->in[i]->id]++;
                l->missing[index] += is_written(node->in[i]);
            }
        }
        if (node->guard != NULL) {
            l->unread[node->guard->id]++;
            l->missing[index] += is_written(node->guard);
        }
        if (l->missing[index] == 0) {
            l->ready[l->ready_count++] = index;
        }
    }
    return true;
}

static void finish(list *l, const wai_node *node) {
    for (uint32_t i = 0; i < node->in_count; i++) {
        if (node->in[i] != NULL) {
            l->unread[node->in[i]->id]--;
        }
    }
    if (node->guard != NULL) {
        l->unread[node->guard->id]--;
    }
    for (uint32_t i = 0; i < node->out_count; i++) {
        const wai_value *value = node->out[i];
        for (uint32_t u = 0; u < value->user_count; u++) {
            uint32_t user = value->users[u]->mark;
            if (--l->missing[user] == 0) {
                l->ready[l->ready_count++] = user;
            }
        }
    }
}

bool wai_schedule_frugal(wai_graph *graph, wai_node **steps) {
    list l;
    memset(&l, 0, sizeof l);
    if (graph->node_count > MANY_NODES || !start(&l, graph)) {
        return false;
    }
    for (uint32_t count = 0; count < l.node_count; count++) {
        if (l.ready_count == 0) {
            return false;
        }
        uint32_t best = 0;
        int64_t best_growth = growth(&l, l.nodes[l.ready[0]]);
        for (uint32_t i = 1; i < l.ready_count; i++) {
            int64_t bytes = growth(&l, l.nodes[l.ready[i]]);
            if (bytes < best_growth || (bytes == best_growth && l.ready[i] < l.ready[best])) {
                best = i;
                best_growth = bytes;
            }
        }
        wai_node *node = l.nodes[l.ready[best]];
        l.ready[best] = l.ready[--l.ready_count];
        steps[count] = node;
        finish(&l, node);
    }
    return true;
}
