/*
 * control.c - If, and what it shares with loops: guards. The branch that a
 * constant condition takes is imported in the node's place; of another If both
 * are, each under a guard, and `where` takes the outputs of the one that ran.
 *
 * Bodies nest by recursion (a body's node is imported like any other), no
 * deeper than WAI_MAX_BODY_DEPTH.
 */
#include "onnx/control.h"

#include <string.h>

#include "base/limits.h"
#include "onnx/body.h"
#include "onnx/list.h"
#include "ops/emit.h"

bool wai_control_is_bool(wai_lower *l, const wai_value *value, const char *what) {
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

bool wai_control_constant(wai_lower *l, const wai_value *value, const char *what, bool *out) {
    if (!wai_control_is_bool(l, value, what)) {
        return false;
    }
    *out = *(const uint8_t *)value->data != 0;
    l->graph->decisions = l->graph->decisions * 31 + 1 + *out;
    return true;
}

/* ---- guards ---- */

wai_value *wai_control_enter(wai_lower *l, wai_value *condition) {
    wai_value *outer = l->graph->guard;
    l->graph->guard = wai_control_and(l, outer, condition);
    return outer;
}

void wai_control_leave(wai_lower *l, wai_value *outer) {
    l->graph->guard = outer;
}

wai_value *wai_control_and(wai_lower *l, wai_value *a, wai_value *b) {
    if (a == NULL || b == NULL) {
        return a == NULL ? b : a;
    }
    wai_value *outer = l->graph->guard;
    l->graph->guard = NULL;
    wai_value *both = wai_emit_binary(l->graph, WAI_BINARY_AND, a, b);
    l->graph->guard = outer;
    return both;
}

wai_value *wai_control_scalar(wai_lower *l, wai_value *x) {
    wai_value *outer = l->graph->guard;
    l->graph->guard = NULL;
    x = wai_emit_reshape(l->graph, x, 0, NULL);
    l->graph->guard = outer;
    return x;
}

wai_value *wai_control_above(wai_lower *l, wai_value *count, uint32_t number) {
    if (wai_lower_failed(l)) {
        return NULL;
    }
    wai_value *outer = l->graph->guard;
    l->graph->guard = NULL;
    wai_value *than = wai_emit_scalar(l->graph, count->type.dtype, number);
    const wai_compare_params p = {WAI_COMPARE_GREATER};
    wai_value *above = wai_emit(l->graph, &wai_op_compare, &p, (wai_value *[]){count, than}, 2);
    l->graph->guard = outer;
    return above;
}

static wai_value * not(wai_lower * l, wai_value *x) {
    wai_value *outer = l->graph->guard;
    l->graph->guard = NULL;
    x = wai_emit_unary(l->graph, WAI_UNARY_NOT, 0, 0, x);
    l->graph->guard = outer;
    return x;
}

/* ---- where ---- */

static wai_value *select_tensor(wai_lower *l, wai_value *condition, wai_value *a, wai_value *b,
                                const char *what, uint32_t index) {
    wai_value *in[3] = {condition, a, b};
    char text_a[WAI_TYPE_TEXT], text_b[WAI_TYPE_TEXT];
    if (wai_lower_failed(l)) {
        return NULL;
    }
    if (!wai_type_equal(&a->type, &b->type)) {
        const bool branches = what[0] == 'o';
        WAI_LOWER_DECLINE(l,
                          "the condition of %s must be a constant: %s %u is %s in one %s and "
                          "%s in the other",
                          l->op_type, what, index, wai_type_text(&a->type, text_a),
                          branches ? "branch" : "iteration", wai_type_text(&b->type, text_b));
        return NULL;
    }
    return wai_emit(l->graph, &wai_op_where, NULL, in, 3);
}

/* Sequences of one length: element by element. */
wai_value *wai_control_select(wai_lower *l, wai_value *condition, wai_value *a, wai_value *b,
                              const char *what, uint32_t index) {
    const wai_list *one = wai_list_of(a), *other = wai_list_of(b);
    if (one == NULL && other == NULL) {
        return select_tensor(l, condition, a, b, what, index);
    }
    if (one == NULL || other == NULL || one->count != other->count ||
        one->absent != other->absent) {
        WAI_LOWER_DECLINE(l,
                          "the condition of %s must be a constant: %s %u has other elements "
                          "if it holds than if not",
                          l->op_type, what, index);
        return NULL;
    }
    wai_value **items = wai_body_values(l, one->count);
    for (uint32_t i = 0; i < one->count && !wai_lower_failed(l); i++) {
        items[i] = select_tensor(l, condition, one->items[i], other->items[i], what, index);
    }
    return one->absent || wai_lower_failed(l) ? a : wai_list_make(l->graph, items, one->count);
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

/*
 * A condition that only a run knows: both branches are imported, one of them
 * runs, and `where` takes its outputs, which must be of one type. The memory of
 * both is certified.
 */
static void select_branch(wai_lower *l, wai_value *condition) {
    wai_value **both = wai_body_values(l, 2 * (size_t)l->out_count);
    condition = wai_lower_failed(l) ? NULL : wai_control_scalar(l, condition);
    if (wai_lower_failed(l)) {
        return;
    }
    wai_value *outer = wai_control_enter(l, condition);
    import_branch(l, "then_branch", both);
    wai_control_leave(l, outer);
    wai_control_enter(l, not(l, condition));
    import_branch(l, "else_branch", both + l->out_count);
    wai_control_leave(l, outer);
    for (uint32_t i = 0; i < l->out_count && !wai_lower_failed(l) && !l->unknown; i++) {
        l->out[i] = wai_control_select(l, condition, both[i], both[l->out_count + i], "output", i);
    }
}

void wai_lower_if(wai_lower *l) {
    bool taken = false;
    wai_value *condition = wai_lower_input(l, 0);
    wai_attr_ignore(l, "then_branch");
    wai_attr_ignore(l, "else_branch");
    if (!wai_control_is_bool(l, condition, "the condition")) {
        return;
    }
    if (!wai_value_is_constant(condition)) {
        select_branch(l, condition);
    } else if (wai_control_constant(l, condition, "the condition", &taken)) {
        import_branch(l, taken ? "then_branch" : "else_branch", l->out);
    }
}
