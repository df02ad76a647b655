/* The plan of one graph: lifetimes, values that share a slot, offsets. */
#include "plan/plan.h"

#include <string.h>

#include "base/limits.h"
#include "graph/dynamic.h"
#include "ops/emit.h"
#include "plan/prove.h"

#define NO_SLOT UINT32_MAX

/* One attempt: an order of steps and what follows from it. Time 0 is the
 * caller's, step s has time s + 1, and `end` is behind the last step. */
typedef struct attempt {
    wai_graph *graph;
    wai_plan plan;
    uint32_t end;
    uint32_t *last;    /* per value: time of the last read                  */
    uint32_t *slot_of; /* per value                                         */
    wai_slot *slots;
    uint32_t slot_count;
    /* Per slot: until when the bytes that it holds now are wanted (a value and
     * its reshapes hold the same bytes), and whether a graph output is one of
     * the values that hold them. */
    uint32_t *wanted;
    bool *is_output;
} attempt;

static wai_status no_memory(wai_graph *graph) {
    return wai_graph_fail(graph, WAI_ERR_MEMORY, "out of memory in the compiler");
}

static bool in_plan(const wai_value *value) {
    return value != NULL && value->data == NULL;
}

static void add_value(attempt *a, wai_value *value) {
    a->plan.index[value->id] = a->plan.value_count;
    a->slot_of[a->plan.value_count] = NO_SLOT;
    a->plan.values[a->plan.value_count++] = value;
}

/* Number the values in order of writing, and find every last read. */
static wai_status collect_values(attempt *a) {
    wai_graph *graph = a->graph;
    memset(a->plan.index, 0xff, graph->value_count * sizeof *a->plan.index);
    for (uint32_t i = 0; i < graph->input_count; i++) {
        if (a->plan.index[graph->inputs[i].value->id] != WAI_PLAN_NONE) {
            return wai_graph_fail(graph, WAI_ERR_INTERNAL, "one value is two graph inputs");
        }
        add_value(a, graph->inputs[i].value);
    }
    for (uint32_t s = 0; s < a->plan.step_count; s++) {
        wai_node *node = a->plan.steps[s];
        for (uint32_t i = 0; i < node->in_count; i++) {
            if (in_plan(node->in[i])) {
                a->last[a->plan.index[node->in[i]->id]] = s + 1;
            }
        }
        if (in_plan(node->guard)) {
            a->last[a->plan.index[node->guard->id]] = s + 1;
        }
        for (uint32_t i = 0; i < node->out_count; i++) {
            a->last[a->plan.value_count] = s + 1;
            add_value(a, node->out[i]);
        }
    }
    for (uint32_t i = 0; i < graph->output_count; i++) {
        const wai_value *value = graph->outputs[i].value;
        if (value->producer == NULL || value->output_count != 1) {
            return wai_graph_fail(graph, WAI_ERR_INTERNAL,
                                  "graph output %u has no value of its own", i);
        }
        a->last[a->plan.index[value->id]] = a->end;
    }
    return WAI_OK;
}

static void hold(attempt *a, uint32_t slot, uint32_t value, bool same_bytes) {
    uint32_t last = a->last[value];
    bool output = a->plan.values[value]->output_count != 0;
    a->slot_of[value] = slot;
    if (a->slots[slot].last < last) {
        a->slots[slot].last = last;
    }
    a->wanted[slot] = same_bytes && a->wanted[slot] > last ? a->wanted[slot] : last;
    a->is_output[slot] = output || (same_bytes && a->is_output[slot]);
}

static void open_slot(attempt *a, uint32_t value, uint32_t time) {
    size_t size = wai_plan_size(a->plan.values[value]);
    if (size == 0) {
        return;
    }
    a->slots[a->slot_count] = (wai_slot){wai_slot_size(size), time, time, 0};
    hold(a, a->slot_count++, value, false);
}

/* The slot of input `index` if the node's output has as many bytes, else
 * NO_SLOT. */
static uint32_t slot_of_same_size(const attempt *a, const wai_node *node, uint32_t index) {
    const wai_value *in = node->in[index], *out = node->out[0];
    if (!in_plan(in) || wai_plan_size(in) != wai_plan_size(out) ||
        in->size_class != out->size_class) {
        return NO_SLOT;
    }
    return a->slot_of[a->plan.index[in->id]];
}

/* May the first output take the slot of input `index`? All inputs that lie in
 * this slot must be inputs that the operator may overwrite. */
static bool can_overwrite(const attempt *a, const wai_node *node, uint32_t index, uint32_t time) {
    uint32_t slot = slot_of_same_size(a, node, index);
    if (slot == NO_SLOT || a->wanted[slot] > time) {
        return false;
    }
    for (uint32_t i = 0; i < node->in_count; i++) {
        if (in_plan(node->in[i]) && a->slot_of[a->plan.index[node->in[i]->id]] == slot &&
            (i >= 32 || (node->op->in_place >> i & 1) == 0 ||
             slot_of_same_size(a, node, i) != slot)) {
            return false;
        }
    }
    return true;
}

static void place_output(attempt *a, const wai_node *node, uint32_t index, uint32_t time) {
    uint32_t value = a->plan.index[node->out[index]->id];
    if (index == 0 && node->op->same_bytes) {
        uint32_t slot = slot_of_same_size(a, node, 0);
        /* Two outputs of the graph are two buffers of the caller's. */
        if (slot != NO_SLOT && !(a->is_output[slot] && node->out[0]->output_count != 0)) {
            hold(a, slot, value, true);
            return;
        }
    }
    for (uint32_t i = 0; index == 0 && i < node->in_count; i++) {
        if (can_overwrite(a, node, i, time)) {
            hold(a, slot_of_same_size(a, node, i), value, false);
            return;
        }
    }
    open_slot(a, value, time);
}

static void share_slots(attempt *a) {
    for (uint32_t i = 0; i < a->graph->input_count; i++) {
        open_slot(a, i, 0);
    }
    for (uint32_t s = 0; s < a->plan.step_count; s++) {
        const wai_node *node = a->plan.steps[s];
        for (uint32_t i = 0; i < node->out_count; i++) {
            place_output(a, node, i, s + 1);
        }
    }
}

static uint64_t largest_live_sum(const attempt *a, int64_t *change) {
    memset(change, 0, (a->end + 2u) * sizeof *change);
    for (uint32_t i = 0; i < a->slot_count; i++) {
        change[a->slots[i].first] += (int64_t)a->slots[i].size;
        change[a->slots[i].last + 1] -= (int64_t)a->slots[i].size;
    }
    int64_t sum = 0;
    int64_t largest = 0;
    for (uint32_t time = 0; time <= a->end; time++) {
        sum += change[time];
        largest = sum > largest ? sum : largest;
    }
    return (uint64_t)largest;
}

static wai_status try_order(attempt *a, wai_graph *graph, wai_node **steps) {
    wai_arena *arena = graph->arena;
    uint32_t values = graph->input_count;
    for (uint32_t s = 0; s < graph->node_count; s++) {
        values += steps[s]->out_count;
    }
    memset(a, 0, sizeof *a);
    a->graph = graph;
    a->end = graph->node_count + 1;
    a->plan.steps = steps;
    a->plan.step_count = graph->node_count;
    a->plan.values = wai_arena_array(arena, values, sizeof *a->plan.values);
    a->plan.offsets = wai_arena_array(arena, values, sizeof *a->plan.offsets);
    a->plan.index = wai_arena_array(arena, graph->value_count, sizeof *a->plan.index);
    a->last = wai_arena_array(arena, values, sizeof *a->last);
    a->slot_of = wai_arena_array(arena, values, sizeof *a->slot_of);
    a->slots = wai_arena_array(arena, values, sizeof *a->slots);
    a->wanted = wai_arena_array(arena, values, sizeof *a->wanted);
    a->is_output = wai_arena_array(arena, values, sizeof *a->is_output);
    int64_t *change = wai_arena_array(arena, a->end + 2u, sizeof *change);
    if (a->plan.values == NULL || a->plan.offsets == NULL || a->plan.index == NULL ||
        a->last == NULL || a->slot_of == NULL || a->slots == NULL || a->wanted == NULL ||
        a->is_output == NULL || change == NULL) {
        return no_memory(graph);
    }
    if (collect_values(a) != WAI_OK) {
        return graph->status;
    }
    share_slots(a);
    a->plan.lower_bound = largest_live_sum(a, change);
    a->plan.arena_size =
        wai_place_slots(arena, a->slots, a->slot_count, a->end + 1, a->plan.lower_bound);
    if (a->plan.arena_size == UINT64_MAX) {
        return no_memory(graph);
    }
    for (uint32_t i = 0; i < a->plan.value_count; i++) {
        a->plan.offsets[i] = a->slot_of[i] != NO_SLOT ? a->slots[a->slot_of[i]].offset : 0;
    }
    /* Zero-size values lie at 0 and want spare bytes too. */
    if (a->plan.arena_size < wai_slot_size(0)) {
        a->plan.arena_size = wai_slot_size(0);
    }
    return WAI_OK;
}

/* ---- the proof of our own plan ------------------------------------------- */

typedef struct evidence {
    wai_prove_view view;
    wai_prove_value *values;
    wai_prove_step *steps;
    uint32_t *numbers; /* of all operands, one behind the other */
} evidence;

static bool make_room(evidence *e, const wai_plan *plan, wai_graph *graph) {
    size_t operands = (size_t)graph->input_count + graph->output_count;
    for (uint32_t s = 0; s < plan->step_count; s++) {
        operands += (size_t)plan->steps[s]->in_count + plan->steps[s]->out_count;
    }
    e->values = wai_arena_array(graph->arena, plan->value_count, sizeof *e->values);
    e->steps = wai_arena_array(graph->arena, plan->step_count, sizeof *e->steps);
    e->numbers = wai_arena_array(graph->arena, operands, sizeof *e->numbers);
    return e->values != NULL && e->steps != NULL && e->numbers != NULL;
}

/* Constants stand as absent here: they are not in the arena. */
static uint32_t *take_numbers(uint32_t *at, const wai_plan *plan, wai_value *const *values,
                              uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        *at++ = in_plan(values[i]) ? plan->index[values[i]->id] : WAI_PROVE_ABSENT;
    }
    return at;
}

static void gather_evidence(evidence *e, const wai_plan *plan, const wai_graph *graph) {
    for (uint32_t i = 0; i < plan->value_count; i++) {
        e->values[i] = (wai_prove_value){plan->offsets[i], wai_plan_size(plan->values[i]), false};
    }
    uint32_t *at = e->numbers;
    for (uint32_t s = 0; s < plan->step_count; s++) {
        const wai_node *node = plan->steps[s];
        wai_prove_step *step = &e->steps[s];
        step->in = at;
        step->in_count = node->in_count;
        at = take_numbers(at, plan, node->in, node->in_count);
        step->out = at;
        step->out_count = node->out_count;
        at = take_numbers(at, plan, node->out, node->out_count);
        step->guard = in_plan(node->guard) ? plan->index[node->guard->id] : WAI_PROVE_ABSENT;
        step->in_place = node->op->in_place;
        step->same_bytes = node->op->same_bytes;
    }
    e->view = (wai_prove_view){.arena_size = plan->arena_size,
                               .values = e->values,
                               .steps = e->steps,
                               .value_count = plan->value_count,
                               .step_count = plan->step_count,
                               .input_count = graph->input_count,
                               .output_count = graph->output_count};
    e->view.inputs = at;
    for (uint32_t i = 0; i < graph->input_count; i++) {
        at = take_numbers(at, plan, &graph->inputs[i].value, 1);
    }
    e->view.outputs = at;
    for (uint32_t i = 0; i < graph->output_count; i++) {
        at = take_numbers(at, plan, &graph->outputs[i].value, 1);
    }
}

static wai_status prove(const wai_plan *plan, wai_graph *graph) {
    evidence e;
    if (!make_room(&e, plan, graph)) {
        return no_memory(graph);
    }
    gather_evidence(&e, plan, graph);
    wai_pool scratch;
    wai_diag diag = {0};
    wai_pool_init(&scratch, graph->arena->allocator, WAI_MAX_COMPILE_MEMORY);
    wai_status status = wai_plan_prove(&e.view, &scratch, &diag);
    wai_pool_free(&scratch);
    if (status == WAI_ERR_MALFORMED) {
        return wai_graph_fail(graph, WAI_ERR_INTERNAL, "the plan is wrong: %s", diag.message);
    }
    return status == WAI_OK ? WAI_OK : wai_graph_fail(graph, status, "%s", diag.message);
}

wai_status wai_plan_make(wai_plan *plan, wai_graph *graph) {
    memset(plan, 0, sizeof *plan);
    graph->scope = "plan";
    if (wai_graph_status(graph) != WAI_OK) {
        return graph->status;
    }
    wai_node **given = wai_arena_array(graph->arena, graph->node_count, sizeof(wai_node *));
    wai_node **frugal = wai_arena_array(graph->arena, graph->node_count, sizeof(wai_node *));
    if (given == NULL || frugal == NULL) {
        return no_memory(graph);
    }
    uint32_t count = 0;
    for (wai_node *node = graph->first; node != NULL; node = node->next) {
        given[count++] = node;
    }
    attempt best;
    if (try_order(&best, graph, given) != WAI_OK) {
        return graph->status;
    }
    bool may_reorder = graph->dynamic == NULL || !graph->dynamic->keep_order;
    if (may_reorder && wai_schedule_frugal(graph, frugal)) {
        attempt other;
        if (try_order(&other, graph, frugal) != WAI_OK) {
            return graph->status;
        }
        if (other.plan.arena_size < best.plan.arena_size) {
            best = other;
        }
    }
    if (best.plan.arena_size > WAI_MAX_MEMORY) {
        return wai_graph_fail(graph, WAI_ERR_LIMIT, "the tensors of one run take %llu bytes",
                              (unsigned long long)best.plan.arena_size);
    }
    *plan = best.plan;
    return prove(plan, graph);
}
