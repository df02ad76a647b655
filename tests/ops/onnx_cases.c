/*
 * onnx_cases.c - run cases of ONNX nodes (format: cases.h) natively.
 *
 *     onnx_cases FILE.cases...
 *
 * Every case becomes a model of one node, is compiled with and without the
 * passes, opened and run: what lowerings give, as a user has it. A case that
 * `fails` may do so at any of these stages.
 */
#define _POSIX_C_SOURCE 200809L

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cases.h"
#include "wasmai_compile.h"

/* ---- ONNX bytes (field numbers of onnx.proto) ------------------------------ */

typedef struct bytes {
    uint8_t *data;
    size_t size, capacity;
} bytes;

static void put(bytes *b, const void *data, size_t size) {
    if (size > b->capacity - b->size) {
        b->capacity = 2 * b->capacity + size;
        b->data = realloc(b->data, b->capacity);
    }
    if (size > 0) {
        memcpy(b->data + b->size, data, size);
        b->size += size;
    }
}

static void put_varint(bytes *b, uint64_t value) {
    uint8_t byte;
    do {
        byte = (uint8_t)((value & 0x7f) | (value > 0x7f ? 0x80 : 0));
        put(b, &byte, 1);
        value >>= 7;
    } while (value != 0);
}

static void put_int(bytes *b, uint32_t field, uint64_t value) {
    put_varint(b, field << 3);
    put_varint(b, value);
}

static void put_float(bytes *b, uint32_t field, float value) {
    put_varint(b, field << 3 | 5);
    put(b, &value, 4);
}

static void put_block(bytes *b, uint32_t field, const void *data, size_t size) {
    put_varint(b, field << 3 | 2);
    put_varint(b, size);
    put(b, data, size);
}

static void put_text(bytes *b, uint32_t field, const char *text) {
    put_block(b, field, text, strlen(text));
}

static void put_part(bytes *b, uint32_t field, bytes *part) {
    put_block(b, field, part->data, part->size);
    free(part->data);
    *part = (bytes){NULL, 0, 0};
}

static uint32_t onnx_type(wai_dtype dtype) {
    static const uint32_t types[] = {
        [WAI_F32] = 1,  [WAI_F16] = 10, [WAI_F64] = 11, [WAI_I8] = 3,
        [WAI_U8] = 2,   [WAI_I16] = 5,  [WAI_U16] = 4,  [WAI_I32] = 6,
        [WAI_U32] = 12, [WAI_I64] = 7,  [WAI_U64] = 13, [WAI_BOOL] = 9,
    };
    return dtype < sizeof types / sizeof types[0] ? types[dtype] : 0;
}

/* A graph input or output; `shaped` false leaves dtype and dims open. */
static void put_io(bytes *graph, uint32_t field, const char *name, const wai_type *type,
                   bool shaped) {
    bytes shape = {NULL, 0, 0}, tensor = {NULL, 0, 0}, whole = {NULL, 0, 0}, io = {NULL, 0, 0};
    for (uint32_t i = 0; i < type->rank; i++) {
        bytes dim = {NULL, 0, 0};
        put_int(&dim, 1, type->dims[i]);
        put_part(&shape, 1, &dim);
    }
    put_int(&tensor, 1, shaped ? onnx_type(type->dtype) : 1);
    if (shaped) {
        put_part(&tensor, 2, &shape);
    }
    put_part(&whole, 1, &tensor);
    put_text(&io, 1, name);
    put_part(&io, 2, &whole);
    put_part(graph, field, &io);
}

static void put_initializer(bytes *graph, const char *name, const case_tensor *value) {
    const wai_type *type = &value->type;
    bytes tensor = {NULL, 0, 0};
    void *data = calloc(1, wai_type_size(type) + 1);
    case_tensor_fill(value, data);
    for (uint32_t i = 0; i < type->rank; i++) {
        put_int(&tensor, 1, type->dims[i]);
    }
    put_int(&tensor, 2, onnx_type(type->dtype));
    put_text(&tensor, 8, name);
    put_block(&tensor, 9, data, wai_type_size(type));
    put_part(graph, 5, &tensor);
    free(data);
}

static void put_attr(bytes *node, const case_attr *attr) {
    char *copy = strdup(attr->text), *rest = copy;
    bytes out = {NULL, 0, 0};
    char *word = case_next_word(&rest);
    const char kind = attr->type[0];
    const bool list = attr->type[strlen(attr->type) - 1] == 's';
    put_text(&out, 1, word != NULL ? word : "");
    while ((word = case_next_word(&rest)) != NULL) {
        if (kind == 'i') {
            put_int(&out, list ? 8 : 3, (uint64_t)strtoll(word, NULL, 10));
        } else if (kind == 'f') {
            put_float(&out, list ? 7 : 2, strtof(word, NULL));
        } else {
            put_text(&out, 4, word);
        }
    }
    put_int(&out, 20, kind == 'i' ? (list ? 7 : 2) : kind == 'f' ? (list ? 6 : 1) : 3);
    put_part(node, 5, &out);
    free(copy);
}

static bytes model_of(const op_case *c) {
    bytes model = {NULL, 0, 0}, graph = {NULL, 0, 0}, node = {NULL, 0, 0};
    char name[16];
    for (uint32_t i = 0; i < c->in_count; i++) {
        snprintf(name, sizeof name, "i%u", i);
        put_text(&node, 1, c->in[i].absent ? "" : name);
    }
    const uint32_t outs = c->out_count != 0 ? c->out_count : 1;
    for (uint32_t i = 0; i < outs; i++) {
        snprintf(name, sizeof name, "o%u", i);
        put_text(&node, 2, c->out[i].absent ? "" : name);
    }
    put_text(&node, 3, "node");
    put_text(&node, 4, c->onnx);
    for (uint32_t i = 0; i < c->attr_count; i++) {
        put_attr(&node, &c->attrs[i]);
    }
    put_text(&node, 7, c->domain);
    put_part(&graph, 1, &node);
    for (uint32_t i = 0; i < c->in_count; i++) {
        snprintf(name, sizeof name, "i%u", i);
        if (c->in[i].constant) {
            put_initializer(&graph, name, &c->in[i]);
        } else if (!c->in[i].absent) {
            put_io(&graph, 11, name, &c->in[i].type, true);
        }
    }
    for (uint32_t i = 0; i < outs; i++) {
        snprintf(name, sizeof name, "o%u", i);
        if (!c->out[i].absent) {
            put_io(&graph, 12, name, &c->out[i].type, c->out_count != 0);
        }
    }
    put_int(&model, 1, 8);
    put_part(&model, 7, &graph);
    const char *const domains[] = {"com.microsoft", "ai.onnx.ml", ""};
    for (int i = 0; i < 3; i++) {
        bytes import = {NULL, 0, 0};
        put_text(&import, 1, domains[i]);
        put_int(&import, 2, domains[i][0] == 0 ? c->opset : 1);
        put_part(&model, 8, &import);
    }
    return model;
}

/* ---- one case --------------------------------------------------------------- */

typedef struct totals {
    unsigned passed, failed;
} totals;

static bool complain(const op_case *c, const char *what, const char *text) {
    printf("%s:%u: %s: %s%s%s\n", c->file, c->line, c->name, what, text[0] != 0 ? ": " : "", text);
    return false;
}

/* Input `name` is i0, i1, ... of the case. */
static void feed(const op_case *c, wai_session *session) {
    for (uint32_t i = 0; i < wai_session_input_count(session); i++) {
        wai_tensor slot;
        if (wai_session_input(session, i, &slot) == WAI_OK) {
            case_tensor_fill(&c->in[strtoul(slot.name + 1, NULL, 10)], slot.data);
        }
    }
}

static bool compare(const op_case *c, wai_session *session) {
    for (uint32_t i = 0; i < wai_session_output_count(session); i++) {
        wai_tensor slot;
        char text[160];
        if (wai_session_output(session, i, &slot) != WAI_OK) {
            return complain(c, "an output cannot be read", "");
        }
        const wai_type type = wai_type_make(slot.dtype, slot.rank, slot.dims);
        const uint32_t index = (uint32_t)strtoul(slot.name + 1, NULL, 10);
        if (!wai_type_equal(&type, &c->out[index].type)) {
            return complain(c, "another type", wai_type_text(&type, (char[WAI_TYPE_TEXT]){0}));
        }
        if (!case_output_agrees(c, index, &type, slot.data, text)) {
            return complain(c, "differs", text);
        }
    }
    return true;
}

static bool run_case(const op_case *c, const bytes *model, bool optimize) {
    const wai_compile_options options = {.optimize = optimize};
    wai_package *package = NULL;
    wai_session *session = NULL;
    wai_diag diag = {0};
    wai_status status =
        wai_compile(&package, (wai_bytes){model->data, model->size}, &options, &diag);
    bool ok = true;
    if (status == WAI_OK) {
        status = wai_session_open(&session, wai_package_bytes(package), NULL, &diag);
    }
    /* The second run finds the first one's numbers in the arena. */
    for (int round = 0; round < 2 && status == WAI_OK && ok; round++) {
        feed(c, session);
        status = wai_session_run(session, &diag);
        ok = status != WAI_OK || c->fails != WAI_OK || compare(c, session);
    }
    wai_session_close(session);
    wai_package_free(package);
    if (!ok) {
        return false;
    }
    if (status != c->fails) {
        return complain(c, wai_status_name(status),
                        status != WAI_OK ? diag.message : "not refused");
    }
    if (status != WAI_OK &&
        (strstr(diag.message, c->message) == NULL || strcmp(diag.where, "node") != 0)) {
        return complain(c, "refused with another message", diag.message);
    }
    return true;
}

static bool values_fit(const op_case *c, const case_tensor *tensors, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        void *data = calloc(1, wai_type_size(&tensors[i].type) + 1);
        const bool ok = tensors[i].absent || case_tensor_fill(&tensors[i], data);
        free(data);
        if (!ok) {
            return complain(c, "values do not fit the type", tensors[i].values);
        }
    }
    return true;
}

static void visit(void *context, const op_case *c) {
    totals *sum = context;
    bool ok = (c->onnx[0] != 0 || complain(c, "names no node", "")) &&
              (c->out_count != 0 || c->fails != WAI_OK || complain(c, "expects nothing", "")) &&
              values_fit(c, c->in, c->in_count) && values_fit(c, c->out, c->out_count);
    if (ok) {
        bytes model = model_of(c);
        ok = run_case(c, &model, false) && run_case(c, &model, true);
        free(model.data);
    }
    sum->passed += ok;
    sum->failed += !ok;
}

int main(int argc, char **argv) {
    totals sum = {0};
    for (int i = 1; i < argc; i++) {
        if (!cases_read(argv[i], visit, &sum)) {
            sum.failed++;
        }
    }
    printf("%u passed, %u failed, 0 skipped\n", sum.passed, sum.failed);
    return sum.failed == 0 && sum.passed > 0 ? 0 : 1;
}
