/*
 * loop_lower.c - Loop and Scan, unrolled: nothing of them is left in the graph.
 *
 * What is not known before the run (a condition, a trip count) makes iterations
 * conditional: each is imported under a guard, and what it carries on is chosen
 * by `where`, so that iterations behind the last one cost those choices only.
 * Of them there are as many as a constant trip count says, or else as many as
 * the compiler is asked for (max_iterations); a loop that then wants more fails
 * its run (stop.h).
 */
#include <string.h>

#include "base/limits.h"
#include "onnx/body.h"
#include "onnx/control.h"
#include "onnx/list.h"
#include "ops/emit.h"
#include "ops/lowering.h"
#include "ops/stop.h"

/* ---- outputs that collect one value of every iteration ---- */

typedef struct collected {
    wai_value **values; /* of all iterations, room for `capacity`           */
    int64_t axis;
    bool reverse;
} collected;

static bool check_iteration(wai_lower *l, uint32_t done) {
    if (done == WAI_MAX_UNROLL) {
        wai_graph_fail(l->graph, WAI_ERR_LIMIT, "%s runs more than %u times: it is not unrolled",
                       l->op_type, WAI_MAX_UNROLL);
    }
    return !wai_lower_failed(l);
}

/* What the body declares, for an output of no iterations. */
static wai_value *collect_none(wai_lower *l, const wai_onnx_io *io, uint32_t axis) {
    wai_type type = {wai_import_dtype(io->elem_type), 0, {0}};
    bool known = type.dtype != 0 && io->has_shape && io->rank < WAI_MAX_RANK && axis <= io->rank;
    for (uint32_t i = 0; i <= io->rank && known; i++) {
        int64_t dim = i == axis ? 0 : io->dims[i - (i > axis)].value;
        known = dim >= 0 && dim <= (int64_t)WAI_MAX_DIM;
        type.dims[type.rank++] = known ? (uint32_t)dim : 0;
    }
    if (!known || !wai_type_is_valid(&type)) {
        WAI_LOWER_DECLINE(l, "%s never runs, and output %s of its body declares no shape",
                          l->op_type, io->name);
        return NULL;
    }
    return wai_emit_constant(l->graph, &type, "");
}

/* `count` values of one type, stacked along a new axis. */
static wai_value *collect(wai_lower *l, const collected *c, uint32_t count, const wai_onnx_io *io) {
    if (count == 0) {
        return collect_none(l, io, wai_lower_axis(l, c->axis, io->rank + 1));
    }
    const wai_type type = c->values[0]->type;
    uint32_t axis = wai_lower_axis(l, c->axis, type.rank + 1);
    if (type.rank == WAI_MAX_RANK) {
        WAI_LOWER_DECLINE(l, "output %s of the body has %u axes and would get one more", io->name,
                          type.rank);
    }
    if (wai_lower_failed(l)) {
        return NULL;
    }
    uint32_t dims[WAI_MAX_RANK];
    for (uint32_t i = 0; i <= type.rank; i++) {
        dims[i] = i == axis ? 1 : type.dims[i - (i > axis)];
    }
    wai_value **parts = wai_body_values(l, count);
    for (uint32_t i = 0; i < count && !wai_lower_failed(l); i++) {
        wai_value *value = c->values[c->reverse ? count - 1 - i : i];
        if (!wai_type_equal(&value->type, &type)) {
            WAI_LOWER_REFUSE(l, "output %s of the body changes its type or dims", io->name);
        }
        parts[i] = wai_emit_reshape(l->graph, value, type.rank + 1, dims);
    }
    if (wai_lower_failed(l)) {
        return NULL;
    }
    wai_concat_params p = {axis};
    return count == 1 ? parts[0] : wai_emit(l->graph, &wai_op_concat, &p, parts, count);
}

/* Collectors for `count` outputs of up to `iterations` values. */
static collected *take_collected(wai_lower *l, uint32_t count, uint32_t iterations) {
    collected *c = wai_arena_array(l->graph->arena, count + 1u, sizeof *c);
    for (uint32_t i = 0; c != NULL && i < count; i++) {
        c[i] = (collected){wai_body_values(l, iterations), 0, false};
    }
    if (c == NULL) {
        wai_graph_fail(l->graph, WAI_ERR_MEMORY, "out of memory in the compiler");
    }
    return c;
}

/* ---- Loop ---- */

typedef struct loop {
    wai_lower *l;
    wai_body *b; /* the states stand in in[2..]                             */
    uint32_t states, collects;
    collected *c;
    uint32_t most;      /* iterations, when that is constant; else UINT32_MAX */
    wai_value *trips;   /* the same, when it is computed; else NULL         */
    uint32_t done;      /* iterations that are imported                     */
    wai_value *running; /* whether iteration `done` runs; NULL: it does     */
    wai_value *count;   /* of those that ran; NULL: all of them             */
    wai_value *more;    /* whether the run wants one more than there are, or NULL */
} loop;

/* Input 0: a constant or a computed trip count, or none. */
static void read_trips(loop *k) {
    wai_lower *l = k->l;
    wai_value *trips = wai_lower_optional(l, 0);
    k->most = UINT32_MAX;
    if (trips == NULL || wai_lower_failed(l)) {
        return;
    }
    if ((trips->type.dtype != WAI_I64 && trips->type.dtype != WAI_I32) ||
        wai_type_count(&trips->type) != 1) {
        WAI_LOWER_REFUSE(l, "the trip count of Loop is not one whole number");
    } else if (wai_value_is_constant(trips)) {
        int64_t number = 0;
        bool there;
        wai_lower_ints(l, 0, &number, 1, &there);
        k->most = number < 0 ? 0 : number < (int64_t)UINT32_MAX ? (uint32_t)number : UINT32_MAX;
    } else {
        k->trips = wai_control_scalar(l, trips);
    }
}

static uint32_t most_guarded(loop *k) {
    const uint32_t wanted = k->l->importer->options->max_iterations;
    return wanted == 0 ? WAI_MAX_ITERATIONS : wanted < WAI_MAX_UNROLL ? wanted : WAI_MAX_UNROLL;
}

/* Whether there is an iteration `done` to import, given the condition before it. */
static bool goes_on(loop *k, wai_value *condition) {
    wai_lower *l = k->l;
    bool go = true;
    if (condition != NULL && wai_value_is_constant(condition)) {
        if (!wai_control_constant(l, condition, "the condition", &go) || !go) {
            return false;
        }
    } else if (condition != NULL) {
        if (!wai_control_is_bool(l, condition, "the condition")) {
            return false;
        }
        k->running = wai_control_and(l, k->running, wai_control_scalar(l, condition));
    }
    if (k->done == k->most) {
        return false;
    }
    if (k->trips != NULL) {
        k->running = wai_control_and(l, k->running, wai_control_above(l, k->trips, k->done));
    }
    if (k->running == NULL) {
        return check_iteration(l, k->done);
    }
    if (k->most > WAI_MAX_UNROLL && k->done >= most_guarded(k)) {
        k->more = k->running;
        return false;
    }
    return !wai_lower_failed(l);
}

/* What iteration `done` carries on, and what it gives. */
static bool keep_iteration(loop *k) {
    wai_lower *l = k->l;
    wai_body *b = k->b;
    for (uint32_t i = 0; i < k->states && !wai_lower_failed(l); i++) {
        wai_value *value = b->out[1 + i];
        b->in[2 + i] = k->running == NULL
                           ? value
                           : wai_control_select(l, k->running, value, b->in[2 + i], "state", i);
    }
    for (uint32_t i = 0; i < k->collects; i++) {
        k->c[i].values[k->done] = b->out[1 + k->states + i];
    }
    k->done++;
    if (k->running != NULL && k->collects != 0 && l->out_count > k->states &&
        !wai_lower_failed(l)) {
        wai_value *before =
            k->count != NULL ? k->count : wai_emit_scalar(l->graph, WAI_I64, k->done - 1);
        wai_value *now = wai_emit_scalar(l->graph, WAI_I64, k->done);
        k->count = wai_lower_where_of(l, k->running, now, before);
    }
    return !wai_lower_failed(l);
}

static void unroll_loop(loop *k) {
    wai_lower *l = k->l;
    wai_body *b = k->b;
    wai_value *condition = wai_lower_optional(l, 1);
    while (!wai_lower_failed(l) && goes_on(k, condition)) {
        b->in[0] = wai_emit_scalar(l->graph, WAI_I64, k->done);
        b->in[1] = wai_emit_scalar(l->graph, WAI_BOOL, 1);
        wai_value *outer = wai_control_enter(l, k->running);
        bool good = wai_body_run(l, b) && wai_body_gave_tensors(l, b, 0, 1) &&
                    wai_body_gave_tensors(l, b, 1 + k->states, b->graph.output_count);
        wai_control_leave(l, outer);
        if (!good || !keep_iteration(k)) {
            return;
        }
        condition = b->out[0];
    }
    if (k->more != NULL && l->importer->options->on_loop != NULL && !wai_lower_failed(l)) {
        l->importer->options->on_loop(l->importer->options->on_loop_context, l->graph->scope,
                                      k->done);
    }
}

/* `value`, in a run that does not want more iterations than there are. */
static wai_value *unless_more(loop *k, wai_value *value) {
    wai_graph *g = k->l->graph;
    const wai_list *list = wai_list_of(value);
    const wai_stop_params p = {k->done};
    if (k->more == NULL || value == NULL || (list != NULL && list->absent)) {
        return value;
    }
    if (list == NULL) {
        return wai_emit(g, &wai_op_stop, &p, (wai_value *[]){value, k->more}, 2);
    }
    wai_value **items = wai_body_values(k->l, list->count);
    for (uint32_t i = 0; i < list->count && !wai_lower_failed(k->l); i++) {
        items[i] = wai_emit(g, &wai_op_stop, &p, (wai_value *[]){list->items[i], k->more}, 2);
    }
    return wai_lower_failed(k->l) ? NULL : wai_list_make(g, items, list->count);
}

static wai_value *collect_loop(loop *k, uint32_t index) {
    const wai_onnx_io *io = &k->b->graph.outputs[1 + k->states + index];
    wai_value *all = unless_more(k, collect(k->l, &k->c[index], k->done, io));
    return k->count != NULL && !wai_lower_failed(k->l)
               ? wai_lower_slice_at(k->l, all, 0, NULL, k->count, false)
               : all;
}

void wai_lower_loop(wai_lower *l) {
    const uint32_t states = l->in_count > 2 ? l->in_count - 2 : 0;
    wai_body b;
    if (!wai_body_open(l, "body", &b)) {
        return;
    }
    const wai_onnx_graph *graph = &b.graph;
    if (graph->input_count != states + 2 || graph->output_count < states + 1 ||
        l->out_count > graph->output_count - 1 || graph->output_count > WAI_MAX_OPERANDS) {
        WAI_LOWER_REFUSE(l, "the body has %u inputs and %u outputs, Loop has %u states and %u",
                         graph->input_count, graph->output_count, states, l->out_count);
        wai_body_close(l);
        return;
    }
    loop k = {.l = l, .b = &b, .states = states, .collects = graph->output_count - 1 - states};
    k.c = take_collected(l, k.collects, WAI_MAX_UNROLL);
    for (uint32_t i = 0; i < states; i++) {
        b.in[2 + i] = wai_lower_input(l, 2 + i);
    }
    read_trips(&k);
    unroll_loop(&k);
    for (uint32_t i = 0; i < l->out_count && !wai_lower_failed(l) && !l->unknown; i++) {
        l->out[i] = i < states ? unless_more(&k, b.in[2 + i]) : collect_loop(&k, i - states);
    }
    wai_body_close(l);
}

/* ---- Scan ---- */

typedef struct scan {
    uint32_t states, inputs, outputs; /* inputs and outputs: those scanned  */
    uint32_t first;                   /* input of the node: the first state */
    bool batched;                     /* opset 8: one more axis in front    */
    int64_t axes[WAI_MAX_RANK * 4], reverse[WAI_MAX_RANK * 4];
    collected *collected;
} scan;

#define MAX_SCANNED (WAI_MAX_RANK * 4)

/* A list attribute of `count` numbers; all 0 when it is not there. */
static void read_list(wai_lower *l, const char *name, int64_t *out, uint32_t count) {
    memset(out, 0, count * sizeof *out);
    uint32_t found = wai_attr_ints(l, name, out, MAX_SCANNED);
    if (found != 0 && found != count) {
        WAI_LOWER_REFUSE(l, "attribute %s lists %u numbers for %u tensors", name, found, count);
    }
}

/* Opset 8 has a batch axis in front of everything: taken off where it is 1. */
static wai_value *without_batch(wai_lower *l, const scan *s, wai_value *x) {
    if (!s->batched || wai_lower_failed(l)) {
        return x;
    }
    if (x->type.rank == 0 || x->type.dims[0] != 1) {
        WAI_LOWER_DECLINE(l, "Scan of opset 8 over a batch other than 1");
        return NULL;
    }
    return wai_emit_reshape(l->graph, x, x->type.rank - 1, x->type.dims + 1);
}

static wai_value *with_batch(wai_lower *l, const scan *s, wai_value *x) {
    if (!s->batched || x == NULL) {
        return x;
    }
    if (x->type.rank == WAI_MAX_RANK) {
        WAI_LOWER_DECLINE(l, "an output of %u axes would get one more", x->type.rank);
        return NULL;
    }
    uint32_t dims[WAI_MAX_RANK] = {1};
    memcpy(dims + 1, x->type.dims, x->type.rank * sizeof dims[0]);
    return wai_emit_reshape(l->graph, x, x->type.rank + 1, dims);
}

/* x[..., at, ...] along `axis`, which goes away. */
static wai_value *pick(wai_lower *l, wai_value *x, uint32_t axis, uint32_t at) {
    wai_slice_params p = {{0}, {0}, {0}};
    uint32_t dims[WAI_MAX_RANK], rank = 0;
    for (uint32_t i = 0; i < x->type.rank; i++) {
        p.start[i] = i == axis ? at : 0;
        p.step[i] = 1;
        p.dims[i] = i == axis ? 1 : x->type.dims[i];
        if (i != axis) {
            dims[rank++] = x->type.dims[i];
        }
    }
    return wai_emit_reshape(l->graph, wai_emit(l->graph, &wai_op_slice, &p, &x, 1), rank, dims);
}

/* The length of the scanned axes, which is one; the axes are made positive. */
static uint32_t scan_length(wai_lower *l, scan *s, wai_value *const *x) {
    uint32_t length = 0;
    for (uint32_t i = 0; i < s->inputs && !wai_lower_failed(l); i++) {
        uint32_t axis = wai_lower_axis(l, s->axes[i], x[i]->type.rank);
        if (wai_lower_failed(l)) {
            return 0;
        }
        s->axes[i] = axis;
        if (i > 0 && x[i]->type.dims[axis] != length) {
            WAI_LOWER_REFUSE(l, "scanned inputs have %u and %u elements", length,
                             x[i]->type.dims[axis]);
        }
        length = x[i]->type.dims[axis];
    }
    return length;
}

/* b->in[0..states) holds the states, before and after. */
static uint32_t unroll_scan(wai_lower *l, wai_body *b, scan *s, wai_value *const *x) {
    const uint32_t length = scan_length(l, s, x);
    uint32_t done = 0;
    for (; done < length && check_iteration(l, done); done++) {
        for (uint32_t i = 0; i < s->inputs; i++) {
            uint32_t at = s->reverse[i] != 0 ? length - 1 - done : done;
            b->in[s->states + i] = pick(l, x[i], (uint32_t)s->axes[i], at);
        }
        if (wai_lower_failed(l) || !wai_body_run(l, b) ||
            !wai_body_gave_tensors(l, b, 0, b->graph.output_count)) {
            return 0;
        }
        memcpy(b->in, b->out, s->states * sizeof *b->in);
        for (uint32_t k = 0; k < s->outputs; k++) {
            s->collected[k].values[done] = b->out[s->states + k];
        }
    }
    return done;
}

static bool read_scan(wai_lower *l, const wai_onnx_graph *graph, scan *s) {
    memset(s, 0, sizeof *s);
    const int64_t inputs = wai_attr_int(l, "num_scan_inputs", 0);
    s->batched = l->opset < 9;
    s->first = s->batched ? 1 : 0;
    if (s->batched && wai_lower_optional(l, 0) != NULL) {
        WAI_LOWER_DECLINE(l, "Scan with sequence_lens");
    }
    if (inputs < 1 || inputs > MAX_SCANNED || (uint64_t)inputs + s->first > l->in_count ||
        graph->input_count != l->in_count - s->first || graph->output_count < l->out_count ||
        graph->output_count > MAX_SCANNED) {
        WAI_LOWER_REFUSE(l,
                         "Scan has %u inputs, %lld of them scanned; its body has %u and %u "
                         "outputs",
                         l->in_count, (long long)inputs, graph->input_count, graph->output_count);
        return false;
    }
    s->inputs = (uint32_t)inputs;
    s->states = l->in_count - s->first - s->inputs;
    if (graph->output_count < s->states) {
        WAI_LOWER_REFUSE(l, "the body has %u outputs for %u states", graph->output_count,
                         s->states);
        return false;
    }
    s->outputs = graph->output_count - s->states;
    read_list(l, "scan_input_axes", s->axes, s->inputs);
    read_list(l, s->batched ? "directions" : "scan_input_directions", s->reverse, s->inputs);
    s->collected = take_collected(l, s->outputs, WAI_MAX_UNROLL);
    int64_t numbers[MAX_SCANNED];
    read_list(l, "scan_output_axes", numbers, s->outputs);
    for (uint32_t k = 0; k < s->outputs && !wai_lower_failed(l); k++) {
        s->collected[k].axis = numbers[k];
    }
    read_list(l, "scan_output_directions", numbers, s->outputs);
    for (uint32_t k = 0; k < s->outputs && !wai_lower_failed(l); k++) {
        s->collected[k].reverse = numbers[k] != 0;
    }
    return !wai_lower_failed(l);
}

static void lower_scan(wai_lower *l, wai_body *b, scan *s) {
    wai_value *x[MAX_SCANNED];
    for (uint32_t i = 0; i < s->states + s->inputs; i++) {
        wai_value *value = without_batch(l, s, wai_lower_input(l, s->first + i));
        if (i < s->states) {
            b->in[i] = value;
        } else {
            x[i - s->states] = value;
        }
    }
    uint32_t count = wai_lower_failed(l) ? 0 : unroll_scan(l, b, s, x);
    for (uint32_t i = 0; i < l->out_count && !wai_lower_failed(l) && !l->unknown; i++) {
        wai_value *value =
            i < s->states ? b->in[i]
                          : collect(l, &s->collected[i - s->states], count, &b->graph.outputs[i]);
        l->out[i] = with_batch(l, s, value);
    }
}

void wai_lower_scan(wai_lower *l) {
    wai_body b;
    scan s;
    if (!wai_body_open(l, "body", &b)) {
        return;
    }
    if (read_scan(l, &b.graph, &s)) {
        lower_scan(l, &b, &s);
    }
    wai_body_close(l);
}
