/* dynamic.h - compile a model some of whose dims stay symbols. */
#ifndef WAI_COMPILER_DYNAMIC_H
#define WAI_COMPILER_DYNAMIC_H

#include "compiler/front.h"

/* Whether any of options->dims is a range. */
bool wai_dynamic_asked(const wai_compile_options *options);

/*
 * In place of import and passes: `graph`, which is new, becomes the model with
 * the largest dims, graph->dynamic says the rest. Every formula has been tried at
 * the ends of all ranges against the model itself.
 */
wai_status wai_dynamic_make(wai_graph *graph, const wai_onnx_model *model,
                            const wai_compile_options *options);

#endif
