#include "compiler/front.h"

#include "compiler/fold.h"
#include "passes/pass.h"

static void show_stage(wai_graph *graph, const wai_compile_options *options, const char *stage) {
    if (options->on_stage != NULL && graph->status == WAI_OK) {
        const char *text = wai_graph_dump(graph);
        options->on_stage(options->on_stage_context, stage, text != NULL ? text : "");
    }
}

wai_status wai_front_import(wai_graph *graph, const wai_onnx_model *model,
                            const wai_compile_options *options) {
    graph->fold = wai_fold_node;
    graph->round_weights = options->quantize == WAI_QUANTIZE_F16;
    graph->half_weights = graph->round_weights;
    graph->winograd = options->winograd;
    wai_onnx_import(graph, model, options);
    show_stage(graph, options, "import");
    return wai_graph_check(graph);
}

static wai_status run_passes(wai_graph *graph, const wai_compile_options *options, size_t from,
                             size_t to) {
    for (size_t i = from; i < to; i++) {
        const wai_pass *pass = &wai_passes[i];
        if (!options->optimize && !pass->always) {
            continue;
        }
        graph->cursor = NULL;
        graph->scope = pass->name;
        graph->guard = NULL;
        wai_status status = pass->run(graph);
        graph->cursor = NULL;
        if (status != WAI_OK || (status = wai_graph_check(graph)) != WAI_OK) {
            return status;
        }
        show_stage(graph, options, pass->name);
    }
    return WAI_OK;
}

static size_t packing(void) {
    size_t i = 0;
    while (wai_passes[i].run != wai_pass_pack_weights) {
        i++;
    }
    return i;
}

wai_status wai_front_rewrite(wai_graph *graph, const wai_compile_options *options) {
    return run_passes(graph, options, 0, packing());
}

wai_status wai_front_pack(wai_graph *graph, const wai_compile_options *options) {
    return run_passes(graph, options, packing(), packing() + 1);
}

wai_status wai_front_choose(wai_graph *graph, const wai_compile_options *options) {
    return run_passes(graph, options, packing() + 1, wai_pass_count);
}
