/*
 * ONNX's random operators, by the uniform numbers of random.c.
 *
 * The key is the attribute seed's bits; without it, a hash of the name of the
 * node's first output, so that two nodes differ and two compilations do not. In
 * the body of a loop every iteration has a stream of its own.
 */
#include <string.h>

#include "base/limits.h"
#include "onnx/importer.h"
#include "ops/cumsum.h"
#include "ops/lowering.h"
#include "ops/random.h"

static uint32_t seed_of(wai_lower *l) {
    uint32_t hash = 2166136261u; /* FNV-1a */
    const char *name = l->node->output_count > 0 ? l->node->outputs[0] : "";
    if (wai_attr_has(l, "seed")) {
        const float seed = wai_attr_float(l, "seed", 0);
        memcpy(&hash, &seed, sizeof hash);
        return hash;
    }
    for (; *name != 0; name++) {
        hash = (hash ^ (uint8_t)*name) * 16777619u;
    }
    return hash;
}

/* In [0, 1); `part` tells the draws of one node apart. */
static wai_value *draw(wai_lower *l, wai_value *like, uint32_t part) {
    const wai_importer *im = l->importer;
    const wai_random_params p = {seed_of(l), im->depth > 0 ? im->body_work : 0, part};
    return like != NULL ? wai_emit(l->graph, &wai_op_random, &p, &like, 1) : NULL;
}

/* A constant of the given dims; its values are of no interest. */
static wai_value *of_dims(wai_lower *l, uint32_t rank, const uint32_t *dims) {
    wai_expand_params p = {.rank = rank};
    memcpy(p.dims, dims, rank * sizeof *dims);
    wai_value *zero = wai_emit_scalar(l->graph, WAI_U8, 0);
    return rank == 0 || zero == NULL ? zero : wai_emit(l->graph, &wai_op_expand, &p, &zero, 1);
}

static wai_value *of_shape(wai_lower *l) {
    int64_t shape[WAI_MAX_RANK];
    uint32_t dims[WAI_MAX_RANK];
    const uint32_t rank = wai_attr_ints(l, "shape", shape, WAI_MAX_RANK);
    for (uint32_t i = 0; i < rank; i++) {
        dims[i] = wai_lower_dim(l, shape[i], "shape");
    }
    return wai_lower_failed(l) ? NULL : of_dims(l, rank, dims);
}

/* Of dtype `fallback`, or what the attribute says. */
static wai_value *as_asked(wai_lower *l, wai_value *x, wai_dtype fallback) {
    const int64_t given = wai_attr_int(l, "dtype", 0);
    return wai_lower_cast_to(l, x, given != 0 ? wai_lower_dtype(l, given) : fallback);
}

/* a + x * b */
static wai_value *scaled(wai_lower *l, wai_value *x, float a, float b) {
    wai_graph *g = l->graph;
    x = b != 1 ? wai_emit_binary(g, WAI_BINARY_MUL, x, wai_emit_scalar_f32(g, b)) : x;
    return a != 0 ? wai_emit_binary(g, WAI_BINARY_ADD, x, wai_emit_scalar_f32(g, a)) : x;
}

/* Box and Muller: sqrt(-2 log(1 - u)) cos(2 pi v), where 1 - u is never 0. */
static wai_value *normal(wai_lower *l, wai_value *like) {
    wai_graph *g = l->graph;
    wai_value *u = scaled(l, draw(l, like, 0), 1, -1);
    u = scaled(l, wai_emit_unary(g, WAI_UNARY_LOG, 0, 0, u), 0, -2);
    u = wai_emit_unary(g, WAI_UNARY_SQRT, 0, 0, u);
    wai_value *v = scaled(l, draw(l, like, 1), 0, 6.28318530717958647692f);
    return wai_emit_binary(g, WAI_BINARY_MUL, u, wai_emit_unary(g, WAI_UNARY_COS, 0, 0, v));
}

/* RandomUniform, RandomNormal and, with the dims of an input, their Like. */
void wai_lower_random(wai_lower *l) {
    const bool is_like = strstr(l->op_type, "Like") != NULL;
    const bool is_normal = strncmp(l->op_type, "RandomNormal", 12) == 0;
    wai_value *like = is_like ? wai_lower_input(l, 0) : of_shape(l);
    const float from = is_normal ? wai_attr_float(l, "mean", 0) : wai_attr_float(l, "low", 0);
    const float to = is_normal ? wai_attr_float(l, "scale", 1) : wai_attr_float(l, "high", 1);
    if (wai_lower_failed(l)) {
        return;
    }
    wai_value *x = is_normal ? normal(l, like) : draw(l, like, 0);
    x = scaled(l, x, from, is_normal ? to : to - from);
    l->out[0] = as_asked(l, x, is_like ? wai_lower_declared(l, 0) : WAI_F32);
}

void wai_lower_bernoulli(wai_lower *l) {
    wai_value *x = wai_lower_input(l, 0);
    if (wai_lower_failed(l)) {
        return;
    }
    wai_value *p = wai_emit_cast(l->graph, x, WAI_F32);
    wai_value *y = wai_lower_compare_of(l, WAI_COMPARE_LESS, draw(l, x, 0), p);
    l->out[0] = as_asked(l, y, wai_lower_declared(l, 0));
}

/* How many of the classes' cumulated probabilities are not above u. */
void wai_lower_multinomial(wai_lower *l) {
    wai_graph *g = l->graph;
    wai_value *x = wai_lower_input(l, 0);
    const int64_t samples = wai_attr_int(l, "sample_size", 1);
    if (wai_lower_failed(l)) {
        return;
    }
    if (x->type.rank != 2 || x->type.dims[1] == 0 || x->type.dtype != WAI_F32) {
        WAI_LOWER_DECLINE(l, "Multinomial of %s, rank %u", wai_dtype_name(x->type.dtype),
                          x->type.rank);
        return;
    }
    const uint32_t batch = x->type.dims[0], classes = x->type.dims[1];
    const uint32_t drawn[] = {batch, wai_lower_dim(l, samples, "sample_size"), 1};
    const uint32_t row[] = {batch, 1, classes};
    const wai_softmax_params softmax = {.axis = 1};
    const wai_cumsum_params sums = {.axis = 1};
    x = wai_emit(g, &wai_op_softmax, &softmax, &x, 1);
    x = x != NULL ? wai_emit(g, &wai_op_cumsum, &sums, &x, 1) : NULL;
    x = wai_emit_reshape(g, x, 3, row);
    wai_value *u = wai_lower_failed(l) ? NULL : draw(l, of_dims(l, 3, drawn), 0);
    wai_value *above = wai_lower_compare_of(l, WAI_COMPARE_GREATER_OR_EQUAL, u, x);
    wai_value *index =
        wai_emit_reduce(g, WAI_REDUCE_SUM, wai_emit_cast(g, above, WAI_I32), 1u << 2, false);
    /* The last sum may be a little below 1. */
    index = wai_emit_binary(g, WAI_BINARY_MIN, index,
                            wai_emit_scalar(g, WAI_I32, (int64_t)classes - 1));
    l->out[0] = as_asked(l, index, WAI_I32);
}
