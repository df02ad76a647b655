/* net.h - small graphs as import would make them, and their evaluation by the
 * runtime's kernels, for tests of passes. */
#ifndef WAI_NET_H
#define WAI_NET_H

#include "unit.h"

#include <math.h>

#include "compiler/fold.h"
#include "ops/emit.h"
#include "passes/pass.h"

typedef struct net {
    wai_arena arena;
    wai_diag diag;
    wai_graph graph;
    wai_graph_io inputs[4], outputs[8];
    uint32_t random; /* for weights */
} net;

static inline void net_open(net *n, uint32_t seed) {
    memset(n, 0, sizeof *n);
    wai_arena_init(&n->arena, NULL, UINT64_MAX);
    wai_graph_init(&n->graph, &n->arena, &n->diag);
    n->graph.fold = wai_fold_node;
    n->graph.inputs = n->inputs;
    n->graph.outputs = n->outputs;
    n->random = seed * 2654435761u + 12345;
}

static inline void net_close(net *n) {
    wai_arena_free(&n->arena);
}

static inline uint32_t net_below(net *n, uint32_t count) {
    return unit_random(&n->random) % count;
}

/* -1..1 */
static inline float net_number(net *n) {
    return (float)(unit_random(&n->random) % 20001) / 10000.0f - 1.0f;
}

#define NET_DIMS(...)                                                                              \
    (uint32_t)(sizeof((uint32_t[]){__VA_ARGS__}) / sizeof(uint32_t)), (uint32_t[]) {               \
        __VA_ARGS__                                                                                \
    }

static inline wai_value *net_input(net *n, uint32_t rank, const uint32_t *dims) {
    wai_type type = wai_type_make(WAI_F32, rank, dims);
    wai_value *value = wai_graph_value(&n->graph, &type, "x");
    n->inputs[n->graph.input_count++] = (wai_graph_io){"x", value};
    return value;
}

static inline void net_output(net *n, wai_value *value) {
    if (value == NULL) {
        fail_msg("%s", n->diag.message);
    }
    value->output_count++;
    n->outputs[n->graph.output_count++] = (wai_graph_io){"y", value};
}

static inline wai_value *net_constant(net *n, uint32_t rank, const uint32_t *dims, float scale) {
    wai_type type = wai_type_make(WAI_F32, rank, dims);
    size_t count = wai_type_count(&type);
    float *data = calloc(count + 1, sizeof *data);
    for (size_t i = 0; i < count; i++) {
        data[i] = scale * net_number(n);
    }
    wai_value *value = wai_emit_constant(&n->graph, &type, data);
    free(data);
    return value;
}

static inline wai_value *net_scalar(net *n, float number) {
    return wai_emit_scalar_f32(&n->graph, number);
}

static inline wai_value *net_binary(net *n, wai_binary_kind kind, wai_value *a, wai_value *b) {
    return wai_emit_binary(&n->graph, kind, a, b);
}

static inline wai_value *net_unary(net *n, wai_unary_kind kind, wai_value *x) {
    return wai_emit_unary(&n->graph, kind, 0, 0, x);
}

static inline wai_value *net_transpose(net *n, wai_value *x, const uint32_t *perm) {
    return wai_emit_transpose(&n->graph, x, perm);
}

static inline wai_conv_params net_conv_params(uint32_t groups, uint32_t channels, uint32_t out,
                                              uint32_t kernel, uint32_t stride) {
    return (wai_conv_params){.groups = groups,
                             .group_in = channels / groups,
                             .group_out = out / groups,
                             .kernel_h = kernel,
                             .kernel_w = kernel,
                             .stride_h = stride,
                             .stride_w = stride,
                             .dilation_h = 1,
                             .dilation_w = 1,
                             .min = -INFINITY,
                             .max = INFINITY};
}

/* A convolution of x [N,C,H,W] as ONNX has it: transposes around. */
static inline wai_value *net_conv(net *n, wai_value *x, uint32_t groups, uint32_t out,
                                  uint32_t kernel, uint32_t stride, uint32_t pad, bool bias) {
    uint32_t channels = x->type.dims[1];
    wai_conv_params params = net_conv_params(groups, channels, out, kernel, stride);
    params.pad_top = params.pad_left = params.pad_bottom = params.pad_right = pad;
    float scale = 1.0f / (float)(kernel * kernel * (channels / groups));
    wai_value *in[3] = {
        wai_emit_channels_last(&n->graph, x),
        net_constant(n, NET_DIMS(out, kernel, kernel, channels / groups), 4 * scale),
        bias ? net_constant(n, NET_DIMS(out), 1) : NULL};
    return wai_emit_channels_first(&n->graph, wai_emit(&n->graph, &wai_op_conv2d, &params, in, 3));
}

static inline wai_value *net_pool(net *n, wai_value *x, wai_pool_kind kind, uint32_t kernel,
                                  uint32_t stride, uint32_t pad) {
    wai_pool_params params = {.kind = kind, .spatial = 2, .min = -INFINITY, .max = INFINITY};
    for (uint32_t i = 0; i < 2; i++) {
        params.kernel[i] = kernel;
        params.stride[i] = stride;
        params.dilation[i] = 1;
        params.pad_before[i] = params.pad_after[i] = pad;
        params.out[i] = (x->type.dims[2 + i] + 2 * pad - kernel) / stride + 1;
    }
    wai_value *in = wai_emit_channels_last(&n->graph, x);
    return wai_emit_channels_first(&n->graph, wai_emit(&n->graph, &wai_op_pool, &params, &in, 1));
}

/* Zeros (or `border`) around height and width. */
static inline wai_value *net_pad(net *n, wai_value *x, uint32_t by, const float *border) {
    wai_pad_params params = {
        .mode = WAI_PAD_CONSTANT, .before = {0, 0, by, by}, .after = {0, 0, by, by}};
    wai_value *in[2] = {x, border != NULL ? net_scalar(n, *border) : NULL};
    return wai_emit(&n->graph, &wai_op_pad, &params, in, 2);
}

static inline wai_value *net_concat(net *n, wai_value *a, wai_value *b, uint32_t axis) {
    wai_concat_params params = {axis};
    wai_value *in[2] = {a, b};
    return wai_emit(&n->graph, &wai_op_concat, &params, in, 2);
}

/* out = in[start + i * step] along `axis`, as many as there are. */
static inline wai_value *net_slice(net *n, wai_value *x, uint32_t axis, uint32_t start,
                                   int32_t step) {
    wai_slice_params params = {{0}, {0}, {0}};
    for (uint32_t i = 0; i < x->type.rank; i++) {
        params.step[i] = 1;
        params.dims[i] = x->type.dims[i];
    }
    uint32_t left = step > 0 ? x->type.dims[axis] - start : start + 1;
    params.start[axis] = start;
    params.step[axis] = step;
    params.dims[axis] = (left + (uint32_t)abs(step) - 1) / (uint32_t)abs(step);
    return wai_emit(&n->graph, &wai_op_slice, &params, &x, 1);
}

static inline uint32_t net_count(const net *n, const wai_op *op) {
    uint32_t count = 0;
    for (const wai_node *node = n->graph.first; node != NULL; node = node->next) {
        count += node->op == op;
    }
    return count;
}

/* Run one pass and check what it left. */
static inline void net_pass(net *n, wai_pass_function pass) {
    wai_status status = pass(&n->graph);
    n->graph.cursor = NULL;
    if (status == WAI_OK) {
        status = wai_graph_check(&n->graph);
    }
    if (status != WAI_OK) {
        fail_msg("%s: %s\n%s", n->diag.where, n->diag.message, wai_graph_dump(&n->graph));
    }
}

static inline void net_all_passes(net *n) {
    for (size_t i = 0; i < wai_pass_count; i++) {
        net_pass(n, wai_passes[i].run);
    }
}

/* What a step that is skipped leaves behind: anything, here bytes that are NaN. */
static inline void net_skip(net *n, wai_node *node) {
    for (uint32_t i = 0; i < node->out_count; i++) {
        size_t size = wai_type_size(&node->out[i]->type);
        void *data = wai_arena_alloc(&n->arena, wai_slot_size(size));
        memset(data, 0xff, size);
        node->out[i]->data = data;
    }
}

/* Give the inputs numbers from `seed` and compute everything. The graph is
 * of no use for passes afterwards: all its values have become constants. */
static inline void net_run(net *n, uint32_t seed) {
    uint32_t random = seed * 2654435761u + 99;
    for (uint32_t i = 0; i < n->graph.input_count; i++) {
        wai_value *value = n->inputs[i].value;
        size_t size = wai_type_size(&value->type);
        float *data = wai_arena_alloc(&n->arena, wai_slot_size(size));
        for (size_t k = 0; k < size / sizeof *data; k++) {
            data[k] = (float)(unit_random(&random) % 20001) / 5000.0f - 2.0f;
        }
        value->data = data;
    }
    for (wai_node *node = n->graph.first; node != NULL; node = node->next) {
        if (node->guard != NULL && *(const uint8_t *)node->guard->data == 0) {
            net_skip(n, node);
        } else if (wai_fold_node(&n->graph, node) != WAI_OK) {
            fail_msg("%s: %s", node->op->name, n->diag.message);
        }
    }
}

/* The same outputs? `tolerance` is relative to 1 + |value|; 0: the same bits. */
static inline void net_compare(const net *a, const net *b, float tolerance) {
    assert_int_equal(a->graph.output_count, b->graph.output_count);
    for (uint32_t o = 0; o < a->graph.output_count; o++) {
        const wai_value *left = a->outputs[o].value;
        const wai_value *right = b->outputs[o].value;
        assert_true(wai_type_equal(&left->type, &right->type));
        size_t size = wai_type_size(&left->type);
        if (tolerance == 0 || left->type.dtype != WAI_F32) {
            assert_memory_equal(left->data, right->data, size);
            continue;
        }
        const float *x = left->data;
        const float *y = right->data;
        for (size_t i = 0; i < size / sizeof *x; i++) {
            if (!(fabsf(x[i] - y[i]) <= tolerance * (1 + fabsf(x[i])))) {
                fail_msg("output %u element %zu: %g became %g", o, i, (double)x[i], (double)y[i]);
            }
        }
    }
}

#endif
