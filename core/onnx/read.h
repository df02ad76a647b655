/*
 * read.h - ONNX bytes to records. Structure only: every length is in bounds,
 * every count is under its limit, text is text. What the records mean is
 * import's business.
 *
 * Records live in the arena; `span`s borrow the file's bytes. Field numbers
 * are those of onnx.proto3 (ONNX 1.17); protobuf decoding is nanopb's.
 */
#ifndef WAI_ONNX_READ_H
#define WAI_ONNX_READ_H

#include "base/arena.h"
#include "base/diag.h"

/* TensorProto.DataType */
enum {
    WAI_ONNX_FLOAT = 1,
    WAI_ONNX_UINT8 = 2,
    WAI_ONNX_INT8 = 3,
    WAI_ONNX_UINT16 = 4,
    WAI_ONNX_INT16 = 5,
    WAI_ONNX_INT32 = 6,
    WAI_ONNX_INT64 = 7,
    WAI_ONNX_STRING = 8,
    WAI_ONNX_BOOL = 9,
    WAI_ONNX_FLOAT16 = 10,
    WAI_ONNX_DOUBLE = 11,
    WAI_ONNX_UINT32 = 12,
    WAI_ONNX_UINT64 = 13,
    WAI_ONNX_BFLOAT16 = 16,
    WAI_ONNX_FLOAT8E4M3FN = 17,
    WAI_ONNX_FLOAT8E4M3FNUZ = 18,
    WAI_ONNX_FLOAT8E5M2 = 19,
    WAI_ONNX_FLOAT8E5M2FNUZ = 20,
    WAI_ONNX_UINT4 = 21,
    WAI_ONNX_INT4 = 22,
};

/* AttributeProto.AttributeType */
enum {
    WAI_ONNX_ATTR_FLOAT = 1,
    WAI_ONNX_ATTR_INT = 2,
    WAI_ONNX_ATTR_STRING = 3,
    WAI_ONNX_ATTR_TENSOR = 4,
    WAI_ONNX_ATTR_GRAPH = 5,
    WAI_ONNX_ATTR_FLOATS = 6,
    WAI_ONNX_ATTR_INTS = 7,
    WAI_ONNX_ATTR_STRINGS = 8,
};

typedef struct wai_onnx_tensor {
    const char *name;
    int32_t data_type;
    uint32_t rank;
    int64_t dims[WAI_MAX_RANK];
    wai_bytes raw;     /* raw_data; data NULL when absent                  */
    wai_bytes message; /* the TensorProto: typed data is read from here    */
    uint64_t offset;   /* of the message in the file                       */
    int external;      /* its data is in another file                      */
} wai_onnx_tensor;

typedef struct wai_onnx_attr {
    const char *name;
    int32_t type; /* worked out from the fields when the file leaves it out */
    float f;
    int64_t i;
    const char *s;
    wai_onnx_tensor *tensor;
    wai_bytes graph; /* the GraphProto: read when it is taken; NULL: absent  */
    int64_t *ints;
    float *floats;
    const char **strings;
    uint32_t int_count, float_count, string_count;
} wai_onnx_attr;

typedef struct wai_onnx_node {
    const char *name, *op_type, *domain;
    const char **inputs, **outputs; /* "" means absent                      */
    uint32_t input_count, output_count;
    wai_onnx_attr *attrs;
    uint32_t attr_count;
    uint64_t offset;
} wai_onnx_node;

typedef struct wai_onnx_dim {
    const char *name; /* NULL when the dim is a number or nothing           */
    int64_t value;    /* -1: not stated                                     */
} wai_onnx_dim;

typedef struct wai_onnx_io {
    const char *name;
    int32_t elem_type; /* 0: not a tensor or not stated                     */
    int sequence;      /* a sequence of what the rest says                  */
    int optional;      /* perhaps nothing; else what the rest says          */
    int has_shape;
    uint32_t rank;
    wai_onnx_dim dims[WAI_MAX_RANK];
    uint64_t offset;
} wai_onnx_io;

typedef struct wai_onnx_opset {
    const char *domain;
    int64_t version;
} wai_onnx_opset;

typedef struct wai_onnx_graph {
    wai_onnx_node *nodes;
    wai_onnx_tensor *initializers;
    wai_onnx_io *inputs, *outputs;
    uint32_t node_count, initializer_count, input_count, output_count;
} wai_onnx_graph;

typedef struct wai_onnx_model {
    const uint8_t *file; /* its first byte: offsets count from here         */
    int64_t ir_version;
    wai_onnx_opset *opsets;
    uint32_t opset_count;
    wai_onnx_graph graph;
} wai_onnx_model;

wai_status wai_onnx_read(wai_onnx_model *out, wai_bytes file, wai_arena *arena, wai_diag *diag);

/* The GraphProto `message` of an attribute (the body of If, Loop, Scan). The
 * graphs in its own nodes stay bytes, so nothing here nests. */
wai_status wai_onnx_read_graph(wai_onnx_graph *out, wai_bytes message, const wai_onnx_model *model,
                               wai_arena *arena, wai_diag *diag);

/*
 * The tensor's elements as dense little-endian bytes into out[0..size), where
 * size = count * element size; 4-bit integers one per byte, extended. From raw_data or the typed
 * fields; MALFORMED when they hold another count.
 */
wai_status wai_onnx_tensor_data(const wai_onnx_tensor *tensor, uint8_t *out, size_t size,
                                wai_diag *diag);

#endif
