#include "onnx/body.h"

#include "base/limits.h"
#include "onnx/list.h"

wai_value **wai_body_values(wai_lower *l, size_t count) {
    wai_value **values = wai_arena_array(l->graph->arena, count + 1, sizeof *values);
    if (values == NULL) {
        wai_graph_fail(l->graph, WAI_ERR_MEMORY, "out of memory in the compiler");
    }
    return values;
}

bool wai_body_open(wai_lower *l, const char *attr, wai_body *b) {
    wai_importer *im = l->importer;
    wai_graph *g = l->graph;
    wai_bytes message = wai_attr_graph(l, attr);
    if (wai_lower_failed(l)) {
        return false;
    }
    if (im->depth == WAI_MAX_BODY_DEPTH) {
        wai_graph_fail(g, WAI_ERR_LIMIT, "graphs nest more than %u deep", WAI_MAX_BODY_DEPTH);
        return false;
    }
    wai_status status = wai_onnx_read_graph(&b->graph, message, im->model, g->arena, g->diag);
    g->status = g->status == WAI_OK ? status : g->status;
    b->in = wai_body_values(l, b->graph.input_count);
    b->out = wai_body_values(l, b->graph.output_count);
    if (wai_lower_failed(l) || wai_scope_open(im, &b->constants, &b->graph) != WAI_OK) {
        return false;
    }
    im->depth++;
    const char *scope = g->scope;
    wai_import_initializers(im);
    g->scope = scope;
    return true;
}

void wai_body_close(wai_lower *l) {
    l->importer->depth--;
    wai_scope_close(l->importer);
}

static void take_outputs(wai_lower *l, wai_body *b) {
    for (uint32_t i = 0; i < b->graph.output_count && !wai_lower_failed(l); i++) {
        const wai_name *entry = wai_import_find(l->importer, b->graph.outputs[i].name);
        if (entry == NULL) {
            WAI_LOWER_REFUSE(l, "no node writes output %s of the body", b->graph.outputs[i].name);
            return;
        }
        b->out[i] = entry->value;
        l->unknown = l->unknown || entry->unknown;
    }
}

bool wai_body_run(wai_lower *l, wai_body *b) {
    wai_importer *im = l->importer;
    const char *name = l->graph->scope;
    wai_scope scope;
    if (im->body_work > WAI_MAX_BODY_WORK - 1 - b->graph.node_count) {
        wai_graph_fail(l->graph, WAI_ERR_LIMIT,
                       "unrolled loops hold more than %u nodes and iterations", WAI_MAX_BODY_WORK);
    }
    if (wai_lower_failed(l) || wai_scope_open(im, &scope, &b->graph) != WAI_OK) {
        return false;
    }
    im->body_work += b->graph.node_count + 1;
    for (uint32_t i = 0; i < b->graph.input_count; i++) {
        wai_import_define(im, b->graph.inputs[i].name, b->in[i]);
    }
    if (!wai_lower_failed(l) && wai_import_nodes(im) == WAI_OK) {
        l->graph->scope = name;
        take_outputs(l, b);
    }
    wai_scope_close(im);
    return !wai_lower_failed(l) && !l->unknown;
}

bool wai_body_gave_tensors(wai_lower *l, const wai_body *b, uint32_t from, uint32_t to) {
    for (uint32_t i = from; i < to; i++) {
        if (wai_list_of(b->out[i]) != NULL) {
            WAI_LOWER_REFUSE(l, "output %s of the body is a sequence, %s wants a tensor there",
                             b->graph.outputs[i].name, l->op_type);
            return false;
        }
    }
    return true;
}
