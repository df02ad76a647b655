/*
 * pack_weights: constant weights and bias of conv2d, deconv2d and
 * fully_connected become the bytes that the wasm kernels read, so that opening
 * a package packs nothing and holds every weight once. Equal packed bytes are
 * one constant, however many nodes use them.
 */
#include <string.h>

#include "base/hash.h"
#include "base/limits.h"
#include "passes/pass.h"
#include "runtime/xnn.h"

typedef struct blob {
    uint64_t hash;
    wai_value *value;
    struct blob *next;
} blob;

/* Open chains by hash. */
#define BUCKETS 1024u

static void *take(wai_graph *graph, size_t size) {
    void *memory = wai_arena_alloc(graph->arena, size);
    if (memory == NULL) {
        wai_graph_fail(graph, WAI_ERR_MEMORY, "out of memory in the compiler");
    }
    return memory;
}

/* The constant that holds `bytes`, an earlier one if there is one. */
static wai_value *share(wai_graph *graph, blob **buckets, const uint8_t *bytes, size_t size,
                        const char *name) {
    uint64_t hash = wai_hash_bytes(WAI_HASH_START, bytes, size);
    blob **bucket = &buckets[hash % BUCKETS];
    for (blob *b = *bucket; b != NULL; b = b->next) {
        if (b->hash == hash && wai_type_size(&b->value->type) == size &&
            memcmp(b->value->data, bytes, size) == 0) {
            return b->value;
        }
    }
    if (size > WAI_MAX_TENSOR_SIZE) {
        wai_graph_fail(graph, WAI_ERR_LIMIT, "packed weights of %zu bytes are too large", size);
        return NULL;
    }
    uint32_t dim = (uint32_t)size;
    wai_type type = wai_type_make(WAI_U8, 1, &dim);
    uint8_t *copy = take(graph, wai_slot_size(size));
    blob *b = take(graph, sizeof *b);
    if (copy == NULL || b == NULL) {
        return NULL;
    }
    memcpy(copy, bytes, size);
    *b = (blob){hash, wai_graph_constant(graph, &type, copy, name), *bucket};
    if (b->value != NULL) {
        *bucket = b;
    }
    return b->value;
}

static bool has_constant_weights(const wai_node *node) {
    bool conv = node->op == &wai_op_conv2d || node->op == &wai_op_deconv2d;
    if (!conv && node->op != &wai_op_fully_connected) {
        return false;
    }
    uint32_t packed = conv ? ((const wai_conv_params *)node->params)->packed
                           : ((const wai_fully_connected_params *)node->params)->packed;
    return packed == 0 && wai_value_is_constant(node->in[1]) &&
           (node->in_count < 3 || node->in[2] == NULL || wai_value_is_constant(node->in[2]));
}

static wai_value *pack(wai_graph *graph, wai_node *node, wai_pool *scratch, blob **buckets) {
    wai_operand in[3];
    wai_operand out = {.type = node->out[0]->type};
    for (uint32_t i = 0; i < node->in_count; i++) {
        in[i] = (wai_operand){0};
        if (node->in[i] != NULL) {
            /* A step's data pointers are not const because most are written. */
            in[i] = (wai_operand){node->in[i]->type, (void *)(uintptr_t)node->in[i]->data,
                                  node->in[i]->data != NULL};
        }
    }
    const wai_op_row *row = wai_op_find(node->op);
    wai_step step = {.op = node->op,
                     .kernel = row != NULL ? row->kernel : NULL,
                     .params = node->params,
                     .where = node->name,
                     .in = in,
                     .out = &out,
                     .in_count = node->in_count,
                     .out_count = 1};
    const uint8_t *bytes = NULL;
    size_t size = 0;
    wai_status status = wai_xnn_pack(&step, scratch, &bytes, &size, graph->diag);
    if (status == WAI_OK) {
        return share(graph, buckets, bytes, size, node->in[1]->name);
    }
    if (status != WAI_ERR_UNSUPPORTED) {
        graph->status = status;
    }
    return NULL;
}

static void pack_node(wai_graph *graph, wai_node *node, blob **buckets) {
    wai_pool scratch;
    wai_pool_init(&scratch, graph->arena->allocator, WAI_MAX_COMPILE_MEMORY);
    wai_pass_at(graph, node);
    wai_value *packed = pack(graph, node, &scratch, buckets);
    wai_pool_free(&scratch);
    if (packed == NULL) {
        return;
    }
    union {
        wai_conv_params conv;
        wai_fully_connected_params fully_connected;
    } params;
    memcpy(&params, node->params, node->op->params_size);
    if (node->op == &wai_op_fully_connected) {
        params.fully_connected.packed = 1;
    } else {
        params.conv.packed = 1;
    }
    wai_value *in[2] = {node->in[0], packed};
    wai_pass_replace(graph, node, wai_emit(graph, node->op, &params, in, 2));
}

wai_status wai_pass_pack_weights(wai_graph *graph) {
    blob **buckets = take(graph, BUCKETS * sizeof *buckets);
    wai_node *next;
    for (wai_node *node = graph->first; node != NULL && graph->status == WAI_OK; node = next) {
        next = node->next;
        if (has_constant_weights(node)) {
            pack_node(graph, node, buckets);
        }
    }
    graph->cursor = NULL;
    return graph->status;
}
