/*
 * op.h - the contract that every operator file fulfils.
 *
 * An operator of ours (not of ONNX) is up to three constants in one file:
 *
 *   wai_op_NAME         meaning: params, field table, infer     compiler, runtime
 *   wai_op_NAME_kernel  prepare, setup, run                     runtime (and folding)
 *   wai_lower_NAME      ONNX attributes -> our operators        compiler only
 *
 * They are separate constants so that the linker drops the half that a binary
 * does not refer to. Ids and names stand in ops.def.
 *
 * Layout: activations of conv, deconv, pool and lrn are channels-last
 * ([N, spatial..., C]); lowering brings ONNX's channels-first in with
 * transposes, passes push those out and cancel them.
 */
#ifndef WAI_OP_H
#define WAI_OP_H

#include <stdbool.h>
#include <stddef.h>

#include "base/diag.h"
#include "base/pool.h"
#include "tensor/type.h"

/* ---- parameters ------------------------------------------------------- */

typedef enum wai_field_kind { WAI_FIELD_U32 = 1, WAI_FIELD_I32, WAI_FIELD_F32 } wai_field_kind;

/*
 * One member of a params struct. Params structs hold nothing but 4-byte
 * members and arrays of them, so that writer, reader and dump need no code per
 * operator. Every member must have a field, in order.
 */
typedef struct wai_field {
    const char *name;
    uint32_t kind;
    uint32_t offset;
    uint32_t count; /* 1, or the length of the array             */
    /* An enum's names: values[v] names v, values[0] is NULL where 0 is no
     * value, a NULL behind the last name ends the table. NULL: no enum. */
    const char *const *values;
} wai_field;

#define WAI_FIELD(type, kind, member)                                                              \
    {#member, kind, offsetof(type, member), sizeof(((type *)0)->member) / 4, NULL}
#define WAI_FIELD_ENUM(type, member, names)                                                        \
    {#member, WAI_FIELD_U32, offsetof(type, member), 1, names}

/* ---- meaning ---------------------------------------------------------- */

/* What infer looks at and fills in. */
typedef struct wai_signature {
    const void *params;        /* of the operator's struct; hostile         */
    const wai_type *const *in; /* valid types; NULL for an absent input     */
    uint32_t in_count;         /* within the operator's min_in..max_in      */
    wai_type *out;             /* to fill: out[0..out_count)                */
    uint32_t out_count;        /* within min_out..max_out                   */
    const char *where;         /* node name for messages                    */
    wai_diag *diag;
} wai_signature;

typedef struct wai_op {
    const char *name; /* as in dumps: "conv2d"                              */
    uint32_t params_size;
    const wai_field *fields;
    uint32_t field_count;
    uint32_t min_in, max_in; /* absent (NULL) inputs among them are counted */
    uint32_t min_out, max_out;
    /* Bit i: out[0] may have the address of in[i] when both have the same
     * size in bytes. Partial overlap is never allowed. */
    uint32_t in_place;
    /* out[0] is the bytes of in[0], whole and unchanged: it may share them
     * even while in[0] is still needed. */
    bool same_bytes;
    /*
     * Check every parameter and every input type, then fill out[] from them.
     * This is the only check there is: kernels trust it. Required inputs may
     * be NULL here when the bytes are hostile: check. Messages name numbers.
     */
    wai_status (*infer)(wai_signature *s);
    /*
     * Not NULL: how many results there are depends on values. infer then gives
     * upper bounds, `run` lowers the dims in out[].type to what it found, and
     * the first word of params, `limit`, may state the bound (0: the largest
     * that is possible). data_count says which dim of out[0] counts them.
     */
    uint32_t (*data_count)(const void *params, const wai_type *out);
    /* Floating-point operations of one run (multiply-add = 2); NULL: one per
     * output element. Called after infer. */
    uint64_t (*flops)(const wai_signature *s);
} wai_op;

/* Shorthand inside infer: MALFORMED at s->where. */
#define WAI_REFUSE(s, ...) wai_fail((s)->diag, WAI_ERR_MALFORMED, (s)->where, __VA_ARGS__)
/* UNSUPPORTED at s->where: valid ONNX, but not covered (dtype, rank). */
#define WAI_DECLINE(s, ...) wai_fail((s)->diag, WAI_ERR_UNSUPPORTED, (s)->where, __VA_ARGS__)

/* ---- kernel ----------------------------------------------------------- */

typedef struct wai_operand {
    wai_type type;
    void *data;    /* NULL for an absent input; constants are never written */
    bool constant; /* known when the step is prepared                       */
} wai_operand;

typedef struct wai_step {
    const wai_op *op;
    const struct wai_kernel *kernel;
    const void *params;
    const char *where;
    wai_operand *in;
    wai_operand *out;
    uint32_t in_count, out_count;
    const uint8_t *guard;        /* a bool: skip the step when it is 0; may be NULL */
    void *state;                 /* the kernel's own, from the pool               */
    size_t workspace_size;       /* bytes wanted during run; set by prepare       */
    void *workspace;             /* shared by all steps; valid from setup on      */
    struct pthreadpool *threads; /* for what XNNPACK's operators and pthreadpool_parallelize_* are
                                    given; NULL: this thread does it alone   */
} wai_step;

typedef struct wai_kernel {
    /* Allocate from `pool` whatever run needs. Types have passed infer, data
     * pointers are final. NULL: nothing to prepare. */
    wai_status (*prepare)(wai_step *step, wai_pool *pool, wai_diag *diag);
    /* After every step is prepared and workspace is there. May be NULL. */
    wai_status (*setup)(wai_step *step, wai_diag *diag);
    /* Once per inference. Allocates nothing. Fails only on values that cannot
     * be checked before (an index out of range). */
    wai_status (*run)(wai_step *step, wai_diag *diag);
} wai_kernel;

/* ---- the table -------------------------------------------------------- */

/* ops.def rows, as the runtime and the compiler see them. */
typedef struct wai_op_row {
    uint32_t id;
    const wai_op *op;
    const wai_kernel *kernel;
} wai_op_row;

const wai_op_row *wai_op_by_id(uint32_t id);     /* NULL: no such operator */
const wai_op_row *wai_op_find(const wai_op *op); /* NULL: not in the table */

#endif
