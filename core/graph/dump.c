/* The graph as text, for people, `inspect` and tests. */
#include <string.h>

#include "graph/dynamic.h"

/* Text that grows in the arena; once it fails it stays empty. */
typedef struct text {
    wai_arena *arena;
    char *data;
    size_t size, capacity;
    bool failed;
} text;

static void add(text *t, const char *piece) {
    size_t size = strlen(piece);
    if (t->failed) {
        return;
    }
    if (size >= t->capacity - t->size) {
        size_t capacity = (t->capacity + size) * 2 + 256;
        char *data = wai_arena_alloc(t->arena, capacity);
        if (data == NULL) {
            t->failed = true;
            return;
        }
        if (t->size != 0) {
            memcpy(data, t->data, t->size);
        }
        t->data = data;
        t->capacity = capacity;
    }
    memcpy(t->data + t->size, piece, size + 1);
    t->size += size;
}

#if defined(__GNUC__)
__attribute__((format(printf, 2, 3)))
#endif
static void
addf(text *t, const char *format, ...) {
    char piece[640];
    va_list arguments;
    va_start(arguments, format);
    wai_format(piece, sizeof piece, format, arguments);
    va_end(arguments);
    add(t, piece);
}

/* Enough digits to tell params apart: sign, whole part, six decimals. */
static void add_float(text *t, float value) {
    if (value != value) {
        add(t, "nan");
        return;
    }
    if (value < 0) {
        add(t, "-");
        value = -value;
    }
    if (value > 3.4028235e38f) {
        add(t, "inf");
        return;
    }
    if (value >= 1e9f) {
        double whole = (double)value / 1e9;
        unsigned exponent = 9;
        for (; whole >= 1e18; whole /= 1e9) { /* more is no unsigned long long */
            exponent += 9;
        }
        addf(t, "%llue%u", (unsigned long long)whole, exponent);
        return;
    }
    unsigned long long micro = (unsigned long long)((double)value * 1e6 + 0.5);
    addf(t, "%llu", micro / 1000000);
    if (micro % 1000000 != 0) {
        char digits[8] = ".000000";
        unsigned long long rest = micro % 1000000;
        for (int i = 6; i > 0; i--, rest /= 10) {
            digits[i] = (char)('0' + rest % 10);
        }
        for (int i = 6; digits[i] == '0'; i--) {
            digits[i] = 0;
        }
        add(t, digits);
    }
}

static void add_word(text *t, const wai_field *field, const uint8_t *at) {
    uint32_t word;
    float number;
    memcpy(&word, at, 4);
    memcpy(&number, at, 4);
    if (field->kind == WAI_FIELD_F32) {
        add_float(t, number);
        return;
    }
    if (field->kind == WAI_FIELD_I32) {
        addf(t, "%d", (int)word);
        return;
    }
    if (field->values != NULL) {
        /* values[0] may be NULL without ending the table. */
        for (uint32_t i = 0; i == 0 || field->values[i] != NULL; i++) {
            if (i == word && field->values[i] != NULL) {
                add(t, field->values[i]);
                return;
            }
        }
    }
    addf(t, "%u", word);
}

static void add_params(text *t, const wai_node *node) {
    const wai_op *op = node->op;
    if (op->field_count == 0) {
        return;
    }
    add(t, " {");
    for (uint32_t f = 0; f < op->field_count; f++) {
        const wai_field *field = &op->fields[f];
        addf(t, "%s%s=", f > 0 ? " " : "", field->name);
        for (uint32_t i = 0; i < field->count; i++) {
            add(t, i > 0 ? "," : "");
            add_word(t, field, (const uint8_t *)node->params + field->offset + 4 * i);
        }
    }
    add(t, "}");
}

static void add_value(text *t, const wai_value *value) {
    if (value == NULL) {
        add(t, "none");
    } else {
        addf(t, "%%%u%s", value->id, value->data != NULL ? ":const" : "");
    }
}

static void add_io(text *t, const char *what, const wai_graph_io *io, uint32_t count) {
    char type[WAI_TYPE_TEXT];
    for (uint32_t i = 0; i < count; i++) {
        addf(t, "%s ", what);
        add_value(t, io[i].value);
        addf(t, " %s \"%s\"", wai_type_text(&io[i].value->type, type), io[i].name);
        add(t, "\n"); /* a formatted one would come out as ? */
    }
}

/* ---- symbolic dims ---- */

/* "2*%3[1]*%4[0]" */
static void add_term(text *t, const wai_dynamic *d, const wai_formula_term *term) {
    addf(t, "%d", term->factor);
    for (uint32_t i = 0; i < WAI_FORMULA_FACTORS; i++) {
        const wai_dim_of *dim = &term->dims[i];
        if (dim->value != WAI_NO_VALUE) {
            add(t, "*");
            add_value(t, d->values[dim->value]);
            addf(t, "[%u]", dim->axis);
        }
    }
}

/* "floor((1*%0[0] + 3) / 2) + 1 from 0 to 50" */
static void add_formula(text *t, const wai_dynamic *d, const wai_formula *f) {
    const bool divided = f->divisor != 1;
    const char *plus = "";
    add(t, divided ? "floor((" : "");
    for (uint32_t i = 0; i < WAI_FORMULA_TERMS; i++) {
        if (f->terms[i].factor != 0) {
            add(t, plus);
            add_term(t, d, &f->terms[i]);
            plus = " + ";
        }
    }
    if (f->constant != 0 || plus[0] == 0) {
        addf(t, "%s%d", plus, f->constant);
    }
    if (divided) {
        addf(t, ") / %u)", f->divisor);
    }
    if (f->offset != 0) {
        addf(t, " + %d", f->offset);
    }
    if (f->least != INT32_MIN) {
        addf(t, " from %d", f->least);
    }
    if (f->most != INT32_MAX) {
        addf(t, " to %d", f->most);
    }
}

/* "reshape.dims[1]" of word 2 */
static void add_word_name(text *t, const wai_op *op, uint32_t word) {
    for (uint32_t i = 0; i < op->field_count; i++) {
        const wai_field *field = &op->fields[i];
        if (4 * word >= field->offset && 4 * word < field->offset + 4 * field->count) {
            addf(t, "%s.%s", op->name, field->name);
            if (field->count > 1) {
                addf(t, "[%u]", word - field->offset / 4);
            }
        }
    }
}

static void add_dynamic(text *t, const wai_graph *graph) {
    const wai_dynamic *d = graph->dynamic;
    for (uint32_t i = 0; i < d->axis_count; i++) {
        const wai_open_axis *a = &d->axes[i];
        const wai_symbol *s = &d->symbols[a->symbol];
        add(t, "range ");
        add_value(t, graph->inputs[a->input].value);
        addf(t, "[%u] = \"%s\" %u..%u", a->axis, s->name, s->min, s->max);
        add(t, "\n");
    }
    for (uint32_t i = 0; i < d->use_count; i++) {
        const wai_formula_use *use = &d->uses[i];
        add(t, "let ");
        add_value(t, use->node->out[0]);
        add(t, " ");
        add_word_name(t, use->node->op, use->word);
        add(t, " = ");
        add_formula(t, d, &d->formulas[use->formula]);
        if (use->over != WAI_NO_FORMULA) {
            add(t, " over ");
            add_formula(t, d, &d->formulas[use->over]);
        }
        add(t, "\n");
    }
}

const char *wai_graph_dump(wai_graph *graph) {
    text t = {graph->arena, NULL, 0, 0, false};
    char type[WAI_TYPE_TEXT];
    add(&t, "");
    add_io(&t, "input", graph->inputs, graph->input_count);
    for (const wai_node *node = graph->first; node != NULL; node = node->next) {
        for (uint32_t i = 0; i < node->out_count; i++) {
            addf(&t, "%s%%%u %s", i > 0 ? ", " : "", node->out[i]->id,
                 wai_type_text(&node->out[i]->type, type));
        }
        addf(&t, " = %s(", node->op->name);
        for (uint32_t i = 0; i < node->in_count; i++) {
            add(&t, i > 0 ? ", " : "");
            add_value(&t, node->in[i]);
        }
        add(&t, ")");
        add_params(&t, node);
        if (node->guard != NULL) {
            add(&t, " if ");
            add_value(&t, node->guard);
        }
        addf(&t, " \"%s\"", node->name != NULL ? node->name : "");
        add(&t, "\n");
    }
    add_io(&t, "output", graph->outputs, graph->output_count);
    if (graph->dynamic != NULL) {
        add_dynamic(&t, graph);
    }
    return t.failed ? NULL : t.data;
}
