#include "compiler/fit.h"

#include <string.h>

/* What one number is in every example. */
typedef struct series {
    int64_t at[WAI_MOST_EXAMPLES];
} series;

typedef struct candidate {
    series values;
    wai_dim_of dim;
} candidate;

#define MOST_CANDIDATES 48u

typedef struct fitter {
    const wai_examples *e;
    uint32_t count; /* examples that are looked at                          */
    wai_graph *graph;
    wai_fit *fit;
    uint32_t *first_cell; /* per number of a value: its dims in the traces  */
    const wai_value **values;
    uint32_t *number_of; /* value id -> number                              */
    uint32_t value_count, input_count;
    candidate candidates[MOST_CANDIDATES]; /* dims that the node can name   */
    uint32_t candidate_count;
    uint32_t formula_capacity, use_capacity;
} fitter;

/* ---- series ---- */

static series cell(const fitter *f, uint32_t index, bool is_signed) {
    series s;
    for (uint32_t k = 0; k < f->e->count; k++) {
        const uint32_t word = f->e->traces[k].cells[index];
        s.at[k] = is_signed ? (int64_t)(int32_t)word : (int64_t)word;
    }
    return s;
}

static bool is_constant(const fitter *f, const series *s) {
    for (uint32_t k = 1; k < f->count; k++) {
        if (s->at[k] != s->at[0]) {
            return false;
        }
    }
    return true;
}

static bool equal(const fitter *f, const series *a, const series *b) {
    return memcmp(a->at, b->at, f->count * sizeof *a->at) == 0;
}

/* ---- formulas ---- */

static wai_formula constant_formula(int32_t constant) {
    wai_formula formula = {
        .constant = constant, .divisor = 1, .least = INT32_MIN, .most = INT32_MAX};
    for (uint32_t t = 0; t < WAI_FORMULA_TERMS; t++) {
        for (uint32_t i = 0; i < WAI_FORMULA_FACTORS; i++) {
            formula.terms[t].dims[i] = (wai_dim_of){WAI_NO_VALUE, 0};
        }
    }
    return formula;
}

static int64_t floor_divide(int64_t a, int64_t b) {
    return a / b - (a % b < 0);
}

/* Two examples in which x differs. */
static bool two_examples(const fitter *f, const series *x, uint32_t *a, uint32_t *b) {
    for (*a = 0, *b = 1; *b < f->count; ++*b) {
        if (x->at[*a] != x->at[*b]) {
            return true;
        }
    }
    return false;
}

static int64_t common_divisor(int64_t a, int64_t b) {
    while (b != 0) {
        const int64_t rest = a % b;
        a = b;
        b = rest;
    }
    return a < 0 ? -a : a;
}

/* w = (factor * x + constant) / divisor, exactly. */
static bool fit_line(const fitter *f, const series *w, const series *x, wai_formula *out) {
    uint32_t a, b;
    if (!two_examples(f, x, &a, &b)) {
        return false;
    }
    int64_t rise = w->at[b] - w->at[a], run = x->at[b] - x->at[a];
    const int64_t divisor = common_divisor(rise, run) * (run < 0 ? -1 : 1);
    if (divisor == 0 || rise == 0) {
        return false;
    }
    rise /= divisor;
    run /= divisor;
    const int64_t constant = w->at[a] * run - rise * x->at[a];
    for (uint32_t k = 0; k < f->count; k++) {
        if (w->at[k] * run != rise * x->at[k] + constant) {
            return false;
        }
    }
    *out = constant_formula((int32_t)constant);
    out->terms[0].factor = (int32_t)rise;
    out->divisor = run == 1 ? 1 : (uint32_t)run | WAI_FORMULA_EXACT;
    return constant == (int32_t)constant && rise == (int32_t)rise && run <= INT32_MAX;
}

/* w = floor((x + constant) / divisor) + offset: windows that slide. */
static bool fit_steps(const fitter *f, const series *w, const series *x, wai_formula *out) {
    for (int32_t divisor = 2; divisor <= 64; divisor++) {
        for (int32_t constant = 0; constant < divisor; constant++) {
            const int64_t offset = w->at[0] - floor_divide(x->at[0] + constant, divisor);
            uint32_t k = 1;
            while (k < f->count &&
                   w->at[k] == floor_divide(x->at[k] + constant, divisor) + offset) {
                k++;
            }
            if (k == f->count && offset == (int32_t)offset) {
                *out = constant_formula(constant);
                out->terms[0].factor = 1;
                out->divisor = (uint32_t)divisor;
                out->offset = (int32_t)offset;
                return true;
            }
        }
    }
    return false;
}

/* w = x + constant, but not above (or not below) what it is in several examples:
 * cuts. Both sides must have been seen twice; once is enough for the dim itself. */
static bool fit_cut(const fitter *f, const series *w, const series *x, bool above,
                    wai_formula *out) {
    int64_t end = w->at[0];
    for (uint32_t k = 1; k < f->count; k++) {
        end = (above ? w->at[k] > end : w->at[k] < end) ? w->at[k] : end;
    }
    uint32_t free = 0;
    int64_t constant = 0;
    for (uint32_t k = 0; k < f->count; k++) {
        constant = w->at[k] != end && free++ == 0 ? w->at[k] - x->at[k] : constant;
    }
    for (uint32_t k = 0; k < f->count; k++) {
        const int64_t line = x->at[k] + constant;
        const bool cut = above ? line > end : line < end;
        if (w->at[k] != (cut ? end : line)) {
            return false;
        }
    }
    *out = constant_formula((int32_t)constant);
    out->terms[0].factor = 1;
    *(above ? &out->most : &out->least) = (int32_t)end;
    return free >= (constant == 0 ? 1 : 2) && free + 2 <= f->count && end == (int32_t)end &&
           constant == (int32_t)constant;
}

static bool fit_upper_cut(const fitter *f, const series *w, const series *x, wai_formula *out) {
    return fit_cut(f, w, x, true, out);
}

static bool fit_lower_cut(const fitter *f, const series *w, const series *x, wai_formula *out) {
    return fit_cut(f, w, x, false, out);
}

/* w = floor((constant + what (-x) leaves modulo m) / divisor), not below 0: the pads of
 * SAME, all or one half of them. */
static bool fit_period(const fitter *f, const series *w, const series *x, wai_formula *out) {
    for (uint32_t try = 0; try < 2 * 7; try++) {
        const int64_t divisor = 1 + try % 2, modulus = 2 + try / 2; /* strides */
        uint32_t top = 0; /* above 0 there, so that nothing is held */
        for (uint32_t k = 1; k < f->count; k++) {
            top = w->at[k] > w->at[top] ? k : top;
        }
        for (int64_t rest = 0; rest < divisor; rest++) {
            const int64_t constant =
                w->at[top] * divisor + rest - (modulus - x->at[top] % modulus) % modulus;
            uint32_t k = 0;
            for (; k < f->count; k++) {
                const int64_t sum = constant + (modulus - x->at[k] % modulus) % modulus;
                if (w->at[k] != (sum < 0 ? 0 : sum / divisor)) {
                    break;
                }
            }
            if (k == f->count && w->at[top] > 0 && constant == (int32_t)constant) {
                *out = constant_formula((int32_t)constant);
                out->terms[0].factor = -1;
                out->modulus = (uint32_t)modulus;
                out->divisor = (uint32_t)divisor;
                out->least = 0;
                return true;
            }
        }
    }
    return false;
}

/* w = factor * product + constant. */
static bool fit_product(const fitter *f, const series *w, const series *product, wai_formula *out) {
    return fit_line(f, w, product, out) && out->divisor == 1;
}

/* w = a x + b y + c x y + d with whole a, b, c, d: the three differences from
 * the first example are solved by Cramer's rule. */
static bool fit_plane(const fitter *f, const series *w, const series *x, const series *y,
                      bool with_product, wai_formula *out) {
    const uint32_t unknowns = with_product ? 3 : 2;
    double m[3][4] = {{0}};
    for (uint32_t i = 0; i < unknowns; i++) {
        const double dx = (double)(x->at[i + 1] - x->at[0]), dy = (double)(y->at[i + 1] - y->at[0]);
        const double dxy = (double)(x->at[i + 1] * y->at[i + 1] - x->at[0] * y->at[0]);
        m[i][0] = dx;
        m[i][1] = dy;
        m[i][2] = with_product ? dxy : 0;
        m[i][3] = (double)(w->at[i + 1] - w->at[0]);
    }
    m[2][2] = with_product ? m[2][2] : 1;
#define DETERMINANT(p, q, r)                                                                       \
    (m[0][p] * (m[1][q] * m[2][r] - m[2][q] * m[1][r]) -                                           \
     m[1][p] * (m[0][q] * m[2][r] - m[2][q] * m[0][r]) +                                           \
     m[2][p] * (m[0][q] * m[1][r] - m[1][q] * m[0][r]))
    const double all = DETERMINANT(0, 1, 2);
    const double solution[3] = {DETERMINANT(3, 1, 2) / all, DETERMINANT(0, 3, 2) / all,
                                DETERMINANT(0, 1, 3) / all};
#undef DETERMINANT
    int32_t factors[3] = {0};
    for (uint32_t i = 0; i < unknowns; i++) {
        if (!(solution[i] > -1e9 && solution[i] < 1e9)) { /* NaN as well */
            return false;
        }
        factors[i] = (int32_t)(solution[i] + (solution[i] < 0 ? -0.5 : 0.5));
    }
    const int64_t constant =
        w->at[0] - factors[0] * x->at[0] - factors[1] * y->at[0] - factors[2] * x->at[0] * y->at[0];
    for (uint32_t k = 0; k < f->count; k++) {
        if (w->at[k] != factors[0] * x->at[k] + factors[1] * y->at[k] +
                            factors[2] * x->at[k] * y->at[k] + constant) {
            return false;
        }
    }
    *out = constant_formula((int32_t)constant);
    for (uint32_t i = 0; i < 3; i++) {
        out->terms[i].factor = factors[i];
    }
    return constant == (int32_t)constant;
}

/* ---- candidates ---- */

static void add_dims(fitter *f, uint32_t number) {
    const wai_value *value = f->values[number];
    for (uint32_t axis = 0; axis < value->type.rank; axis++) {
        candidate c = {cell(f, f->first_cell[number] + axis, false), {number, axis}};
        bool known = is_constant(f, &c.values) || f->candidate_count == MOST_CANDIDATES;
        for (uint32_t i = 0; i < f->candidate_count && !known; i++) {
            known = equal(f, &f->candidates[i].values, &c.values);
        }
        if (!known) {
            f->candidates[f->candidate_count++] = c;
        }
    }
}

static void add_operands(fitter *f, const wai_node *node) {
    f->candidate_count = 0;
    for (uint32_t i = 0; i < node->in_count; i++) {
        if (node->in[i] != NULL && node->in[i]->data == NULL) {
            add_dims(f, f->number_of[node->in[i]->id]);
        }
    }
    for (uint32_t i = 0; i < f->input_count; i++) {
        add_dims(f, i);
    }
}

/* Any dim before the node that equals w, latest first. */
static bool find_far(fitter *f, uint32_t before, const series *w, wai_formula *out) {
    for (uint32_t number = before; number-- > 0;) {
        for (uint32_t axis = 0; axis < f->values[number]->type.rank; axis++) {
            const series dim = cell(f, f->first_cell[number] + axis, false);
            if (equal(f, &dim, w)) {
                *out = constant_formula(0);
                out->terms[0] =
                    (wai_formula_term){1, {{number, axis}, {WAI_NO_VALUE, 0}, {WAI_NO_VALUE, 0}}};
                f->fit->far = true;
                return true;
            }
        }
    }
    return false;
}

/* ---- the search, shortest formulas first ---- */

typedef bool fit_one(const fitter *, const series *, const series *, wai_formula *);

static bool search_one(const fitter *f, const series *w, fit_one *fit, wai_formula *out) {
    for (uint32_t i = 0; i < f->candidate_count; i++) {
        if (fit(f, w, &f->candidates[i].values, out)) {
            out->terms[0].dims[0] = f->candidates[i].dim;
            return true;
        }
    }
    return false;
}

static bool fit_equal(const fitter *f, const series *w, const series *x, wai_formula *out) {
    *out = constant_formula(0);
    out->terms[0].factor = 1;
    return equal(f, w, x);
}

static bool search_two(const fitter *f, const series *w, bool with_product, wai_formula *out) {
    for (uint32_t i = 0; i < f->candidate_count; i++) {
        for (uint32_t k = 0; k < i; k++) {
            const candidate *x = &f->candidates[k], *y = &f->candidates[i];
            if (fit_plane(f, w, &x->values, &y->values, with_product, out)) {
                out->terms[0].dims[0] = x->dim;
                out->terms[1].dims[0] = y->dim;
                out->terms[2].dims[0] = x->dim;
                out->terms[2].dims[1] = y->dim;
                return true;
            }
        }
    }
    return false;
}

/* Products of two and three dims, the same one twice included. */
static bool search_products(const fitter *f, const series *w, uint32_t factors, wai_formula *out) {
    const uint32_t n = f->candidate_count;
    for (uint32_t i = 0; i < n; i++) {
        for (uint32_t k = i; k < n; k++) {
            for (uint32_t m = k; m < (factors == 3 ? n : k + 1); m++) {
                series product;
                for (uint32_t e = 0; e < f->count; e++) {
                    product.at[e] = f->candidates[i].values.at[e] * f->candidates[k].values.at[e] *
                                    (factors == 3 ? f->candidates[m].values.at[e] : 1);
                }
                if (fit_product(f, w, &product, out)) {
                    out->terms[0].dims[0] = f->candidates[i].dim;
                    out->terms[0].dims[1] = f->candidates[k].dim;
                    if (factors == 3) {
                        out->terms[0].dims[2] = f->candidates[m].dim;
                    }
                    return true;
                }
            }
        }
    }
    return false;
}

/* `before`: the first number that the node itself gives. */
static bool search(fitter *f, const series *w, uint32_t before, wai_formula *out) {
    return search_one(f, w, fit_equal, out) || search_one(f, w, fit_line, out) ||
           search_products(f, w, 2, out) || search_two(f, w, false, out) ||
           search_products(f, w, 3, out) || search_one(f, w, fit_steps, out) ||
           search_one(f, w, fit_upper_cut, out) || search_one(f, w, fit_lower_cut, out) ||
           search_one(f, w, fit_period, out) || search_two(f, w, true, out) ||
           find_far(f, before, w, out);
}

/* ---- words ---- */

static uint32_t add_formula(fitter *f, const wai_formula *formula) {
    for (uint32_t i = 0; i < f->fit->formula_count; i++) {
        if (memcmp(&f->fit->formulas[i], formula, sizeof *formula) == 0) {
            return i;
        }
    }
    f->fit->formulas[f->fit->formula_count] = *formula;
    return f->fit->formula_count++;
}

static bool add_use(fitter *f, uint32_t node, uint32_t word, const wai_formula *formula,
                    const wai_formula *over) {
    if (f->fit->use_count == f->use_capacity || f->fit->formula_count + 2 > f->formula_capacity) {
        return false;
    }
    wai_fitted_use *use = &f->fit->uses[f->fit->use_count++];
    *use = (wai_fitted_use){node, word, add_formula(f, formula), WAI_NO_FORMULA};
    if (over != NULL) {
        use->over = add_formula(f, over);
    }
    return true;
}

/* An f32 word that is the quotient of a dim of the node's (which it reads or
 * states in another word) and a dim that it reads: scales. */
static bool fit_quotient(fitter *f, uint32_t first_cell, uint32_t words, uint32_t word,
                         uint32_t before, wai_formula *top, wai_formula *under) {
    for (uint32_t i = 0; i < f->candidate_count; i++) {
        const candidate *c = &f->candidates[i];
        for (uint32_t other = 0; other < words; other++) {
            const series dim = cell(f, first_cell + other, false);
            uint32_t k = 0;
            for (; k < f->count && c->values.at[k] != 0; k++) {
                const float scale = (float)dim.at[k] / (float)c->values.at[k];
                if (memcmp(&scale, &f->e->traces[k].cells[first_cell + word], sizeof scale) != 0) {
                    break;
                }
            }
            if (k == f->count && !is_constant(f, &dim) && search(f, &dim, before, top)) {
                *under = constant_formula(0);
                under->terms[0].factor = 1;
                under->terms[0].dims[0] = c->dim;
                return true;
            }
        }
    }
    return false;
}

static uint32_t kind_of(const wai_op *op, uint32_t word, const char **name) {
    for (uint32_t i = 0; i < op->field_count; i++) {
        const wai_field *field = &op->fields[i];
        if (word * 4 >= field->offset && word * 4 < field->offset + 4 * field->count) {
            *name = field->name;
            return field->kind;
        }
    }
    *name = "?";
    return WAI_FIELD_U32;
}

static wai_status fit_word(fitter *f, const wai_node *node, uint32_t index, uint32_t first_cell,
                           uint32_t word, uint32_t before) {
    const char *name;
    const uint32_t kind = kind_of(node->op, word, &name);
    const series w = cell(f, first_cell + word, kind == WAI_FIELD_I32);
    if (is_constant(f, &w)) {
        return WAI_OK;
    }
    wai_formula formula, over;
    const bool quotient = kind == WAI_FIELD_F32;
    bool found = false;
    /* Where dims are 1, the same axes may be told otherwise: that says nothing. */
    const bool tells_axes =
        strcmp(name, "axes") == 0 || strcmp(name, "axis") == 0 || strcmp(name, "perm") == 0;
    for (uint32_t turn = 0; turn < (tells_axes ? 2 : 1) && !found; turn++) {
        f->count = turn == 0 ? f->e->count : f->e->sure_count;
        if (turn != 0 && is_constant(f, &w)) {
            break;
        }
        found = quotient ? fit_quotient(f, first_cell, node->op->params_size / 4, word, before,
                                        &formula, &over)
                         : search(f, &w, before, &formula);
    }
    const bool constant = !found && is_constant(f, &w);
    f->count = f->e->count;
    if (constant) {
        return WAI_OK;
    }
    if (!found) {
        f->graph->scope = node->name;
        return wai_graph_fail(f->graph, WAI_ERR_UNSUPPORTED,
                              "%s of %s follows from symbolic dims by no formula that is known "
                              "here (%lld, %lld, %lld, ...): give these dims one number",
                              name, node->op->name, (long long)w.at[0], (long long)w.at[1],
                              (long long)w.at[2]);
    }
    if (!add_use(f, index, word, &formula, quotient ? &over : NULL)) {
        return wai_graph_fail(f->graph, WAI_ERR_LIMIT, "too many formulas");
    }
    return WAI_OK;
}

/* The count that an example made up is no formula's business. */
static bool is_made_up(const wai_node *node, uint32_t word) {
    return node->op->data_count != NULL && word == 0;
}

static wai_status fit_nodes(fitter *f, uint32_t next_cell) {
    uint32_t index = 0, number = f->input_count;
    for (const wai_node *node = f->graph->first; node != NULL; node = node->next, index++) {
        const uint32_t words = node->op->params_size / 4, first_cell = next_cell;
        bool listed = false; /* candidates are listed when the first is asked for */
        for (uint32_t word = 0; word < words; word++) {
            const series w = cell(f, first_cell + word, false);
            if (is_made_up(node, word) || is_constant(f, &w)) {
                continue;
            }
            if (!listed) {
                add_operands(f, node);
                listed = true;
            }
            if (fit_word(f, node, index, first_cell, word, number) != WAI_OK) {
                return f->graph->status;
            }
        }
        next_cell += words;
        for (uint32_t i = 0; i < node->out_count; i++, number++) {
            f->values[number] = node->out[i];
            f->number_of[node->out[i]->id] = number;
            f->first_cell[number] = next_cell;
            next_cell += node->out[i]->type.rank;
        }
    }
    return WAI_OK;
}

/* At most as many uses as there are numbers that differ. */
static uint32_t count_varying(const fitter *f) {
    uint32_t count = 0;
    for (uint32_t i = 0; i < f->e->traces[0].cell_count; i++) {
        const series s = cell(f, i, false);
        count += !is_constant(f, &s);
    }
    return count;
}

wai_status wai_fit_words(wai_fit *fit, const wai_examples *e, wai_graph *graph) {
    memset(fit, 0, sizeof *fit);
    fitter f = {
        .e = e, .count = e->count, .graph = graph, .fit = fit, .input_count = graph->input_count};
    uint32_t values = graph->input_count;
    for (const wai_node *node = graph->first; node != NULL; node = node->next) {
        values += node->out_count;
    }
    f.use_capacity = count_varying(&f);
    f.formula_capacity = 2 * f.use_capacity + 2;
    fit->uses = wai_arena_array(graph->arena, f.use_capacity, sizeof *fit->uses);
    fit->formulas = wai_arena_array(graph->arena, f.formula_capacity, sizeof *fit->formulas);
    f.values = wai_arena_array(graph->arena, values, sizeof *f.values);
    f.first_cell = wai_arena_array(graph->arena, values, sizeof *f.first_cell);
    f.number_of = wai_arena_array(graph->arena, graph->value_count, sizeof *f.number_of);
    if (fit->uses == NULL || fit->formulas == NULL || f.values == NULL || f.first_cell == NULL ||
        f.number_of == NULL) {
        return wai_graph_fail(graph, WAI_ERR_MEMORY, "out of memory in the compiler");
    }
    uint32_t next_cell = 0;
    for (uint32_t i = 0; i < graph->input_count; i++) {
        f.values[i] = graph->inputs[i].value;
        f.number_of[f.values[i]->id] = i;
        f.first_cell[i] = next_cell;
        next_cell += f.values[i]->type.rank;
    }
    return fit_nodes(&f, next_cell);
}
