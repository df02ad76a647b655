/*
 * wai_compile: the pipeline in order and nothing else.
 *
 *   read -> import -> passes -> plan -> write -> measure -> seal
 */
#include <string.h>

#include "base/limits.h"
#include "base/sha384.h"
#include "compiler/dynamic.h"
#include "compiler/front.h"
#include "onnx/read.h"
#include "package/seal.h"
#include "package/write.h"
#include "plan/plan.h"
#include "runtime/xnn.h"
#include "wasmai_compile.h"

struct wai_package {
    wai_arena arena; /* holds everything, this struct included              */
    wai_bytes bytes;
};

static void show_plan(const wai_plan *plan, const wai_graph *graph,
                      const wai_compile_options *options) {
    if (options->on_stage != NULL) {
        const char *text = wai_plan_dump(plan, graph);
        options->on_stage(options->on_stage_context, "plan", text != NULL ? text : "");
    }
}

/* The graph at the numbers that options give; the largest ones of ranges. When
 * dims are to stay open, that was a look at the model, and a new graph has them. */
static wai_status make_graph(wai_graph *graph, wai_bytes onnx, const wai_compile_options *options) {
    wai_onnx_model model;
    graph->status = wai_onnx_read(&model, onnx, graph->arena, graph->diag);
    if (graph->status != WAI_OK || wai_front_import(graph, &model, options) != WAI_OK) {
        return graph->status;
    }
    if (!wai_dynamic_asked(options) && graph->data_node_count == 0) {
        return wai_front_rewrite(graph, options) == WAI_OK &&
                       wai_front_pack(graph, options) == WAI_OK
                   ? wai_front_choose(graph, options)
                   : graph->status;
    }
    const uint64_t param_count = graph->param_count;
    wai_graph_init(graph, graph->arena, graph->diag);
    wai_dynamic_make(graph, &model, options);
    graph->param_count = param_count;
    graph->winograd = options->winograd;
    return graph->status == WAI_OK ? wai_front_choose(graph, options) : graph->status;
}

static uint64_t count_flops(const wai_graph *graph) {
    uint64_t total = 0;
    for (const wai_node *node = graph->first; node != NULL; node = node->next) {
        total += wai_node_flops(node);
    }
    return total;
}

/* ---- measure: what a session of this package takes ---- */

typedef struct meter {
    const wai_allocator *real;
    uint64_t now, peak;
} meter;

#define METER_HEADER WAI_ALIGN

static void *metered_alloc(void *context, size_t size, size_t align) {
    meter *m = context;
    uint8_t *block = size <= SIZE_MAX - METER_HEADER
                         ? m->real->alloc(m->real->context, size + METER_HEADER, align)
                         : NULL;
    if (block == NULL) {
        return NULL;
    }
    memcpy(block, &size, sizeof size);
    m->now += size;
    m->peak = m->now > m->peak ? m->now : m->peak;
    return block + METER_HEADER;
}

static void metered_free(void *context, void *pointer) {
    meter *m = context;
    uint8_t *block = (uint8_t *)pointer - METER_HEADER;
    size_t size;
    memcpy(&size, block, sizeof size);
    m->now -= size;
    m->real->free(m->real->context, block);
}

/*
 * Open a session and note the most it held. The compiler that is shipped is
 * wasm32 like the runtime, and pools ask for whole multiples of 64, so the
 * figure is exact there; natively pointers are wider and it errs upwards.
 */
static wai_status measure(wai_graph *graph, wai_bytes package, wai_certificate *certificate) {
    meter m = {graph->arena->allocator, 0, 0};
    wai_allocator allocator = {&m, metered_alloc, metered_free};
    wai_options options = {.allocator = &allocator};
    wai_session *session;
    graph->status = wai_session_open(&session, package, &options, graph->diag);
    wai_session_close(session);
    certificate->state_size = m.peak - certificate->arena_size;
    uint64_t rounded_package =
        (certificate->package_size + WAI_ALIGN - 1) & ~(uint64_t)(WAI_ALIGN - 1);
    certificate->peak_size = WAI_RUNTIME_SIZE + rounded_package + m.peak;
    return graph->status;
}

/* `least` is "" or, while not all is measured, what makes it a lower bound. */
static wai_status check_peak(wai_graph *graph, const wai_certificate *c,
                             const wai_compile_options *options, const char *least) {
    uint64_t limit = options->limits.max_memory != 0 && options->limits.max_memory < WAI_MAX_MEMORY
                         ? options->limits.max_memory
                         : WAI_MAX_MEMORY;
    if (c->peak_size > limit) {
        graph->scope = "memory";
        return wai_graph_fail(
            graph, WAI_ERR_LIMIT,
            "the model needs %s%llu bytes of memory (%llu weights and code, %llu tensors, "
            "%llu state), the limit is %llu",
            least, (unsigned long long)c->peak_size, (unsigned long long)c->package_size,
            (unsigned long long)c->arena_size, (unsigned long long)c->state_size,
            (unsigned long long)limit);
    }
    return WAI_OK;
}

static wai_status build(wai_graph *graph, wai_bytes onnx, const wai_compile_options *options,
                        wai_bytes *out) {
    wai_plan plan;
    wai_writer writer;
    wai_certificate certificate = {.layout = wai_xnn_layout()};
    wai_sha384(certificate.source_digest, onnx.data, onnx.size);
    if (make_graph(graph, onnx, options) != WAI_OK || wai_plan_make(&plan, graph) != WAI_OK) {
        return graph->status;
    }
    show_plan(&plan, graph, options);
    certificate.param_count = graph->param_count;
    certificate.flop_count = count_flops(graph);
    if (wai_package_write(&writer, graph, &plan, &certificate) != WAI_OK) {
        return graph->status;
    }
    wai_bytes package = {writer.data, writer.size};
    wai_package_state(writer.data, &certificate);
    /* Before it is opened, which takes all that memory. */
    certificate.peak_size = certificate.package_size + certificate.arena_size;
    if (check_peak(graph, &certificate, options, "at least ") != WAI_OK) {
        return graph->status;
    }
    if (measure(graph, package, &certificate) != WAI_OK ||
        check_peak(graph, &certificate, options, "") != WAI_OK) {
        return graph->status;
    }
    wai_package_seal(writer.data, &certificate);
    *out = package;
    return WAI_OK;
}

wai_status wai_compile(wai_package **out, wai_bytes onnx, const wai_compile_options *options,
                       wai_diag *diag) {
    static const wai_compile_options defaults = {.optimize = 1};
    wai_diag own_diag; /* collecting problems needs one */
    diag = diag != NULL ? diag : &own_diag;
    wai_diag_clear(diag);
    if (out == NULL || (onnx.data == NULL && onnx.size != 0)) {
        return wai_fail(diag, WAI_ERR_ARGUMENT, "wai_compile", "an argument is NULL");
    }
    *out = NULL;
    options = options != NULL ? options : &defaults;
    wai_arena arena;
    wai_graph graph;
    wai_arena_init(&arena, options->allocator, WAI_MAX_COMPILE_MEMORY);
    wai_graph_init(&graph, &arena, diag);
    wai_bytes bytes = {NULL, 0};
    wai_status status = build(&graph, onnx, options, &bytes);
    wai_package *package = status == WAI_OK ? wai_arena_alloc(&arena, sizeof *package) : NULL;
    if (package == NULL) {
        wai_arena_free(&arena);
        return status != WAI_OK ? status
                                : wai_fail(diag, WAI_ERR_MEMORY, "compiler", "out of memory");
    }
    package->arena = arena;
    package->bytes = bytes;
    *out = package;
    return WAI_OK;
}

wai_bytes wai_package_bytes(const wai_package *package) {
    return package->bytes;
}

void wai_package_free(wai_package *package) {
    if (package != NULL) {
        wai_arena arena = package->arena; /* it holds the package itself */
        wai_arena_free(&arena);
    }
}
