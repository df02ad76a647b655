#include "compiler/fold.h"

#include "runtime/canonical.h"
#include "runtime/step.h"

static void *new_output(wai_graph *graph, const wai_type *type) {
    return wai_arena_alloc(graph->arena, wai_slot_size(wai_type_size(type)));
}

static wai_status evaluate(wai_graph *graph, wai_node *node, wai_pool *pool) {
    const wai_op_row *row = wai_op_find(node->op);
    wai_operand *operands =
        wai_pool_array(pool, node->in_count + node->out_count, sizeof *operands);
    if (row == NULL || operands == NULL) {
        return row == NULL ? WAI_ERR_UNSUPPORTED : WAI_ERR_MEMORY;
    }
    wai_step step = {.op = node->op,
                     .kernel = row->kernel,
                     .params = node->params,
                     .where = node->name,
                     .in = operands,
                     .out = operands + node->in_count,
                     .in_count = node->in_count,
                     .out_count = node->out_count};
    for (uint32_t i = 0; i < node->in_count; i++) {
        const wai_value *value = node->in[i];
        if (value != NULL) {
            step.in[i] = (wai_operand){value->type, (void *)(uintptr_t)value->data, true};
        }
    }
    for (uint32_t i = 0; i < node->out_count; i++) {
        void *data = new_output(graph, &node->out[i]->type);
        if (data == NULL) {
            return WAI_ERR_MEMORY;
        }
        step.out[i] = (wai_operand){node->out[i]->type, data, false};
    }
    wai_status status = wai_steps_prepare(&step, 1, NULL, pool, graph->diag);
    if (status == WAI_OK) {
        status = wai_steps_run(&step, 1, 0, graph->diag);
    }
    for (uint32_t i = 0; i < node->out_count && status == WAI_OK; i++) {
        node->out[i]->data = step.out[i].data;
        node->out[i]->type = step.out[i].type; /* run may have lowered dims */
        /* The same package on every machine that compiles. */
        wai_canonical_nans(step.out[i].type.dtype, step.out[i].data,
                           wai_type_size(&step.out[i].type));
    }
    return status;
}

wai_status wai_fold_node(wai_graph *graph, wai_node *node) {
    wai_pool pool;
    wai_pool_init(&pool, graph->arena->allocator, UINT64_MAX);
    wai_status status = evaluate(graph, node, &pool);
    wai_pool_free(&pool);
    if (status == WAI_ERR_MEMORY) {
        wai_fail(graph->diag, status, node->name, "out of memory in the compiler");
    }
    return status;
}
