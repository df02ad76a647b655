/*
 * The strided walk behind transpose, slice, expand, tile and pad against a
 * dull loop over indices, over seeded random shapes and all element sizes.
 *
 *   check_transpose [rounds] [seed]
 */
#include "check.h"

typedef struct subject {
    const wai_op *op;
    union {
        wai_transpose_params transpose;
        wai_slice_params slice;
        wai_expand_params expand;
        wai_tile_params tile;
        wai_pad_params pad;
    } params;
    wai_operand in, out;
} subject;

/* The input position that output position `at` shows; -1: border of zeros. */
typedef int64_t (*dull_reference)(const subject *s, const uint32_t *at);

static int64_t position(const wai_type *type, const int64_t *at) {
    int64_t p = 0;
    for (uint32_t i = 0; i < type->rank; i++) {
        p = p * type->dims[i] + at[i];
    }
    return p;
}

static int64_t dull_transpose(const subject *s, const uint32_t *at) {
    int64_t from[WAI_MAX_RANK];
    for (uint32_t i = 0; i < s->in.type.rank; i++) {
        from[s->params.transpose.perm[i]] = at[i];
    }
    return position(&s->in.type, from);
}

static int64_t dull_slice(const subject *s, const uint32_t *at) {
    int64_t from[WAI_MAX_RANK];
    for (uint32_t i = 0; i < s->in.type.rank; i++) {
        from[i] = s->params.slice.start[i] + (int64_t)at[i] * s->params.slice.step[i];
    }
    return position(&s->in.type, from);
}

static int64_t dull_expand(const subject *s, const uint32_t *at) {
    int64_t from[WAI_MAX_RANK];
    uint32_t added = s->out.type.rank - s->in.type.rank;
    for (uint32_t i = 0; i < s->in.type.rank; i++) {
        from[i] = s->in.type.dims[i] == 1 ? 0 : at[i + added];
    }
    return position(&s->in.type, from);
}

static int64_t dull_tile(const subject *s, const uint32_t *at) {
    int64_t from[WAI_MAX_RANK];
    for (uint32_t i = 0; i < s->in.type.rank; i++) {
        from[i] = at[i] % s->in.type.dims[i];
    }
    return position(&s->in.type, from);
}

static int64_t dull_pad(const subject *s, const uint32_t *at) {
    const wai_pad_params *p = &s->params.pad;
    int64_t from[WAI_MAX_RANK];
    for (uint32_t i = 0; i < s->in.type.rank; i++) {
        int64_t dim = s->in.type.dims[i], x = (int64_t)at[i] - p->before[i];
        while (x < 0 || x >= dim) {
            if (p->mode == WAI_PAD_CONSTANT) {
                return -1;
            } else if (p->mode == WAI_PAD_WRAP) {
                x += x < 0 ? dim : -dim;
            } else if (p->mode == WAI_PAD_EDGE || dim == 1) {
                x = x < 0 ? 0 : dim - 1;
            } else {
                x = x < 0 ? -x : 2 * (dim - 1) - x;
            }
        }
        from[i] = x;
    }
    return position(&s->in.type, from);
}

static void describe(const subject *s) {
    char in[WAI_TYPE_TEXT], out[WAI_TYPE_TEXT];
    printf("FAIL %s %s -> %s, params", s->op->name, wai_type_text(&s->in.type, in),
           wai_type_text(&s->out.type, out));
    for (uint32_t i = 0; i < s->op->params_size / 4; i++) {
        printf(" %d", (int)((const uint32_t *)&s->params)[i]);
    }
    printf("\n");
}

static bool is_right(const subject *s, dull_reference reference) {
    uint32_t at[WAI_MAX_RANK] = {0};
    size_t element = wai_dtype_size(s->in.type.dtype), count = wai_type_count(&s->out.type);
    const uint8_t zeros[8] = {0};
    for (size_t i = 0; i < count; i++) {
        int64_t from = reference(s, at);
        const uint8_t *wanted =
            from < 0 ? zeros : (const uint8_t *)s->in.data + (size_t)from * element;
        if (memcmp((const uint8_t *)s->out.data + i * element, wanted, element) != 0) {
            return false;
        }
        next_index(&s->out.type, at);
    }
    for (size_t i = 0; i < WAI_SPARE_SIZE; i++) {
        if (((const uint8_t *)s->out.data)[count * element + i] != POISON) {
            return false;
        }
    }
    return true;
}

static void check(subject *s, dull_reference reference) {
    wai_diag diag = {0};
    wai_step step = make_step(s->op, &s->params, &s->in, 1, &s->out);
    if (infer_step(&step, NULL, &diag) != WAI_OK || !wai_type_is_valid(&s->out.type)) {
        describe(s);
        printf("  refused: %s\n", diag.message);
        failures++;
        return;
    }
    size_t size = wai_type_size(&s->in.type);
    s->in.data = buffer(size);
    s->out.data = buffer(wai_type_size(&s->out.type));
    for (size_t i = 0; i < size; i++) {
        ((uint8_t *)s->in.data)[i] = (uint8_t)next(256);
    }
    compared++;
    if (run_step(&step, NULL, &diag) != WAI_OK || !is_right(s, reference)) {
        failures++;
        describe(s);
    }
    free(s->in.data);
    free(s->out.data);
}

/* Random dims of about `budget` elements; one of them may be long, so that
 * tiles and their rests are met. */
static wai_type random_type(uint32_t rank, uint32_t budget) {
    static const wai_dtype dtypes[] = {WAI_F32, WAI_F32, WAI_U8, WAI_I16, WAI_I64};
    wai_type type = {dtypes[next(5)], rank, {0}};
    for (uint32_t i = 0; i < rank; i++) {
        uint32_t top = next(4) == 0 ? 100 : 7;
        top = top < budget ? top : budget;
        type.dims[i] = 1 + next(top);
        budget = budget / type.dims[i] + 1;
    }
    return type;
}

static void check_transpose(void) {
    subject s = {.op = &wai_op_transpose};
    s.in.type = random_type(1 + next(WAI_MAX_RANK), 20000);
    uint32_t *perm = s.params.transpose.perm, rank = s.in.type.rank;
    for (uint32_t i = 0; i < rank; i++) {
        perm[i] = i;
    }
    for (uint32_t i = rank; i > 1; i--) {
        uint32_t j = next(i), other = perm[j];
        perm[j] = perm[i - 1];
        perm[i - 1] = other;
    }
    check(&s, dull_transpose);
}

static void check_slice(void) {
    subject s = {.op = &wai_op_slice};
    s.in.type = random_type(1 + next(6), 5000);
    for (uint32_t i = 0; i < s.in.type.rank; i++) {
        uint32_t dim = s.in.type.dims[i], step = 1 + next(3);
        uint32_t count = 1 + next((dim - 1) / step + 1), reach = (count - 1) * step;
        uint32_t start = next(dim - reach);
        bool back = next(3) == 0;
        s.params.slice.start[i] = back ? start + reach : start;
        s.params.slice.step[i] = back ? -(int32_t)step : (int32_t)step;
        s.params.slice.dims[i] = count;
    }
    check(&s, dull_slice);
}

static void check_expand(void) {
    subject s = {.op = &wai_op_expand};
    wai_type wide = random_type(1 + next(5), 5000);
    uint32_t dropped = next(wide.rank + 1);
    s.params.expand.rank = wide.rank;
    memcpy(s.params.expand.dims, wide.dims, sizeof wide.dims);
    s.in.type = wai_type_make(wide.dtype, wide.rank - dropped, wide.dims + dropped);
    for (uint32_t i = 0; i < s.in.type.rank; i++) {
        s.in.type.dims[i] = next(2) == 0 ? 1 : s.in.type.dims[i];
    }
    check(&s, dull_expand);
}

static void check_tile(void) {
    subject s = {.op = &wai_op_tile};
    s.in.type = random_type(1 + next(5), 500);
    for (uint32_t i = 0; i < s.in.type.rank; i++) {
        s.params.tile.repeats[i] = 1 + next(3);
    }
    check(&s, dull_tile);
}

static void check_pad(void) {
    subject s = {.op = &wai_op_pad};
    s.in.type = random_type(1 + next(5), 300);
    s.params.pad.mode = WAI_PAD_CONSTANT + next(4);
    for (uint32_t i = 0; i < s.in.type.rank; i++) {
        s.params.pad.before[i] = next(3) == 0 ? next(9) : 0;
        s.params.pad.after[i] = next(3) == 0 ? next(9) : 0;
    }
    check(&s, dull_pad);
}

int main(int argc, char **argv) {
    unsigned rounds = start(argc, argv, 500);
    for (unsigned i = 0; i < rounds; i++) {
        check_transpose();
        check_slice();
        check_expand();
        check_tile();
        check_pad();
    }
    return finish();
}
