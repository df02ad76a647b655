/* Fuzz target: ONNX bytes -> package -> session -> runs. What we compiled ourselves
 * must open. Dims that the model leaves open are then ranges. */
#include "fuzz_onnx.h"

enum { MOST_NAMES = 4, NAME_SIZE = 64 };

/* Names of open dims, as the compiler tells them. */
typedef struct open_dims {
    char names[MOST_NAMES][NAME_SIZE];
    wai_dim dims[MOST_NAMES];
    size_t count;
} open_dims;

static void note_dim(void *context, const char *name, uint32_t min, uint32_t max, int bound) {
    open_dims *open = context;
    (void)min;
    (void)max;
    bool known = bound != 0 || open->count == MOST_NAMES || strlen(name) >= NAME_SIZE;
    for (size_t i = 0; i < open->count && !known; i++) {
        known = strcmp(open->names[i], name) == 0;
    }
    if (!known) {
        strcpy(open->names[open->count], name);
        open->dims[open->count] = (wai_dim){open->names[open->count], 1, 9};
        open->count++;
    }
}

static void compile(const uint8_t *data, size_t size, int optimize, const open_dims *given,
                    open_dims *found) {
    fuzz_memory memory = {0, 0};
    wai_allocator allocator = fuzz_allocator(&memory);
    wai_compile_options options = {.limits = {FUZZ_MEMORY / 4},
                                   .allocator = &allocator,
                                   .optimize = optimize,
                                   .dims = given->dims,
                                   .dim_count = given->count,
                                   .on_dim = note_dim,
                                   .on_dim_context = found};
    wai_package *package;
    wai_diag diag;
    wai_status status = wai_compile(&package, (wai_bytes){data, size}, &options, &diag);
    fuzz_judge(status, &diag);
    if (status == WAI_OK) {
        fuzz_run_own(package);
    }
    wai_package_free(package);
    fuzz_assert_freed(&memory, &diag);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    uint8_t *copy = fuzz_copy(data, size);
    open_dims none = {.count = 0}, open = {.count = 0};
    compile(copy, size, 0, &none, &open);
    compile(copy, size, 1, &none, &none);
    none.count = 0;
    if (open.count != 0) {
        compile(copy, size, 1, &open, &none);
    }
    free(copy);
    return 0;
}
