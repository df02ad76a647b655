/*
 * Fuzz target: package bytes -> session -> one run. The hashes are
 * the loader's to check, so that every change reaches the reader.
 *
 * Packages are words at fixed places, so the mutator changes words: random
 * bytes would mostly break a length and get no further.
 */
#include "fuzz.h"

#include "package/format.h"

size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    wai_diag diag;
    uint8_t *copy = fuzz_copy(data, size);
    fuzz_open_and_run((wai_bytes){copy, size}, &diag);
    free(copy);
    return 0;
}

static uint32_t next(uint32_t *state, uint32_t below) {
    *state ^= *state << 13;
    *state ^= *state >> 17;
    *state ^= *state << 5;
    return (*state >> 3) % below;
}

static uint32_t load(const uint8_t *at) {
    uint32_t word;
    memcpy(&word, at, sizeof word);
    return word;
}

static void store(uint8_t *at, uint32_t word) {
    memcpy(at, &word, sizeof word);
}

static uint32_t changed(uint32_t word, uint32_t *state) {
    static const uint32_t special[] = {0,          0xffffffff, 0x7fffffff, 0x80000000, 0x40000000,
                                       0x7f800000, 0xff800000, 0x7fc00000, 0x3f800000, 0x10000};
    switch (next(state, 6)) {
    case 0:
        return special[next(state, sizeof special / sizeof special[0])];
    case 1:
        return word + 1 + next(state, 4);
    case 2:
        return word - 1 - next(state, 4);
    case 3:
        return word ^ 1u << next(state, 32);
    case 4:
        return next(state, 2) != 0 ? word * 2 : word / 2;
    default:
        return next(state, 20);
    }
}

/* Where sections begin and end is in the table; a hostile one is clamped. */
static uint32_t section_word(const uint8_t *data, size_t size, uint32_t kind, uint32_t *state) {
    const uint8_t *entry = data + WAI_FORMAT_HEADER_SIZE + (kind - 1) * WAI_FORMAT_ENTRY_SIZE;
    uint32_t limit = (uint32_t)size / 4;
    uint32_t first = load(entry + 8) / 4;
    uint32_t count = load(entry + 16) / 4;
    if (first >= limit || count == 0) {
        return next(state, limit);
    }
    return first + next(state, count < limit - first ? count : limit - first);
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed) {
    static const uint8_t kinds[] = {WAI_SECTION_VALUES, WAI_SECTION_VALUES,  WAI_SECTION_STEPS,
                                    WAI_SECTION_STEPS,  WAI_SECTION_STEPS,   WAI_SECTION_IO,
                                    WAI_SECTION_DATA,   WAI_SECTION_DYNAMIC, WAI_SECTION_DYNAMIC,
                                    WAI_SECTION_DYNAMIC};
    uint32_t state = seed * 2654435761u + 1;
    if (size < 512 || next(&state, 32) == 0) {
        size = LLVMFuzzerMutate(data, size, max_size);
        if (size >= WAI_FORMAT_HEADER_SIZE) {
            store(data + 16, (uint32_t)size); /* else nothing else is looked at */
        }
        return size;
    }
    for (uint32_t count = 1 + next(&state, 4); count > 0; count--) {
        uint32_t kind = kinds[next(&state, sizeof kinds)];
        uint8_t *at = data + 4 * section_word(data, size, kind, &state);
        if (next(&state, 16) == 0) {
            at = data + 4 * next(&state, (WAI_FORMAT_HEADER_SIZE + 120) / 4);
        }
        if (next(&state, 8) == 0) {
            store(at, load(data + 4 * section_word(data, size, kind, &state)));
        } else {
            store(at, changed(load(at), &state));
        }
    }
    return size;
}
