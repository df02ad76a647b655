/* The plan as text, for `inspect --stage plan`. */
#include <string.h>

#include "base/writer.h"
#include "plan/plan.h"

static void add(wai_writer *w, const char *text) {
    wai_write_bytes(w, text, strlen(text));
}

#if defined(__GNUC__)
__attribute__((format(printf, 2, 3)))
#endif
static void
addf(wai_writer *w, const char *format, ...) {
    char piece[640];
    va_list arguments;
    va_start(arguments, format);
    wai_format(piece, sizeof piece, format, arguments);
    va_end(arguments);
    add(w, piece);
}

static void add_place(wai_writer *w, const wai_plan *plan, const wai_value *value) {
    char type[WAI_TYPE_TEXT];
    addf(w, "%%%u %s @%llu", value->id, wai_type_text(&value->type, type),
         (unsigned long long)wai_plan_offset(plan, value));
}

static void add_operand(wai_writer *w, const wai_plan *plan, const wai_value *value) {
    if (value == NULL) {
        add(w, "none");
    } else if (value->data != NULL) {
        addf(w, "%%%u:const", value->id);
    } else {
        addf(w, "%%%u@%llu", value->id, (unsigned long long)wai_plan_offset(plan, value));
    }
}

const char *wai_plan_dump(const wai_plan *plan, const wai_graph *graph) {
    wai_writer w = {graph->arena, NULL, 0, 0, false};
    addf(&w, "arena %llu bytes, at least %llu for any placement of these steps",
         (unsigned long long)plan->arena_size, (unsigned long long)plan->lower_bound);
    add(&w, "\n");
    for (uint32_t i = 0; i < graph->input_count; i++) {
        add(&w, "input ");
        add_place(&w, plan, graph->inputs[i].value);
        addf(&w, " \"%s\"", graph->inputs[i].name);
        add(&w, "\n");
    }
    for (uint32_t s = 0; s < plan->step_count; s++) {
        const wai_node *node = plan->steps[s];
        addf(&w, "step %u: ", s);
        for (uint32_t i = 0; i < node->out_count; i++) {
            add(&w, i > 0 ? ", " : "");
            add_place(&w, plan, node->out[i]);
        }
        addf(&w, " = %s(", node->op->name);
        for (uint32_t i = 0; i < node->in_count; i++) {
            add(&w, i > 0 ? ", " : "");
            add_operand(&w, plan, node->in[i]);
        }
        add(&w, ")");
        if (node->guard != NULL) {
            add(&w, " if ");
            add_operand(&w, plan, node->guard);
        }
        addf(&w, " \"%s\"", node->name != NULL ? node->name : "");
        add(&w, "\n");
    }
    for (uint32_t i = 0; i < graph->output_count; i++) {
        add(&w, "output ");
        add_place(&w, plan, graph->outputs[i].value);
        addf(&w, " \"%s\"", graph->outputs[i].name);
        add(&w, "\n");
    }
    wai_write_bytes(&w, "", 1);
    return w.failed ? NULL : (const char *)w.data;
}
