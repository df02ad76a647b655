/* fuzz_onnx.h - what the targets share whose input is an ONNX file. */
#ifndef WAI_FUZZ_ONNX_H
#define WAI_FUZZ_ONNX_H

#include "fuzz.h"
#include "mutate_onnx.h"

#include "wasmai_compile.h"

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed);
size_t LLVMFuzzerCustomCrossOver(const uint8_t *a, size_t a_size, const uint8_t *b, size_t b_size,
                                 uint8_t *out, size_t max_size, unsigned seed);

/* Of inputs that have FUZZ_HEAD bytes of options before the file. */
#ifndef FUZZ_HEAD
#define FUZZ_HEAD 0u
#endif

size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size);

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed) {
    if (size <= FUZZ_HEAD) {
        return LLVMFuzzerMutate(data, size, max_size);
    }
    if (FUZZ_HEAD != 0 && seed % 4 == 0) {
        data[seed / 4 % FUZZ_HEAD] = (uint8_t)(seed >> 8);
        return size;
    }
    return FUZZ_HEAD + mutate_onnx(data + FUZZ_HEAD, size - FUZZ_HEAD, max_size - FUZZ_HEAD, seed);
}

size_t LLVMFuzzerCustomCrossOver(const uint8_t *a, size_t a_size, const uint8_t *b, size_t b_size,
                                 uint8_t *out, size_t max_size, unsigned seed) {
    if (a_size <= FUZZ_HEAD || b_size <= FUZZ_HEAD || max_size <= FUZZ_HEAD) {
        return 0;
    }
    const size_t size = cross_onnx(a + FUZZ_HEAD, a_size - FUZZ_HEAD, b + FUZZ_HEAD,
                                   b_size - FUZZ_HEAD, out + FUZZ_HEAD, max_size - FUZZ_HEAD, seed);
    memcpy(out, b, FUZZ_HEAD);
    return size != 0 ? FUZZ_HEAD + size : 0;
}

/* A package that we made: a run may fail on its data (an index out of range, a loop that
 * wants more turns than it was compiled for), and only there. */
static inline void fuzz_run_own(const wai_package *package) {
    wai_diag diag;
    const wai_status status = fuzz_open_and_run(wai_package_bytes(package), &diag);
    const bool loops = status == WAI_ERR_LIMIT && strstr(diag.message, "--max-iterations") != NULL;
    if (status != WAI_OK && status != WAI_ERR_MALFORMED && status != WAI_ERR_ARGUMENT && !loops) {
        fuzz_crash("our own package is refused", &diag);
    }
}

static inline void fuzz_assert_freed(const fuzz_memory *memory, const wai_diag *diag) {
    if (memory->blocks != 0) {
        fuzz_crash("memory is left allocated", diag);
    }
}

#endif
