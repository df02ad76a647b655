#include "ops/move.h"

#include <string.h>

/* Edge of the square that is transposed at once: 32 x 32 floats read and
 * write whole cache lines and stay within 8 KB. */
#define TILE 32u

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

static void transpose_4x4(uint8_t *out, ptrdiff_t out_stride, const uint8_t *in,
                          ptrdiff_t in_stride) {
    u32x4 r0, r1, r2, r3;
    __builtin_memcpy(&r0, in, 16);
    __builtin_memcpy(&r1, in + in_stride, 16);
    __builtin_memcpy(&r2, in + 2 * in_stride, 16);
    __builtin_memcpy(&r3, in + 3 * in_stride, 16);
    u32x4 low01 = __builtin_shufflevector(r0, r1, 0, 4, 1, 5);
    u32x4 low23 = __builtin_shufflevector(r2, r3, 0, 4, 1, 5);
    u32x4 high01 = __builtin_shufflevector(r0, r1, 2, 6, 3, 7);
    u32x4 high23 = __builtin_shufflevector(r2, r3, 2, 6, 3, 7);
    r0 = __builtin_shufflevector(low01, low23, 0, 1, 4, 5);
    r1 = __builtin_shufflevector(low01, low23, 2, 3, 6, 7);
    r2 = __builtin_shufflevector(high01, high23, 0, 1, 4, 5);
    r3 = __builtin_shufflevector(high01, high23, 2, 3, 6, 7);
    __builtin_memcpy(out, &r0, 16);
    __builtin_memcpy(out + out_stride, &r1, 16);
    __builtin_memcpy(out + 2 * out_stride, &r2, 16);
    __builtin_memcpy(out + 3 * out_stride, &r3, 16);
}

/* Any part of a plane, element by element. */
static void transpose_plainly(const plane *p, size_t element, uint8_t *out, const uint8_t *in,
                              size_t row, size_t rows, size_t column, size_t columns) {
    ptrdiff_t size = (ptrdiff_t)element;
    for (size_t c = column; c < column + columns; c++) {
        strided_row(element, out + (ptrdiff_t)c * p->out_stride + (ptrdiff_t)row * size, size,
                    in + (ptrdiff_t)row * p->in_stride + (ptrdiff_t)c * size, p->in_stride, rows);
    }
}

static void transpose_tile_32(const plane *p, uint8_t *out, const uint8_t *in, size_t row,
                              size_t rows, size_t column, size_t columns) {
    size_t whole_rows = rows & ~(size_t)3, whole_columns = columns & ~(size_t)3;
    for (size_t c = column; c < column + whole_columns; c += 4) {
        for (size_t r = row; r < row + whole_rows; r += 4) {
            transpose_4x4(out + (ptrdiff_t)c * p->out_stride + (ptrdiff_t)r * 4, p->out_stride,
                          in + (ptrdiff_t)r * p->in_stride + (ptrdiff_t)c * 4, p->in_stride);
        }
    }
    if (whole_columns < columns) {
        transpose_plainly(p, 4, out, in, row, rows, column + whole_columns,
                          columns - whole_columns);
    }
    if (whole_rows < rows && whole_columns > 0) {
        transpose_plainly(p, 4, out, in, row + whole_rows, rows - whole_rows, column,
                          whole_columns);
    }
}

static void transpose_plane(const plane *p, size_t element, uint8_t *out, const uint8_t *in) {
    for (size_t column = 0; column < p->columns; column += TILE) {
        size_t columns = p->columns - column < TILE ? p->columns - column : TILE;
        for (size_t row = 0; row < p->rows; row += TILE) {
            size_t rows = p->rows - row < TILE ? p->rows - row : TILE;
            if (element == 4) {
                transpose_tile_32(p, out, in, row, rows, column, columns);
            } else {
                transpose_plainly(p, element, out, in, row, rows, column, columns);
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
