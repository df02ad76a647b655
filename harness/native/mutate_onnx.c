#include "mutate_onnx.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size);

/* ---- the tree of a file ---- */

enum { MOST_FIELDS = 8192, MOST_DEPTH = 24, MOST_BYTES = 256 };

enum kind {
    LEAF,
    MODEL,
    OPSET,
    GRAPH,
    NODE,
    ATTRIBUTE,
    TENSOR,
    ENTRY,
    SLOT,
    TYPE,
    TENSOR_TYPE,
    HELD,
    SHAPE,
    DIM
};

/* What the fields of a message hold, where that is another message. */
static const struct {
    uint8_t holder, number, kind;
} schema[] = {
    {MODEL, 7, GRAPH},      {MODEL, 8, OPSET},     {GRAPH, 1, NODE},        {GRAPH, 5, TENSOR},
    {GRAPH, 11, SLOT},      {GRAPH, 12, SLOT},     {GRAPH, 13, SLOT},       {NODE, 5, ATTRIBUTE},
    {ATTRIBUTE, 5, TENSOR}, {ATTRIBUTE, 6, GRAPH}, {ATTRIBUTE, 10, TENSOR}, {ATTRIBUTE, 11, GRAPH},
    {ATTRIBUTE, 14, TYPE},  {TENSOR, 13, ENTRY},   {SLOT, 2, TYPE},         {TYPE, 1, TENSOR_TYPE},
    {TYPE, 4, HELD},        {TYPE, 9, HELD},       {HELD, 1, TYPE},         {TENSOR_TYPE, 2, SHAPE},
    {SHAPE, 1, DIM},
};

typedef struct field {
    uint64_t key;
    const uint8_t *data; /* of a leaf: its bytes, the length not included  */
    size_t size;
    uint32_t end; /* the field behind this one and all in it                */
    uint8_t holder, kind, times;
} field;

typedef struct tree {
    uint32_t count;
    field fields[MOST_FIELDS];
    uint8_t bytes[MOST_BYTES]; /* of the leaf that was changed              */
} tree;

typedef struct cursor {
    const uint8_t *at, *end;
    bool failed;
} cursor;

static uint64_t read_varint(cursor *c) {
    uint64_t value = 0;
    for (int shift = 0; shift < 64 && c->at < c->end; shift += 7) {
        const uint8_t byte = *c->at++;
        value |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80) {
            return value;
        }
    }
    c->failed = true;
    return 0;
}

static uint8_t kind_of(uint8_t holder, uint64_t key) {
    for (size_t i = 0; i < sizeof schema / sizeof schema[0]; i++) {
        if (schema[i].holder == holder && ((uint64_t)schema[i].number << 3 | 2) == key) {
            return schema[i].kind;
        }
    }
    return LEAF;
}

/* Where the field's bytes end; NULL: there are not as many. */
static const uint8_t *skip(cursor *c, uint64_t key) {
    size_t size = 0;
    switch (key & 7) {
    case 0:
        read_varint(c);
        return c->failed ? NULL : c->at;
    case 1:
        size = 8;
        break;
    case 2:
        size = (size_t)read_varint(c);
        break;
    case 5:
        size = 4;
        break;
    default:
        return NULL;
    }
    return c->failed || size > (size_t)(c->end - c->at) ? NULL : c->at + size;
}

/* False: the bytes are no message, or one with too much in it. */
static bool parse(tree *t, cursor c, uint8_t holder, uint32_t depth) {
    while (c.at < c.end) {
        const uint64_t key = read_varint(&c);
        const uint8_t *start = c.at;
        const uint8_t *end = c.failed ? NULL : skip(&c, key);
        if (end == NULL || t->count == MOST_FIELDS || depth == MOST_DEPTH) {
            return false;
        }
        const uint8_t *data = (key & 7) == 2 ? c.at : start;
        const uint32_t index = t->count++;
        field *f = &t->fields[index];
        *f = (field){key, data, (size_t)(end - data), t->count, holder, kind_of(holder, key), 1};
        if (f->kind != LEAF) {
            if (!parse(t, (cursor){data, end, false}, f->kind, depth + 1)) {
                t->count = index + 1; /* what is no message is bytes */
                f->kind = LEAF;
            }
            f->end = t->count;
        }
        c.at = end;
    }
    return true;
}

static tree *parse_file(const uint8_t *data, size_t size) {
    tree *t = malloc(sizeof *t);
    if (t != NULL) {
        t->count = 0;
        if (!parse(t, (cursor){data, data + size, false}, MODEL, 0) || t->count == 0) {
            free(t);
            t = NULL;
        }
    }
    return t;
}

/* ---- and back to bytes ---- */

static size_t varint_size(uint64_t value) {
    size_t size = 1;
    for (; value > 0x7f; value >>= 7) {
        size++;
    }
    return size;
}

static size_t field_size(const tree *t, uint32_t index);

static size_t body_size(const tree *t, uint32_t index) {
    const field *f = &t->fields[index];
    if (f->kind == LEAF) {
        return f->size;
    }
    size_t size = 0;
    for (uint32_t i = index + 1; i < f->end; i = t->fields[i].end) {
        size += field_size(t, i);
    }
    return size;
}

static size_t field_size(const tree *t, uint32_t index) {
    const field *f = &t->fields[index];
    const size_t body = body_size(t, index);
    const size_t length = (f->key & 7) == 2 ? varint_size(body) : 0;
    return f->times * (varint_size(f->key) + length + body);
}

static uint8_t *write_varint(uint8_t *to, uint64_t value) {
    for (; value > 0x7f; value >>= 7) {
        *to++ = (uint8_t)(value | 0x80);
    }
    *to++ = (uint8_t)value;
    return to;
}

static uint8_t *write_field(uint8_t *to, const tree *t, uint32_t index) {
    const field *f = &t->fields[index];
    for (uint8_t time = 0; time < f->times; time++) {
        to = write_varint(to, f->key);
        if ((f->key & 7) == 2) {
            to = write_varint(to, body_size(t, index));
        }
        if (f->kind == LEAF) {
            memcpy(to, f->data, f->size);
            to += f->size;
            continue;
        }
        for (uint32_t i = index + 1; i < f->end; i = t->fields[i].end) {
            to = write_field(to, t, i);
        }
    }
    return to;
}

/* 0: it does not fit. `data` may be what the tree points into. */
static size_t write_file(const tree *t, uint8_t *data, size_t max_size) {
    size_t size = 0;
    for (uint32_t i = 0; i < t->count; i = t->fields[i].end) {
        size += field_size(t, i);
    }
    uint8_t *copy = size <= max_size ? malloc(size + 1) : NULL;
    if (copy == NULL) {
        return 0;
    }
    uint8_t *to = copy;
    for (uint32_t i = 0; i < t->count; i = t->fields[i].end) {
        to = write_field(to, t, i);
    }
    memcpy(data, copy, size);
    free(copy);
    return size;
}

/* ---- changes ---- */

static uint32_t next(uint32_t *state, uint32_t below) {
    *state ^= *state << 13;
    *state ^= *state >> 17;
    *state ^= *state << 5;
    return (*state >> 3) % below;
}

static void replace(tree *t, field *f, const void *bytes, size_t size) {
    memcpy(t->bytes, bytes, size);
    f->data = t->bytes;
    f->size = size;
    f->kind = LEAF;
}

static uint64_t other_number(uint64_t number, uint32_t *state) {
    static const uint64_t special[] = {0,
                                       1,
                                       2,
                                       3,
                                       7,
                                       8,
                                       9,
                                       16,
                                       255,
                                       1024,
                                       1025,
                                       65536,
                                       0x7fffffff,
                                       0x80000000,
                                       0xffffffff,
                                       (uint64_t)-1,
                                       (uint64_t)-2,
                                       (uint64_t)-3,
                                       1ull << 32,
                                       1ull << 62,
                                       1ull << 63,
                                       (1ull << 63) - 1};
    switch (next(state, 5)) {
    case 0:
        return special[next(state, sizeof special / sizeof special[0])];
    case 1:
        return number + 1 + next(state, 3);
    case 2:
        return number - 1 - next(state, 3);
    case 3:
        return next(state, 2) != 0 ? number * 2 : number / 2;
    default:
        return next(state, 26);
    }
}

static uint32_t other_real(uint32_t *state) {
    static const uint32_t special[] = {0,          0x80000000, 0x3f800000, 0xbf800000,
                                       0x7f800000, 0xff800000, 0x7fc00000, 0x00000001,
                                       0x7f7fffff, 0x4f000000, 0x33d6bf95, 0x40490fdb};
    return next(state, 3) != 0 ? special[next(state, sizeof special / sizeof special[0])]
                               : *state * 2654435761u;
}

static const char *const operators[] = {
#define WAI_ONNX(name, lower, first, last) name,
#include "onnx/onnx.def"
#undef WAI_ONNX
};

static bool is_text(const field *f) {
    for (size_t i = 0; i < f->size; i++) {
        if (f->data[i] < 0x20 || f->data[i] > 0x7e) {
            return false;
        }
    }
    return f->kind == LEAF && (f->key & 7) == 2 && f->size < MOST_BYTES;
}

/* Another field of the file for which `like` is true, from a random place on. */
static const field *another(const tree *t, const field *f, uint32_t *state,
                            bool (*like)(const field *, const field *)) {
    const uint32_t from = next(state, t->count);
    for (uint32_t i = 0; i < t->count; i++) {
        const field *other = &t->fields[(from + i) % t->count];
        if (other != f && other->times > 0 && like(f, other)) {
            return other;
        }
    }
    return NULL;
}

static bool both_text(const field *f, const field *other) {
    (void)f;
    return is_text(other);
}

static bool same_place(const field *f, const field *other) {
    return f->holder == other->holder && f->key == other->key;
}

static void change_bytes(tree *t, field *f, uint32_t *state) {
    enum { OPERATOR = 4 << 3 | 2 };
    if (f->holder == NODE && f->key == OPERATOR) {
        const char *name = operators[next(state, sizeof operators / sizeof operators[0])];
        replace(t, f, name, strlen(name));
        return;
    }
    /* Names are what ties a graph together. */
    const field *other = is_text(f) && next(state, 4) != 0 ? another(t, f, state, both_text) : NULL;
    if (other != NULL) {
        f->data = other->data;
        f->size = other->size;
    } else if (f->size <= MOST_BYTES) {
        memcpy(t->bytes, f->data, f->size);
        f->size = LLVMFuzzerMutate(t->bytes, f->size, MOST_BYTES);
        f->data = t->bytes;
    }
}

static void change_leaf(tree *t, field *f, uint32_t *state) {
    uint8_t varint[10];
    uint32_t real;
    switch (f->key & 7) {
    case 0: {
        cursor c = {f->data, f->data + f->size, false};
        uint8_t *end = write_varint(varint, other_number(read_varint(&c), state));
        replace(t, f, varint, (size_t)(end - varint));
        break;
    }
    case 5:
        real = other_real(state);
        replace(t, f, &real, sizeof real);
        break;
    case 2:
        change_bytes(t, f, state);
        break;
    default:
        f->times = 0;
    }
}

/* What a field becomes: nothing, two, or what another field of its sort is. */
static void change_field(tree *t, field *f, uint32_t *state) {
    const uint32_t what = next(state, f->kind == LEAF ? 10 : 4);
    if (what == 0) {
        f->times = 0;
    } else if (what == 1) {
        f->times = (uint8_t)(2 + next(state, 2) * next(state, 9));
    } else if (what == 2) {
        const field *other = another(t, f, state, same_place);
        if (other == NULL) {
            return;
        }
        /* Fields of a subtree stay in their order, so a copy of the bytes will do;
         * a length of more than the file has is what the reader is for. */
        f->data = other->data;
        f->size = other->size;
        f->kind = LEAF;
    } else if (f->kind == LEAF) {
        change_leaf(t, f, state);
    }
}

/* Leaves are many, and those near the root are worth more than the millionth weight. */
static field *choose(tree *t, uint32_t *state) {
    field *f = &t->fields[next(state, t->count)];
    while (f->times == 0 || (f->holder == TENSOR && next(state, 8) != 0)) {
        f = &t->fields[next(state, t->count)];
    }
    return f;
}

size_t mutate_onnx(uint8_t *data, size_t size, size_t max_size, unsigned seed) {
    uint32_t state = seed * 2654435761u + 1;
    tree *t = next(&state, 16) != 0 ? parse_file(data, size) : NULL;
    size_t written = 0;
    if (t != NULL) {
        change_field(t, choose(t, &state), &state);
        written = write_file(t, data, max_size);
        free(t);
    }
    return written != 0 ? written : LLVMFuzzerMutate(data, size, max_size);
}

size_t cross_onnx(const uint8_t *a, size_t a_size, const uint8_t *b, size_t b_size, uint8_t *out,
                  size_t max_size, unsigned seed) {
    uint32_t state = seed * 2654435761u + 1;
    tree *to = parse_file(a, a_size), *from = parse_file(b, b_size);
    size_t size = 0;
    for (int tries = 0; to != NULL && from != NULL && tries < 8 && size == 0; tries++) {
        field *f = choose(to, &state);
        const field *other = another(from, f, &state, same_place);
        if (other != NULL) {
            f->data = other->data;
            f->size = other->size;
            f->kind = LEAF;
            size = write_file(to, out, max_size);
        }
    }
    free(to);
    free(from);
    return size;
}
