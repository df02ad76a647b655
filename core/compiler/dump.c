/* wai_package_dump: a package's program as a graph, for `inspect`. */
#include "package/read.h"

#include "graph/dynamic.h"
#include "package/format.h"
#include "wasmai_compile.h"

static const char *text_of(wai_graph *g, const char *text) {
    return text != NULL ? text : wai_arena_text(g->arena, "", 0);
}

/* The program's values as graph values; constants keep their bytes. */
static wai_value **make_values(wai_graph *g, const wai_program *p) {
    wai_value **values = wai_arena_array(g->arena, p->value_count + 1u, sizeof *values);
    for (uint32_t i = 0; values != NULL && i < p->value_count && g->status == WAI_OK; i++) {
        const wai_program_value *from = &p->values[i];
        values[i] = wai_graph_value(g, &from->type, NULL);
        if (values[i] != NULL && from->constant) {
            values[i]->data = wai_program_constant(p, from);
        }
    }
    return values;
}

static wai_value **operands(wai_graph *g, wai_value **values, const uint32_t *list,
                            uint32_t count) {
    wai_value **result = wai_arena_array(g->arena, count + 1u, sizeof *result);
    for (uint32_t i = 0; result != NULL && i < count; i++) {
        result[i] = list[i] != WAI_FORMAT_ABSENT ? values[list[i]] : NULL;
    }
    return result;
}

static void make_nodes(wai_graph *g, const wai_program *p, wai_value **values, wai_node **nodes) {
    for (uint32_t i = 0, guard = 0; i < p->step_count && g->status == WAI_OK; i++) {
        const wai_program_step *step = &p->steps[i];
        wai_node *node = wai_arena_alloc(g->arena, sizeof *node);
        wai_value **in = operands(g, values, step->in, step->in_count);
        wai_value **out = operands(g, values, step->out, step->out_count);
        if (node == NULL || in == NULL || out == NULL) {
            wai_graph_fail(g, WAI_ERR_MEMORY, "out of memory");
            return;
        }
        *node = (wai_node){.op = step->row->op,
                           .params = (void *)(uintptr_t)step->params,
                           .in = in,
                           .out = out,
                           .in_count = step->in_count,
                           .out_count = step->out_count,
                           .name = step->where,
                           .previous = g->last};
        *(g->last != NULL ? &g->last->next : &g->first) = node;
        g->last = nodes[i] = node;
        if (guard < p->guard_count && p->guards[guard].step == i) {
            node->guard = values[p->guards[guard++].value];
        }
    }
}

static void make_dynamic(wai_graph *g, const wai_program *p, wai_value **values, wai_node **nodes) {
    wai_dynamic *d = wai_arena_alloc(g->arena, sizeof *d);
    wai_symbol *symbols = wai_arena_array(g->arena, p->symbol_count, sizeof *symbols);
    wai_open_axis *axes = wai_arena_array(g->arena, p->axis_count, sizeof *axes);
    wai_formula_use *uses = wai_arena_array(g->arena, p->use_count, sizeof *uses);
    if (d == NULL || symbols == NULL || axes == NULL || uses == NULL) {
        wai_graph_fail(g, WAI_ERR_MEMORY, "out of memory");
        return;
    }
    for (uint32_t i = 0; i < p->symbol_count; i++) {
        symbols[i] = (wai_symbol){p->symbols[i].name, p->symbols[i].min, p->symbols[i].max};
    }
    for (uint32_t i = 0; i < p->axis_count; i++) {
        axes[i] = (wai_open_axis){p->axes[i].input, p->axes[i].axis, p->axes[i].symbol};
    }
    for (uint32_t i = 0; i < p->use_count; i++) {
        const wai_program_use *use = &p->uses[i];
        uses[i] = (wai_formula_use){nodes[use->step], use->word, use->formula, use->over};
    }
    *d = (wai_dynamic){.symbols = symbols,
                       .axes = axes,
                       .formulas = (wai_formula *)(uintptr_t)p->formulas,
                       .uses = uses,
                       .values = values,
                       .symbol_count = p->symbol_count,
                       .axis_count = p->axis_count,
                       .formula_count = p->formula_count,
                       .use_count = p->use_count,
                       .value_count = p->value_count};
    g->dynamic = d;
}

static void make_io(wai_graph *g, const wai_program *p, wai_value **values) {
    g->inputs = wai_arena_array(g->arena, p->input_count + p->output_count + 1u, sizeof *g->inputs);
    if (g->inputs == NULL) {
        wai_graph_fail(g, WAI_ERR_MEMORY, "out of memory");
        return;
    }
    g->outputs = g->inputs + p->input_count;
    g->input_count = p->input_count;
    g->output_count = p->output_count;
    for (uint32_t i = 0; i < p->input_count + p->output_count; i++) {
        g->inputs[i] = (wai_graph_io){text_of(g, p->inputs[i].name), values[p->inputs[i].value]};
    }
}

wai_status wai_package_dump(wai_bytes package, const wai_compile_options *options, wai_diag *diag) {
    wai_arena arena;
    wai_pool pool;
    wai_graph graph;
    wai_program program;
    wai_diag_clear(diag);
    wai_arena_init(&arena, options->allocator, UINT64_MAX);
    wai_pool_init(&pool, options->allocator, UINT64_MAX);
    wai_graph_init(&graph, &arena, diag);
    graph.status = wai_package_read(&program, package, &pool, diag);
    wai_value **values = graph.status == WAI_OK ? make_values(&graph, &program) : NULL;
    wai_node **nodes = graph.status == WAI_OK
                           ? wai_arena_array(&arena, program.step_count, sizeof(wai_node *))
                           : NULL;
    if (graph.status == WAI_OK && values != NULL && nodes != NULL) {
        make_nodes(&graph, &program, values, nodes);
        make_io(&graph, &program, values);
        make_dynamic(&graph, &program, values, nodes);
    }
    const char *text = graph.status == WAI_OK ? wai_graph_dump(&graph) : NULL;
    if (graph.status == WAI_OK && text == NULL) {
        wai_graph_fail(&graph, WAI_ERR_MEMORY, "out of memory");
    }
    if (graph.status == WAI_OK && options->on_stage != NULL) {
        options->on_stage(options->on_stage_context, "package", text);
    }
    wai_status status = graph.status;
    wai_pool_free(&pool);
    wai_arena_free(&arena);
    return status;
}
