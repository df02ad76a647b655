/* unit.h - what every cmocka program here needs. */
#ifndef WAI_UNIT_H
#define WAI_UNIT_H

/* cmocka wants these before itself. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* A whole file of the project, in a block of exactly its size so that a read
 * past the end is caught, 64-byte aligned. Fails the test when it is missing. */
static inline uint8_t *unit_file(const char *path, size_t *size) {
    char full[1024];
    snprintf(full, sizeof full, "%s/%s", WAI_SOURCE_DIR, path);
    FILE *file = fopen(full, "rb");
    assert_non_null(file);
    fseek(file, 0, SEEK_END);
    *size = (size_t)ftell(file);
    rewind(file);
    uint8_t *data = NULL;
    assert_int_equal(posix_memalign((void **)&data, 64, *size), 0);
    assert_int_equal(fread(data, 1, *size, file), *size);
    fclose(file);
    return data;
}

/* A copy in a block of exactly `size` bytes. */
static inline uint8_t *unit_copy(const uint8_t *data, size_t size) {
    uint8_t *copy = NULL;
    assert_int_equal(posix_memalign((void **)&copy, 64, size > 0 ? size : 1), 0);
    if (size > 0) {
        memcpy(copy, data, size);
    }
    return copy;
}

/* xorshift32: the same numbers on every machine. */
static inline uint32_t unit_random(uint32_t *state) {
    *state ^= *state << 13;
    *state ^= *state >> 17;
    *state ^= *state << 5;
    return *state;
}

#endif
