/* matmul_4bit: product with weights of 4 bits, which are unpacked into registers
 * and nowhere else: a model of them needs an eighth of the memory. */
#include "ops/matmul_4bit.h"

#include <string.h>

#include "base/limits.h"
#include "ops/lowering.h"
#include "ops/vector.h"

enum { X, Q, SCALE, ZERO };

#define TILE WAI_4BIT_TILE
#define ROWS 3u /* of x at a time: their sums fill the registers */

/* ---- meaning ------------------------------------------------------------ */

static const wai_field fields[] = {
    WAI_FIELD(wai_matmul_4bit_params, WAI_FIELD_U32, columns),
    WAI_FIELD(wai_matmul_4bit_params, WAI_FIELD_U32, block),
};

static uint32_t parts(uint32_t count, uint32_t size) {
    return count / size + (count % size != 0);
}

static bool has_dims(const wai_type *type, uint32_t a, uint32_t b, uint32_t c) {
    return type->rank == 3 && type->dims[0] == a && type->dims[1] == b && type->dims[2] == c;
}

static wai_status infer(wai_signature *s) {
    const wai_matmul_4bit_params *p = s->params;
    const wai_type *x = s->in[X], *q = s->in[Q], *scale = s->in[SCALE];
    const wai_type *zero = s->in_count > ZERO ? s->in[ZERO] : NULL;
    if (x == NULL || x->dtype != WAI_F32 || x->rank < 1) {
        return WAI_REFUSE(s, "an input of f32 and rank 1 or more is needed");
    }
    if (p->block < 8 || p->block % 8 != 0 || p->columns < 1 || p->columns > WAI_MAX_DIM) {
        return WAI_REFUSE(s, "%u columns in blocks of %u", p->columns, p->block);
    }
    const uint32_t depth = x->dims[x->rank - 1];
    const uint32_t tiles = parts(p->columns, TILE), blocks = parts(depth, p->block);
    char text[WAI_TYPE_TEXT], of_scale[WAI_TYPE_TEXT];
    if (q == NULL || scale == NULL || q->dtype != WAI_U32 || scale->dtype != WAI_F32 ||
        !has_dims(q, tiles, parts(depth, 8), TILE) || !has_dims(scale, tiles, blocks, TILE)) {
        return WAI_REFUSE(s, "weights %s and scale %s, expected u32[%u,%u,16] and [%u,%u,16]",
                          q != NULL ? wai_type_text(q, text) : "absent",
                          scale != NULL ? wai_type_text(scale, of_scale) : "absent", tiles,
                          parts(depth, 8), tiles, blocks);
    }
    if (zero != NULL && ((zero->dtype != WAI_F32 && zero->dtype != WAI_U8) ||
                         !has_dims(zero, tiles, blocks, TILE))) {
        return WAI_REFUSE(s, "the zero point is %s, expected [%u,%u,16]", wai_type_text(zero, text),
                          tiles, blocks);
    }
    s->out[0] = *x;
    s->out[0].dims[x->rank - 1] = p->columns;
    if (!wai_type_is_valid(&s->out[0])) {
        return wai_fail(s->diag, WAI_ERR_LIMIT, s->where, "the output %s is too large",
                        wai_type_text(&s->out[0], text));
    }
    return WAI_OK;
}

static uint64_t flops(const wai_signature *s) {
    return 2 * wai_type_count(&s->out[0]) * (uint64_t)s->in[X]->dims[s->in[X]->rank - 1];
}

const wai_op wai_op_matmul_4bit = {
    .name = "matmul_4bit",
    .params_size = sizeof(wai_matmul_4bit_params),
    .fields = fields,
    .field_count = sizeof fields / sizeof fields[0],
    .min_in = 3,
    .max_in = 4,
    .min_out = 1,
    .max_out = 1,
    .infer = infer,
    .flops = flops,
};

/* ---- kernel ------------------------------------------------------------- */

/* The zero points of one tile and block. */
static void load_zero(const wai_operand *zero, size_t at, float out[TILE]) {
    for (uint32_t j = 0; j < TILE; j++) {
        out[j] = zero == NULL || zero->data == NULL ? 8.0f
                 : zero->type.dtype == WAI_F32      ? ((const float *)zero->data)[at + j]
                                                    : ((const uint8_t *)zero->data)[at + j];
    }
}

#define LANES 4u
#define PARTS (TILE / LANES)

typedef float floats __attribute__((vector_size(16)));
typedef int32_t ints __attribute__((vector_size(16)));
typedef uint32_t words __attribute__((vector_size(16)));

/* Adds the products of `rows` rows of x, `depth` apart, with one block of `count`
 * numbers per column. Rows are a constant where it is inlined, so that the sums
 * stay in registers. */
static inline __attribute__((always_inline)) void add_block(floats sums[][PARTS], uint32_t rows,
                                                            const float *x, size_t depth,
                                                            const uint32_t *q, size_t count,
                                                            const float *scale,
                                                            const floats zero[PARTS]) {
    floats block[ROWS][PARTS] = {{{0}}};
    for (size_t k = 0; k < count;) {
        words eight[PARTS];
        memcpy(eight, q, sizeof eight);
        q += TILE;
        for (const size_t end = count - k < 8 ? count : k + 8; k < end; k++) {
            for (uint32_t i = 0; i < PARTS; i++) {
                const ints number = (ints)(eight[i] & 15);
                const floats w = __builtin_convertvector(number, floats) - zero[i];
                eight[i] >>= 4;
                for (uint32_t r = 0; r < rows; r++) {
                    block[r][i] += x[r * depth + k] * w;
                }
            }
        }
    }
    for (uint32_t i = 0; i < PARTS; i++) {
        floats factor;
        memcpy(&factor, scale + i * LANES, sizeof factor);
        for (uint32_t r = 0; r < rows; r++) {
            sums[r][i] += block[r][i] * factor;
        }
    }
}

/* One tile of columns for one row of x, or ROWS. */
static void tile_rows(const wai_step *step, size_t tile, const float *x, uint32_t rows,
                      floats sums[ROWS][PARTS]) {
    const wai_matmul_4bit_params *p = step->params;
    const wai_type *type = &step->in[X].type;
    const size_t depth = type->dims[type->rank - 1], blocks = step->in[SCALE].type.dims[1];
    const size_t groups = step->in[Q].type.dims[1];
    const uint32_t *q = (const uint32_t *)step->in[Q].data + tile * groups * TILE;
    const wai_operand *zero = step->in_count > ZERO ? &step->in[ZERO] : NULL;
    memset(sums, 0, ROWS * sizeof sums[0]);
    for (size_t b = 0; b < blocks; b++) {
        const size_t from = b * p->block, at = (tile * blocks + b) * TILE;
        const size_t count = depth - from < p->block ? depth - from : p->block;
        const float *scale = (const float *)step->in[SCALE].data + at;
        floats shift[PARTS];
        load_zero(zero, at, (float *)shift);
        if (rows == ROWS) {
            add_block(sums, ROWS, x + from, depth, q + from / 8 * TILE, count, scale, shift);
        } else {
            add_block(sums, 1, x + from, depth, q + from / 8 * TILE, count, scale, shift);
        }
    }
}

static wai_status run(wai_step *step, wai_diag *diag) {
    (void)diag;
    const wai_matmul_4bit_params *p = step->params;
    const wai_type *type = &step->in[X].type;
    const size_t depth = type->dims[type->rank - 1], tiles = step->in[Q].type.dims[0];
    const size_t rows = wai_dims_product(type->dims, 0, type->rank - 1);
    const float *x = step->in[X].data;
    float *out = step->out[0].data;
    for (size_t tile = 0; tile < tiles; tile++) {
        const size_t column = tile * TILE;
        const size_t width = p->columns - column < TILE ? p->columns - column : TILE;
        for (size_t row = 0, some; row < rows; row += some) {
            some = rows - row < ROWS ? 1 : ROWS;
            floats sums[ROWS][PARTS];
            tile_rows(step, tile, x + row * depth, (uint32_t)some, sums);
            for (size_t r = 0; r < some; r++) {
                memcpy(out + (row + r) * p->columns + column, &sums[r], width * sizeof(float));
            }
        }
    }
    return WAI_OK;
}

const wai_kernel wai_op_matmul_4bit_kernel = {.run = run};

/* ---- MatMulNBits ---------------------------------------------------------
 * A f32[.., K], B u8[N, blocks, block / 2], scales f32 of N * blocks, zero points
 * of as many: u8, two to a byte and rows of whole bytes, or f32; g_idx, bias. */

typedef struct weights {
    uint32_t depth, columns, block, blocks, tiles; /* K, N */
} weights;

/* Zeros of a type. */
static void *take(wai_lower *l, const wai_type *type) {
    char text[WAI_TYPE_TEXT];
    if (!wai_type_is_valid(type)) {
        wai_graph_fail(l->graph, WAI_ERR_LIMIT, "weights %s are too large",
                       wai_type_text(type, text));
        return NULL;
    }
    const size_t size = wai_type_size(type);
    void *data = wai_arena_alloc(l->graph->arena, wai_slot_size(size));
    if (data == NULL) {
        wai_graph_fail(l->graph, WAI_ERR_MEMORY, "no memory for weights of %zu bytes", size);
        return NULL;
    }
    memset(data, 0, size);
    return data;
}

static bool read_weights(wai_lower *l, weights *w) {
    const int64_t bits = wai_attr_int(l, "bits", 4), block = wai_attr_int(l, "block_size", 0);
    w->depth = wai_lower_dim(l, wai_attr_int(l, "K", 0), "K");
    w->columns = wai_lower_dim(l, wai_attr_int(l, "N", 0), "N");
    wai_attr_ignore(l, "accuracy_level"); /* how coarse x may become; ours stays f32 */
    if (wai_lower_failed(l)) {
        return false;
    }
    if (bits != 4) {
        WAI_LOWER_DECLINE(l, "MatMulNBits of %lld bits, not 4", (long long)bits);
        return false;
    }
    if (block < 8 || block > WAI_MAX_DIM || block % 8 != 0 || w->columns == 0 || w->depth == 0) {
        WAI_LOWER_REFUSE(l, "MatMulNBits of K %u, N %u in blocks of %lld", w->depth, w->columns,
                         (long long)block);
        return false;
    }
    w->block = (uint32_t)block;
    w->blocks = parts(w->depth, w->block);
    w->tiles = parts(w->columns, TILE);
    return true;
}

/* Input `index` when it is a constant of `dtype` and `count` elements. */
static const void *constant(wai_lower *l, uint32_t index, wai_dtype dtype, uint64_t count) {
    const wai_value *value = wai_lower_input(l, index);
    if (wai_lower_failed(l)) {
        return NULL;
    }
    if (!wai_value_is_constant(value)) {
        WAI_LOWER_DECLINE(l, "input %u of %s must be a constant", index, l->op_type);
        return NULL;
    }
    if (value->type.dtype != dtype || wai_type_count(&value->type) != count) {
        char text[WAI_TYPE_TEXT];
        WAI_LOWER_REFUSE(l, "input %u of %s is %s, expected %llu elements of %s", index, l->op_type,
                         wai_type_text(&value->type, text), (unsigned long long)count,
                         wai_dtype_name(dtype));
        return NULL;
    }
    return value->data;
}

/* Number `i` of a list with two to a byte, the first in the low half. */
static uint8_t half_byte(const uint8_t *list, size_t i) {
    return (uint8_t)(i % 2 == 0 ? list[i / 2] & 15 : list[i / 2] >> 4);
}

static wai_value *pack_numbers(wai_lower *l, const weights *w) {
    const size_t row = (size_t)w->blocks * (w->block / 2);
    const uint8_t *from = constant(l, 1, WAI_U8, (uint64_t)row * w->columns);
    const uint32_t dims[] = {w->tiles, parts(w->depth, 8), TILE};
    const wai_type type = wai_type_make(WAI_U32, 3, dims);
    uint32_t *to = from != NULL ? take(l, &type) : NULL;
    if (to == NULL) {
        return NULL;
    }
    for (uint32_t n = 0; n < w->columns; n++) {
        uint32_t *column = to + (size_t)(n / TILE) * dims[1] * TILE + n % TILE;
        for (uint32_t k = 0; k < w->depth; k++) {
            column[(size_t)(k / 8) * TILE] |= (uint32_t)half_byte(from + n * row, k) << k % 8 * 4;
        }
    }
    return wai_graph_constant(l->graph, &type, to, NULL);
}

/* A number per column and block into tiles; `size` bytes each. `halves`: they come
 * two to a byte, and are u8 then. */
static wai_value *pack_blocks(wai_lower *l, const weights *w, const void *from, wai_dtype dtype,
                              bool halves) {
    const uint32_t dims[] = {w->tiles, w->blocks, TILE};
    const wai_type type = wai_type_make(dtype, 3, dims);
    const size_t size = wai_dtype_size(dtype), row = parts(w->blocks, 2);
    uint8_t *to = from != NULL ? take(l, &type) : NULL;
    if (to == NULL) {
        return NULL;
    }
    for (uint32_t n = 0; n < w->columns; n++) {
        for (uint32_t b = 0; b < w->blocks; b++) {
            const size_t at = ((size_t)(n / TILE) * w->blocks + b) * TILE + n % TILE;
            if (halves) {
                to[at] = half_byte((const uint8_t *)from + n * row, b);
            } else {
                memcpy(to + at * size, (const uint8_t *)from + ((size_t)n * w->blocks + b) * size,
                       size);
            }
        }
    }
    return wai_graph_constant(l->graph, &type, to, NULL);
}

void wai_lower_matmul_nbits(wai_lower *l) {
    wai_value *x = wai_lower_input(l, 0), *zero = wai_lower_optional(l, 3);
    wai_value *bias = wai_lower_optional(l, 5);
    weights w;
    if (!read_weights(l, &w)) {
        return;
    }
    if (wai_lower_optional(l, 4) != NULL) {
        WAI_LOWER_DECLINE(l, "MatMulNBits with g_idx");
        return;
    }
    const uint32_t rank = x->type.rank;
    if (rank < 1 || x->type.dims[rank - 1] != w.depth) {
        char text[WAI_TYPE_TEXT];
        WAI_LOWER_REFUSE(l, "MatMulNBits of %s, expected [.., %u]", wai_type_text(&x->type, text),
                         w.depth);
        return;
    }
    const uint64_t count = (uint64_t)w.columns * w.blocks;
    wai_value *in[] = {x, pack_numbers(l, &w), NULL, NULL};
    in[SCALE] = pack_blocks(l, &w, constant(l, 2, WAI_F32, count), WAI_F32, false);
    if (zero != NULL && !wai_lower_failed(l)) {
        const bool halves = zero->type.dtype == WAI_U8;
        const wai_dtype dtype = halves ? WAI_U8 : WAI_F32;
        const uint64_t bytes = (uint64_t)w.columns * parts(w.blocks, 2);
        in[ZERO] = pack_blocks(l, &w, constant(l, 3, dtype, halves ? bytes : count), dtype, halves);
    }
    const wai_matmul_4bit_params p = {w.columns, w.block};
    wai_value *y = wai_lower_failed(l) ? NULL : wai_emit(l->graph, &wai_op_matmul_4bit, &p, in, 4);
    l->out[0] = bias != NULL ? wai_emit_binary(l->graph, WAI_BINARY_ADD, y, bias) : y;
}
