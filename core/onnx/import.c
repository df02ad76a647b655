#include "onnx/import.h"

#include <string.h>

#include "base/limits.h"
#include "onnx/names.h"
#include "ops/emit.h"

typedef struct import {
    wai_graph *graph;
    const wai_onnx_model *model;
    const wai_compile_options *options;
    wai_names names;
    uint32_t opset;
    uint32_t problem_count;
    wai_diag first_problem;
} import;

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

/* ---- opset ---- */

#define FIRST_OPSET 1
#define LAST_OPSET  22

static wai_status find_opset(import *im) {
    im->graph->scope = "opset_import";
    for (uint32_t i = 0; i < im->model->opset_count; i++) {
        const wai_onnx_opset *opset = &im->model->opsets[i];
        if (opset->domain[0] != 0 && strcmp(opset->domain, "ai.onnx") != 0) {
            continue; /* other domains are judged node by node */
        }
        if (opset->version < FIRST_OPSET || opset->version > LAST_OPSET) {
            return wai_graph_fail(im->graph, WAI_ERR_UNSUPPORTED,
                                  "opset %lld is not supported, only %d to %d: convert the model",
                                  (long long)opset->version, FIRST_OPSET, LAST_OPSET);
        }
        im->opset = (uint32_t)opset->version;
        return WAI_OK;
    }
    /* Other domains alone (ai.onnx.ml) make a valid model, but none for us. */
    return wai_graph_fail(im->graph,
                          im->model->opset_count > 0 ? WAI_ERR_UNSUPPORTED : WAI_ERR_MALFORMED,
                          "the model names no ai.onnx opset");
}

/* ---- names ---- */

static wai_status define(import *im, const char *name, wai_value *value) {
    if (im->graph->status != WAI_OK) {
        return im->graph->status;
    }
    if (wai_names_find(&im->names, name) != NULL) {
        return wai_graph_fail(im->graph, WAI_ERR_MALFORMED, "the name %s is defined twice", name);
    }
    wai_names_add(&im->names, name, value);
    return WAI_OK;
}

static bool written_later(const import *im, const char *name, uint32_t from) {
    for (uint32_t i = from; i < im->model->node_count; i++) {
        const wai_onnx_node *node = &im->model->nodes[i];
        for (uint32_t o = 0; o < node->output_count; o++) {
            if (strcmp(node->outputs[o], name) == 0) {
                return true;
            }
        }
    }
    return false;
}

/* ---- graph inputs ---- */

static const wai_binding *find_binding(const import *im, const char *name) {
    for (size_t i = 0; i < im->options->binding_count; i++) {
        if (strcmp(im->options->bindings[i].name, name) == 0) {
            return &im->options->bindings[i];
        }
    }
    return NULL;
}

/* "input[2]" into out. */
static void axis_name(char *out, size_t size, const char *input, uint32_t axis) {
    size_t length = strlen(input);
    length = length < size - 4 ? length : size - 4;
    memcpy(out, input, length);
    out[length] = '[';
    out[length + 1] = (char)('0' + axis); /* WAI_MAX_RANK is one digit */
    out[length + 2] = ']';
    out[length + 3] = 0;
}

/* A dim that the model leaves open: as bound by the caller, by its own name or
 * by place; 1 otherwise. */
static uint32_t open_dim(import *im, const wai_onnx_io *io, uint32_t axis) {
    char by_place[WAI_MAX_NAME + 4];
    axis_name(by_place, sizeof by_place, io->name, axis);
    const char *name = io->dims[axis].name != NULL ? io->dims[axis].name : by_place;
    uint32_t value = 1;
    int bound = 0;
    for (size_t i = 0; i < im->options->dim_count; i++) {
        const wai_dim *dim = &im->options->dims[i];
        if (strcmp(dim->name, by_place) == 0 || (!bound && strcmp(dim->name, name) == 0)) {
            value = dim->value;
            bound = 1;
        }
    }
    if (im->options->on_dim != NULL) {
        im->options->on_dim(im->options->on_dim_context, name, value, bound);
    }
    return value;
}

static bool io_type(import *im, const wai_onnx_io *io, wai_type *type) {
    im->graph->scope = io->name;
    *type = (wai_type){wai_import_dtype(io->elem_type), io->rank, {0}};
    if (type->dtype == 0) {
        wai_graph_fail(im->graph, WAI_ERR_UNSUPPORTED,
                       "the graph input is not a tensor of a supported type (ONNX type %d)",
                       io->elem_type);
        return false;
    }
    if (!io->has_shape) {
        wai_graph_fail(im->graph, WAI_ERR_UNSUPPORTED,
                       "the graph input has no shape, not even a rank: export it with one");
        return false;
    }
    for (uint32_t i = 0; i < io->rank; i++) {
        int64_t dim = io->dims[i].value >= 0 ? io->dims[i].value : open_dim(im, io, i);
        if (dim > (int64_t)WAI_MAX_DIM) {
            wai_graph_fail(im->graph, WAI_ERR_LIMIT,
                           "axis %u of the graph input is %lld, more than %u", i, (long long)dim,
                           WAI_MAX_DIM);
            return false;
        }
        type->dims[i] = (uint32_t)dim;
    }
    return true;
}

static wai_value *bound_constant(import *im, const wai_binding *binding) {
    wai_type type = wai_type_make(binding->dtype, binding->rank, binding->dims);
    if (!wai_type_is_valid(&type) || wai_type_size(&type) != binding->size) {
        wai_graph_fail(im->graph, WAI_ERR_ARGUMENT,
                       "the bound constant's bytes do not fit its dims");
        return NULL;
    }
    wai_value *value = wai_emit_constant(im->graph, &type, binding->data);
    return type.dtype == WAI_F16 ? wai_emit_cast(im->graph, value, WAI_F32) : value;
}

static wai_status add_input(import *im, const wai_onnx_io *io) {
    wai_graph *g = im->graph;
    g->scope = io->name;
    const wai_name *known = wai_names_find(&im->names, io->name);
    if (known != NULL && wai_value_is_constant(known->value)) {
        return WAI_OK; /* IR version 3 lists weights as inputs */
    }
    const wai_binding *binding = find_binding(im, io->name);
    if (binding != NULL) {
        return define(im, io->name, bound_constant(im, binding));
    }
    wai_type type;
    if (!io_type(im, io, &type)) {
        return g->status;
    }
    wai_value *value = wai_graph_value(g, &type, io->name);
    if (value == NULL) {
        return g->status;
    }
    g->inputs[g->input_count++] = (wai_graph_io){io->name, value};
    return define(im, io->name, type.dtype == WAI_F16 ? wai_emit_cast(g, value, WAI_F32) : value);
}

static wai_status add_inputs(import *im) {
    wai_graph *g = im->graph;
    g->scope = "graph inputs";
    if (im->model->input_count > WAI_MAX_IO + im->model->initializer_count) {
        return wai_graph_fail(g, WAI_ERR_LIMIT, "the graph has more than %u inputs", WAI_MAX_IO);
    }
    g->inputs = wai_arena_array(g->arena, im->model->input_count + 1u, sizeof *g->inputs);
    if (g->inputs == NULL) {
        return wai_graph_fail(g, WAI_ERR_MEMORY, "out of memory in the compiler");
    }
    for (uint32_t i = 0; i < im->model->input_count && g->status == WAI_OK; i++) {
        add_input(im, &im->model->inputs[i]);
    }
    if (g->status == WAI_OK && g->input_count > WAI_MAX_IO) {
        return wai_graph_fail(g, WAI_ERR_LIMIT, "the graph has more than %u inputs", WAI_MAX_IO);
    }
    return g->status;
}

/* Every --dim must have met a dim, every binding an input. */
static wai_status check_options(import *im) {
    wai_graph *g = im->graph;
    char by_place[WAI_MAX_NAME + 4];
    for (size_t d = 0; d < im->options->dim_count && g->status == WAI_OK; d++) {
        const char *name = im->options->dims[d].name;
        bool met = false;
        for (uint32_t i = 0; i < im->model->input_count && !met; i++) {
            const wai_onnx_io *io = &im->model->inputs[i];
            for (uint32_t a = 0; a < io->rank && !met; a++) {
                axis_name(by_place, sizeof by_place, io->name, a);
                met = io->dims[a].value < 0 &&
                      (strcmp(name, by_place) == 0 ||
                       (io->dims[a].name != NULL && strcmp(name, io->dims[a].name) == 0));
            }
        }
        if (!met) {
            g->scope = name;
            wai_graph_fail(g, WAI_ERR_ARGUMENT,
                           "no open dimension of the model's inputs has this name");
        }
    }
    for (size_t b = 0; b < im->options->binding_count && g->status == WAI_OK; b++) {
        if (wai_names_find(&im->names, im->options->bindings[b].name) == NULL) {
            g->scope = im->options->bindings[b].name;
            wai_graph_fail(g, WAI_ERR_ARGUMENT,
                           "no graph input has the name of this bound constant");
        }
    }
    return g->status;
}

static wai_status add_initializers(import *im) {
    wai_graph *g = im->graph;
    for (uint32_t i = 0; i < im->model->initializer_count && g->status == WAI_OK; i++) {
        const wai_onnx_tensor *tensor = &im->model->initializers[i];
        wai_value *value = wai_import_tensor(g, tensor);
        g->scope = "initializers";
        define(im, tensor->name, value);
    }
    return g->status;
}

/* ---- nodes ---- */

static const onnx_row *find_row(const char *op_type) {
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (strcmp(rows[i].name, op_type) == 0) {
            return &rows[i];
        }
    }
    return NULL;
}

/* The node's inputs as values; *unknown when one of them could not be imported. */
static wai_value **resolve_inputs(import *im, uint32_t index, bool *unknown) {
    wai_graph *g = im->graph;
    const wai_onnx_node *node = &im->model->nodes[index];
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
        const wai_name *entry = wai_names_find(&im->names, name);
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

static wai_status check_row(import *im, const wai_onnx_node *node, const onnx_row *row) {
    wai_graph *g = im->graph;
    bool own_domain = node->domain[0] == 0 || strcmp(node->domain, "ai.onnx") == 0;
    if (!own_domain) {
        return wai_graph_fail(g, WAI_ERR_UNSUPPORTED, "operator %s of domain %s is not supported",
                              node->op_type, node->domain);
    }
    if (row == NULL) {
        return wai_graph_fail(g, WAI_ERR_UNSUPPORTED, "operator %s (opset %u) is not supported",
                              node->op_type, im->opset);
    }
    if (im->opset < row->first || im->opset > row->last) {
        return wai_graph_fail(g, WAI_ERR_UNSUPPORTED,
                              "operator %s is supported in opsets %u to %u, not %u", node->op_type,
                              row->first, row->last, im->opset);
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

static wai_status lower_node(import *im, const wai_onnx_node *node, wai_value **in,
                             wai_value **out) {
    wai_graph *g = im->graph;
    const onnx_row *row = find_row(node->op_type);
    if (check_row(im, node, row) != WAI_OK) {
        return g->status;
    }
    wai_lower l = {.graph = g,
                   .node = node,
                   .op_type = node->op_type,
                   .opset = im->opset,
                   .in = in,
                   .in_count = node->input_count,
                   .out = out,
                   .out_count = node->output_count};
    row->lower(&l);
    return g->status != WAI_OK ? g->status : check_lowered(&l);
}

static void define_outputs(import *im, const wai_onnx_node *node, wai_value **out, bool unknown) {
    for (uint32_t i = 0; i < node->output_count; i++) {
        const char *name = node->outputs[i];
        if (name[0] == 0) {
            continue;
        }
        if (define(im, name, unknown ? NULL : out[i]) != WAI_OK) {
            return;
        }
        wai_names_find(&im->names, name)->unknown = unknown;
        if (!unknown && out[i]->name == NULL) {
            out[i]->name = name;
        }
    }
}

/* In `check` mode an unsupported node is reported and import goes on. */
static bool reported(import *im) {
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

static wai_status add_node(import *im, uint32_t index) {
    wai_graph *g = im->graph;
    const wai_onnx_node *node = &im->model->nodes[index];
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
        check_row(im, node, find_row(node->op_type));
        reported(im);
    } else if (lower_node(im, node, in, out) != WAI_OK) {
        unknown = reported(im);
    }
    if (g->status == WAI_OK) {
        define_outputs(im, node, out, unknown);
    }
    return g->status;
}

/* ---- graph outputs ---- */

/* What the file declares against what was inferred. */
static wai_status check_output(import *im, const wai_onnx_io *io, const wai_type *type) {
    char text[WAI_TYPE_TEXT];
    wai_dtype declared = wai_import_dtype(io->elem_type);
    bool fits = declared == 0 || declared == type->dtype;
    fits = fits && (!io->has_shape || io->rank == type->rank);
    for (uint32_t i = 0; i < type->rank && fits && io->has_shape; i++) {
        fits = io->dims[i].value < 0 || io->dims[i].value == (int64_t)type->dims[i];
    }
    if (fits) {
        return WAI_OK;
    }
    return wai_graph_fail(
        im->graph, WAI_ERR_MALFORMED,
        "the graph output is declared with another type or shape than the %s that "
        "its node gives",
        wai_type_text(type, text));
}

static wai_status add_output(import *im, const wai_onnx_io *io) {
    wai_graph *g = im->graph;
    g->scope = io->name;
    const wai_name *entry = wai_names_find(&im->names, io->name);
    if (entry == NULL) {
        return wai_graph_fail(g, WAI_ERR_MALFORMED, "no node writes this graph output");
    }
    if (entry->unknown) {
        return WAI_OK; /* only when problems are being collected */
    }
    wai_value *value = entry->value;
    if (io->elem_type == WAI_ONNX_FLOAT16 && value->type.dtype == WAI_F32) {
        value = wai_emit_cast(g, value, WAI_F16);
    }
    if (value == NULL || check_output(im, io, &value->type) != WAI_OK) {
        return g->status;
    }
    g->outputs[g->output_count++] = (wai_graph_io){io->name, value};
    value->output_count++;
    return g->status;
}

static wai_status add_outputs(import *im) {
    wai_graph *g = im->graph;
    g->scope = "graph outputs";
    if (im->model->output_count == 0 || im->model->output_count > WAI_MAX_IO) {
        return wai_graph_fail(g, WAI_ERR_MALFORMED,
                              "the graph has %u outputs, 1 to %u are possible",
                              im->model->output_count, WAI_MAX_IO);
    }
    g->outputs = wai_arena_array(g->arena, im->model->output_count, sizeof *g->outputs);
    if (g->outputs == NULL) {
        return wai_graph_fail(g, WAI_ERR_MEMORY, "out of memory in the compiler");
    }
    for (uint32_t i = 0; i < im->model->output_count && g->status == WAI_OK; i++) {
        add_output(im, &im->model->outputs[i]);
    }
    return g->status;
}

static size_t count_names(const wai_onnx_model *model) {
    size_t count = (size_t)model->initializer_count + model->input_count;
    for (uint32_t i = 0; i < model->node_count; i++) {
        count += model->nodes[i].output_count;
    }
    return count;
}

wai_status wai_onnx_import(wai_graph *graph, const wai_onnx_model *model,
                           const wai_compile_options *options) {
import im = {.graph = graph, .model = model, .options = options };
    if (!wai_names_init(&im.names, graph->arena, count_names(model))) {
        return wai_graph_fail(graph, WAI_ERR_MEMORY, "out of memory in the compiler");
    }
    if (find_opset(&im) != WAI_OK || add_initializers(&im) != WAI_OK || add_inputs(&im) != WAI_OK ||
        check_options(&im) != WAI_OK) {
        return graph->status;
    }
    for (uint32_t i = 0; i < model->node_count; i++) {
        if (add_node(&im, i) != WAI_OK) {
            return graph->status;
        }
    }
    if (add_outputs(&im) == WAI_OK && im.problem_count > 0) {
        graph->status = im.first_problem.status;
        if (graph->diag != NULL) {
            *graph->diag = im.first_problem;
        }
    }
    return graph->status;
}
