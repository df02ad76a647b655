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

/* All initializers, all nodes of the innermost scope's graph. */
wai_status wai_import_initializers(wai_importer *im);
wai_status wai_import_nodes(wai_importer *im);

#endif
