/*
 * importer.h - what the files of import share: the state of one import, and
 * the names that a graph's nodes can see.
 */
#ifndef WAI_ONNX_IMPORTER_H
#define WAI_ONNX_IMPORTER_H

#include "onnx/import.h"
#include "onnx/names.h"

/* The names of one graph; those of the graphs around it are visible too. */
typedef struct wai_scope {
    const wai_onnx_graph *graph;
    struct wai_scope *outer; /* NULL: this is the model's graph             */
    wai_names names;
} wai_scope;

typedef struct wai_importer {
    wai_graph *graph;
    const wai_onnx_model *model;
    const wai_compile_options *options;
    wai_scope *scope; /* the innermost                                      */
    uint32_t depth;   /* bodies around the nodes that are imported now      */
    uint32_t body_work;
    uint32_t element_count; /* of the graph inputs that are sequences       */
    uint32_t opset;
    uint32_t problem_count;
    wai_diag first_problem;
} wai_importer;

/* Make *scope, with room for `graph`'s names, the innermost. */
wai_status wai_scope_open(wai_importer *im, wai_scope *scope, const wai_onnx_graph *graph);
void wai_scope_close(wai_importer *im);

/* The entry of `name` in the innermost scope that has it, or NULL. */
wai_name *wai_import_find(const wai_importer *im, const char *name);

/* Names of the innermost scope are written once. */
wai_status wai_import_define(wai_importer *im, const char *name, wai_value *value);

/* The constant that the caller gives for a graph input, or NULL. */
const wai_binding *wai_import_binding(const wai_importer *im, const char *name);

/* One input or output of the package. */
wai_status wai_import_tensor_input(wai_importer *im, const wai_onnx_io *io);
wai_status wai_import_tensor_output(wai_importer *im, const wai_onnx_io *io, wai_value *value);

/* Graph inputs and outputs that are sequences or optionals: import_list.c. */
struct wai_list;
bool wai_io_is_list(const wai_onnx_io *io);
wai_status wai_import_list_input(wai_importer *im, const wai_onnx_io *io);
wai_status wai_import_list_output(wai_importer *im, const wai_onnx_io *io,
                                  const struct wai_list *list);
/* Element `index` of a sequence, as an input or output of its own. */
wai_status wai_import_element(wai_importer *im, const wai_onnx_io *io, uint32_t index,
                              wai_onnx_io *out);

/* All initializers, all nodes of the innermost scope's graph. */
wai_status wai_import_initializers(wai_importer *im);
wai_status wai_import_nodes(wai_importer *im);

#endif
