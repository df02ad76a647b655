/* import_node.c - names and nodes of one graph: the model's, or a body's. */
#include <string.h>

#include "base/limits.h"
#include "onnx/importer.h"
#include "onnx/list.h"

typedef struct onnx_row {
    const char *name;
    wai_lower_function lower;
    uint32_t first, last;
} onnx_row;

static const onnx_row rows[] = {
#define WAI_ONNX(name, symbol, first, last) {name, wai_lower_##symbol, first, last},
#include "onnx/onnx.def"
#undef WAI_ONNX
};

/* See onnx.def. */
#define TESTED_OPSET 22u

/* The domain has had one version only. */
static const onnx_row microsoft_rows[] = {
#define WAI_MICROSOFT(name, symbol) {name, wai_lower_##symbol, 1, 1},
#include "onnx/microsoft.def"
#undef WAI_MICROSOFT
};

static const onnx_row ml_rows[] = {
#define WAI_ML(name, symbol) {name, wai_lower_##symbol, 1, 1},
#include "onnx/ml.def"
#undef WAI_ML
};

/* ---- names ---- */

static size_t count_names(const wai_onnx_graph *graph) {
    size_t count = (size_t)graph->initializer_count + graph->input_count;
    for (uint32_t i = 0; i < graph->node_count; i++) {
        count += graph->nodes[i].output_count;
    }
    return count;
}

wai_status wai_scope_open(wai_importer *im, wai_scope *scope, const wai_onnx_graph *graph) {
    *scope = (wai_scope){.graph = graph, .outer = im->scope};
    /* Elements of graph inputs that are sequences have names of their own. */
    const size_t elements = im->scope == NULL ? WAI_MAX_IO : 0;
    if (!wai_names_init(&scope->names, im->graph->arena, count_names(graph) + elements)) {
        return wai_graph_fail(im->graph, WAI_ERR_MEMORY, "out of memory in the compiler");
    }
    im->scope = scope;
    return im->graph->status;
}

void wai_scope_close(wai_importer *im) {
    im->scope = im->scope->outer;
}

wai_name *wai_import_find(const wai_importer *im, const char *name) {
    wai_name *found = NULL;
    for (const wai_scope *s = im->scope; s != NULL && found == NULL; s = s->outer) {
        found = wai_names_find(&s->names, name);
    }
    return found;
}

wai_status wai_import_define(wai_importer *im, const char *name, wai_value *value) {
    if (im->graph->status != WAI_OK) {
        return im->graph->status;
    }
    if (wai_names_find(&im->scope->names, name) != NULL) {
        return wai_graph_fail(im->graph, WAI_ERR_MALFORMED, "the name %s is defined twice", name);
    }
    wai_names_add(&im->scope->names, name, value);
    return WAI_OK;
}

/* The tensor of the Constant that writes `name`, if `node` is that. */
static const wai_onnx_tensor *constant_of(const wai_onnx_node *node, const char *name) {
    const bool writes = node->output_count == 1 && node->attr_count == 1 &&
                        strcmp(node->op_type, "Constant") == 0 &&
                        strcmp(node->outputs[0], name) == 0;
    return writes ? node->attrs[0].tensor : NULL;
}

wai_dtype wai_lower_declared(const wai_lower *l, uint32_t index) {
    const char *name = l->node->inputs[index];
    for (const wai_scope *s = l->importer->scope; s != NULL; s = s->outer) {
        for (uint32_t i = 0; i < s->graph->node_count; i++) {
            const wai_onnx_tensor *tensor = constant_of(&s->graph->nodes[i], name);
            if (tensor != NULL) {
                return wai_import_dtype(tensor->data_type);
            }
        }
        for (uint32_t i = 0; i < s->graph->initializer_count; i++) {
            if (strcmp(s->graph->initializers[i].name, name) == 0) {
                return wai_import_dtype(s->graph->initializers[i].data_type);
            }
        }
        for (uint32_t i = 0; i < s->graph->input_count && s->outer == NULL; i++) {
            if (strcmp(s->graph->inputs[i].name, name) == 0) {
                return wai_import_dtype(s->graph->inputs[i].elem_type);
            }
        }
    }
    return l->in[index]->type.dtype;
}

static bool written_later(const wai_importer *im, const char *name, uint32_t from) {
    for (uint32_t i = from; i < im->scope->graph->node_count; i++) {
        const wai_onnx_node *node = &im->scope->graph->nodes[i];
        for (uint32_t o = 0; o < node->output_count; o++) {
            if (strcmp(node->outputs[o], name) == 0) {
                return true;
            }
        }
    }
    return false;
}

wai_status wai_import_initializers(wai_importer *im) {
    wai_graph *g = im->graph;
    for (uint32_t i = 0; i < im->scope->graph->initializer_count && g->status == WAI_OK; i++) {
        const wai_onnx_tensor *tensor = &im->scope->graph->initializers[i];
        wai_value *value = wai_import_tensor(g, tensor);
        g->scope = "initializers";
        wai_import_define(im, tensor->name, value);
    }
    return g->status;
}

/* ---- nodes ---- */

static bool is_own_domain(const wai_onnx_node *node) {
    return node->domain[0] == 0 || strcmp(node->domain, "ai.onnx") == 0;
}

static const onnx_row *find_row(const wai_onnx_node *node) {
    const onnx_row *table = rows;
    size_t count = sizeof rows / sizeof rows[0];
    if (strcmp(node->domain, "com.microsoft") == 0) {
        table = microsoft_rows;
        count = sizeof microsoft_rows / sizeof microsoft_rows[0];
    } else if (strcmp(node->domain, "ai.onnx.ml") == 0) {
        table = ml_rows;
        count = sizeof ml_rows / sizeof ml_rows[0];
    } else if (!is_own_domain(node)) {
        return NULL;
    }
    for (size_t i = 0; i < count; i++) {
        if (strcmp(table[i].name, node->op_type) == 0) {
            return &table[i];
        }
    }
    return NULL;
}

/* Of the node's domain. */
static uint32_t opset_of(const wai_importer *im, const wai_onnx_node *node) {
    return is_own_domain(node) ? im->opset : 1;
}

/* The node's inputs as values; *unknown when one of them could not be imported. */
static wai_value **resolve_inputs(wai_importer *im, uint32_t index, bool *unknown) {
    wai_graph *g = im->graph;
    const wai_onnx_node *node = &im->scope->graph->nodes[index];
    if (node->input_count > WAI_MAX_OPERANDS || node->output_count > WAI_MAX_OPERANDS) {
        wai_graph_fail(g, WAI_ERR_LIMIT, "the node has more than %u inputs or outputs",
                       WAI_MAX_OPERANDS);
        return NULL;
    }
    wai_value **in = wai_arena_array(g->arena, node->input_count + 1u, sizeof *in);
    if (in == NULL) {
        wai_graph_fail(g, WAI_ERR_MEMORY, "out of memory in the compiler");
        return NULL;
    }
    for (uint32_t i = 0; i < node->input_count; i++) {
        const char *name = node->inputs[i];
        if (name[0] == 0) {
            continue;
        }
        const wai_name *entry = wai_import_find(im, name);
        if (entry != NULL) {
            in[i] = entry->value;
            *unknown = *unknown || entry->unknown;
        } else if (written_later(im, name, index)) {
            wai_graph_fail(
                g, WAI_ERR_MALFORMED,
                "input %s of %s comes from this node or a later one: the graph has a cycle "
                "or is not in topological order",
                name, node->op_type);
        } else {
            wai_graph_fail(
                g, WAI_ERR_MALFORMED,
                "input %s of %s is missing: no initializer, graph input or node output has "
                "this name",
                name, node->op_type);
        }
    }
    return in;
}

static wai_status check_row(wai_importer *im, const wai_onnx_node *node, const onnx_row *row) {
    wai_graph *g = im->graph;
    const uint32_t opset = opset_of(im, node);
    if (row == NULL && !is_own_domain(node)) {
        return wai_graph_fail(g, WAI_ERR_UNSUPPORTED, "operator %s of domain %s is not supported",
                              node->op_type, node->domain);
    }
    if (row == NULL) {
        return wai_graph_fail(g, WAI_ERR_UNSUPPORTED, "operator %s (opset %u) is not supported",
                              node->op_type, opset);
    }
    const uint32_t last = row->last == TESTED_OPSET ? TESTED_OPSET + 1 : row->last;
    if (opset < row->first || opset > last) {
        return wai_graph_fail(g, WAI_ERR_UNSUPPORTED,
                              "operator %s is supported in opsets %u to %u, not %u", node->op_type,
                              row->first, row->last, opset);
    }
    if (node->attr_count > 128) {
        return wai_graph_fail(g, WAI_ERR_LIMIT, "the node has more than 128 attributes");
    }
    return WAI_OK;
}

static wai_status check_lowered(const wai_lower *l) {
    for (uint32_t i = 0; i < l->node->attr_count; i++) {
        if ((l->attrs_read[i / 32] >> (i % 32) & 1) == 0) {
            return wai_graph_fail(l->graph, WAI_ERR_UNSUPPORTED,
                                  "attribute %s of %s is not supported", l->node->attrs[i].name,
                                  l->op_type);
        }
    }
    for (uint32_t i = 0; i < l->out_count; i++) {
        if (wai_lower_wants(l, i) && l->out[i] == NULL) {
            return wai_graph_fail(l->graph, WAI_ERR_UNSUPPORTED, "output %u of %s is not supported",
                                  i, l->op_type);
        }
    }
    return l->graph->status;
}

/* Lists go only where they are understood. */
static wai_status check_lists(wai_lower *l, wai_lower_function lower) {
    static const wai_lower_function takers[] = {
        wai_lower_identity,       wai_lower_loop,
        wai_lower_optional_make,  wai_lower_optional_has,
        wai_lower_optional_get,   wai_lower_sequence_length,
        wai_lower_sequence_at,    wai_lower_sequence_insert,
        wai_lower_sequence_erase, wai_lower_concat_from_sequence,
        wai_lower_sequence_map,
    };
    for (size_t i = 0; i < sizeof takers / sizeof takers[0]; i++) {
        if (takers[i] == lower) {
            return WAI_OK;
        }
    }
    for (uint32_t i = 0; i < l->in_count; i++) {
        if (wai_list_of(l->in[i]) != NULL) {
            return WAI_LOWER_REFUSE(l, "input %u of %s is a sequence or an optional, not a tensor",
                                    i, l->op_type);
        }
    }
    return WAI_OK;
}

static wai_status lower_node(wai_importer *im, const wai_onnx_node *node, wai_value **in,
                             wai_value **out, bool *unknown) {
    wai_graph *g = im->graph;
    const onnx_row *row = find_row(node);
    if (check_row(im, node, row) != WAI_OK) {
        return g->status;
    }
    wai_lower l = {.graph = g,
                   .importer = im,
                   .node = node,
                   .op_type = node->op_type,
                   .opset = opset_of(im, node),
                   .in = in,
                   .in_count = node->input_count,
                   .out = out,
                   .out_count = node->output_count};
    if (l.opset < 6) {
        wai_attr_ignore(&l, "consumed_inputs"); /* which buffers may be overwritten */
    }
    if (check_lists(&l, row->lower) != WAI_OK) {
        return g->status;
    }
    row->lower(&l);
    if (g->status == WAI_OK && l.unknown) {
        *unknown = true; /* what a body lacks was reported there */
        return WAI_OK;
    }
    return g->status != WAI_OK ? g->status : check_lowered(&l);
}

static void define_outputs(wai_importer *im, const wai_onnx_node *node, wai_value **out,
                           bool unknown) {
    for (uint32_t i = 0; i < node->output_count; i++) {
        const char *name = node->outputs[i];
        if (name[0] == 0) {
            continue;
        }
        if (wai_import_define(im, name, unknown ? NULL : out[i]) != WAI_OK) {
            return;
        }
        wai_import_find(im, name)->unknown = unknown;
        if (!unknown && out[i]->name == NULL) {
            out[i]->name = name;
        }
    }
}

/* In `check` mode an unsupported node is reported and import goes on. */
static bool reported(wai_importer *im) {
    wai_graph *g = im->graph;
    if (g->status != WAI_ERR_UNSUPPORTED || im->options->on_problem == NULL || g->diag == NULL) {
        return false;
    }
    if (im->problem_count++ == 0) {
        im->first_problem = *g->diag;
    }
    im->options->on_problem(im->options->on_problem_context, g->diag);
    wai_diag_clear(g->diag);
    g->status = WAI_OK;
    return true;
}

static wai_status add_node(wai_importer *im, uint32_t index) {
    wai_graph *g = im->graph;
    const wai_onnx_node *node = &im->scope->graph->nodes[index];
    /* Nodes without a name are known by their first output. */
    g->scope = node->name[0] != 0 ? node->name : node->output_count > 0 ? node->outputs[0] : "";
    bool unknown = false;
    wai_value **in = resolve_inputs(im, index, &unknown);
    wai_value **out = wai_arena_array(g->arena, node->output_count + 1u, sizeof *out);
    if (in == NULL || out == NULL || g->status != WAI_OK) {
        return g->status != WAI_OK
                   ? g->status
                   : wai_graph_fail(g, WAI_ERR_MEMORY, "out of memory in the compiler");
    }
    if (unknown) {
        check_row(im, node, find_row(node));
        reported(im);
    } else if (lower_node(im, node, in, out, &unknown) != WAI_OK) {
        unknown = reported(im);
    }
    if (g->status == WAI_OK) {
        define_outputs(im, node, out, unknown);
    }
    return g->status;
}

wai_status wai_import_nodes(wai_importer *im) {
    for (uint32_t i = 0; i < im->scope->graph->node_count; i++) {
        if (add_node(im, i) != WAI_OK) {
            break;
        }
    }
    return im->graph->status;
}
