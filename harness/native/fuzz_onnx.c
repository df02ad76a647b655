/* Fuzz target: ONNX bytes -> package -> session -> one run. What we compiled
 * ourselves must open. */
#include "fuzz.h"

#include "wasmai_compile.h"

static void compile(const uint8_t *data, size_t size, int optimize) {
    fuzz_memory memory = {0, 0};
    wai_allocator allocator = fuzz_allocator(&memory);
    wai_compile_options options = {
        .limits = {FUZZ_MEMORY / 4}, .allocator = &allocator, .optimize = optimize};
    wai_package *package;
    wai_diag diag;
    wai_status status = wai_compile(&package, (wai_bytes){data, size}, &options, &diag);
    fuzz_judge(status, &diag);
    if (status == WAI_OK) {
        status = fuzz_open_and_run(wai_package_bytes(package), &diag);
        /* A run may fail on its data (an index out of range), and only there. */
        if (status != WAI_OK && status != WAI_ERR_MALFORMED && status != WAI_ERR_ARGUMENT) {
            fuzz_crash("our own package is refused", &diag);
        }
    }
    wai_package_free(package);
    if (memory.blocks != 0) {
        fuzz_crash("memory is left allocated", &diag);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    uint8_t *copy = fuzz_copy(data, size);
    compile(copy, size, 1);
    compile(copy, size, 0);
    free(copy);
    return 0;
}
