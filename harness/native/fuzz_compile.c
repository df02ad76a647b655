/*
 * Fuzz target: a compilation with options drawn from the first bytes of the input:
 * passes, Winograd's method, float16 weights, ranges of dims, constant inputs, limits, text of
 * every stage, and an allocation that fails. Then a session of what came out.
 */
enum { OPTIONS = 8 };
#define FUZZ_HEAD ((size_t)OPTIONS)
#include "fuzz_onnx.h"

#include "onnx/import.h"
#include "onnx/read.h"

enum { MOST_DIMS = 8, MOST_ELEMENTS = 4096 };

/* What the first bytes say. */
enum { FLAGS, RANGE, LOOPS, MEMORY, FAIL_LOW, FAIL_HIGH, BOUND, NUMBERS };
enum {
    OPTIMIZE = 1,
    HALVES = 2,
    PROBLEMS = 4,
    STAGES = 8,
    OPEN_DIMS = 16,
    BIND = 32,
    FAIL = 64,
    WINOGRAD = 128
};

typedef struct failing {
    fuzz_memory memory;
    uint32_t left; /* allocations that succeed                               */
    bool failed;
} failing;

static void *failing_alloc(void *context, size_t size, size_t align) {
    failing *f = context;
    if (f->left-- == 0) {
        f->left = 0; /* and so do all behind it */
        f->failed = true;
        return NULL;
    }
    return fuzz_alloc(&f->memory, size, align);
}

static void failing_free(void *context, void *pointer) {
    fuzz_free(&((failing *)context)->memory, pointer);
}

/* Text that is told must be text. */
static void read_text(const char *text) {
    static volatile size_t sink;
    sink = strlen(text);
    (void)sink;
}

static void on_stage(void *context, const char *stage, const char *text) {
    (void)context;
    read_text(stage);
    read_text(text);
}

static void on_problem(void *context, const wai_diag *problem) {
    (void)context;
    fuzz_judge(problem->status, problem);
    read_text(problem->where);
}

static void on_loop(void *context, const char *node, uint32_t iterations) {
    (void)context;
    (void)iterations;
    read_text(node);
}

/* A constant for a graph input, where its type is plain. */
static bool bind(wai_binding *binding, const wai_onnx_io *io, const uint8_t *options) {
    wai_type type = {wai_import_dtype(io->elem_type), io->rank, {0}};
    uint64_t count = 1;
    *binding = (wai_binding){.name = io->name, .dtype = type.dtype, .rank = io->rank};
    for (uint32_t i = 0; i < io->rank && count <= MOST_ELEMENTS; i++) {
        const int64_t dim = io->dims[i].name != NULL ? options[NUMBERS] % 5 : io->dims[i].value;
        binding->dims[i] = type.dims[i] =
            dim >= 0 && dim <= MOST_ELEMENTS ? (uint32_t)dim : MOST_ELEMENTS + 1;
        count *= type.dims[i];
    }
    if (type.dtype == 0 || io->sequence || count > MOST_ELEMENTS) {
        return false;
    }
    binding->size = (size_t)wai_type_size(&type);
    uint8_t *data = malloc(binding->size + 1);
    for (size_t i = 0; data != NULL && i < binding->size; i++) {
        data[i] = i % 4 == 0 ? options[NUMBERS] & 3 : 0;
    }
    binding->data = data;
    return data != NULL;
}

/* Symbols of the inputs, each with a range. */
static size_t open_dims(wai_dim dims[MOST_DIMS], const wai_onnx_graph *graph,
                        const uint8_t *options) {
    size_t count = 0;
    for (uint32_t i = 0; i < graph->input_count; i++) {
        for (uint32_t k = 0; k < graph->inputs[i].rank && count < MOST_DIMS; k++) {
            const char *name = graph->inputs[i].dims[k].name;
            const uint32_t low = options[RANGE] & 15, high = low + (options[RANGE] >> 4);
            if (name != NULL) {
                dims[count] = (wai_dim){name, low, (count & 1) == 0 ? high : low};
                count++;
            }
        }
    }
    return count;
}

typedef struct request {
    wai_compile_options options;
    wai_dim dims[MOST_DIMS];
    wai_binding binding;
} request;

static void make_request(request *r, const uint8_t *head, const wai_onnx_graph *graph) {
    static const uint64_t memory[] = {0, 1, 1 << 16, 1 << 20, 1 << 23, FUZZ_MEMORY / 4};
    wai_compile_options *o = &r->options;
    *r = (request){0};
    o->limits.max_memory = memory[head[MEMORY] % (sizeof memory / sizeof memory[0])];
    o->limits.max_memory = o->limits.max_memory != 0 ? o->limits.max_memory : FUZZ_MEMORY / 4;
    o->optimize = (head[FLAGS] & OPTIMIZE) != 0;
    o->quantize = (head[FLAGS] & HALVES) != 0 ? WAI_QUANTIZE_F16 : WAI_QUANTIZE_NONE;
    if ((head[FLAGS] & WINOGRAD) != 0) {
        o->winograd = (head[NUMBERS] & 1) != 0 ? WAI_WINOGRAD_2 : WAI_WINOGRAD_4;
    }
    o->on_problem = (head[FLAGS] & PROBLEMS) != 0 ? on_problem : NULL;
    o->on_stage = (head[FLAGS] & STAGES) != 0 ? on_stage : NULL;
    o->on_loop = on_loop;
    o->max_iterations = head[LOOPS] % 16 == 15 ? 1025 : head[LOOPS] % 16;
    if (graph != NULL && (head[FLAGS] & OPEN_DIMS) != 0) {
        o->dims = r->dims;
        o->dim_count = open_dims(r->dims, graph, head);
    }
    if (graph != NULL && (head[FLAGS] & BIND) != 0 && graph->input_count > 0 &&
        bind(&r->binding, &graph->inputs[head[BOUND] % graph->input_count], head)) {
        o->bindings = &r->binding;
        o->binding_count = 1;
    }
}

static void compile(wai_bytes onnx, const uint8_t *head, const wai_onnx_graph *graph) {
    request r;
    make_request(&r, head, graph);
    failing f = {{0, 0}, UINT32_MAX, false};
    if ((head[FLAGS] & FAIL) != 0) {
        f.left = head[FAIL_LOW] + 256u * (head[FAIL_HIGH] & 7);
    }
    const wai_allocator allocator = {&f, failing_alloc, failing_free};
    r.options.allocator = &allocator;
    wai_package *package;
    wai_diag diag;
    const wai_status status = wai_compile(&package, onnx, &r.options, &diag);
    fuzz_judge(status, &diag);
    if (status == WAI_OK && !f.failed) {
        fuzz_run_own(package);
    }
    wai_package_free(package);
    fuzz_assert_freed(&f.memory, &diag);
    free((void *)(uintptr_t)r.binding.data);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < OPTIONS) {
        return 0;
    }
    uint8_t *copy = fuzz_copy(data + OPTIONS, size - OPTIONS);
    const wai_bytes onnx = {copy, size - OPTIONS};
    wai_arena arena;
    wai_onnx_model model;
    wai_arena_init(&arena, NULL, FUZZ_MEMORY);
    const bool known = wai_onnx_read(&model, onnx, &arena, NULL) == WAI_OK;
    compile(onnx, data, known ? &model.graph : NULL);
    wai_arena_free(&arena);
    free(copy);
    return 0;
}
