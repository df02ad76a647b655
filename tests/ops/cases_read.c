/* cases_read.c - parse .cases files (format: cases.h). */
#define _POSIX_C_SOURCE 200809L

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cases.h"

static const struct {
    uint32_t id;
    const char *symbol;
} symbols[] = {
#define WAI_OP(id, symbol) {id, #symbol},
#include "ops/ops.def"
#undef WAI_OP
};

static const char *const status_names[] = {
    "OK",    "ARGUMENT", "STATE",     "MALFORMED", "UNSUPPORTED",
    "LIMIT", "MEMORY",   "INTEGRITY", "INTERNAL",
};

/* ---- words ------------------------------------------------------------ */

char *case_next_word(char **text) {
    char *p = *text;
    while (isspace((unsigned char)*p)) {
        p++;
    }
    if (*p == 0) {
        *text = p;
        return NULL;
    }
    char *word = p;
    while (*p != 0 && !isspace((unsigned char)*p)) {
        p++;
    }
    if (*p != 0) {
        *p++ = 0;
    }
    *text = p;
    return word;
}

static bool parse_type(wai_type *type, const char *word) {
    memset(type, 0, sizeof *type);
    const char *open = strchr(word, '[');
    if (open == NULL) {
        return false;
    }
    for (uint32_t d = WAI_F32; d <= WAI_I4; d++) {
        const char *name = wai_dtype_name((wai_dtype)d);
        if (strlen(name) == (size_t)(open - word) && memcmp(name, word, strlen(name)) == 0) {
            type->dtype = (wai_dtype)d;
        }
    }
    const char *p = open + 1;
    while (*p != ']') {
        char *end;
        unsigned long dim = strtoul(p, &end, 10);
        if (end == p || type->rank == WAI_MAX_RANK || dim > UINT32_MAX) {
            return false;
        }
        type->dims[type->rank++] = (uint32_t)dim;
        p = *end == ',' ? end + 1 : end;
    }
    return type->dtype != 0 && p[1] == 0 && wai_type_is_valid(type);
}

/* ---- values ----------------------------------------------------------- */

static uint32_t next_random(uint64_t *seed) { /* splitmix64, upper half */
    uint64_t z = *seed += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return (uint32_t)((z ^ (z >> 31)) >> 32);
}

static void store_integer(wai_dtype dtype, void *data, size_t i, uint64_t value) {
    switch (wai_dtype_size(dtype)) {
    case 1:
        ((uint8_t *)data)[i] = (uint8_t)value;
        break;
    case 2:
        ((uint16_t *)data)[i] = (uint16_t)value;
        break;
    case 4:
        ((uint32_t *)data)[i] = (uint32_t)value;
        break;
    default:
        ((uint64_t *)data)[i] = value;
        break;
    }
}

static void store_small(wai_dtype dtype, void *data, size_t i, double value) {
    if (dtype == WAI_F32) {
        ((float *)data)[i] = (float)value;
    } else if (dtype == WAI_F64) {
        ((double *)data)[i] = value;
    } else {
        store_integer(dtype, data, i, (uint64_t)(int64_t)value);
    }
}

static bool is_unsigned(wai_dtype dtype) {
    return dtype == WAI_U8 || dtype == WAI_U16 || dtype == WAI_U32 || dtype == WAI_U64;
}

static double random_value(wai_dtype dtype, uint64_t *seed) {
    uint32_t r = next_random(seed);
    if (dtype == WAI_BOOL) {
        return r & 1;
    }
    if (wai_dtype_is_integer(dtype)) {
        return is_unsigned(dtype) ? r % 200 : (double)(r % 200) - 100;
    }
    return (double)(r >> 8) / (1 << 22) - 2;
}

/* The whole number must be one of dtype. */
static bool store_text(wai_dtype dtype, void *data, size_t i, const char *word) {
    char *end;
    errno = 0;
    if (dtype == WAI_F32) {
        ((float *)data)[i] = strtof(word, &end);
        return *end == 0;
    }
    if (dtype == WAI_F64) {
        ((double *)data)[i] = strtod(word, &end);
        return *end == 0;
    }
    unsigned bits = (unsigned)wai_dtype_size(dtype) * 8;
    if (wai_dtype_is_storage(dtype) || dtype == WAI_BOOL || is_unsigned(dtype)) {
        unsigned long long value = strtoull(word, &end, 0);
        unsigned long long top = dtype == WAI_BOOL ? 1 : ~0ull >> (64 - bits);
        store_integer(dtype, data, i, value);
        return *end == 0 && errno == 0 && word[0] != '-' && value <= top;
    }
    long long value = strtoll(word, &end, 0);
    long long top = (long long)(~0ull >> (65 - bits));
    store_integer(dtype, data, i, (uint64_t)value);
    return *end == 0 && errno == 0 && value <= top && value >= -top - 1;
}

bool case_tensor_fill(const case_tensor *tensor, void *data) {
    wai_dtype dtype = tensor->type.dtype;
    size_t count = wai_type_count(&tensor->type);
    char *copy = strdup(tensor->values);
    char *rest = copy;
    char *word = case_next_word(&rest);
    bool ok = true;
    if (word == NULL || strcmp(word, "zeros") == 0 || strcmp(word, "any") == 0) {
        memset(data, 0, wai_type_size(&tensor->type));
    } else if (strcmp(word, "ones") == 0 || strcmp(word, "iota") == 0) {
        for (size_t i = 0; i < count; i++) {
            store_small(dtype, data, i, word[0] == 'o' ? 1.0 : (double)i);
        }
    } else if (strcmp(word, "random") == 0) {
        word = case_next_word(&rest);
        uint64_t seed = word != NULL ? strtoull(word, NULL, 10) : 0;
        for (size_t i = 0; i < count; i++) {
            store_small(dtype, data, i, random_value(dtype, &seed));
        }
    } else {
        for (size_t i = 0; i < count && ok; i++, word = case_next_word(&rest)) {
            ok = word != NULL && store_text(dtype, data, i, word);
        }
        ok = ok && word == NULL;
    }
    ok = ok && case_next_word(&rest) == NULL;
    free(copy);
    return ok;
}

/* ---- lines ------------------------------------------------------------ */

static bool parse_op(op_case *c, char *rest) {
    char *word = case_next_word(&rest);
    for (size_t i = 0; word != NULL && i < sizeof symbols / sizeof symbols[0]; i++) {
        if (strcmp(symbols[i].symbol, word) == 0) {
            c->row = wai_op_by_id(symbols[i].id);
        }
    }
    if (c->row == NULL || c->params != NULL) {
        return false;
    }
    c->params = calloc(1, c->row->op->params_size + 1);
    return true;
}

static bool parse_onnx(op_case *c, const char *key, char *rest) {
    char *name = case_next_word(&rest), *opset = case_next_word(&rest);
    const bool own = strcmp(key, "onnx") == 0;
    if (name == NULL || (opset != NULL) != own || c->onnx[0] != 0) {
        return false;
    }
    snprintf(c->onnx, sizeof c->onnx, "%s", name);
    c->domain = own ? "" : strcmp(key, "ml") == 0 ? "ai.onnx.ml" : "com.microsoft";
    c->opset = own ? (uint32_t)strtoul(opset, NULL, 10) : 22;
    return true;
}

/* False where `key` is no kind of attribute. */
static bool parse_attr(op_case *c, const char *key, const char *rest) {
    static const char *const kinds[] = {"int", "ints", "float", "floats", "string"};
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        if (strcmp(kinds[i], key) == 0 && c->attr_count < CASE_MAX_ATTRS) {
            case_attr *attr = &c->attrs[c->attr_count++];
            snprintf(attr->type, sizeof attr->type, "%s", key);
            attr->text = strdup(rest);
            return true;
        }
    }
    return false;
}

static bool parse_field_value(const wai_field *field, const char *word, uint32_t *out) {
    if (field->values != NULL && !isdigit((unsigned char)word[0])) {
        /* Value names start at 1, as the enums do: names[0] may be NULL. The
         * table's length is not known; it ends with NULL. */
        for (uint32_t i = field->values[0] == NULL; field->values[i] != NULL; i++) {
            if (strcmp(field->values[i], word) == 0) {
                *out = i;
                return true;
            }
        }
        return false;
    }
    char *end;
    errno = 0;
    if (field->kind == WAI_FIELD_F32) {
        float value = strtof(word, &end);
        memcpy(out, &value, 4);
        return *end == 0;
    }
    long long value = strtoll(word, &end, 0);
    *out = (uint32_t)value;
    return *end == 0 && errno == 0 &&
           (field->kind == WAI_FIELD_I32 ? value >= INT32_MIN && value <= INT32_MAX
                                         : value >= 0 && value <= UINT32_MAX);
}

static bool parse_field(op_case *c, const char *name, char *rest) {
    if (c->row == NULL) {
        return false;
    }
    for (uint32_t i = 0; i < c->row->op->field_count; i++) {
        const wai_field *field = &c->row->op->fields[i];
        if (strcmp(field->name, name) != 0) {
            continue;
        }
        char *word = case_next_word(&rest);
        for (uint32_t k = 0; word != NULL && k < field->count; k++, word = case_next_word(&rest)) {
            if (!parse_field_value(field, word, c->params + field->offset / 4 + k)) {
                return false;
            }
        }
        return word == NULL;
    }
    return false;
}

static bool parse_tensor(case_tensor *tensor, uint32_t *count, char *rest, bool constant) {
    char *word = case_next_word(&rest);
    if (word == NULL || *count == CASE_MAX_OPERANDS) {
        return false;
    }
    tensor += (*count)++;
    tensor->constant = constant;
    tensor->values = strdup(rest);
    tensor->absent = strcmp(word, "none") == 0;
    return tensor->absent || parse_type(&tensor->type, word);
}

static bool parse_fails(op_case *c, char *rest) {
    char *word = case_next_word(&rest);
    for (unsigned i = 1; word != NULL && i < sizeof status_names / sizeof status_names[0]; i++) {
        if (strcmp(status_names[i], word) == 0) {
            c->fails = (wai_status)i;
        }
    }
    snprintf(c->message, sizeof c->message, "%s", rest);
    for (size_t n = strlen(c->message); n > 0 && isspace((unsigned char)c->message[n - 1]); n--) {
        c->message[n - 1] = 0;
    }
    return c->fails != WAI_OK;
}

static bool parse_within(op_case *c, char *rest) {
    char *word = case_next_word(&rest);
    c->tolerant = true;
    c->absolute = word != NULL ? strtod(word, NULL) : -1;
    word = case_next_word(&rest);
    c->relative = word != NULL ? strtod(word, NULL) : 0;
    return c->absolute >= 0 && c->relative >= 0;
}

static bool parse_line(op_case *c, const char *key, char *rest) {
    if (strcmp(key, "op") == 0) {
        return parse_op(c, rest);
    }
    if (strcmp(key, "in") == 0 || strcmp(key, "const") == 0) {
        return parse_tensor(c->in, &c->in_count, rest, key[0] == 'c');
    }
    if (strcmp(key, "onnx") == 0 || strcmp(key, "microsoft") == 0 || strcmp(key, "ml") == 0) {
        return parse_onnx(c, key, rest);
    }
    if (c->onnx[0] != 0 && parse_attr(c, key, rest)) {
        return true;
    }
    /* `out` is also a field of pool; a type follows an output. */
    if (strcmp(key, "out") == 0 && (strchr(rest, '[') != NULL || c->onnx[0] != 0)) {
        return parse_tensor(c->out, &c->out_count, rest, false);
    }
    if (strcmp(key, "within") == 0) {
        return parse_within(c, rest);
    }
    if (strcmp(key, "fails") == 0) {
        return parse_fails(c, rest);
    }
    if (strcmp(key, "infer") == 0) {
        c->infer_only = true;
        return true;
    }
    return parse_field(c, key, rest);
}

static void free_case(op_case *c) {
    free(c->params);
    for (uint32_t i = 0; i < c->in_count; i++) {
        free(c->in[i].values);
    }
    for (uint32_t i = 0; i < c->out_count; i++) {
        free(c->out[i].values);
    }
    for (uint32_t i = 0; i < c->attr_count; i++) {
        free(c->attrs[i].text);
    }
    memset(c, 0, sizeof *c);
}

/* ---- files ------------------------------------------------------------ */

static char *read_file(const char *path) {
    FILE *file = fopen(path, "rb");
    if (file == NULL) {
        return NULL;
    }
    size_t size = 0, capacity = 1 << 16;
    char *text = malloc(capacity);
    size_t got;
    while ((got = fread(text + size, 1, capacity - size - 1, file)) > 0) {
        size += got;
        if (capacity - size < 2) {
            text = realloc(text, capacity *= 2);
        }
    }
    text[size] = 0;
    fclose(file);
    return text;
}

/* The next line without comment, continuation lines joined; NULL at the end. */
static char *next_line(char **text, unsigned *line) {
    char *p = *text;
    if (*p == 0) {
        return NULL;
    }
    char *start = p;
    for (; *p != 0 && *p != '\n'; p++) {
        if (*p == '#') {
            while (*p != 0 && *p != '\n') {
                *p++ = ' ';
            }
            p--;
        } else if (p[0] == '\\' && p[1] == '\n') {
            p[0] = p[1] = ' ';
            p++;
            (*line)++;
        }
    }
    if (*p != 0) {
        *p++ = 0;
    }
    *text = p;
    (*line)++;
    return start;
}

bool cases_read(const char *path, void (*visit)(void *context, const op_case *c), void *context) {
    char *text = read_file(path);
    if (text == NULL) {
        fprintf(stderr, "%s: cannot be read\n", path);
        return false;
    }
    op_case c = {0};
    unsigned line = 0;
    bool ok = true;
    char *rest = text, *at;
    while (ok && (at = next_line(&rest, &line)) != NULL) {
        char *key = case_next_word(&at);
        if (key == NULL) {
            continue;
        }
        if (strcmp(key, "case") != 0) {
            ok = parse_line(&c, key, at);
        } else {
            if (c.row != NULL || c.onnx[0] != 0) {
                visit(context, &c);
            }
            free_case(&c);
            c.file = path;
            c.line = line;
            snprintf(c.name, sizeof c.name, "%s", at);
        }
        if (!ok) {
            fprintf(stderr, "%s:%u: cannot understand `%s`\n", path, line, key);
        }
    }
    if (ok && (c.row != NULL || c.onnx[0] != 0)) {
        visit(context, &c);
    }
    free_case(&c);
    free(text);
    return ok;
}
