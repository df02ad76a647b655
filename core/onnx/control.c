/*
 * control.c - If, Loop and Scan, as far as the compiler can follow them: the
 * branch that a constant condition takes is imported in the node's place, of
 * another If both branches; a loop of known length is unrolled. Nothing of them
 * is left in the graph.
 *
 * Bodies nest by recursion (a body's node is imported like any other), no
 * deeper than WAI_MAX_BODY_DEPTH.
 */
#include <string.h>

#include "base/limits.h"
#include "onnx/body.h"
#include "onnx/list.h"
#include "ops/emit.h"

static bool is_one_bool(wai_lower *l, const wai_value *value, const char *what) {
    if (wai_lower_failed(l)) {
        return false;
    }
    if (value->type.dtype != WAI_BOOL || wai_type_count(&value->type) != 1) {
        char text[WAI_TYPE_TEXT];
        WAI_LOWER_REFUSE(l, "%s of %s is %s, not one bool", what, l->op_type,
                         wai_type_text(&value->type, text));
        return false;
    }
    return true;
}

/* The value of a bool that must be constant. */
static bool constant_bool(wai_lower *l, const wai_value *value, const char *what, bool *out) {
    if (!is_one_bool(l, value, what)) {
        return false;
    }
    if (!wai_value_is_constant(value)) {
        WAI_LOWER_DECLINE(l, "%s of %s must be a constant: it is computed when the model runs",
                          what, l->op_type);
        return false;
    }
    *out = *(const uint8_t *)value->data != 0;
    l->graph->decisions = l->graph->decisions * 31 + 1 + *out;
    return true;
}

/* ---- If ---- */

/* One branch, its outputs into out[0..l->out_count). */
static void import_branch(wai_lower *l, const char *attr, wai_value **out) {
    wai_body b;
    if (!wai_body_open(l, attr, &b)) {
        return;
    }
    if (b.graph.input_count != 0 || b.graph.output_count < l->out_count) {
        WAI_LOWER_REFUSE(l, "%s has %u inputs and %u outputs, 0 and %u are expected", attr,
                         b.graph.input_count, b.graph.output_count, l->out_count);
    } else if (wai_body_run(l, &b)) {
        memcpy(out, b.out, l->out_count * sizeof *out);
    }
    wai_body_close(l);
}

static wai_value *select_tensor(wai_lower *l, wai_value *condition, wai_value *a, wai_value *b,
                                uint32_t index) {
    wai_value *in[3] = {condition, a, b};
    char text_then[WAI_TYPE_TEXT], text_else[WAI_TYPE_TEXT];
    if (!wai_type_equal(&a->type, &b->type)) {
        WAI_LOWER_DECLINE(l,
                          "the condition of If must be a constant: output %u is %s in one "
                          "branch and %s in the other",
                          index, wai_type_text(&a->type, text_then),
                          wai_type_text(&b->type, text_else));
        return NULL;
    }
    return wai_emit(l->graph, &wai_op_where, NULL, in, 3);
}

/* Sequences of one length: element by element. */
static wai_value *select_value(wai_lower *l, wai_value *condition, wai_value *a, wai_value *b,
                               uint32_t index) {
    const wai_list *one = wai_list_of(a), *other = wai_list_of(b);
    if (one == NULL && other == NULL) {
        return select_tensor(l, condition, a, b, index);
    }
    if (one == NULL || other == NULL || one->count != other->count ||
        one->absent != other->absent) {
        WAI_LOWER_DECLINE(l,
                          "the condition of If must be a constant: output %u has other elements "
                          "in one branch than in the other",
                          index);
        return NULL;
    }
    wai_value **items = wai_body_values(l, one->count);
    for (uint32_t i = 0; i < one->count && !wai_lower_failed(l); i++) {
        items[i] = select_tensor(l, condition, one->items[i], other->items[i], index);
    }
    return one->absent || wai_lower_failed(l) ? a : wai_list_make(l->graph, items, one->count);
}

/*
 * A condition that only a run knows: both branches are computed, and `where`
 * takes the outputs of one. Branches have no effects but their outputs, so this
 * is what If means; it costs the time of both, which keeps the certificate
 * exact. It needs outputs of one type.
 */
static void select_branch(wai_lower *l, wai_value *condition) {
    wai_value **both = wai_body_values(l, 2 * (size_t)l->out_count);
    if (wai_lower_failed(l)) {
        return;
    }
    condition = wai_emit_reshape(l->graph, condition, 0, NULL);
    import_branch(l, "then_branch", both);
    import_branch(l, "else_branch", both + l->out_count);
    for (uint32_t i = 0; i < l->out_count && !wai_lower_failed(l) && !l->unknown; i++) {
        l->out[i] = select_value(l, condition, both[i], both[l->out_count + i], i);
    }
}

void wai_lower_if(wai_lower *l) {
    bool taken = false;
    wai_value *condition = wai_lower_input(l, 0);
    wai_attr_ignore(l, "then_branch");
    wai_attr_ignore(l, "else_branch");
    if (!is_one_bool(l, condition, "the condition")) {
        return;
    }
    if (!wai_value_is_constant(condition)) {
        select_branch(l, condition);
    } else if (constant_bool(l, condition, "the condition", &taken)) {
        import_branch(l, taken ? "then_branch" : "else_branch", l->out);
    }
}

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

static uint32_t trip_count(wai_lower *l) {
    int64_t trips = 0;
    bool there;
    if (wai_lower_ints(l, 0, &trips, 1, &there) != 1 && there && !wai_lower_failed(l)) {
        WAI_LOWER_REFUSE(l, "the trip count of Loop is not one number");
    }
    if (!there || trips > (int64_t)UINT32_MAX) {
        return UINT32_MAX;
    }
    return trips > 0 ? (uint32_t)trips : 0;
}

/* Returns the number of iterations; the state stands in b->in[2..]. */
static uint32_t unroll_loop(wai_lower *l, wai_body *b, uint32_t states, collected *c) {
    const uint32_t trips = trip_count(l), collects = b->graph.output_count - 1 - states;
    wai_value *condition = wai_lower_optional(l, 1);
    bool go = true;
    if (condition != NULL && !constant_bool(l, condition, "the condition", &go)) {
        return 0;
    }
    uint32_t done = 0;
    for (; go && done < trips && check_iteration(l, done); done++) {
        b->in[0] = wai_emit_scalar(l->graph, WAI_I64, done);
        b->in[1] = wai_emit_scalar(l->graph, WAI_BOOL, 1);
        if (!wai_body_run(l, b) ||
            !wai_body_gave_tensors(l, b, 1 + states, b->graph.output_count) ||
            !constant_bool(l, b->out[0], "the condition that the body computes", &go)) {
            return 0;
        }
        memcpy(b->in + 2, b->out + 1, states * sizeof *b->in);
        for (uint32_t k = 0; k < collects; k++) {
            c[k].values[done] = b->out[1 + states + k];
        }
    }
    return done;
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
    collected *c = take_collected(l, graph->output_count - 1 - states, WAI_MAX_UNROLL);
    for (uint32_t i = 0; i < states; i++) {
        b.in[2 + i] = wai_lower_input(l, 2 + i);
    }
    uint32_t count = wai_lower_failed(l) ? 0 : unroll_loop(l, &b, states, c);
    for (uint32_t i = 0; i < l->out_count && !wai_lower_failed(l) && !l->unknown; i++) {
        l->out[i] =
            i < states ? b.in[2 + i] : collect(l, &c[i - states], count, &graph->outputs[1 + i]);
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
