#include "ops/move.h"

#include <string.h>

/* Edge of the square that is transposed at once: 32 x 32 floats read and
 * write whole cache lines and stay within 8 KB. */
#define TILE 32u

typedef uint8_t u8x16 __attribute__((vector_size(16)));
typedef uint16_t u16x8 __attribute__((vector_size(16)));
typedef uint32_t u32x4 __attribute__((vector_size(16)));

uint64_t wai_move_flops(const wai_signature *s) {
    (void)s;
    return 0;
}

bool wai_move_tail_is_zero(const uint32_t *entries, uint32_t from) {
    for (uint32_t i = from; i < WAI_MAX_RANK; i++) {
        if (entries[i] != 0) {
            return false;
        }
    }
    return true;
}

void wai_move_strides(const wai_type *type, ptrdiff_t strides[WAI_MAX_RANK]) {
    ptrdiff_t stride = (ptrdiff_t)wai_dtype_size(type->dtype);
    for (uint32_t i = type->rank; i-- > 0;) {
        strides[i] = stride;
        stride *= (ptrdiff_t)type->dims[i];
    }
}

void wai_move_init(wai_move *move, const wai_type *type) {
    move->rank = type->rank;
    move->element = wai_dtype_size(type->dtype);
    wai_move_strides(type, move->in);
    wai_move_strides(type, move->out);
    for (uint32_t i = 0; i < type->rank; i++) {
        move->dims[i] = type->dims[i];
    }
}

void wai_move_fill(void *out, const void *value, size_t element, size_t count) {
    uint8_t *p = out;
    size_t size = element * count;
    if (size == 0) {
        return;
    }
    if (element == 1) {
        memset(p, *(const uint8_t *)value, size);
        return;
    }
    /* Doubling up to a chunk that stays in L1, then chunk after chunk. */
    memcpy(p, value, element);
    size_t done = element;
    while (done < size) {
        size_t chunk = done < 4096 ? done : 4096 - 4096 % element;
        chunk = chunk < size - done ? chunk : size - done;
        memcpy(p + done, p, chunk);
        done += chunk;
    }
}

/* ---- one row ------------------------------------------------------------- */

#define STRIDED_ROW(bits)                                                                          \
    static void strided_row_##bits(uint8_t *out, ptrdiff_t out_stride, const uint8_t *in,          \
                                   ptrdiff_t in_stride, size_t count) {                            \
        for (ptrdiff_t i = 0; i < (ptrdiff_t)count; i++) {                                         \
            __builtin_memcpy(out + i * out_stride, in + i * in_stride, bits / 8);                  \
        }                                                                                          \
    }
STRIDED_ROW(8)
STRIDED_ROW(16)
STRIDED_ROW(32)
STRIDED_ROW(64)

static void strided_row(size_t element, uint8_t *out, ptrdiff_t out_stride, const uint8_t *in,
                        ptrdiff_t in_stride, size_t count) {
    switch (element) {
    case 1:
        strided_row_8(out, out_stride, in, in_stride, count);
        break;
    case 2:
        strided_row_16(out, out_stride, in, in_stride, count);
        break;
    case 4:
        strided_row_32(out, out_stride, in, in_stride, count);
        break;
    default:
        strided_row_64(out, out_stride, in, in_stride, count);
        break;
    }
}

/* ---- one plane, transposed ------------------------------------------------
 * rows of `in` become columns of `out`; elements of a row are adjacent in
 * `in`, elements of a column are adjacent in `out`. */

typedef struct plane {
    size_t rows, columns;            /* of `in`                              */
    ptrdiff_t in_stride, out_stride; /* bytes from row to row of each        */
} plane;

/* Interleave halves: 32-bit lanes of a and b alternating. */
#define LOW_32(a, b)  (u32x4) __builtin_shufflevector((u32x4)(a), (u32x4)(b), 0, 4, 1, 5)
#define HIGH_32(a, b) (u32x4) __builtin_shufflevector((u32x4)(a), (u32x4)(b), 2, 6, 3, 7)

/* The first `count` (1..4) floats of a vector; 4 where the compiler knows. */
static inline void store_part(uint8_t *out, u32x4 v, size_t count) {
    if (count == 4) {
        __builtin_memcpy(out, &v, 16);
    } else if (count == 1) {
        __builtin_memcpy(out, &v, 4);
    } else {
        __builtin_memcpy(out, &v, 8);
        if (count == 3) {
            uint32_t third = v[2];
            __builtin_memcpy(out + 8, &third, 4);
        }
    }
}

/* Up to 4 rows of up to 4 elements; whole vectors are read from the rows. */
static inline void block_32(uint8_t *out, ptrdiff_t out_stride, const uint8_t *in,
                            ptrdiff_t in_stride, size_t rows, size_t columns) {
    u32x4 r0, r1, r2, r3;
    __builtin_memcpy(&r0, in, 16);
    r1 = r2 = r3 = r0;
    if (rows > 1) {
        __builtin_memcpy(&r1, in + in_stride, 16);
    }
    if (rows > 2) {
        __builtin_memcpy(&r2, in + 2 * in_stride, 16);
    }
    if (rows > 3) {
        __builtin_memcpy(&r3, in + 3 * in_stride, 16);
    }
    u32x4 low02 = LOW_32(r0, r2), low13 = LOW_32(r1, r3);
    u32x4 high02 = HIGH_32(r0, r2), high13 = HIGH_32(r1, r3);
    store_part(out, LOW_32(low02, low13), rows);
    if (columns > 1) {
        store_part(out + out_stride, HIGH_32(low02, low13), rows);
    }
    if (columns > 2) {
        store_part(out + 2 * out_stride, LOW_32(high02, high13), rows);
    }
    if (columns > 3) {
        store_part(out + 3 * out_stride, HIGH_32(high02, high13), rows);
    }
}

static inline uint64_t half_of(u32x4 v, int half) {
    uint64_t bits[2];
    __builtin_memcpy(bits, &v, 16);
    return bits[half];
}

static void store_halves(uint8_t *out, ptrdiff_t out_stride, u32x4 v) {
    uint64_t low = half_of(v, 0), high = half_of(v, 1);
    __builtin_memcpy(out, &low, 8);
    __builtin_memcpy(out + out_stride, &high, 8);
}

/* 4 rows of 4 elements of 2 bytes */
static void block_16(uint8_t *out, ptrdiff_t out_stride, const uint8_t *in, ptrdiff_t in_stride) {
    u16x8 r[4] = {{0}, {0}, {0}, {0}};
    for (int i = 0; i < 4; i++) {
        __builtin_memcpy(&r[i], in + i * in_stride, 8);
    }
    u16x8 a = __builtin_shufflevector(r[0], r[1], 0, 8, 1, 9, 2, 10, 3, 11);
    u16x8 b = __builtin_shufflevector(r[2], r[3], 0, 8, 1, 9, 2, 10, 3, 11);
    store_halves(out, out_stride, LOW_32(a, b));
    store_halves(out + 2 * out_stride, out_stride, HIGH_32(a, b));
}

/* 8 rows of 8 bytes */
static void block_8(uint8_t *out, ptrdiff_t out_stride, const uint8_t *in, ptrdiff_t in_stride) {
    u8x16 r[8] = {{0}, {0}, {0}, {0}, {0}, {0}, {0}, {0}};
    u16x8 pair[4];
    for (int i = 0; i < 8; i++) {
        __builtin_memcpy(&r[i], in + i * in_stride, 8);
    }
    for (int i = 0; i < 4; i++) {
        pair[i] = (u16x8)__builtin_shufflevector(r[2 * i], r[2 * i + 1], 0, 16, 1, 17, 2, 18, 3, 19,
                                                 4, 20, 5, 21, 6, 22, 7, 23);
    }
    u16x8 low03 = __builtin_shufflevector(pair[0], pair[1], 0, 8, 1, 9, 2, 10, 3, 11);
    u16x8 high03 = __builtin_shufflevector(pair[0], pair[1], 4, 12, 5, 13, 6, 14, 7, 15);
    u16x8 low47 = __builtin_shufflevector(pair[2], pair[3], 0, 8, 1, 9, 2, 10, 3, 11);
    u16x8 high47 = __builtin_shufflevector(pair[2], pair[3], 4, 12, 5, 13, 6, 14, 7, 15);
    store_halves(out, out_stride, LOW_32(low03, low47));
    store_halves(out + 2 * out_stride, out_stride, HIGH_32(low03, low47));
    store_halves(out + 4 * out_stride, out_stride, LOW_32(high03, high47));
    store_halves(out + 6 * out_stride, out_stride, HIGH_32(high03, high47));
}

/* A part of a plane: first row and column, and how many of each. */
typedef struct part {
    size_t row, rows, column, columns;
} part;

/* Element by element. */
static void transpose_plainly(const plane *p, size_t element, uint8_t *out, const uint8_t *in,
                              part t) {
    ptrdiff_t size = (ptrdiff_t)element, row = (ptrdiff_t)t.row;
    for (ptrdiff_t c = (ptrdiff_t)t.column; c < (ptrdiff_t)(t.column + t.columns); c++) {
        strided_row(element, out + c * p->out_stride + row * size, size,
                    in + row * p->in_stride + c * size, p->in_stride, t.rows);
    }
}

/*
 * The last 1..3 columns, by whole vectors: those read on into the next row,
 * which is no harm as long as the plane goes on that far. Returns how many
 * rows could be done so.
 */
static size_t transpose_last_columns(const plane *p, uint8_t *out, const uint8_t *in, part t) {
    ptrdiff_t column = (ptrdiff_t)t.column;
    ptrdiff_t end = ((ptrdiff_t)p->rows - 1) * p->in_stride + (ptrdiff_t)p->columns * 4;
    size_t done = 0;
    for (; p->in_stride > 0 && done + 4 <= t.rows; done += 4) {
        ptrdiff_t row = (ptrdiff_t)(t.row + done);
        if ((row + 3) * p->in_stride + column * 4 + 16 > end) {
            break;
        }
        block_32(out + column * p->out_stride + row * 4, p->out_stride,
                 in + row * p->in_stride + column * 4, p->in_stride, 4, t.columns);
    }
    return done;
}

static void transpose_tile_32(const plane *p, uint8_t *out, const uint8_t *in, part t) {
    size_t whole_rows = t.rows & ~(size_t)3, whole_columns = t.columns & ~(size_t)3;
    size_t rest = t.rows - whole_rows;
    for (size_t c = t.column; c < t.column + whole_columns; c += 4) {
        const uint8_t *from = in + (ptrdiff_t)t.row * p->in_stride + (ptrdiff_t)c * 4;
        uint8_t *to = out + (ptrdiff_t)c * p->out_stride + (ptrdiff_t)t.row * 4;
        for (size_t r = 0; r < whole_rows; r += 4) {
            block_32(to + r * 4, p->out_stride, from + (ptrdiff_t)r * p->in_stride, p->in_stride, 4,
                     4);
        }
        if (rest != 0) {
            block_32(to + whole_rows * 4, p->out_stride,
                     from + (ptrdiff_t)whole_rows * p->in_stride, p->in_stride, rest, 4);
        }
    }
    if (whole_columns < t.columns) {
        t.column += whole_columns;
        t.columns -= whole_columns;
        size_t done = transpose_last_columns(p, out, in, t);
        t.row += done;
        t.rows -= done;
        transpose_plainly(p, 4, out, in, t);
    }
}

typedef void (*block_function)(uint8_t *out, ptrdiff_t out_stride, const uint8_t *in,
                               ptrdiff_t in_stride);

/* Elements of 1 or 2 bytes: squares by `block`, the rest plainly. */
static void transpose_tile(const plane *p, size_t element, block_function block, size_t edge,
                           uint8_t *out, const uint8_t *in, part t) {
    ptrdiff_t size = (ptrdiff_t)element;
    size_t whole_rows = t.rows & ~(edge - 1), whole_columns = t.columns & ~(edge - 1);
    for (size_t c = t.column; c < t.column + whole_columns; c += edge) {
        for (size_t r = t.row; r < t.row + whole_rows; r += edge) {
            block(out + (ptrdiff_t)c * p->out_stride + (ptrdiff_t)r * size, p->out_stride,
                  in + (ptrdiff_t)r * p->in_stride + (ptrdiff_t)c * size, p->in_stride);
        }
    }
    part right = {t.row, t.rows, t.column + whole_columns, t.columns - whole_columns};
    part below = {t.row + whole_rows, t.rows - whole_rows, t.column, whole_columns};
    transpose_plainly(p, element, out, in, right);
    transpose_plainly(p, element, out, in, below);
}

static void transpose_plane(const plane *p, size_t element, uint8_t *out, const uint8_t *in) {
    part t;
    for (t.column = 0; t.column < p->columns; t.column += TILE) {
        t.columns = p->columns - t.column < TILE ? p->columns - t.column : TILE;
        for (t.row = 0; t.row < p->rows; t.row += TILE) {
            t.rows = p->rows - t.row < TILE ? p->rows - t.row : TILE;
            if (element == 4) {
                transpose_tile_32(p, out, in, t);
            } else if (element == 2) {
                transpose_tile(p, 2, block_16, 4, out, in, t);
            } else if (element == 1) {
                transpose_tile(p, 1, block_8, 8, out, in, t);
            } else {
                transpose_plainly(p, element, out, in, t);
            }
        }
    }
}

/* ---- the walk ------------------------------------------------------------- */

/* Drop dims of 1 and merge neighbours that are one walk in both buffers.
 * False if there is nothing to copy. */
static bool simplify(wai_move *to, const wai_move *from) {
    to->element = from->element;
    to->rank = 0;
    for (uint32_t i = 0; i < from->rank; i++) {
        if (from->dims[i] == 0) {
            return false;
        }
        if (from->dims[i] == 1) {
            continue;
        }
        uint32_t last = to->rank;
        ptrdiff_t dim = (ptrdiff_t)from->dims[i];
        if (last > 0 && to->in[last - 1] == from->in[i] * dim &&
            to->out[last - 1] == from->out[i] * dim) {
            last--;
            to->dims[last] *= from->dims[i];
        } else {
            to->dims[last] = from->dims[i];
            to->rank++;
        }
        to->in[last] = from->in[i];
        to->out[last] = from->out[i];
    }
    return true;
}

/* Take dim `index` out of the walk. */
static void drop(wai_move *m, uint32_t index) {
    m->rank--;
    for (uint32_t i = index; i < m->rank; i++) {
        m->dims[i] = m->dims[i + 1];
        m->in[i] = m->in[i + 1];
        m->out[i] = m->out[i + 1];
    }
}

/* What happens at each position of the outer walk. */
typedef enum body_kind { BODY_BYTES, BODY_ROW, BODY_PLANE } body_kind;

typedef struct body {
    body_kind kind;
    size_t element, count; /* count: bytes for BODY_BYTES, else elements   */
    ptrdiff_t in, out;     /* strides of BODY_ROW                          */
    plane plane;
} body;

/* Split the innermost dims off `m` into a body. */
static body take_body(wai_move *m) {
    body b = {.kind = BODY_BYTES, .element = m->element, .count = m->element};
    ptrdiff_t element = (ptrdiff_t)m->element;
    if (m->rank == 0) {
        return b;
    }
    uint32_t last = m->rank - 1;
    if (m->in[last] == element && m->out[last] == element) {
        b.count = m->dims[last] * m->element;
        drop(m, last);
        return b;
    }
    for (uint32_t i = 0; i < last && m->out[last] == element; i++) {
        if (m->in[i] == element) {
            b.kind = BODY_PLANE;
            b.plane = (plane){m->dims[last], m->dims[i], m->in[last], m->out[i]};
            drop(m, last);
            drop(m, i);
            return b;
        }
    }
    b.kind = BODY_ROW;
    b.count = m->dims[last];
    b.in = m->in[last];
    b.out = m->out[last];
    drop(m, last);
    return b;
}

static inline void run_body(const body *b, uint8_t *out, const uint8_t *in) {
    if (b->kind == BODY_BYTES) {
        wai_move_bytes(out, in, b->count);
    } else if (b->kind == BODY_ROW && b->in == 0 && b->out == (ptrdiff_t)b->element) {
        wai_move_fill(out, in, b->element, b->count);
    } else if (b->kind == BODY_ROW) {
        strided_row(b->element, out, b->out, in, b->in, b->count);
    } else {
        transpose_plane(&b->plane, b->element, out, in);
    }
}

void wai_move_run(const wai_move *move, const void *in, void *out) {
    wai_move m;
    if (!simplify(&m, move)) {
        return;
    }
    body b = take_body(&m);
    if (m.rank == 0) {
        run_body(&b, out, in);
        return;
    }
    size_t at[WAI_MOVE_RANK] = {0};
    ptrdiff_t from = 0, to = 0;
    uint32_t inner = m.rank - 1;
    for (;;) {
        for (ptrdiff_t i = 0; i < (ptrdiff_t)m.dims[inner]; i++) {
            run_body(&b, (uint8_t *)out + (to + i * m.out[inner]),
                     (const uint8_t *)in + (from + i * m.in[inner]));
        }
        uint32_t axis = inner;
        for (;;) {
            if (axis == 0) {
                return;
            }
            axis--;
            from += m.in[axis];
            to += m.out[axis];
            if (++at[axis] < m.dims[axis]) {
                break;
            }
            from -= m.in[axis] * (ptrdiff_t)m.dims[axis];
            to -= m.out[axis] * (ptrdiff_t)m.dims[axis];
            at[axis] = 0;
        }
    }
}
