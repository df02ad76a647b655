/*
 * cases.h - an operator case as text.
 *
 *   # comment; a line that ends in \ goes on in the next one
 *   case NAME
 *     op softmax                   the symbol in ops.def
 *     axis 1                       a param by its field's name; arrays
 *                                  space-separated; enums by name or number;
 *                                  fields not given are 0
 *     in f32[2,3] 1 2 3 0 0 0      an input; `in none`: absent
 *     const f32[3] 1 2 3           a constant input
 *     out f32[2,3] ...             an expected output
 *     within 1e-6 [1e-5]           absolute and relative tolerance. Without it
 *                                  all bits must agree (any NaN is a NaN)
 *     fails MALFORMED some text    infer, prepare or run must refuse with that
 *                                  status and the text in its message
 *     infer                        look at types only: nothing is run
 *
 * Instead of `op`, in tests/ops/onnx, which a program of its own runs as a model
 * of one node through compiler and runtime:
 *     onnx NAME OPSET              a node of ai.onnx
 *     microsoft NAME               a node of com.microsoft
 *     ml NAME                      a node of ai.onnx.ml
 *     int NAME 1                   an attribute; also ints, float, floats, string
 *     out none                     an output that is not asked for
 *
 * Values: numbers, inf, -inf, nan (f16: bit patterns such as 0x3c00; bool: 0
 * or 1), or one word: `iota` (0 1 2 ...), `zeros`, `ones`, `random SEED`
 * (floats in [-2, 2), integers in -100..99 or 0..199), for an output also
 * `any` (not compared). Fewer values than elements is an error, none is zeros.
 */
#ifndef WAI_TEST_CASES_H
#define WAI_TEST_CASES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ops/op.h"

#define CASE_MAX_OPERANDS 64
#define CASE_MAX_TEXT     256

typedef struct case_tensor {
    wai_type type;
    bool absent, constant;
    char *values; /* the text behind the type; owned by the case */
} case_tensor;

#define CASE_MAX_ATTRS 16

/* Of the kind that `type` names; the text behind it, owned by the case. */
typedef struct case_attr {
    char type[8];
    char *text;
} case_attr;

typedef struct op_case {
    char name[CASE_MAX_TEXT];
    const char *file;
    unsigned line;
    const wai_op_row *row;
    uint32_t *params; /* params_size bytes */
    char onnx[64];    /* instead of row */
    const char *domain;
    uint32_t opset, attr_count;
    case_attr attrs[CASE_MAX_ATTRS];
    case_tensor in[CASE_MAX_OPERANDS], out[CASE_MAX_OPERANDS];
    uint32_t in_count, out_count;
    double absolute, relative;
    bool tolerant;   /* `within` was given */
    bool infer_only; /* `infer` was given */
    wai_status fails;
    char message[CASE_MAX_TEXT];
} op_case;

/*
 * Parse the file and call `visit` for every case; the case is valid for the
 * call only. False after printing "file:line: why" if the text is wrong.
 */
bool cases_read(const char *path, void (*visit)(void *context, const op_case *c), void *context);

/*
 * Is `data` output `index`, within the case's tolerance? False with a sentence in
 * text[160]: which element differs.
 */
bool case_output_agrees(const op_case *c, uint32_t index, const wai_type *type, const void *data,
                        char text[160]);

/* Cut the next word off *text; NULL at the end. */
char *case_next_word(char **text);

/* Write the values into data[0..wai_type_size). False if they do not fit. */
bool case_tensor_fill(const case_tensor *tensor, void *data);

#endif
