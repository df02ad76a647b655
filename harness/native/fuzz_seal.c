/* Fuzz target: what the tools do with a package besides running it: its certificate,
 * its graph as text, its fuel stated and sealed anew; and the digest itself. */
#include "fuzz.h"

#include "base/sha384.h"
#include "package/seal.h"
#include "wasmai_compile.h"

enum { DIGEST = 48 };

/* The same bytes at another place have the same digest, other bytes another one. */
static void digest(uint8_t *bytes, size_t size) {
    uint8_t first[DIGEST], second[DIGEST];
    wai_sha384(first, bytes, size);
    uint8_t *moved = malloc(size + 1);
    if (moved == NULL || size == 0) {
        free(moved);
        return;
    }
    memcpy(moved + 1, bytes, size);
    wai_sha384(second, moved + 1, size);
    if (memcmp(first, second, DIGEST) != 0) {
        abort();
    }
    moved[1 + first[0] % size] ^= 1;
    wai_sha384(second, moved + 1, size);
    if (memcmp(first, second, DIGEST) == 0) {
        abort();
    }
    free(moved);
}

static void on_stage(void *context, const char *stage, const char *text) {
    *(size_t *)context += strlen(stage) + strlen(text);
}

static void dump(wai_bytes package) {
    fuzz_memory memory = {0, 0};
    const wai_allocator allocator = fuzz_allocator(&memory);
    size_t told = 0;
    wai_diag diag;
    const wai_compile_options options = {
        .allocator = &allocator, .on_stage = on_stage, .on_stage_context = &told};
    const wai_status status = wai_package_dump(package, &options, &diag);
    fuzz_judge(status, &diag);
    if (memory.blocks != 0 || (status == WAI_OK && told == 0)) {
        fuzz_crash("a dump said nothing, or kept memory", &diag);
    }
}

/* All or nothing: refused and untouched, or the fuel is stated, and what was whole is. */
static void state_fuel(uint8_t *package, size_t size) {
    enum { FUEL = 123456789 };
    wai_diag diag;
    wai_certificate certificate;
    uint8_t *before = fuzz_copy(package, size);
    const wai_bytes bytes = {package, size};
    const wai_status was = wai_package_verify(bytes, &diag);
    if (was != WAI_ERR_INTEGRITY) { /* which elsewhere says that memory was damaged */
        fuzz_judge(was, &diag);
    }
    const wai_status status = wai_package_state_fuel(package, size, FUEL, &diag);
    fuzz_judge(status, &diag);
    if (status != WAI_OK) {
        if (was == WAI_OK || memcmp(before, package, size) != 0) {
            fuzz_crash("a package is refused, or was changed nevertheless", &diag);
        }
    } else if (wai_certificate_read(&certificate, bytes, &diag) != WAI_OK ||
               certificate.fuel != FUEL ||
               (was == WAI_OK && wai_package_verify(bytes, &diag) != WAI_OK)) {
        fuzz_crash("the fuel was not stated", &diag);
    }
    free(before);
}

/* Golden outputs, into whatever place the package says: what was whole stays so. */
static void state_golden(uint8_t *package, size_t size) {
    static const uint8_t golden[64] = {1, 2, 3};
    wai_diag diag;
    const wai_bytes bytes = {package, size};
    const bool whole = wai_package_verify(bytes, NULL) == WAI_OK;
    const wai_status status =
        wai_package_state_golden(package, size, (wai_bytes){golden, sizeof golden}, &diag);
    fuzz_judge(status, &diag);
    if (whole && wai_package_verify(bytes, &diag) != WAI_OK) {
        fuzz_crash("golden outputs broke the package", &diag);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    uint8_t *copy = fuzz_copy(data, size);
    digest(copy, size);
    dump((wai_bytes){copy, size});
    state_fuel(copy, size);
    state_golden(copy, size);
    free(copy);
    return 0;
}
