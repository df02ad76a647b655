/*
 * The native command: what the wasm build does, on the host's own CPU, for
 * tests, sanitizers and fuzzing. Not installed; `wasm-ai` is for people.
 *
 *   wai compile IN.onnx OUT.wai [--optimize] [--quantize-f16] [--winograd-off] [--dim NAME=VALUE or
 * MIN..MAX]...
 *                               [--max-memory BYTES] [--bind NAME DTYPE D0,D1,.. FILE]...
 *   wai info PKG.wai
 *   wai run PKG.wai [--input NAME=FILE]... [--output DIR] [--repeat N] [--carry IN OUT]...
 *                   [--shape IN DIMS]...
 *   wai batch         one such command a line of stdin, its words between tabs;
 *                     after each one stdout has "done EXIT-CODE"
 *
 * Input files are raw little-endian elements without a header. `run` writes
 * output I as DIR/I.raw. --carry: from the second run on, input IN is what
 * output OUT of the run before was. --shape: dims of an input with symbolic ones.
 * `result` is an output with the dims that the last run gave. Printed, one line each (the name is
 * last): input INDEX DTYPE RANK D0 D1 .. NAME     output INDEX DTYPE RANK D0 .. NAME range INPUT
 * AXIS MIN MAX SYMBOL          result INDEX DTYPE RANK D0 .. NAME time NANOSECONDS memory BYTES
 * Sessions are hardened (wai_hardening): a kernel that writes past its place fails every test here.
 * Errors: one line on stderr (`batch`: on stdout, where it belongs to its command),
 * `STATUS<TAB>OFFSET<TAB>WHERE<TAB>MESSAGE`; exit 1.
 */
#define _POSIX_C_SOURCE 200809L
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "package/seal.h"
#include "wasmai.h"
#include "wasmai_compile.h"

enum { EXIT_USAGE = 2, MAX_GIVEN = 64, MAX_INPUTS = 256, MAX_WORDS = 1024, ALIGN = 64 };

static int failed(const wai_diag *diag) {
    fprintf(stderr, "%d\t%lld\t%s\t%s\n", (int)diag->status,
            diag->offset == WAI_NO_OFFSET ? -1ll : (long long)diag->offset, diag->where,
            diag->message);
    return EXIT_FAILURE;
}

static int fault(wai_status status, const char *where, const char *why) {
    wai_diag diag = {.status = status, .offset = WAI_NO_OFFSET};
    snprintf(diag.where, sizeof diag.where, "%s", where);
    snprintf(diag.message, sizeof diag.message, "%s", why);
    return failed(&diag);
}

/* The whole file, 64-byte aligned as wai_session_open wants it. NULL: errno. */
static uint8_t *read_file(const char *path, size_t *size) {
    FILE *file = fopen(path, "rb");
    uint8_t *bytes = NULL;
    long length;
    *size = 0;
    if (file == NULL) {
        return NULL;
    }
    if (fseek(file, 0, SEEK_END) != 0 || (length = ftell(file)) < 0 ||
        fseek(file, 0, SEEK_SET) != 0) {
        goto done;
    }
    /* One spare byte: an empty file is not a NULL pointer. Sanitizers still
     * see the first byte past the end, because sizes are rounded only to 64. */
    bytes = aligned_alloc(ALIGN, ((size_t)length / ALIGN + 1) * ALIGN);
    if (bytes != NULL && fread(bytes, 1, (size_t)length, file) != (size_t)length) {
        free(bytes);
        bytes = NULL;
    }
    *size = bytes != NULL ? (size_t)length : 0;
done:
    fclose(file);
    return bytes;
}

static int write_file(const char *path, const void *bytes, size_t size) {
    FILE *file = fopen(path, "wb");
    if (file == NULL) {
        return -1;
    }
    int bad = fwrite(bytes, 1, size, file) != size;
    bad |= fclose(file) != 0;
    if (bad) {
        remove(path);
    }
    return bad ? -1 : 0;
}

/* ---- compile ---- */

typedef struct compile_request {
    const char *in;
    const char *out;
    wai_compile_options options;
    wai_dim dims[MAX_GIVEN];
    wai_binding bindings[MAX_GIVEN]; /* the data is this program's own */
} compile_request;

static int parse_dim(compile_request *request, char *text) {
    char *equals = strrchr(text, '=');
    if (equals == NULL || request->options.dim_count == MAX_GIVEN) {
        return fault(WAI_ERR_ARGUMENT, "--dim",
                     "write it as NAME=VALUE or NAME=MIN..MAX, at most 64 times");
    }
    *equals = 0;
    wai_dim *dim = &request->dims[request->options.dim_count++];
    dim->name = text;
    char *rest;
    dim->min = dim->max = (uint32_t)strtoul(equals + 1, &rest, 10);
    if (strncmp(rest, "..", 2) == 0) {
        dim->max = (uint32_t)strtoul(rest + 2, NULL, 10);
    }
    return EXIT_SUCCESS;
}

/* words: NAME DTYPE D0,D1,.. FILE; no dims are a scalar. */
static int parse_bind(compile_request *request, char **words) {
    if (request->options.binding_count == MAX_GIVEN) {
        return fault(WAI_ERR_ARGUMENT, "--bind", "at most 64 times");
    }
    wai_binding *binding = &request->bindings[request->options.binding_count];
    binding->name = words[0];
    binding->dtype = (wai_dtype)strtoul(words[1], NULL, 10);
    for (char *rest = words[2]; *rest != 0; rest += *rest == ',') {
        if (binding->rank == WAI_MAX_RANK) {
            return fault(WAI_ERR_ARGUMENT, "--bind", "too many dims");
        }
        char *end;
        binding->dims[binding->rank++] = (uint32_t)strtoul(rest, &end, 10);
        if (end == rest) {
            return fault(WAI_ERR_ARGUMENT, "--bind", "dims are numbers between commas");
        }
        rest = end;
    }
    binding->data = read_file(words[3], &binding->size);
    if (binding->data == NULL) {
        return fault(WAI_ERR_ARGUMENT, words[3], strerror(errno));
    }
    request->options.binding_count++;
    return EXIT_SUCCESS;
}

static int parse_compile(compile_request *request, int argc, char **argv) {
    int code = EXIT_SUCCESS;
    for (int i = 0; i < argc && code == EXIT_SUCCESS; i++) {
        if (strcmp(argv[i], "--optimize") == 0) {
            request->options.optimize = 1;
        } else if (strcmp(argv[i], "--quantize-f16") == 0) {
            request->options.quantize = WAI_QUANTIZE_F16;
        } else if (strcmp(argv[i], "--winograd-off") == 0) {
            request->options.winograd = WAI_WINOGRAD_OFF;
        } else if (strcmp(argv[i], "--dim") == 0 && i + 1 < argc) {
            code = parse_dim(request, argv[++i]);
        } else if (strcmp(argv[i], "--bind") == 0 && i + 4 < argc) {
            code = parse_bind(request, argv + i + 1);
            i += 4;
        } else if (strcmp(argv[i], "--max-memory") == 0 && i + 1 < argc) {
            request->options.limits.max_memory = strtoull(argv[++i], NULL, 10);
        } else if (request->in == NULL) {
            request->in = argv[i];
        } else if (request->out == NULL) {
            request->out = argv[i];
        } else {
            code = EXIT_USAGE;
        }
    }
    request->options.dims = request->dims;
    request->options.bindings = request->bindings;
    return code == EXIT_SUCCESS && request->out == NULL ? EXIT_USAGE : code;
}

static int compile_file(const compile_request *request) {
    size_t size;
    uint8_t *onnx = read_file(request->in, &size);
    if (onnx == NULL) {
        return fault(WAI_ERR_ARGUMENT, request->in, strerror(errno));
    }
    wai_package *package;
    wai_diag diag;
    int code = EXIT_SUCCESS;
    if (wai_compile(&package, (wai_bytes){onnx, size}, &request->options, &diag) != WAI_OK) {
        code = failed(&diag);
    } else {
        wai_bytes bytes = wai_package_bytes(package);
        if (write_file(request->out, bytes.data, bytes.size) != 0) {
            code = fault(WAI_ERR_ARGUMENT, request->out, strerror(errno));
        }
        wai_package_free(package);
    }
    free(onnx);
    return code;
}

static int compile(int argc, char **argv) {
    compile_request request = {0};
    int code = parse_compile(&request, argc, argv);
    if (code == EXIT_SUCCESS) {
        code = compile_file(&request);
    }
    for (size_t i = 0; i < request.options.binding_count; i++) {
        free((void *)(uintptr_t)request.bindings[i].data);
    }
    return code;
}

/* ---- info and run ---- */

typedef struct run_options {
    const char *package;
    const char *output;
    char **inputs; /* NAME=FILE */
    int input_count;
    char **carries;  /* IN, OUT, IN, OUT ... */
    int carry_count; /* of pairs */
    char **shapes;   /* NAME, DIMS as 1,3,224,224 */
    int shape_count; /* of pairs */
    long repeat;
} run_options;

static void print_slot(const char *kind, uint32_t index, const wai_tensor *tensor) {
    printf("%s %u %d %u", kind, index, (int)tensor->dtype, tensor->rank);
    for (uint32_t i = 0; i < tensor->rank; i++) {
        printf(" %u", tensor->dims[i]);
    }
    printf(" %s\n", tensor->name);
}

static void print_outputs(const wai_session *session, const char *kind) {
    wai_tensor tensor;
    for (uint32_t i = 0; i < wai_session_output_count(session); i++) {
        if (wai_session_output(session, i, &tensor) == WAI_OK) {
            print_slot(kind, i, &tensor);
        }
    }
}

static void print_ranges(const wai_session *session, uint32_t input, uint32_t rank) {
    wai_axis axes[WAI_MAX_RANK];
    if (wai_session_axes(session, input, axes) != WAI_OK) {
        return;
    }
    for (uint32_t i = 0; i < rank; i++) {
        if (axes[i].symbol != NULL) {
            printf("range %u %u %u %u %s\n", input, i, axes[i].min, axes[i].max, axes[i].symbol);
        }
    }
}

static void print_slots(const wai_session *session) {
    wai_tensor tensor;
    for (uint32_t i = 0; i < wai_session_input_count(session); i++) {
        if (wai_session_input(session, i, &tensor) == WAI_OK) {
            print_slot("input", i, &tensor);
            print_ranges(session, i, tensor.rank);
        }
    }
    print_outputs(session, "output");
    printf("memory %llu\n", (unsigned long long)wai_session_memory(session));
}

static int write_input(const wai_tensor *tensor, const char *path) {
    size_t size;
    uint8_t *bytes = read_file(path, &size);
    if (bytes == NULL) {
        return fault(WAI_ERR_ARGUMENT, path, strerror(errno));
    }
    int fits = size == tensor->size;
    if (fits) {
        memcpy(tensor->data, bytes, size);
    }
    free(bytes);
    return fits ? EXIT_SUCCESS
                : fault(WAI_ERR_ARGUMENT, path, "the file has another size than the input");
}

/* from[input] = output, as wai_session_carry wants it. */
static int read_carries(const wai_session *session, const run_options *options, uint32_t *from) {
    wai_tensor input, output;
    for (uint32_t i = 0; i < MAX_INPUTS; i++) {
        from[i] = WAI_NO_OUTPUT;
    }
    for (int k = 0; k < options->carry_count; k++) {
        uint32_t i = 0, o = 0;
        while (wai_session_input(session, i, &input) == WAI_OK &&
               strcmp(input.name, options->carries[2 * k]) != 0) {
            i++;
        }
        while (wai_session_output(session, o, &output) == WAI_OK &&
               strcmp(output.name, options->carries[2 * k + 1]) != 0) {
            o++;
        }
        if (i >= wai_session_input_count(session) || o >= wai_session_output_count(session)) {
            return fault(WAI_ERR_ARGUMENT, options->carries[2 * k], "no such input and output");
        }
        from[i] = o;
    }
    return EXIT_SUCCESS;
}

/* Inputs may be overwritten by a run, so they are written before each, except
 * those that were carried. */
static int write_inputs(const wai_session *session, const run_options *options,
                        const uint32_t *carried) {
    for (uint32_t i = 0; i < wai_session_input_count(session); i++) {
        wai_tensor tensor;
        const char *path = NULL;
        if (carried != NULL && carried[i] != WAI_NO_OUTPUT) {
            continue;
        }
        if (wai_session_input(session, i, &tensor) != WAI_OK) {
            return fault(WAI_ERR_INTERNAL, "input", "the session does not describe it");
        }
        size_t length = strlen(tensor.name);
        for (int k = 0; k < options->input_count; k++) {
            if (strncmp(options->inputs[k], tensor.name, length) == 0 &&
                options->inputs[k][length] == '=') {
                path = options->inputs[k] + length + 1;
            }
        }
        if (path == NULL) {
            return fault(WAI_ERR_ARGUMENT, tensor.name, "this input has no value");
        }
        int code = write_input(&tensor, path);
        if (code != EXIT_SUCCESS) {
            return code;
        }
    }
    return EXIT_SUCCESS;
}

static int write_outputs(const wai_session *session, const char *folder) {
    for (uint32_t i = 0; i < wai_session_output_count(session); i++) {
        wai_tensor tensor;
        char path[4096];
        if (wai_session_output(session, i, &tensor) != WAI_OK) {
            return fault(WAI_ERR_INTERNAL, "output", "the session does not describe it");
        }
        int length = snprintf(path, sizeof path, "%s/%u.raw", folder, i);
        if (length < 0 || (size_t)length >= sizeof path ||
            write_file(path, tensor.data, tensor.size) != 0) {
            return fault(WAI_ERR_ARGUMENT, folder, strerror(errno));
        }
    }
    return EXIT_SUCCESS;
}

static long long now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1000000000ll + time.tv_nsec;
}

static int find_input(const wai_session *session, const char *name) {
    wai_tensor tensor;
    for (uint32_t i = 0; i < wai_session_input_count(session); i++) {
        if (wai_session_input(session, i, &tensor) == WAI_OK && strcmp(tensor.name, name) == 0) {
            return (int)i;
        }
    }
    return -1;
}

/* The dims that --shape gives. */
static int resize_inputs(wai_session *session, const run_options *options) {
    for (int i = 0; i < options->shape_count; i++) {
        const char *name = options->shapes[2 * i], *text = options->shapes[2 * i + 1];
        const int input = find_input(session, name);
        wai_tensor tensor;
        uint32_t dims[WAI_MAX_RANK], rank = 0;
        for (char *end; rank < WAI_MAX_RANK && *text != 0; text = *end == ',' ? end + 1 : end) {
            dims[rank++] = (uint32_t)strtoul(text, &end, 10);
            if (end == text || (*end != 0 && *end != ',')) {
                return fault(WAI_ERR_ARGUMENT, name, "write its dims as 1,3,224,224");
            }
        }
        if (input < 0 || wai_session_input(session, (uint32_t)input, &tensor) != WAI_OK ||
            tensor.rank != rank) {
            return fault(WAI_ERR_ARGUMENT, name, "there is no such input, or it has another rank");
        }
        wai_diag diag;
        if (wai_session_resize(session, (uint32_t)input, dims, &diag) != WAI_OK) {
            return failed(&diag);
        }
    }
    return EXIT_SUCCESS;
}

static int run_session(wai_session *session, const run_options *options) {
    uint32_t from[MAX_INPUTS];
    int code = read_carries(session, options, from);
    if (code == EXIT_SUCCESS) {
        code = resize_inputs(session, options);
    }
    for (long i = 0; i < options->repeat && code == EXIT_SUCCESS; i++) {
        wai_diag diag;
        if (i > 0 && (wai_session_carry(session, from, &diag) != WAI_OK ||
                      wai_session_wipe(session, &diag) != WAI_OK)) {
            return failed(&diag);
        }
        code = write_inputs(session, options, i > 0 ? from : NULL);
        if (code != EXIT_SUCCESS) {
            return code;
        }
        long long start = now();
        if (wai_session_run(session, &diag) != WAI_OK) {
            return failed(&diag);
        }
        printf("time %lld\n", now() - start);
    }
    if (code == EXIT_SUCCESS && options->repeat > 0) {
        print_outputs(session, "result");
    }
    return code == EXIT_SUCCESS && options->output != NULL && options->repeat > 0
               ? write_outputs(session, options->output)
               : code;
}

static int open_and_run(const run_options *options) {
    size_t size;
    uint8_t *bytes = read_file(options->package, &size);
    if (bytes == NULL) {
        return fault(WAI_ERR_ARGUMENT, options->package, strerror(errno));
    }
    wai_bytes package = {bytes, size};
    wai_session *session;
    wai_diag diag;
    const wai_options hardened = {.hardening = {.key = 0x9e3779b97f4a7c15, .weights_every = 1}};
    int code;
    if (wai_package_verify(package, &diag) != WAI_OK ||
        wai_session_open(&session, package, &hardened, &diag) != WAI_OK) {
        code = failed(&diag);
    } else {
        print_slots(session);
        code = run_session(session, options);
        wai_session_close(session);
    }
    free(bytes);
    return code;
}

static int run(int argc, char **argv, long repeat) {
    char *carries[2 * MAX_INPUTS], *shapes[2 * MAX_INPUTS];
    run_options options = {.inputs = argv, .carries = carries, .shapes = shapes, .repeat = repeat};
    for (int i = 0; i < argc; i++) {
        if (options.carry_count == MAX_INPUTS || options.shape_count == MAX_INPUTS) {
            return EXIT_USAGE;
        }
        if (strcmp(argv[i], "--input") == 0 && i + 1 < argc) {
            /* Reuses argv: entry count never passes the one that is read. */
            argv[options.input_count++] = argv[++i];
        } else if (strcmp(argv[i], "--output") == 0 && i + 1 < argc) {
            options.output = argv[++i];
        } else if (strcmp(argv[i], "--repeat") == 0 && i + 1 < argc) {
            options.repeat = strtol(argv[++i], NULL, 10);
        } else if (strcmp(argv[i], "--carry") == 0 && i + 2 < argc) {
            carries[2 * options.carry_count] = argv[i + 1];
            carries[2 * options.carry_count++ + 1] = argv[i + 2];
            i += 2;
        } else if (strcmp(argv[i], "--shape") == 0 && i + 2 < argc) {
            shapes[2 * options.shape_count] = argv[i + 1];
            shapes[2 * options.shape_count++ + 1] = argv[i + 2];
            i += 2;
        } else if (options.package == NULL) {
            options.package = argv[i];
        } else {
            return EXIT_USAGE;
        }
    }
    return options.package != NULL ? open_and_run(&options) : EXIT_USAGE;
}

static int command(int argc, char **argv) {
    if (argc > 0 && strcmp(argv[0], "compile") == 0) {
        return compile(argc - 1, argv + 1);
    }
    if (argc > 0 && strcmp(argv[0], "info") == 0) {
        return run(argc - 1, argv + 1, 0);
    }
    if (argc > 0 && strcmp(argv[0], "run") == 0) {
        return run(argc - 1, argv + 1, 1);
    }
    return EXIT_USAGE;
}

/* One process for many commands: a sanitized one takes 50 ms to start. */
static int batch(void) {
    char *line = NULL, *words[MAX_WORDS];
    size_t room = 0;
    if (dup2(STDOUT_FILENO, STDERR_FILENO) < 0) {
        return EXIT_FAILURE;
    }
    while (getline(&line, &room, stdin) > 0) {
        int count = 0;
        line[strcspn(line, "\n")] = 0;
        for (char *rest = line; rest != NULL && count < MAX_WORDS;) {
            words[count++] = rest;
            rest = strchr(rest, '\t');
            if (rest != NULL) {
                *rest++ = 0;
            }
        }
        int code = command(count, words);
        printf("done %d\n", code);
        fflush(stdout);
    }
    free(line);
    return EXIT_SUCCESS;
}

int main(int argc, char **argv) {
    int code = argc == 2 && strcmp(argv[1], "batch") == 0 ? batch() : command(argc - 1, argv + 1);
    if (code == EXIT_USAGE) {
        fprintf(stderr, "usage: wai compile IN.onnx OUT.wai [--optimize] [--dim NAME=VALUE]\n"
                        "                   [--bind NAME DTYPE D0,D1,.. FILE]\n"
                        "       wai info PKG.wai\n"
                        "       wai run PKG.wai [--input NAME=FILE]... [--output DIR] "
                        "[--repeat N] [--carry IN OUT]\n"
                        "           [--shape IN DIMS]\n"
                        "       wai batch\n");
    }
    return code;
}
