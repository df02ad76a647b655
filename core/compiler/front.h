/* front.h - the front half of the pipeline, which examples of symbolic dims run
 * through several times: ONNX records -> graph -> passes. */
#ifndef WAI_FRONT_H
#define WAI_FRONT_H

#include "onnx/import.h"

/* Records to graph, and the graph's own check. */
wai_status wai_front_import(wai_graph *graph, const wai_onnx_model *model,
                            const wai_compile_options *options);

/* All passes in front of pack_weights; that one; those behind it, which open dims need last. */
wai_status wai_front_rewrite(wai_graph *graph, const wai_compile_options *options);
wai_status wai_front_pack(wai_graph *graph, const wai_compile_options *options);
wai_status wai_front_choose(wai_graph *graph, const wai_compile_options *options);

#endif
