/* winograd: meaning, sizes and the order of the loops in winograd_tile.c. */
#include "ops/winograd.h"

#include <pthreadpool.h>

#include "base/limits.h"
#include "ops/conv_common.h"

#define FIELD(kind, member) WAI_FIELD(wai_winograd_params, kind, member)
static const wai_field fields[] = {
    FIELD(WAI_FIELD_U32, tile),         FIELD(WAI_FIELD_U32, in_channels),
    FIELD(WAI_FIELD_U32, out_channels), FIELD(WAI_FIELD_U32, pad_top),
    FIELD(WAI_FIELD_U32, pad_left),     FIELD(WAI_FIELD_U32, pad_bottom),
    FIELD(WAI_FIELD_U32, pad_right),    FIELD(WAI_FIELD_F32, min),
    FIELD(WAI_FIELD_F32, max),
};

uint64_t wai_winograd_weights_size(uint32_t in, uint32_t out) {
    const uint64_t columns = ((uint64_t)out + WAI_WINOGRAD_COLUMNS - 1) / WAI_WINOGRAD_COLUMNS;
    const uint64_t column = (1 + 9 * (uint64_t)in) * WAI_WINOGRAD_COLUMNS * sizeof(float);
    return columns <= WAI_MAX_TENSOR_SIZE / column ? columns * column : UINT64_MAX;
}

static wai_status infer(wai_signature *s) {
    const wai_winograd_params *p = s->params;
    if (p->tile != 2 && p->tile != 4) {
        return WAI_REFUSE(s, "tiles of %u, not 2 or 4", p->tile);
    }
    const wai_conv_params conv = {.groups = 1,
                                  .group_in = p->in_channels,
                                  .group_out = p->out_channels,
                                  .kernel_h = 3,
                                  .kernel_w = 3,
                                  .stride_h = 1,
                                  .stride_w = 1,
                                  .dilation_h = 1,
                                  .dilation_w = 1,
                                  .pad_top = p->pad_top,
                                  .pad_left = p->pad_left,
                                  .pad_bottom = p->pad_bottom,
                                  .pad_right = p->pad_right,
                                  .packed = 1,
                                  .min = p->min,
                                  .max = p->max};
    wai_signature direct = *s;
    direct.params = &conv;
    wai_status status = wai_conv_infer(&direct, wai_conv2d_extent);
    if (status != WAI_OK) {
        return status;
    }
    const uint64_t size = wai_winograd_weights_size(p->in_channels, p->out_channels);
    if (size != s->in[1]->dims[0]) {
        return WAI_REFUSE(s, "%u bytes of packed weights, not %llu", s->in[1]->dims[0],
                          (unsigned long long)size);
    }
    wai_winograd plan;
    if (wai_type_is_valid(&s->out[0]) && wai_winograd_plan(&plan, p, s->in[0], &s->out[0]) == 0) {
        return wai_fail(s->diag, WAI_ERR_LIMIT, s->where, "%u channels are too many in tiles of %u",
                        p->in_channels, p->tile);
    }
    return WAI_OK;
}

/* What the direct convolution takes, so that figures compare. */
static uint64_t flops(const wai_signature *s) {
    const wai_winograd_params *p = s->params;
    return 2 * wai_type_count(&s->out[0]) * 9 * p->in_channels;
}

const wai_op wai_op_winograd = {
    .name = "winograd",
    .params_size = sizeof(wai_winograd_params),
    .fields = fields,
    .field_count = sizeof fields / sizeof fields[0],
    .min_in = 2,
    .max_in = 2,
    .min_out = 1,
    .max_out = 1,
    .infer = infer,
    .flops = flops,
};

/* ---- kernel ------------------------------------------------------------- */

/* Transformed inputs of a block: as many as stay in the cache of a core beside the weights, but
 * enough to be worth transforming these. */
#ifndef BLOCK_SIZE
#define BLOCK_SIZE  524288u
#define BLOCK_LEAST 16u
#define BLOCK_MOST  64u
#endif

/* Behind each matrix, so that rows of several do not meet in the same sets of the cache. */
#define APART 16u

static uint64_t round_up(uint64_t count, uint64_t to) {
    return (count + to - 1) / to * to;
}

size_t wai_winograd_plan(wai_winograd *w, const wai_winograd_params *p, const wai_type *x,
                         const wai_type *y) {
    const uint64_t matrices = (uint64_t)(p->tile + 2) * (p->tile + 2);
    const uint64_t depth = round_up(p->in_channels, 4);
    const uint64_t rows = round_up(y->dims[1], p->tile) / p->tile;
    const uint64_t columns = round_up(y->dims[2], p->tile) / p->tile;
    const uint64_t tiles = wai_type_count(y) != 0 ? y->dims[0] * rows * columns : 0;
    uint64_t block = BLOCK_SIZE / (matrices * depth * sizeof(float) + 1);
    block = block > BLOCK_LEAST ? block : BLOCK_LEAST;
    block = block < BLOCK_MOST ? block : BLOCK_MOST;
    block = block < tiles ? block : tiles;
    const uint64_t groups = round_up(p->out_channels, WAI_WINOGRAD_COLUMNS) / WAI_WINOGRAD_COLUMNS;
    const uint64_t slots = groups < WAI_WINOGRAD_SLOTS ? groups : WAI_WINOGRAD_SLOTS;
    const uint64_t chunk =
        p->in_channels < WAI_WINOGRAD_CHUNK ? p->in_channels : WAI_WINOGRAD_CHUNK;
    const uint64_t weight_stride = chunk * WAI_WINOGRAD_COLUMNS + APART;
    const uint64_t slot = matrices * (weight_stride + block * WAI_WINOGRAD_COLUMNS);
    *w = (wai_winograd){.height = x->dims[1],
                        .width = x->dims[2],
                        .in = p->in_channels,
                        .out_height = y->dims[1],
                        .out_width = y->dims[2],
                        .out = p->out_channels,
                        .pad_top = p->pad_top,
                        .pad_left = p->pad_left,
                        .tile = p->tile,
                        .min = p->min,
                        .max = p->max,
                        .rows = (size_t)rows,
                        .columns = (size_t)columns,
                        .tiles = (size_t)tiles,
                        .block = (size_t)block,
                        .share = slots != 0 ? (size_t)((groups + slots - 1) / slots) : 1,
                        .depth = (size_t)depth,
                        .input_stride = (size_t)(block * depth + APART),
                        .weight_stride = (size_t)weight_stride,
                        .slot_stride = (size_t)slot};
    const uint64_t floats = round_up(depth, 16) + matrices * (block * depth + APART) + slots * slot;
    return floats <= WAI_MAX_TENSOR_SIZE / sizeof(float) ? (size_t)floats * sizeof(float) : 0;
}

void wai_winograd_run(wai_winograd *w, struct pthreadpool *threads) {
    for (size_t i = 0; i < w->depth; i++) {
        w->zeros[i] = 0;
    }
    const size_t groups = (w->out + WAI_WINOGRAD_COLUMNS - 1) / WAI_WINOGRAD_COLUMNS;
    for (w->first = 0; w->first < w->tiles; w->first += w->count) {
        const size_t left = w->tiles - w->first;
        w->count = left < w->block ? left : w->block;
        pthreadpool_parallelize_1d(threads, wai_winograd_input, w, w->count, 0);
        pthreadpool_parallelize_1d_tile_1d(threads, wai_winograd_outputs, w, groups, w->share, 0);
    }
}

static wai_status prepare(wai_step *step, wai_pool *pool, wai_diag *diag) {
    wai_winograd *w = step->state = wai_pool_alloc(pool, sizeof *w);
    if (w == NULL) {
        return wai_fail(diag, WAI_ERR_MEMORY, step->where, "no memory for the state of winograd");
    }
    step->workspace_size =
        wai_winograd_plan(w, step->params, &step->in[0].type, &step->out[0].type);
    return WAI_OK;
}

static wai_status setup(wai_step *step, wai_diag *diag) {
    (void)diag;
    wai_winograd *w = step->state;
    const size_t matrices = (w->tile + 2u) * (w->tile + 2u);
    w->x = step->in[0].data;
    w->weights = step->in[1].data;
    w->y = step->out[0].data;
    w->zeros = step->workspace;
    w->inputs = w->zeros + round_up(w->depth, 16);
    w->slots = w->inputs + matrices * w->input_stride;
    return WAI_OK;
}

static wai_status run(wai_step *step, wai_diag *diag) {
    (void)diag;
    wai_winograd_run(step->state, step->threads);
    return WAI_OK;
}

const wai_kernel wai_op_winograd_kernel = {prepare, setup, run};
