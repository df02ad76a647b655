#include "onnx/import.h"

#include <string.h>

#include "base/limits.h"
#include "onnx/importer.h"
#include "onnx/list.h"
#include "ops/emit.h"

/* ---- opset ---- */

#define FIRST_OPSET 1
#define LAST_OPSET  23

static wai_status find_opset(wai_importer *im) {
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
    /* Other domains alone (ai.onnx.ml) make a valid model: opset 0 has no operators. */
    return im->model->opset_count > 0
               ? WAI_OK
               : wai_graph_fail(im->graph, WAI_ERR_MALFORMED, "the model names no opset");
}

/* ---- graph inputs ---- */

const wai_binding *wai_import_binding(const wai_importer *im, const char *name) {
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
 * by place; 1 otherwise. A symbolic one is noted and has its largest value. */
static uint32_t open_dim(wai_importer *im, const wai_onnx_io *io, uint32_t axis) {
    static const wai_dim one = {NULL, 1, 1};
    wai_graph *g = im->graph;
    char by_place[WAI_MAX_NAME + 4];
    axis_name(by_place, sizeof by_place, io->name, axis);
    const char *name = io->dims[axis].name != NULL ? io->dims[axis].name : by_place;
    const wai_dim *found = NULL;
    for (size_t i = 0; i < im->options->dim_count; i++) {
        const wai_dim *dim = &im->options->dims[i];
        if (strcmp(dim->name, by_place) == 0 || (found == NULL && strcmp(dim->name, name) == 0)) {
            found = dim;
        }
    }
    const wai_dim *dim = found != NULL ? found : &one;
    if (im->options->on_dim != NULL) {
        im->options->on_dim(im->options->on_dim_context, name, dim->min, dim->max, found != NULL);
    }
    if (found != NULL) {
        g->open_axes[g->open_axis_count++] =
            (wai_open_axis){g->input_count, axis, (uint32_t)(found - im->options->dims)};
    }
    return dim->max;
}

static bool io_type(wai_importer *im, const wai_onnx_io *io, wai_type *type) {
    im->graph->scope = io->name;
    *type = (wai_type){wai_import_dtype(io->elem_type), io->rank, {0}};
    if (type->dtype == 0) {
        wai_graph_fail(im->graph, WAI_ERR_UNSUPPORTED,
                       "the graph input is not a tensor of a supported type (ONNX type %d, %s)",
                       io->elem_type, wai_import_type_name(io->elem_type));
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

static wai_value *bound_constant(wai_importer *im, const wai_binding *binding) {
    wai_type type = wai_type_make(binding->dtype, binding->rank, binding->dims);
    if (!wai_type_is_valid(&type) || wai_type_size(&type) != binding->size) {
        wai_graph_fail(im->graph, WAI_ERR_ARGUMENT,
                       "the bound constant's bytes do not fit its dims");
        return NULL;
    }
    wai_value *value = wai_emit_constant(im->graph, &type, binding->data);
    return wai_emit_cast(im->graph, value, wai_dtype_computed(type.dtype));
}

wai_status wai_import_tensor_input(wai_importer *im, const wai_onnx_io *io) {
    wai_graph *g = im->graph;
    g->scope = io->name;
    const wai_name *known = wai_import_find(im, io->name);
    if (known != NULL && wai_value_is_constant(known->value)) {
        return WAI_OK; /* IR version 3 lists weights as inputs */
    }
    const wai_binding *binding = wai_import_binding(im, io->name);
    if (binding != NULL) {
        return wai_import_define(im, io->name, bound_constant(im, binding));
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
    return wai_import_define(im, io->name, wai_emit_cast(g, value, wai_dtype_computed(type.dtype)));
}

static wai_status add_inputs(wai_importer *im) {
    wai_graph *g = im->graph;
    g->scope = "graph inputs";
    if (im->model->graph.input_count > WAI_MAX_IO + im->model->graph.initializer_count) {
        return wai_graph_fail(g, WAI_ERR_LIMIT, "the graph has more than %u inputs", WAI_MAX_IO);
    }
    uint32_t most = im->model->graph.input_count + WAI_MAX_IO;
    g->inputs = wai_arena_array(g->arena, most, sizeof *g->inputs);
    g->open_axes = wai_arena_array(g->arena, (size_t)most * WAI_MAX_RANK, sizeof *g->open_axes);
    if (g->inputs == NULL || g->open_axes == NULL) {
        return wai_graph_fail(g, WAI_ERR_MEMORY, "out of memory in the compiler");
    }
    for (uint32_t i = 0; i < im->model->graph.input_count && g->status == WAI_OK; i++) {
        const wai_onnx_io *io = &im->model->graph.inputs[i];
        wai_io_is_list(io) ? wai_import_list_input(im, io) : wai_import_tensor_input(im, io);
    }
    if (g->status == WAI_OK && g->input_count > WAI_MAX_IO) {
        return wai_graph_fail(g, WAI_ERR_LIMIT, "the graph has more than %u inputs", WAI_MAX_IO);
    }
    return g->status;
}

/* Does `name` mean an open dim of this input, or of this element of one? */
static bool names_dim(const wai_onnx_io *io, const char *name) {
    char by_place[WAI_MAX_NAME + 4];
    bool met = false;
    for (uint32_t a = 0; a < io->rank && !met; a++) {
        axis_name(by_place, sizeof by_place, io->name, a);
        met = io->dims[a].value < 0 &&
              (strcmp(name, by_place) == 0 ||
               (io->dims[a].name != NULL && strcmp(name, io->dims[a].name) == 0));
    }
    return met;
}

static bool names_list_dim(wai_importer *im, const wai_onnx_io *io, const char *name) {
    bool met = strcmp(name, io->name) == 0 || names_dim(io, name);
    const wai_list *list = wai_list_of(wai_import_find(im, io->name)->value);
    for (uint32_t i = 0; list != NULL && i < list->count && !met; i++) {
        wai_onnx_io element;
        met = wai_import_element(im, io, i, &element) == WAI_OK && names_dim(&element, name);
    }
    return met;
}

/* Every --dim must have met a dim, every binding an input. */
static wai_status check_options(wai_importer *im) {
    wai_graph *g = im->graph;
    for (size_t d = 0; d < im->options->dim_count && g->status == WAI_OK; d++) {
        const char *name = im->options->dims[d].name;
        bool met = false;
        for (uint32_t i = 0; i < im->model->graph.input_count && !met; i++) {
            const wai_onnx_io *io = &im->model->graph.inputs[i];
            met = wai_io_is_list(io) ? names_list_dim(im, io, name) : names_dim(io, name);
        }
        if (!met) {
            g->scope = name;
            wai_graph_fail(g, WAI_ERR_ARGUMENT,
                           "no open dimension of the model's inputs has this name");
        }
    }
    for (size_t b = 0; b < im->options->binding_count && g->status == WAI_OK; b++) {
        if (wai_import_find(im, im->options->bindings[b].name) == NULL) {
            g->scope = im->options->bindings[b].name;
            wai_graph_fail(g, WAI_ERR_ARGUMENT,
                           "no graph input has the name of this bound constant");
        }
    }
    return g->status;
}

/* ---- graph outputs ---- */

/* What the file declares against what was inferred. */
static wai_status check_output(wai_importer *im, const wai_onnx_io *io, const wai_type *type) {
    char text[WAI_TYPE_TEXT];
    wai_dtype declared = wai_import_dtype(io->elem_type);
    bool fits = declared == 0 || declared == type->dtype;
    fits = fits && (!io->has_shape || io->rank == type->rank);
    /* Dims that depend on values are bounds here. */
    const bool exact = im->graph->data_node_count == 0;
    for (uint32_t i = 0; i < type->rank && fits && io->has_shape && exact; i++) {
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

wai_status wai_import_tensor_output(wai_importer *im, const wai_onnx_io *io, wai_value *value) {
    wai_graph *g = im->graph;
    wai_dtype declared = wai_import_dtype(io->elem_type);
    if (wai_dtype_computed(declared) == value->type.dtype) {
        value = wai_emit_cast(g, value, declared);
    }
    if (value == NULL || check_output(im, io, &value->type) != WAI_OK) {
        return g->status;
    }
    if (g->output_count == WAI_MAX_IO) {
        return wai_graph_fail(g, WAI_ERR_LIMIT, "the graph has more than %u outputs", WAI_MAX_IO);
    }
    g->outputs[g->output_count++] = (wai_graph_io){io->name, value};
    value->output_count++;
    return g->status;
}

static wai_status add_output(wai_importer *im, const wai_onnx_io *io) {
    wai_graph *g = im->graph;
    g->scope = io->name;
    const wai_name *entry = wai_import_find(im, io->name);
    if (entry == NULL) {
        return wai_graph_fail(g, WAI_ERR_MALFORMED, "no node writes this graph output");
    }
    if (entry->unknown) {
        return WAI_OK; /* only when problems are being collected */
    }
    const wai_list *list = wai_list_of(entry->value);
    if (list != NULL) {
        return wai_import_list_output(im, io, list);
    }
    if (io->sequence) {
        return wai_graph_fail(g, WAI_ERR_MALFORMED,
                              "the graph output is declared a sequence, its node gives a tensor");
    }
    return wai_import_tensor_output(im, io, entry->value);
}

static wai_status add_outputs(wai_importer *im) {
    wai_graph *g = im->graph;
    g->scope = "graph outputs";
    if (im->model->graph.output_count == 0 || im->model->graph.output_count > WAI_MAX_IO) {
        return wai_graph_fail(g, WAI_ERR_MALFORMED,
                              "the graph has %u outputs, 1 to %u are possible",
                              im->model->graph.output_count, WAI_MAX_IO);
    }
    g->outputs = wai_arena_array(g->arena, WAI_MAX_IO, sizeof *g->outputs);
    if (g->outputs == NULL) {
        return wai_graph_fail(g, WAI_ERR_MEMORY, "out of memory in the compiler");
    }
    for (uint32_t i = 0; i < im->model->graph.output_count && g->status == WAI_OK; i++) {
        add_output(im, &im->model->graph.outputs[i]);
    }
    if (g->status == WAI_OK && g->output_count == 0 && im->problem_count == 0) {
        return wai_graph_fail(g, WAI_ERR_UNSUPPORTED,
                              "the graph gives nothing: its sequences and optionals are empty");
    }
    return g->status;
}

wai_status wai_onnx_import(wai_graph *graph, const wai_onnx_model *model,
                           const wai_compile_options *options) {
    wai_importer im = {.graph = graph, .model = model, .options = options};
    wai_scope scope;
    if (wai_scope_open(&im, &scope, &model->graph) != WAI_OK || find_opset(&im) != WAI_OK ||
        wai_import_initializers(&im) != WAI_OK || add_inputs(&im) != WAI_OK ||
        check_options(&im) != WAI_OK || wai_import_nodes(&im) != WAI_OK) {
        return graph->status;
    }
    if (add_outputs(&im) == WAI_OK && im.problem_count > 0) {
        graph->status = im.first_problem.status;
        if (graph->diag != NULL) {
            *graph->diag = im.first_problem;
        }
    }
    return graph->status;
}
