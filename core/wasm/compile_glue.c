/*
 * compile_glue.c - the exports of the compiler as wasm (Node, tests, and the
 * demo's own worker). Requests come and results go as text lines, so that the
 * interface grows without new exports:
 *
 *   optimize 0|1
 *   quantize 0|1                             a wai_quantize
 *   winograd 0|1|2|4                         a wai_winograd_choice
 *   max_memory BYTES
 *   max_iterations N
 *   dim NAME MIN MAX                         NAME is percent-encoded
 *   bind NAME DTYPE RANK D0 .. PTR SIZE      bytes already in this memory
 *   stages 0|1                               graph text after every stage
 *   problems 0|1                             report all unsupported nodes
 *
 * The log has records `dim`, `loop`, `problem` and `stage`, fields separated by tabs:
 *   dim\tNAME\tMIN\tMAX\tbound|default
 *   loop\tNODE\tITERATIONS                   bound by max_iterations
 *   problem\tSTATUS\tWHERE\tMESSAGE
 *   stage\tNAME\tSIZE\n<SIZE bytes>\n
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/diag.h"
#include "base/writer.h"
#include "wasmai_compile.h"

#define EXPORT(name) __attribute__((export_name(#name), used)) name

static struct {
    wai_arena arena; /* of the request and the log                          */
    wai_writer log;
    wai_package *package;
    wai_diag diag;
    uint32_t result[5];
} glue;

uint32_t EXPORT(wai_compiler_alloc)(uint32_t size);
uint32_t wai_compiler_alloc(uint32_t size) {
    return (uint32_t)(uintptr_t)malloc(size != 0 ? size : 1);
}

void EXPORT(wai_compiler_free)(uint32_t pointer);
void wai_compiler_free(uint32_t pointer) {
    free((void *)(uintptr_t)pointer);
}

/* ---- log ---- */

static void log_text(const char *text) {
    wai_write_bytes(&glue.log, text, strlen(text));
}

static void log_number(uint64_t number) {
    char text[24];
    snprintf(text, sizeof text, "%llu", (unsigned long long)number);
    log_text(text);
}

static void on_dim(void *context, const char *name, uint32_t min, uint32_t max, int bound) {
    (void)context;
    log_text("dim\t");
    log_text(name);
    log_text("\t");
    log_number(min);
    log_text("\t");
    log_number(max);
    log_text(bound ? "\tbound\n" : "\tdefault\n");
}

static void on_loop(void *context, const char *node, uint32_t iterations) {
    (void)context;
    log_text("loop\t");
    log_text(node);
    log_text("\t");
    log_number(iterations);
    log_text("\n");
}

static void on_problem(void *context, const wai_diag *problem) {
    (void)context;
    log_text("problem\t");
    log_number(problem->status);
    log_text("\t");
    log_text(problem->where);
    log_text("\t");
    log_text(problem->message);
    log_text("\n");
}

static void on_stage(void *context, const char *stage, const char *text) {
    (void)context;
    log_text("stage\t");
    log_text(stage);
    log_text("\t");
    log_number(strlen(text));
    log_text("\n");
    log_text(text);
    log_text("\n");
}

/* ---- request ---- */

#define MAX_DIMS     256
#define MAX_BINDINGS 256

typedef struct request {
    wai_compile_options options;
    wai_dim dims[MAX_DIMS];
    wai_binding bindings[MAX_BINDINGS];
} request;

static int hex(char c) {
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
                                  : -1;
}

/* %41 -> A, in place. */
static void decode(char *text) {
    char *to = text;
    for (; *text != 0; text++) {
        if (*text == '%' && hex(text[1]) >= 0 && hex(text[2]) >= 0) {
            *to++ = (char)(hex(text[1]) * 16 + hex(text[2]));
            text += 2;
        } else {
            *to++ = *text;
        }
    }
    *to = 0;
}

static uint64_t number(char **rest) {
    return strtoull(*rest, rest, 10);
}

/* The next word of a line, or "". */
static char *word(char **rest) {
    char *start = *rest + strspn(*rest, " ");
    char *end = start + strcspn(start, " ");
    *rest = *end != 0 ? end + 1 : end;
    *end = 0;
    return start;
}

static bool read_line(request *r, char *line) {
    wai_compile_options *o = &r->options;
    char *key = word(&line);
    if (strcmp(key, "optimize") == 0) {
        o->optimize = number(&line) != 0;
    } else if (strcmp(key, "quantize") == 0) {
        o->quantize = number(&line) != 0 ? WAI_QUANTIZE_F16 : WAI_QUANTIZE_NONE;
    } else if (strcmp(key, "winograd") == 0) {
        const uint64_t choice = number(&line);
        o->winograd = choice == 1 || choice == 2 || choice == 4 ? (wai_winograd_choice)choice
                                                                : WAI_WINOGRAD_AUTO;
    } else if (strcmp(key, "max_memory") == 0) {
        o->limits.max_memory = number(&line);
    } else if (strcmp(key, "max_iterations") == 0) {
        o->max_iterations = (uint32_t)number(&line);
    } else if (strcmp(key, "stages") == 0) {
        o->on_stage = number(&line) != 0 ? on_stage : NULL;
    } else if (strcmp(key, "problems") == 0) {
        o->on_problem = number(&line) != 0 ? on_problem : NULL;
    } else if (strcmp(key, "dim") == 0 && o->dim_count < MAX_DIMS) {
        wai_dim *dim = &r->dims[o->dim_count++];
        char *name = word(&line);
        decode(name);
        dim->name = name;
        dim->min = (uint32_t)number(&line);
        dim->max = (uint32_t)number(&line);
    } else if (strcmp(key, "bind") == 0 && o->binding_count < MAX_BINDINGS) {
        wai_binding *binding = &r->bindings[o->binding_count++];
        char *name = word(&line);
        decode(name);
        binding->name = name;
        binding->dtype = (wai_dtype)number(&line);
        binding->rank = (uint32_t)number(&line);
        for (uint32_t i = 0; i < binding->rank && i < WAI_MAX_RANK; i++) {
            binding->dims[i] = (uint32_t)number(&line);
        }
        binding->data = (const void *)(uintptr_t)number(&line);
        binding->size = (size_t)number(&line);
    } else {
        return key[0] == 0;
    }
    return true;
}

static wai_status read_request(request *r, const char *text, size_t size) {
    char *line = wai_arena_text(&glue.arena, text, size);
    if (line == NULL) {
        return wai_fail(&glue.diag, WAI_ERR_MEMORY, "request", "out of memory");
    }
    r->options.dims = r->dims;
    r->options.bindings = r->bindings;
    r->options.on_dim = on_dim;
    r->options.on_loop = on_loop;
    while (*line != 0) {
        char *end = line + strcspn(line, "\n");
        char *next = *end != 0 ? end + 1 : end;
        *end = 0;
        if (!read_line(r, line)) {
            return wai_fail(&glue.diag, WAI_ERR_ARGUMENT, "request", "a line is not understood: %s",
                            line);
        }
        line = next;
    }
    return WAI_OK;
}

/* ---- calls ---- */

void EXPORT(wai_compiler_release)(void);
void wai_compiler_release(void) {
    wai_package_free(glue.package);
    if (glue.arena.allocator != NULL) {
        wai_arena_free(&glue.arena);
    }
    memset(&glue, 0, sizeof glue);
    wai_arena_init(&glue.arena, NULL, UINT64_MAX);
    glue.log.arena = &glue.arena;
    wai_diag_clear(&glue.diag);
}

uint32_t EXPORT(wai_compiler_run)(uint32_t onnx, uint32_t onnx_size, uint32_t text,
                                  uint32_t text_size);
uint32_t wai_compiler_run(uint32_t onnx, uint32_t onnx_size, uint32_t text, uint32_t text_size) {
    wai_compiler_release();
    request *r = wai_arena_alloc(&glue.arena, sizeof *r);
    if (r == NULL) {
        return wai_fail(&glue.diag, WAI_ERR_MEMORY, "request", "out of memory");
    }
    wai_status status = read_request(r, (const char *)(uintptr_t)text, text_size);
    if (status != WAI_OK) {
        return status;
    }
    wai_bytes bytes = {(const uint8_t *)(uintptr_t)onnx, onnx_size};
    return wai_compile(&glue.package, bytes, &r->options, &glue.diag);
}

uint32_t EXPORT(wai_compiler_dump)(uint32_t package, uint32_t size);
uint32_t wai_compiler_dump(uint32_t package, uint32_t size) {
    wai_compiler_release();
    /* Packages are read in place and must be aligned. */
    uint8_t *copy = wai_arena_alloc(&glue.arena, size > 64 ? size : 64);
    if (copy == NULL) {
        return wai_fail(&glue.diag, WAI_ERR_MEMORY, "package", "out of memory");
    }
    memcpy(copy, (const void *)(uintptr_t)package, size);
    wai_compile_options options = {.on_stage = on_stage};
    return wai_package_dump((wai_bytes){copy, size}, &options, &glue.diag);
}

/* States the fuel of a package in place. */
uint32_t EXPORT(wai_compiler_state_fuel)(uint32_t package, uint32_t size, uint64_t fuel);
uint32_t wai_compiler_state_fuel(uint32_t package, uint32_t size, uint64_t fuel) {
    wai_compiler_release();
    return wai_package_state_fuel((uint8_t *)(uintptr_t)package, size, fuel, &glue.diag);
}

/* States the golden outputs of a package in place. */
uint32_t EXPORT(wai_compiler_state_golden)(uint32_t package, uint32_t size, uint32_t golden,
                                           uint32_t golden_size);
uint32_t wai_compiler_state_golden(uint32_t package, uint32_t size, uint32_t golden,
                                   uint32_t golden_size) {
    wai_compiler_release();
    wai_bytes bytes = {(const uint8_t *)(uintptr_t)golden, golden_size};
    return wai_package_state_golden((uint8_t *)(uintptr_t)package, size, bytes, &glue.diag);
}

/* [package, package size, diag, log, log size] of the last call. */
uint32_t EXPORT(wai_compiler_result)(void);
uint32_t wai_compiler_result(void) {
    wai_bytes package =
        glue.package != NULL ? wai_package_bytes(glue.package) : (wai_bytes){NULL, 0};
    glue.result[0] = (uint32_t)(uintptr_t)package.data;
    glue.result[1] = (uint32_t)package.size;
    glue.result[2] = (uint32_t)(uintptr_t)&glue.diag;
    glue.result[3] = (uint32_t)(uintptr_t)glue.log.data;
    glue.result[4] = (uint32_t)glue.log.size;
    return (uint32_t)(uintptr_t)glue.result;
}
