/*
 * wasmai_compile.h - turn ONNX bytes into a WasmAI package.
 *
 * One pure function: the same bytes and options give the same package, byte
 * for byte. Not linked into the browser runtime.
 */
#ifndef WASMAI_COMPILE_H
#define WASMAI_COMPILE_H

#include "wasmai.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The value of a symbolic dimension: "batch", or "input[0]" for the first
 * axis of the graph input `input` when that axis has no name. With min below
 * max it stays symbolic: memory is planned for max, and every run may give
 * another value in between. */
typedef struct wai_dim {
    const char *name;
    uint32_t min, max;
} wai_dim;

/* A graph input that is a constant of the compiled model. `data` holds
 * `size` bytes of dtype and dims, little-endian, without padding. */
typedef struct wai_binding {
    const char *name;
    wai_dtype dtype;
    uint32_t rank;
    uint32_t dims[WAI_MAX_RANK];
    const void *data;
    size_t size;
} wai_binding;

/* What weights are made before they are stored. Numbers are of this header only. */
typedef enum wai_quantize {
    WAI_QUANTIZE_NONE = 0,
    /* Weights are rounded to float16, which halves the package; a session
     * makes float32 of them when it is opened and takes that memory as well.
     * Tensors stay float32 where a number would not fit. */
    WAI_QUANTIZE_F16 = 1
} wai_quantize;

/* How 3x3 convolutions of stride 1 are computed when optimize is set; in this header only.
 * Winograd's method takes 2.25 (tiles of 2x2) or 4 (of 4x4) times fewer multiplications, and
 * rounds otherwise, about as much as direct sums do. */
typedef enum wai_winograd_choice {
    WAI_WINOGRAD_AUTO = 0, /* each as is fastest              */
    WAI_WINOGRAD_OFF = 1,  /* direct                          */
    WAI_WINOGRAD_2 = 2,    /* all in tiles of 2x2             */
    WAI_WINOGRAD_4 = 4     /* all in tiles of 4x4             */
} wai_winograd_choice;

typedef struct wai_compile_options {
    wai_limits limits; /* max_memory: refuse a package whose peak is above  */
    const wai_allocator *allocator;
    const wai_dim *dims;
    size_t dim_count;
    const wai_binding *bindings;
    size_t binding_count;
    int optimize; /* 0: import, plan and write only; 1: all passes          */
    wai_quantize quantize;
    wai_winograd_choice winograd;
    /* Iterations of a Loop whose count only a run knows, and that no constant
     * trip count bounds; 0: 32. At most 1024. A run that wants more fails with
     * LIMIT. */
    uint32_t max_iterations;
    /* If set, called once per stage ("import", each pass, "plan") with the
     * graph as text. The text is valid for the call only. */
    void (*on_stage)(void *context, const char *stage, const char *text);
    void *on_stage_context;
    /* If set, an operator, attribute or dtype that cannot be compiled is
     * reported here and import goes on (its outputs are unknown, nodes behind
     * it are not judged); wai_compile then fails with the first one. */
    void (*on_problem)(void *context, const wai_diag *problem);
    void *on_problem_context;
    /* If set, told of every symbolic dim and the value it got: bound is 0 when
     * the value is the default of 1 because nobody gave one. */
    void (*on_dim)(void *context, const char *name, uint32_t min, uint32_t max, int bound);
    void *on_dim_context;
    /* If set, told of every Loop that max_iterations bounds. */
    void (*on_loop)(void *context, const char *node, uint32_t iterations);
    void *on_loop_context;
} wai_compile_options;

typedef struct wai_package wai_package;

/*
 * Compile `onnx` (one ModelProto, opsets up to 23 of ai.onnx).
 * MALFORMED: the bytes break the ONNX format or its rules. UNSUPPORTED: valid,
 * but an operator, attribute, dtype or dynamic shape is not covered; diag.where
 * names the node. LIMIT: past a number in limits.h or options->limits.
 */
wai_status wai_compile(wai_package **out, wai_bytes onnx, const wai_compile_options *options,
                       wai_diag *diag);
wai_bytes wai_package_bytes(const wai_package *package);
void wai_package_free(wai_package *package);

/*
 * State in a package that was compiled here what one inference uses on the
 * metered runtime, which only who runs it there knows, and seal it again.
 */
wai_status wai_package_state_fuel(uint8_t *package, size_t size, uint64_t fuel, wai_diag *diag);

/* State golden outputs, section 7 of core/package/format.h; wai_compile left room for them. */
wai_status wai_package_state_golden(uint8_t *package, size_t size, wai_bytes golden,
                                    wai_diag *diag);

/*
 * The graph of a package (or of one that was cut open for `inspect`) as text.
 * Calls options->on_stage once with stage "package".
 */
wai_status wai_package_dump(wai_bytes package, const wai_compile_options *options, wai_diag *diag);

#ifdef __cplusplus
}
#endif

#endif
