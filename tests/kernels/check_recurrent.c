/*
 * recurrent against a dull reference in double, over seeded random shapes,
 * directions, lengths and optional inputs. Peepholes make the rounding of a
 * cell state grow from time to time: 3e-6 is usual, 1e-5 has been seen.
 *
 *   check_recurrent [rounds] [seed]
 */
#include "check.h"

#include <math.h>

#include "ops/recurrent.h"

enum { X, R, H0, C0, PEEPHOLES, LENGTHS, BIAS, HIDDEN_BIAS, INPUTS };
enum { MAX_HIDDEN = 70 };

typedef struct problem {
    wai_recurrent_params p;
    uint32_t times, batch, gates;
    wai_operand in[INPUTS], out[3];
    uint32_t out_count;
} problem;

static void set(problem *q, uint32_t input, uint32_t rank, const uint32_t *dims, float scale) {
    wai_operand *operand = &q->in[input];
    operand->type = wai_type_make(input == LENGTHS ? WAI_I32 : WAI_F32, rank, dims);
    operand->data = buffer(wai_type_size(&operand->type));
    for (size_t i = 0; i < wai_type_count(&operand->type); i++) {
        if (input == LENGTHS) {
            ((int32_t *)operand->data)[i] = (int32_t)next(q->times + 1);
        } else {
            ((float *)operand->data)[i] = scale * ((float)next(257) - 128) / 128;
        }
    }
}

static problem random_problem(void) {
    problem q = {.p = {.kind = 1 + next(3), .hidden = 1 + next(MAX_HIDDEN)}};
    wai_recurrent_params *p = &q.p;
    const bool lstm = p->kind == WAI_RECURRENT_LSTM;
    q.gates = wai_recurrent_gates(p->kind);
    q.times = next(6);
    q.batch = 1 + next(4);
    q.out_count = lstm ? 3 : 2;
    p->directions = 1 + next(2);
    p->reverse = p->directions == 1 ? next(2) : 0;
    p->coupled = lstm && next(3) == 0;
    p->reset_after = p->kind == WAI_RECURRENT_GRU && next(2) == 0;
    p->clip = next(3) == 0 ? 0.5f : INFINITY;
    for (uint32_t i = 0; i < 6; i++) {
        if (i / 3 < p->directions && i % 3 < wai_recurrent_activations(p->kind)) {
            p->activation[i] = 1 + next(2);
        }
    }
    const uint32_t d = p->directions, h = p->hidden, g = q.gates;
    set(&q, X, 3, (uint32_t[]){q.times, q.batch, d * g * h}, 2);
    set(&q, R, 5, (uint32_t[]){d, g, (h + 15) / 16, h, 16}, 2.0f / (float)h);
    const struct {
        uint32_t input, rank, dims[3];
        bool there;
    } rows[] = {
        {H0, 3, {d, q.batch, h}, next(2) != 0},
        {C0, 3, {d, q.batch, h}, lstm && next(2) != 0},
        {PEEPHOLES, 3, {d, 3, h}, lstm && next(2) != 0},
        {LENGTHS, 1, {q.batch}, next(2) != 0},
        {BIAS, 3, {d, g, h}, next(2) != 0},
        {HIDDEN_BIAS, 2, {d, h}, p->reset_after != 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (rows[i].there) {
            set(&q, rows[i].input, rows[i].rank, rows[i].dims, 1);
        }
    }
    return q;
}

static void solve(problem *q) {
    wai_diag diag = {0};
    wai_step step = make_step(&wai_op_recurrent, &q->p, q->in, INPUTS, q->out);
    step.out_count = q->out_count;
    wai_status status = infer_step(&step, NULL, &diag);
    for (uint32_t i = 0; i < q->out_count && status == WAI_OK; i++) {
        q->out[i].data = buffer(wai_type_size(&q->out[i].type));
    }
    if (status == WAI_OK) {
        status = run_step(&step, NULL, &diag);
    }
    if (status != WAI_OK) {
        printf("FAIL recurrent: %s\n", diag.message);
        exit(1);
    }
}

/* ---- the reference: one sequence of one direction, in ONNX's words ---------- */

typedef struct row {
    const problem *q;
    uint32_t d, b, time; /* time: in x and y */
    double h[MAX_HIDDEN], c[MAX_HIDDEN];
} row;

static double at(const row *w, uint32_t input, size_t index) {
    const float *data = w->q->in[input].data;
    return data != NULL ? (double)data[index] : 0;
}

/* (h * R) of gate g, output j. */
static double dot(const row *w, uint32_t g, uint32_t j, const double *h) {
    const uint32_t hidden = w->q->p.hidden, blocks = (hidden + 15) / 16;
    double sum = 0;
    for (uint32_t k = 0; k < hidden; k++) {
        size_t block = ((size_t)w->d * w->q->gates + g) * blocks + j / 16;
        sum += h[k] * at(w, R, (block * hidden + k) * 16 + j % 16);
    }
    return sum;
}

/* x and bias of gate g, output j. */
static double input(const row *w, uint32_t g, uint32_t j) {
    const problem *q = w->q;
    size_t unit = ((size_t)w->d * q->gates + g) * q->p.hidden + j;
    size_t width = (size_t)q->p.directions * q->gates * q->p.hidden;
    return at(w, X, ((size_t)w->time * q->batch + w->b) * width + unit) + at(w, BIAS, unit);
}

static double clipped(const row *w, double x) {
    double clip = (double)w->q->p.clip;
    return x > clip ? clip : x < -clip ? -clip : x;
}

static double function(const row *w, uint32_t which, double x) {
    return w->q->p.activation[3 * w->d + which] == WAI_ACTIVATION_TANH ? tanh(x)
                                                                       : 1 / (1 + exp(-x));
}

static double peephole(const row *w, uint32_t which, uint32_t j) {
    return at(w, PEEPHOLES, ((size_t)w->d * 3 + which) * w->q->p.hidden + j);
}

static void step_gru(row *w) {
    const uint32_t hidden = w->q->p.hidden;
    double z[MAX_HIDDEN], r[MAX_HIDDEN], gated[MAX_HIDDEN], n[MAX_HIDDEN];
    for (uint32_t j = 0; j < hidden; j++) {
        z[j] = function(w, 0, clipped(w, input(w, 0, j) + dot(w, 0, j, w->h)));
        r[j] = function(w, 0, clipped(w, input(w, 1, j) + dot(w, 1, j, w->h)));
        gated[j] = r[j] * w->h[j];
    }
    for (uint32_t j = 0; j < hidden; j++) {
        double part =
            w->q->p.reset_after != 0
                ? r[j] * (dot(w, 2, j, w->h) + at(w, HIDDEN_BIAS, (size_t)w->d * hidden + j))
                : dot(w, 2, j, gated);
        n[j] = function(w, 1, clipped(w, input(w, 2, j) + part));
    }
    for (uint32_t j = 0; j < hidden; j++) {
        w->h[j] = (1 - z[j]) * n[j] + z[j] * w->h[j];
    }
}

static void step_lstm(row *w) {
    double h[MAX_HIDDEN];
    for (uint32_t j = 0; j < w->q->p.hidden; j++) {
        double gate[4];
        for (uint32_t g = 0; g < 4; g++) {
            gate[g] = input(w, g, j) + dot(w, g, j, w->h);
        }
        double i = function(w, 0, clipped(w, gate[0] + peephole(w, 0, j) * w->c[j]));
        double f = function(w, 0, clipped(w, gate[2] + peephole(w, 2, j) * w->c[j]));
        f = w->q->p.coupled != 0 ? 1 - i : f;
        w->c[j] = f * w->c[j] + i * function(w, 1, clipped(w, gate[3]));
        double o = function(w, 0, clipped(w, gate[1] + peephole(w, 1, j) * w->c[j]));
        h[j] = o * function(w, 2, w->c[j]);
    }
    memcpy(w->h, h, sizeof h);
}

static void step_rnn(row *w) {
    double h[MAX_HIDDEN];
    for (uint32_t j = 0; j < w->q->p.hidden; j++) {
        h[j] = function(w, 0, clipped(w, input(w, 0, j) + dot(w, 0, j, w->h)));
    }
    memcpy(w->h, h, sizeof h);
}

/* ---- comparing -------------------------------------------------------------- */

static void compare(const problem *q, const char *what, uint32_t output, size_t offset,
                    const double *wanted) {
    const float *got = (const float *)q->out[output].data + offset;
    for (uint32_t j = 0; j < q->p.hidden; j++) {
        compared++;
        if (fabs((double)got[j] - wanted[j]) <= 2e-5 * fmax(1, fabs(wanted[j]))) {
            continue;
        }
        failures++;
        printf("%s, kind %u, hidden %u, unit %u: %.9g, not %.9g\n", what, q->p.kind, q->p.hidden, j,
               (double)got[j], wanted[j]);
        return;
    }
}

static void check_row(const problem *q, uint32_t d, uint32_t b) {
    const uint32_t hidden = q->p.hidden;
    const int32_t *lengths = q->in[LENGTHS].data;
    const uint32_t length = lengths != NULL ? (uint32_t)lengths[b] : q->times;
    const size_t state = ((size_t)d * q->batch + b) * hidden;
    const double zeros[MAX_HIDDEN] = {0};
    row w = {.q = q, .d = d, .b = b};
    for (uint32_t j = 0; j < hidden; j++) {
        w.h[j] = at(&w, H0, state + j);
        w.c[j] = at(&w, C0, state + j);
    }
    for (uint32_t i = 0; i < q->times; i++) {
        const bool over = i >= length, reverse = d == 1 || q->p.reverse != 0;
        w.time = over || !reverse ? i : length - 1 - i;
        if (!over) {
            (q->p.kind == WAI_RECURRENT_RNN   ? step_rnn
             : q->p.kind == WAI_RECURRENT_GRU ? step_gru
                                              : step_lstm)(&w);
        }
        size_t at_y = (((size_t)w.time * q->p.directions + d) * q->batch + b) * hidden;
        compare(q, "y", 0, at_y, over ? zeros : w.h);
    }
    compare(q, "h", 1, state, w.h);
    if (q->out_count == 3) {
        compare(q, "c", 2, state, w.c);
    }
}

int main(int argc, char **argv) {
    for (unsigned rounds = start(argc, argv, 400); rounds > 0; rounds--) {
        problem q = random_problem();
        solve(&q);
        for (uint32_t d = 0; d < q.p.directions; d++) {
            for (uint32_t b = 0; b < q.batch; b++) {
                check_row(&q, d, b);
            }
        }
        for (uint32_t k = 0; k < INPUTS; k++) {
            free(q.in[k].data);
        }
        for (uint32_t k = 0; k < q.out_count; k++) {
            free(q.out[k].data);
        }
    }
    return finish();
}
