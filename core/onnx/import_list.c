/*
 * import_list.c - graph inputs and outputs that are sequences or optionals.
 *
 * A package has tensors only. Element i of a sequence `x` is an input or output
 * named `x[i]`; how many elements an input has is a dim named `x`, fixed when
 * the model is compiled. An optional tensor keeps its name; the dim of its name
 * is 1 (it is there) or 0 (it is not, and the package has no such input). An
 * optional sequence of 0 elements is an absent one.
 */
#include <string.h>

#include "base/limits.h"
#include "onnx/importer.h"
#include "onnx/list.h"

/* As the count of every open dim that the caller leaves out. */
#define DEFAULT_COUNT 1u

bool wai_io_is_list(const wai_onnx_io *io) {
    return io->sequence || io->optional;
}

static uint32_t element_count(wai_importer *im, const wai_onnx_io *io) {
    const wai_compile_options *options = im->options;
    uint32_t count = DEFAULT_COUNT;
    int bound = 0;
    for (size_t i = 0; i < options->dim_count && !bound; i++) {
        if (strcmp(options->dims[i].name, io->name) == 0) {
            count = options->dims[i].max;
            bound = 1;
            if (options->dims[i].min < count) {
                im->graph->scope = io->name;
                wai_graph_fail(im->graph, WAI_ERR_UNSUPPORTED,
                               "the number of elements of a sequence cannot be a range");
            }
        }
    }
    if (options->on_dim != NULL) {
        options->on_dim(options->on_dim_context, io->name, count, count, bound);
    }
    return count;
}

wai_status wai_import_element(wai_importer *im, const wai_onnx_io *io, uint32_t index,
                              wai_onnx_io *out) {
    wai_graph *g = im->graph;
    const size_t length = strlen(io->name);
    char digits[10];
    size_t count = 0;
    do {
        digits[count++] = (char)('0' + index % 10);
        index /= 10;
    } while (index != 0);
    if (length + count + 2 > WAI_MAX_NAME) {
        return wai_graph_fail(g, WAI_ERR_LIMIT, "the name is longer than %u bytes", WAI_MAX_NAME);
    }
    char *name = wai_arena_alloc(g->arena, length + count + 3);
    if (name == NULL) {
        return wai_graph_fail(g, WAI_ERR_MEMORY, "out of memory in the compiler");
    }
    memcpy(name, io->name, length);
    char *p = name + length;
    *p++ = '[';
    while (count > 0) {
        *p++ = digits[--count];
    }
    *p++ = ']';
    *p = 0;
    *out = *io;
    out->name = name;
    out->sequence = out->optional = 0;
    return g->status;
}

static wai_status add_elements(wai_importer *im, const wai_onnx_io *io, uint32_t count) {
    wai_graph *g = im->graph;
    wai_value *items[WAI_MAX_IO];
    for (uint32_t i = 0; i < count; i++) {
        wai_onnx_io element;
        if (wai_import_element(im, io, i, &element) != WAI_OK) {
            return g->status;
        }
        if (!io->has_shape && wai_import_binding(im, element.name) == NULL) {
            return wai_graph_fail(g, WAI_ERR_UNSUPPORTED,
                                  "the sequence declares no shape for its elements: %s must be a "
                                  "constant",
                                  element.name);
        }
        if (wai_import_tensor_input(im, &element) != WAI_OK) {
            return g->status;
        }
        items[i] = wai_import_find(im, element.name)->value;
        g->scope = io->name;
    }
    return wai_import_define(im, io->name, wai_list_make(g, items, count));
}

wai_status wai_import_list_input(wai_importer *im, const wai_onnx_io *io) {
    wai_graph *g = im->graph;
    g->scope = io->name;
    if (io->elem_type == 0) {
        return wai_graph_fail(g, WAI_ERR_UNSUPPORTED,
                              "the graph input is a sequence or an optional of something else "
                              "than tensors");
    }
    const uint32_t count = element_count(im, io);
    if (io->optional && count == 0) {
        return wai_import_define(im, io->name, wai_list_absent(g));
    }
    if (!io->sequence && count != 1) {
        return wai_graph_fail(g, WAI_ERR_ARGUMENT,
                              "the graph input is an optional: 1 means there, 0 not, %u nothing",
                              count);
    }
    if (!io->sequence) {
        return wai_import_tensor_input(im, io);
    }
    if (wai_import_binding(im, io->name) != NULL) {
        return wai_graph_fail(g, WAI_ERR_ARGUMENT,
                              "the graph input is a sequence: bind its elements, such as %s[0]",
                              io->name);
    }
    if (count > WAI_MAX_IO - im->element_count) {
        return wai_graph_fail(g, WAI_ERR_LIMIT, "sequences have more than %u elements", WAI_MAX_IO);
    }
    im->element_count += count;
    return add_elements(im, io, count);
}

wai_status wai_import_list_output(wai_importer *im, const wai_onnx_io *io, const wai_list *list) {
    const wai_onnx_graph *graph = &im->model->graph;
    if (!wai_io_is_list(io) && io->elem_type != 0) {
        return wai_graph_fail(im->graph, WAI_ERR_MALFORMED,
                              "the graph output is declared a tensor, its node gives a sequence");
    }
    for (uint32_t i = 0; i < list->count && im->graph->status == WAI_OK; i++) {
        wai_onnx_io element;
        if (wai_import_element(im, io, i, &element) != WAI_OK) {
            break;
        }
        for (uint32_t k = 0; k < graph->output_count; k++) {
            if (strcmp(graph->outputs[k].name, element.name) == 0) {
                return wai_graph_fail(im->graph, WAI_ERR_MALFORMED,
                                      "an element has the name of another output, %s",
                                      element.name);
            }
        }
        wai_import_tensor_output(im, &element, list->items[i]);
    }
    return im->graph->status;
}
