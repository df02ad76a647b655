/* dynamic.h - models with symbolic dims n and m: one package for all of them beside
 * a package of its own for each, bit for bit. */
#ifndef WAI_UNIT_DYNAMIC_H
#define WAI_UNIT_DYNAMIC_H

#include "onnx_build.h"
#include "wasmai_compile.h"

enum { FLOAT = 1, INT64 = 7 };

/* A model made node by node; the last value is its output. */
typedef struct maker {
    msg graph;
    int opset;
} maker;

static inline void give(maker *m, const char *name, int type, int rank, const int64_t *dims) {
    msg io = onnx_io(name, type, rank, dims);
    msg_put(&m->graph, GRAPH_INPUT, &io);
}

#define GIVE(m, name, type, ...)                                                                   \
    give(m, name, type, (int)(sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t)),                 \
         (int64_t[]){__VA_ARGS__})

static inline void hold_numbers(maker *m, const char *name, int count, const int64_t *numbers) {
    msg tensor = onnx_tensor(name, INT64, 1, (int64_t[]){count}, numbers, (size_t)count * 8);
    msg_put(&m->graph, GRAPH_INITIALIZER, &tensor);
}

#define HOLD(m, name, ...)                                                                         \
    hold_numbers(m, name, (int)(sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t)),               \
                 (int64_t[]){__VA_ARGS__})

/* Floats that repeat nowhere soon. */
static inline void hold_floats(maker *m, const char *name, int rank, const int64_t *dims) {
    float data[1024];
    size_t count = 1;
    for (int i = 0; i < rank; i++) {
        count *= (size_t)dims[i];
    }
    assert_true(count <= 1024);
    for (size_t i = 0; i < count; i++) {
        data[i] = (float)((i * 37 + 11) % 101) / 50 - 1;
    }
    msg tensor = onnx_tensor(name, FLOAT, rank, dims, data, count * 4);
    msg_put(&m->graph, GRAPH_INITIALIZER, &tensor);
}

static inline void put(maker *m, const msg *node) {
    msg_put(&m->graph, GRAPH_NODE, node);
}

static inline void add(maker *m, const char *op, const char *in, const char *out) {
    msg node = onnx_node(out, op, in, out);
    put(m, &node);
}

static inline void want(maker *m, const char *name, int type) {
    msg io = {{0}, 0}, tensor = {{0}, 0}, whole = {{0}, 0};
    msg_int(&tensor, 1, (uint64_t)type);
    msg_put(&whole, 1, &tensor);
    msg_text(&io, 1, name);
    msg_put(&io, 2, &whole);
    msg_put(&m->graph, GRAPH_OUTPUT, &io);
}

static inline void attr_ints(msg *node, const char *name, int count, const int64_t *values) {
    msg attr = {{0}, 0};
    msg_text(&attr, 1, name);
    for (int i = 0; i < count; i++) {
        msg_int(&attr, 8, (uint64_t)values[i]);
    }
    msg_int(&attr, 20, 7);
    msg_put(node, 5, &attr);
}

#define ATTR_INTS(node, name, ...)                                                                 \
    attr_ints(node, name, (int)(sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t)),               \
              (int64_t[]){__VA_ARGS__})

static inline void attr_text(msg *node, const char *name, const char *text) {
    msg attr = {{0}, 0};
    msg_text(&attr, 1, name);
    msg_text(&attr, 4, text);
    msg_int(&attr, 20, 3);
    msg_put(node, 5, &attr);
}

/* ---- packages and sessions ---- */

typedef struct range {
    uint32_t n_min, n_max, m_min, m_max;
} range;

static inline wai_status compile_for(wai_package **package, const maker *m, range r,
                                     wai_diag *diag) {
    const wai_dim dims[] = {{"n", r.n_min, r.n_max}, {"m", r.m_min, r.m_max}};
    const wai_compile_options options = {
        .optimize = 1, .dims = dims, .dim_count = r.m_max != 0 ? 2 : 1};
    msg model = onnx_model(&m->graph, m->opset != 0 ? m->opset : 18);
    return wai_compile(package, (wai_bytes){model.data, model.size}, &options, diag);
}

static inline wai_session *open_for(wai_package **package, const maker *m, range r,
                                    const wai_allocator *allocator) {
    wai_diag diag;
    wai_session *session;
    const wai_options options = {.allocator = allocator};
    if (compile_for(package, m, r, &diag) != WAI_OK ||
        wai_session_open(&session, wai_package_bytes(*package), &options, &diag) != WAI_OK) {
        fail_msg("n = %u..%u: %s: %s", r.n_min, r.n_max, diag.where, diag.message);
    }
    return session;
}

/* Every symbolic axis its number. */
static inline wai_status resize_to(wai_session *session, uint32_t n, uint32_t m, wai_diag *diag) {
    wai_status status = WAI_OK;
    for (uint32_t i = 0; i < wai_session_input_count(session) && status == WAI_OK; i++) {
        wai_axis axes[WAI_MAX_RANK];
        wai_tensor input;
        assert_int_equal(wai_session_input(session, i, &input), WAI_OK);
        assert_int_equal(wai_session_axes(session, i, axes), WAI_OK);
        for (uint32_t axis = 0; axis < input.rank; axis++) {
            if (axes[axis].symbol != NULL) {
                input.dims[axis] = axes[axis].symbol[0] == 'n' ? n : m;
            }
        }
        status = wai_session_resize(session, i, input.dims, diag);
    }
    return status;
}

/* The same numbers for the same dims; integers are small ones. */
static inline void fill_inputs(wai_session *session, uint32_t seed) {
    for (uint32_t i = 0; i < wai_session_input_count(session); i++) {
        wai_tensor input;
        uint32_t random = seed * 2654435761u + i + 1;
        assert_int_equal(wai_session_input(session, i, &input), WAI_OK);
        for (size_t k = 0; k < input.size / (input.dtype == WAI_F32 ? 4 : 8); k++) {
            const uint32_t number = unit_random(&random);
            if (input.dtype == WAI_F32) {
                const float real = (float)(number % 2001) / 500 - 2;
                memcpy((uint8_t *)input.data + 4 * k, &real, 4);
            } else {
                const int64_t whole = number % 3;
                memcpy((uint8_t *)input.data + 8 * k, &whole, 8);
            }
        }
    }
}

static inline void assert_same_outputs(wai_session *a, wai_session *b, uint32_t n, uint32_t m) {
    for (uint32_t i = 0; i < wai_session_output_count(a); i++) {
        wai_tensor x, y;
        assert_int_equal(wai_session_output(a, i, &x), WAI_OK);
        assert_int_equal(wai_session_output(b, i, &y), WAI_OK);
        if (x.rank != y.rank || memcmp(x.dims, y.dims, sizeof x.dims) != 0 || x.size != y.size ||
            (x.size != 0 && memcmp(x.data, y.data, x.size) != 0)) {
            fail_msg("n = %u, m = %u: output %s differs from the model of these dims", n, m,
                     x.name);
        }
    }
}

/* The session at (n, m) and a package of these numbers agree: in results, or both
 * refuse. */
static inline void check_point(wai_session *session, const maker *maker, uint32_t n, uint32_t m) {
    wai_diag diag, other;
    wai_package *package = NULL;
    wai_session *fixed = NULL;
    const bool takes = compile_for(&package, maker, (range){n, n, m, m}, &other) == WAI_OK;
    wai_status status = resize_to(session, n, m, &diag);
    if (status == WAI_OK) {
        fill_inputs(session, n * 64 + m);
        status = wai_session_run(session, &diag);
    }
    if (takes && status != WAI_OK) {
        fail_msg("n = %u, m = %u: %s: %s", n, m, diag.where, diag.message);
    }
    if (!takes) {
        if (status != WAI_ERR_ARGUMENT) {
            fail_msg("n = %u, m = %u is not refused: %s: %s", n, m, other.where, other.message);
        }
        return;
    }
    assert_int_equal(wai_session_open(&fixed, wai_package_bytes(package), NULL, &other), WAI_OK);
    fill_inputs(fixed, n * 64 + m);
    if (wai_session_run(fixed, &other) != WAI_OK) {
        fail_msg("n = %u, m = %u, the model itself: %s: %s", n, m, other.where, other.message);
    }
    assert_same_outputs(session, fixed, n, m);
    wai_session_close(fixed);
    wai_package_free(package);
}

/* All points, from the largest down and up again. */
static inline void check_range(const maker *maker, range r) {
    wai_package *package;
    wai_session *session = open_for(&package, maker, r, NULL);
    for (uint32_t turn = 0; turn < 2; turn++) {
        for (uint32_t n = r.n_min; n <= r.n_max; n++) {
            for (uint32_t m = r.m_min; m <= r.m_max; m++) {
                const bool down = turn == 0;
                check_point(session, maker, down ? r.n_max + r.n_min - n : n,
                            down ? r.m_max + r.m_min - m : m);
            }
        }
    }
    wai_session_close(session);
    wai_package_free(package);
}

#endif
