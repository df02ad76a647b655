/*
 * attention against a dull reference in double, over seeded random heads, forms of
 * its inputs, biases and masks; and e^x of its softmax against the C library's.
 *
 *   check_attention [rounds] [seed]
 *
 * Values are from -2 to 2, and softmax takes their average: an error of 4e-7 is usual.
 */
#include "check.h"

#include <float.h>
#include <math.h>

#include "ops/attention.h"
#include "ops/simd_exp.h"

typedef struct problem {
    wai_attention_params p;
    uint32_t batch, queries, keys;
    wai_operand in[WAI_ATTENTION_INPUTS], out;
} problem;

static float number(void) {
    return ((float)next(2049) - 1024) / 512;
}

static void fill(wai_operand *operand, const wai_type *type) {
    operand->type = *type;
    operand->data = buffer(wai_type_size(type));
    for (size_t i = 0; i < wai_type_count(type); i++) {
        ((float *)operand->data)[i] = number();
    }
}

/* q, k or v in one of its forms; `alone`: rank 3 would hold it next to others. */
static void set_heads(problem *q, uint32_t input, uint32_t heads, uint32_t length, uint32_t size,
                      uint32_t *column) {
    const uint32_t columns = heads * size + next(3) * size;
    const uint32_t rows[] = {q->p.length_first ? length : q->batch,
                             q->p.length_first ? q->batch : length, columns};
    const uint32_t apart[] = {q->batch, heads, length, size};
    const bool split = next(3) == 0;
    const wai_type type =
        split ? wai_type_make(WAI_F32, 4, apart) : wai_type_make(WAI_F32, 3, rows);
    *column = split ? 0 : next(columns - heads * size + 1);
    fill(&q->in[input], &type);
}

static wai_type random_spread(const problem *q, wai_dtype dtype) {
    uint32_t dims[] = {q->batch, q->p.heads, q->queries, q->keys};
    for (uint32_t i = 0; i < 4; i++) {
        dims[i] = next(3) == 0 ? 1 : dims[i];
    }
    const uint32_t from = next(5);
    return wai_type_make(dtype, 4 - from, dims + from);
}

static void set_bias(problem *q) {
    static const float shut[] = {-INFINITY, -FLT_MAX, -10000};
    const wai_type type = random_spread(q, WAI_F32);
    fill(&q->in[WAI_ATTENTION_BIAS], &type);
    float *data = q->in[WAI_ATTENTION_BIAS].data;
    const float value = shut[next(3)];
    for (size_t i = 0; i < wai_type_count(&type); i++) {
        data[i] = next(4) == 0 ? value : data[i];
    }
}

static void set_visible(problem *q) {
    const wai_type type = random_spread(q, WAI_BOOL);
    q->in[WAI_ATTENTION_VISIBLE] =
        (wai_operand){.type = type, .data = buffer(wai_type_size(&type))};
    uint8_t *data = q->in[WAI_ATTENTION_VISIBLE].data;
    for (size_t i = 0; i < wai_type_count(&type); i++) {
        data[i] = next(3) != 0;
    }
}

static problem random_problem(void) {
    problem q = {.batch = 1 + next(2), .queries = 1 + next(next(2) ? 4 : 70)};
    q.keys = 1 + next(next(2) ? 12 : 150);
    wai_attention_params *p = &q.p;
    p->kv_heads = 1 + next(3);
    p->heads = p->kv_heads * (1 + next(3));
    p->size = 1 + next(next(4) ? 40 : WAI_ATTENTION_MAX_SIZE);
    p->value_size = 1 + next(next(4) ? 40 : WAI_ATTENTION_MAX_SIZE);
    p->length_first = next(2);
    p->scale = 1 / sqrtf((float)p->size) * (next(4) == 0 ? 8 : 1);
    p->shut = next(2) ? -FLT_MAX : -50;
    set_heads(&q, WAI_ATTENTION_Q, p->heads, q.queries, p->size, &p->q_column);
    set_heads(&q, WAI_ATTENTION_K, p->kv_heads, q.keys, p->size, &p->k_column);
    set_heads(&q, WAI_ATTENTION_V, p->kv_heads, q.keys, p->value_size, &p->v_column);
    if (next(2)) {
        set_bias(&q);
    }
    if (next(3) == 0) {
        set_visible(&q);
    }
    return q;
}

/* ---- the reference ------------------------------------------------------------- */

typedef struct place { /* of one query */
    uint32_t b, h, s;
} place;

static double element(const problem *q, const wai_operand *o, uint32_t column, uint32_t heads,
                      uint32_t size, place at, uint32_t d) {
    const uint32_t *dims = o->type.dims;
    if (o->type.rank == 4) {
        return ((float *)o->data)[((at.b * heads + at.h) * dims[2] + at.s) * size + d];
    }
    const uint32_t row = q->p.length_first ? at.s * dims[1] + at.b : at.b * dims[1] + at.s;
    return ((float *)o->data)[row * dims[2] + column + at.h * size + d];
}

/* Where the element that spreads to key `key` of `at` is. */
static size_t spread_at(const wai_type *type, place at, uint32_t key) {
    const uint32_t index[] = {at.b, at.h, at.s, key};
    size_t found = 0;
    for (uint32_t i = 0; i < type->rank; i++) {
        const uint32_t dim = type->dims[i];
        found = found * dim + (dim == 1 ? 0 : index[4 - type->rank + i]);
    }
    return found;
}

static double score(const problem *q, place at, uint32_t key) {
    const wai_attention_params *p = &q->p;
    const place k = {at.b, at.h / (p->heads / p->kv_heads), key};
    double sum = 0;
    for (uint32_t d = 0; d < p->size; d++) {
        sum += element(q, &q->in[0], p->q_column, p->heads, p->size, at, d) *
               element(q, &q->in[1], p->k_column, p->kv_heads, p->size, k, d);
    }
    sum *= (double)p->scale;
    const wai_operand *bias = &q->in[WAI_ATTENTION_BIAS], *mask = &q->in[WAI_ATTENTION_VISIBLE];
    if (bias->data != NULL) {
        sum += (double)((float *)bias->data)[spread_at(&bias->type, at, key)];
        sum = sum < -(double)FLT_MAX && isfinite(sum) ? -(double)FLT_MAX : sum; /* as in float */
    }
    return mask->data != NULL && ((uint8_t *)mask->data)[spread_at(&mask->type, at, key)] == 0
               ? (double)p->shut
               : sum;
}

static void check_query(const problem *q, place at) {
    const wai_attention_params *p = &q->p;
    double scores[256], most = -INFINITY, sum = 0;
    for (uint32_t t = 0; t < q->keys; t++) {
        scores[t] = score(q, at, t);
        most = fmax(most, scores[t]);
    }
    for (uint32_t t = 0; t < q->keys; t++) {
        scores[t] = exp(scores[t] - most); /* NaN where all are -inf */
        sum += scores[t];
    }
    /* A score is rounded to a float, which is that much of its exponential. */
    const double size = fabs(most) < 1e6 ? fabs(most) : 0;
    const double tolerance = 4e-6 + 5e-7 * (size + p->size * (double)p->scale);
    for (uint32_t e = 0; e < p->value_size; e++) {
        double wanted = 0;
        for (uint32_t t = 0; t < q->keys; t++) {
            const place v = {at.b, at.h / (p->heads / p->kv_heads), t};
            wanted += scores[t] / sum *
                      element(q, &q->in[2], p->v_column, p->kv_heads, p->value_size, v, e);
        }
        const double got = element(q, &q->out, 0, p->heads, p->value_size, at, e);
        compared++;
        if (fabs(got - wanted) <= tolerance || (isnan(got) && isnan(wanted))) {
            continue;
        }
        failures++;
        printf("%u queries, %u keys, heads of %u and %u, query %u, column %u: %.9g, not %.9g\n",
               q->queries, q->keys, p->size, p->value_size, at.s, e, got, wanted);
        return;
    }
}

static void check_exp(void) {
    double worst = 0;
    for (float x = 0; x >= -87; x = x == 0 ? -1e-7f : x * 1.00003f) {
        const float got = wasm_f32x4_extract_lane(wai_exp_below(wasm_f32x4_splat(x)), 0);
        worst = fmax(worst, fabs((double)got / exp((double)x) - 1));
    }
    compared++;
    if (worst > 1.1 / (1 << 23)) {
        failures++;
        printf("e^x: relative error %g\n", worst);
    }
    static const float edges[] = {-87.01f, -1000, -FLT_MAX, -INFINITY, NAN};
    for (size_t i = 0; i < sizeof edges / sizeof edges[0]; i++) {
        const float got = wasm_f32x4_extract_lane(wai_exp_below(wasm_f32x4_splat(edges[i])), 0);
        compared++;
        if (isnan(edges[i]) ? !isnan(got) : got != 0) {
            failures++;
            printf("e^%g is %g\n", (double)edges[i], (double)got);
        }
    }
}

int main(int argc, char **argv) {
    check_exp();
    for (unsigned rounds = start(argc, argv, 300); rounds > 0; rounds--) {
        problem q = random_problem();
        execute(&wai_op_attention, &q.p, q.in, WAI_ATTENTION_INPUTS, &q.out);
        for (uint32_t b = 0; b < q.batch; b++) {
            for (uint32_t h = 0; h < q.p.heads; h++) {
                for (uint32_t s = 0; s < q.queries; s++) {
                    check_query(&q, (place){b, h, s});
                }
            }
        }
        for (uint32_t i = 0; i < WAI_ATTENTION_INPUTS; i++) {
            free(q.in[i].data);
        }
        free(q.out.data);
    }
    return finish();
}
