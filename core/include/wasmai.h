/*
 * wasmai.h - run a compiled WasmAI package.
 *
 * The whole life of a session:
 *
 *     open -> write inputs -> run -> read outputs -> (run again) -> close
 *
 * Rules that hold for every function here:
 *
 *   - A session is not thread-safe; use one per thread. Two sessions share no
 *     tensor, no weight and no state.
 *   - The caller owns what it passed in; the session owns what it hands out.
 *     Nothing returned here is ever freed by the caller.
 *   - Memory is allocated by wai_session_open() and by nothing else.
 *   - Package bytes are untrusted. Bad bytes give a status, never a crash.
 *   - After a failed wai_session_run() the session is dead: every later call
 *     except wai_session_close() returns WAI_ERR_STATE. One failure is none:
 *     WAI_ERR_ARGUMENT because the dims of the inputs do not fit each other or
 *     the model; then nothing has been run.
 *   - Sizes are bytes, counts are elements.
 */
#ifndef WASMAI_H
#define WASMAI_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define WAI_VERSION  "0.1.0" /* the only copy; build files read it here */
#define WAI_MAX_RANK 8u

typedef enum wai_status {
    WAI_OK = 0,
    WAI_ERR_ARGUMENT = 1,    /* the caller broke a documented rule          */
    WAI_ERR_STATE = 2,       /* right call, wrong time, or a dead session   */
    WAI_ERR_MALFORMED = 3,   /* the bytes are not what they claim to be     */
    WAI_ERR_UNSUPPORTED = 4, /* well formed, but not in this build          */
    WAI_ERR_LIMIT = 5,       /* would pass a number in wai_limits           */
    WAI_ERR_MEMORY = 6,      /* the allocator returned NULL                 */
    WAI_ERR_INTEGRITY = 7,   /* the bytes differ from their own digest, or
                                memory was written that nobody may write    */
    WAI_ERR_INTERNAL = 8     /* a bug in WasmAI; fuzzers abort on it        */
} wai_status;

/* "WAI_ERR_MALFORMED" and so on. Never NULL, also for unknown values. */
const char *wai_status_name(wai_status status);

#define WAI_NO_OFFSET UINT64_MAX

/* What went wrong, for people. Filled on failure only; pass NULL to skip. */
typedef struct wai_diag {
    wai_status status;
    uint64_t offset;   /* byte in the input, or WAI_NO_OFFSET               */
    char where[128];   /* node, tensor or section; printable ASCII          */
    char message[256]; /* one sentence, no newline                          */
} wai_diag;

typedef struct wai_bytes {
    const uint8_t *data;
    size_t size;
} wai_bytes;

/* Element types. The numbers are in packages: never renumber. */
typedef enum wai_dtype {
    WAI_F32 = 1,
    WAI_F16 = 2, /* IEEE binary16; converted, never computed in             */
    WAI_F64 = 3,
    WAI_I8 = 4,
    WAI_U8 = 5,
    WAI_I16 = 6,
    WAI_U16 = 7,
    WAI_I32 = 8,
    WAI_U32 = 9,
    WAI_I64 = 10,
    WAI_U64 = 11,
    WAI_BOOL = 12,       /* one byte, 0 or 1                                */
    WAI_BF16 = 13,       /* the upper half of an f32; as the next ones,
                            converted, never computed in                    */
    WAI_F8E4M3FN = 14,   /* sign, 4 bits exponent, 3 bits mantissa; to 448  */
    WAI_F8E4M3FNUZ = 15, /* the same, one NaN, no -0; to 240                */
    WAI_F8E5M2 = 16,     /* 5 bits exponent, 2 bits mantissa; to 57344      */
    WAI_F8E5M2FNUZ = 17, /* the same, one NaN, no infinities, no -0         */
    WAI_U4 = 18,         /* 0..15 and -8..7, one element per byte (upper bits */
    WAI_I4 = 19          /* are no matter); converted, never computed in    */
} wai_dtype;

/* One named slot of a session. `data` stays put until close. */
typedef struct wai_tensor {
    const char *name; /* NUL-terminated, printable                          */
    wai_dtype dtype;
    uint32_t rank;
    uint32_t dims[WAI_MAX_RANK];
    void *data;
    size_t size; /* bytes                                                   */
} wai_tensor;

/* Zero in any field means the default in core/base/limits.h. */
typedef struct wai_limits {
    uint64_t max_memory; /* bytes: package + arena + state                  */
} wai_limits;

/* `alloc` returns memory aligned to `align` (a power of two <= 64) or NULL. */
typedef struct wai_allocator {
    void *context;
    void *(*alloc)(void *context, size_t size, size_t align);
    void (*free)(void *context, void *pointer);
} wai_allocator;

/*
 * Looks for damage: guard words round the arena, round every tensor in it, round
 * operator state and constants are checked in every run, which fails with
 * INTEGRITY where one was overwritten; memory that is given back is filled.
 * Takes no more memory. The package must be this session's own and writable: the
 * spare bytes behind its constants become guard words.
 */
typedef struct wai_hardening {
    uint64_t key;           /* the pattern of the guard words, best a random number;
                               0: no hardening                                        */
    uint32_t weights_every; /* wipes from one look at the package's hash to the
                               next; 0: never                               */
} wai_hardening;

/* All-zero is the default for every field. */
typedef struct wai_options {
    wai_limits limits;
    const wai_allocator *allocator; /* NULL: malloc; outlives the session   */
    wai_hardening hardening;
    struct pthreadpool *threads; /* NULL: one thread; outlives the session (runtime/threads.h) */
} wai_options;

/* What a package states about itself; read it without opening a session. */
typedef struct wai_certificate {
    uint64_t package_size; /* bytes of the whole package                    */
    uint64_t arena_size;   /* bytes for all tensors that live during a run  */
    uint64_t state_size;   /* bytes of operator state, measured on wasm32   */
    uint64_t peak_size;    /* bytes of linear memory that one session needs,
                              the runtime's own data and stack included     */
    uint64_t param_count;  /* weights of the source model, elements         */
    uint64_t flop_count;   /* floating-point operations of one inference    */
    uint64_t fuel;         /* of one inference at the largest dims, metered
                              (harness/toolchain/meter); 0: not stated      */
    uint32_t layout;       /* which kernels the packed weights are for      */
    uint32_t step_count;
    uint8_t source_digest[48]; /* SHA-384 of the source ONNX file           */
} wai_certificate;

/*
 * Read the certificate of `package`. Checks the header, not the rest.
 * WAI_ERR_MALFORMED or WAI_ERR_UNSUPPORTED (another format version).
 */
wai_status wai_certificate_read(wai_certificate *out, wai_bytes package, wai_diag *diag);

typedef struct wai_session wai_session;

/*
 * Check `package` from its first byte to its last, prove its memory plan and
 * build its kernels. `package` is borrowed until wai_session_close(), must be
 * 64-byte aligned, and is never written to (but see wai_hardening).
 * On failure *out is NULL and nothing is left allocated.
 */
wai_status wai_session_open(wai_session **out, wai_bytes package, const wai_options *options,
                            wai_diag *diag);

uint32_t wai_session_input_count(const wai_session *session);
uint32_t wai_session_output_count(const wai_session *session);

/* Fill *out with slot `index`. Write inputs through out->data before a run;
 * read outputs through it after a run that returned WAI_OK. Outputs, and
 * inputs that a step may overwrite, are undefined before that. */
wai_status wai_session_input(const wai_session *session, uint32_t index, wai_tensor *out);
wai_status wai_session_output(const wai_session *session, uint32_t index, wai_tensor *out);

/* An axis of an input: a number (min == max, no symbol), or a symbol's range. */
typedef struct wai_axis {
    const char *symbol; /* NULL: the axis is a number                       */
    uint32_t min, max;  /* both included                                    */
} wai_axis;

/* The axes of input `index`, as many as its rank, into out[]. */
wai_status wai_session_axes(const wai_session *session, uint32_t index, wai_axis out[WAI_MAX_RANK]);

/* 1 if the dims of output `index` may differ from run to run, else 0. */
int wai_session_output_varies(const wai_session *session, uint32_t index);

/*
 * Give input `index` the dims that it has from the next run on, as many as its
 * rank; a session starts with the largest. Resize before you write the input.
 * ARGUMENT when a dim is outside its range. Inputs that share a symbol must agree
 * when the run starts. Output slots have their dims behind the run; before it
 * those of the run before. Data pointers stay as they are.
 */
wai_status wai_session_resize(wai_session *session, uint32_t index, const uint32_t *dims,
                              wai_diag *diag);

/* Run once. Allocates nothing. All inputs must be written, or carried to,
 * before every run. */
wai_status wai_session_run(wai_session *session, wai_diag *diag);

/*
 * A run in pieces, for a profile: at most `count` steps more of the run that is under
 * way, or of a new one. *left: steps that are left; when it is 0 after WAI_OK the run
 * has ended, as by wai_session_run. In between, every other call that needs outputs or
 * gives inputs answers STATE.
 */
wai_status wai_session_advance(wai_session *session, uint32_t count, uint32_t *left,
                               wai_diag *diag);

typedef struct wai_step_info {
    const char *name;      /* of the node that it was made from             */
    const char *op;        /* as in dumps: "conv2d"                         */
    uint64_t read_size;    /* bytes of its operands, weights included; of   */
    uint64_t written_size; /* results. At the dims that it has now          */
} wai_step_info;

/* Step `index` of every run; ARGUMENT behind the last. Texts live as long as the session. */
wai_status wai_session_step(const wai_session *session, uint32_t index, wai_step_info *out);

#define WAI_NO_OUTPUT UINT32_MAX

/*
 * Outputs of the last run become inputs of the next, without leaving the
 * session: from[i] is the output that goes to input i, or WAI_NO_OUTPUT; there
 * is an entry for every input. All at once: outputs may be swapped, and one
 * may go to several inputs.
 *
 * Call it between two runs: after reading the outputs, which are undefined
 * from here on, and before writing the other inputs. Allocates nothing.
 * ARGUMENT: no such output, or its dtype or dims are not the input's; STATE:
 * there are no outputs. Nothing has been copied then.
 */
wai_status wai_session_carry(wai_session *session, const uint32_t *from, wai_diag *diag);

/*
 * With hardening, between two runs, behind reading the outputs and a carry: zeros
 * all tensors but inputs that were carried to, so that no later run can show what
 * this one had, and looks at the weights when it is time: INTEGRITY when they
 * have changed, and the session is dead. Allocates nothing. STATE without
 * hardening. A run without a wipe before it is a run all the same.
 */
wai_status wai_session_wipe(wai_session *session, wai_diag *diag);

/* Bytes taken from the allocator since open: arena and operator state. */
uint64_t wai_session_memory(const wai_session *session);

/* Free everything the session owns. NULL is allowed and does nothing. */
void wai_session_close(wai_session *session);

#ifdef __cplusplus
}
#endif

#endif
