/* Runs a fuzz target over files, without libFuzzer:  fuzz_onnx FILE...
 * The last line is `N passed, N failed, N skipped`; a crash ends the program. */
#include "fuzz.h"

static int replay(const char *path) {
    FILE *file = fopen(path, "rb");
    if (file == NULL) {
        perror(path);
        return 1;
    }
    fseek(file, 0, SEEK_END);
    size_t size = (size_t)ftell(file);
    rewind(file);
    uint8_t *data = malloc(size + 1);
    size_t got = data != NULL ? fread(data, 1, size, file) : 0;
    fclose(file);
    if (got == size) {
        LLVMFuzzerTestOneInput(data, size);
    }
    free(data);
    return got != size;
}

int main(int argc, char **argv) {
    int failed = 0;
    for (int i = 1; i < argc; i++) {
        fprintf(stderr, "%s\n", argv[i]); /* the last one named is the one that crashed */
        failed += replay(argv[i]);
    }
    printf("%d passed, %d failed, 0 skipped\n", argc - 1 - failed, failed);
    return failed != 0;
}
