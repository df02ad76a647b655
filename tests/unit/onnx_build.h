/* onnx_build.h - ONNX models made in a test, field by field (onnx.proto). */
#ifndef WAI_ONNX_BUILD_H
#define WAI_ONNX_BUILD_H

#include "unit.h"

typedef struct msg {
    uint8_t data[16384];
    size_t size;
} msg;

static inline void msg_varint(msg *m, uint64_t value) {
    do {
        m->data[m->size++] = (uint8_t)((value & 0x7f) | (value > 0x7f ? 0x80 : 0));
        value >>= 7;
    } while (value != 0);
}

static inline void msg_int(msg *m, uint32_t field, uint64_t value) {
    msg_varint(m, field << 3);
    msg_varint(m, value);
}

static inline void msg_bytes(msg *m, uint32_t field, const void *data, size_t size) {
    msg_varint(m, field << 3 | 2);
    msg_varint(m, size);
    assert_true(m->size + size < sizeof m->data);
    if (size > 0) {
        memcpy(m->data + m->size, data, size);
    }
    m->size += size;
}

static inline void msg_text(msg *m, uint32_t field, const char *text) {
    msg_bytes(m, field, text, strlen(text));
}

static inline void msg_put(msg *m, uint32_t field, const msg *part) {
    msg_bytes(m, field, part->data, part->size);
}

/* dims: count numbers; -1 leaves one open as "n", -2 as "m". */
static inline msg onnx_io(const char *name, int type, int rank, const int64_t *dims) {
    msg io = {{0}, 0};
    msg tensor = {{0}, 0};
    msg shape = {{0}, 0};
    msg whole = {{0}, 0};
    for (int i = 0; i < rank; i++) {
        msg dim = {{0}, 0};
        if (dims[i] >= 0) {
            msg_int(&dim, 1, (uint64_t)dims[i]);
        } else {
            msg_text(&dim, 2, dims[i] == -1 ? "n" : "m");
        }
        msg_put(&shape, 1, &dim);
    }
    msg_int(&tensor, 1, (uint64_t)type);
    msg_put(&tensor, 2, &shape);
    msg_put(&whole, 1, &tensor);
    msg_text(&io, 1, name);
    msg_put(&io, 2, &whole);
    return io;
}

/* `size` bytes of raw_data. */
static inline msg onnx_tensor(const char *name, int type, int rank, const int64_t *dims,
                              const void *raw, size_t size) {
    msg tensor = {{0}, 0};
    for (int i = 0; i < rank; i++) {
        msg_int(&tensor, 1, (uint64_t)dims[i]);
    }
    msg_int(&tensor, 2, (uint64_t)type);
    msg_text(&tensor, 8, name);
    msg_bytes(&tensor, 9, raw, size);
    return tensor;
}

/* Names separated by spaces; "-" is an absent input. */
static inline void onnx_names(msg *node, uint32_t field, const char *names) {
    char copy[256];
    snprintf(copy, sizeof copy, "%s", names);
    for (char *name = strtok(copy, " "); name != NULL; name = strtok(NULL, " ")) {
        msg_text(node, field, strcmp(name, "-") == 0 ? "" : name);
    }
}

static inline msg onnx_node(const char *name, const char *op, const char *in, const char *out) {
    msg node = {{0}, 0};
    onnx_names(&node, 1, in);
    onnx_names(&node, 2, out);
    msg_text(&node, 3, name);
    msg_text(&node, 4, op);
    return node;
}

static inline void onnx_attr_int(msg *node, const char *name, int64_t value) {
    msg attr = {{0}, 0};
    msg_text(&attr, 1, name);
    msg_int(&attr, 3, (uint64_t)value);
    msg_int(&attr, 20, 2);
    msg_put(node, 5, &attr);
}

static inline msg onnx_model(const msg *graph, int opset) {
    msg model = {{0}, 0};
    msg import = {{0}, 0};
    msg_int(&model, 1, 8);
    msg_put(&model, 7, graph);
    msg_text(&import, 1, "");
    msg_int(&import, 2, (uint64_t)opset);
    msg_put(&model, 8, &import);
    return model;
}

enum { GRAPH_NODE = 1, GRAPH_INITIALIZER = 5, GRAPH_INPUT = 11, GRAPH_OUTPUT = 12 };

#endif
