/* Fuzz target: the ONNX reader alone, which is all that nanopb sees: every record of a
 * file, the graphs in its attributes, and the elements of its tensors. */
#include "fuzz_onnx.h"

#include "onnx/import.h"
#include "onnx/read.h"

enum { MOST_ELEMENTS = 1 << 16 };

typedef struct target {
    wai_onnx_model model;
    wai_arena arena;
    wai_diag diag;
} target;

/* As import does it: so many bytes as type and dims say, in a block of that size. */
static void read_elements(target *t, const wai_onnx_tensor *tensor) {
    wai_type type = {wai_import_dtype(tensor->data_type), tensor->rank, {0}};
    uint64_t count = 1;
    for (uint32_t i = 0; i < tensor->rank; i++) {
        const int64_t dim = tensor->dims[i];
        count = dim >= 0 && dim <= MOST_ELEMENTS ? count * (uint64_t)dim : MOST_ELEMENTS + 1;
        if (count > MOST_ELEMENTS) {
            return;
        }
        type.dims[i] = (uint32_t)dim;
    }
    if (type.dtype == 0 || tensor->external) {
        return;
    }
    const size_t size = (size_t)wai_type_size(&type);
    uint8_t *out = malloc(size + 1); /* malloc(0) may be NULL */
    if (out != NULL) {
        fuzz_judge(wai_onnx_tensor_data(tensor, out, size, &t->diag), &t->diag);
        wai_diag_clear(&t->diag);
    }
    free(out);
}

static void read_graph(target *t, const wai_onnx_graph *graph, uint32_t depth);

static void read_attribute(target *t, const wai_onnx_attr *attr, uint32_t depth) {
    if (attr->tensor != NULL) {
        read_elements(t, attr->tensor);
    }
    if (attr->graph.data != NULL && depth < WAI_MAX_BODY_DEPTH) {
        wai_onnx_graph body;
        const wai_status status =
            wai_onnx_read_graph(&body, attr->graph, &t->model, &t->arena, &t->diag);
        fuzz_judge(status, &t->diag);
        wai_diag_clear(&t->diag);
        if (status == WAI_OK) {
            read_graph(t, &body, depth + 1);
        }
    }
}

static void read_graph(target *t, const wai_onnx_graph *graph, uint32_t depth) {
    for (uint32_t i = 0; i < graph->initializer_count; i++) {
        read_elements(t, &graph->initializers[i]);
    }
    for (uint32_t i = 0; i < graph->node_count; i++) {
        for (uint32_t k = 0; k < graph->nodes[i].attr_count; k++) {
            read_attribute(t, &graph->nodes[i].attrs[k], depth);
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    fuzz_memory memory = {0, 0};
    const wai_allocator allocator = fuzz_allocator(&memory);
    uint8_t *copy = fuzz_copy(data, size);
    target t;
    wai_arena_init(&t.arena, &allocator, FUZZ_MEMORY);
    wai_diag_clear(&t.diag);
    const wai_status status = wai_onnx_read(&t.model, (wai_bytes){copy, size}, &t.arena, &t.diag);
    fuzz_judge(status, &t.diag);
    if (status == WAI_OK) {
        read_graph(&t, &t.model.graph, 0);
    }
    wai_arena_free(&t.arena);
    fuzz_assert_freed(&memory, &t.diag);
    free(copy);
    return 0;
}
