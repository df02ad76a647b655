/* digits.h - the bundled model, and its package. */
#ifndef WAI_UNIT_DIGITS_H
#define WAI_UNIT_DIGITS_H

#include "unit.h"

#include "wasmai_compile.h"

#define DIGITS_MODEL "models/digits/digits.onnx"

/* In a block of exactly its size; NULL, with the compiler's words, when it does not compile. */
static inline uint8_t *digits_package(const wai_compile_options *options, size_t *size) {
    size_t model_size;
    uint8_t *model = unit_file(DIGITS_MODEL, &model_size);
    wai_package *compiled;
    wai_diag diag;
    wai_status status = wai_compile(&compiled, (wai_bytes){model, model_size}, options, &diag);
    free(model);
    if (status != WAI_OK) {
        print_error("%s: %s: %s\n", wai_status_name(status), diag.where, diag.message);
        return NULL;
    }
    wai_bytes bytes = wai_package_bytes(compiled);
    uint8_t *package = unit_copy(bytes.data, bytes.size);
    *size = bytes.size;
    wai_package_free(compiled);
    return package;
}

#endif
