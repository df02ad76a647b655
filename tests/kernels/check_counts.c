/*
 * Operators whose count of results depends on values, and matmul_4bit, against
 * dull references over seeded random inputs full of ties, NaN and zeros.
 *
 *   check_counts [rounds] [seed]
 */
#include "check.h"

#include <math.h>

#include "ops/matmul_4bit.h"
#include "ops/non_max_suppression.h"
#include "ops/unique.h"

typedef struct non_zero_params {
    uint32_t limit;
} non_zero_params;

static void must(wai_status status, const wai_step *step, const wai_diag *diag) {
    if (status != WAI_OK) {
        printf("FAIL %s: %s\n", step->op->name, diag->message);
        exit(1);
    }
}

/* Infer bounds, give each output its place, run: types are the true ones then. */
static void solve(wai_step *step) {
    wai_diag diag = {0};
    must(infer_step(step, NULL, &diag), step, &diag);
    for (uint32_t i = 0; i < step->out_count; i++) {
        step->out[i].data = buffer(wai_type_size(&step->out[i].type));
    }
    must(run_step(step, NULL, &diag), step, &diag);
}

static void expect(bool same, const char *what, uint32_t round) {
    compared++;
    if (!same) {
        failures++;
        printf("FAIL %s, round %u\n", what, round);
    }
}

static void drop(wai_operand *operands, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        free(operands[i].data);
    }
}

static wai_operand floats(uint32_t rank, const uint32_t *dims, const float *values,
                          uint32_t value_count) {
    wai_operand o = {.type = wai_type_make(WAI_F32, rank, dims)};
    o.data = buffer(wai_type_size(&o.type));
    for (size_t i = 0; i < wai_type_count(&o.type); i++) {
        ((float *)o.data)[i] = values[next(value_count)];
    }
    return o;
}

/* ---- non_zero ---- */

static void check_non_zero(uint32_t round) {
    static const float values[] = {0, -0.0f, 1, -2, NAN};
    const uint32_t dims[3] = {next(4), 1 + next(5), 1 + next(6)};
    wai_operand in[1] = {floats(next(4), dims, values, 5)}, out[1] = {{{0}, NULL, false}};
    const non_zero_params params = {0};
    wai_step step = make_step(&wai_op_non_zero, &params, in, 1, out);
    solve(&step);
    const uint32_t rank = in[0].type.rank, rows = rank != 0 ? rank : 1;
    const uint32_t count = out[0].type.dims[1];
    uint32_t at[WAI_MAX_RANK] = {0}, found = 0;
    bool same = out[0].type.rank == 2 && out[0].type.dims[0] == rows;
    for (size_t i = 0; i < wai_type_count(&in[0].type); i++, next_index(&in[0].type, at)) {
        if (((const float *)in[0].data)[i] == 0) {
            continue;
        }
        for (uint32_t axis = 0; axis < rows && found < count; axis++) {
            same = same && ((const int64_t *)out[0].data)[axis * count + found] == at[axis];
        }
        found++;
    }
    expect(same && found == count, "non_zero", round);
    drop(in, 1);
    drop(out, 1);
}

/* ---- unique: every slice against every other ---- */

static int compare_floats(float a, float b) {
    if (isnan(a) || isnan(b)) {
        return (isnan(a) != 0) - (isnan(b) != 0);
    }
    return (a > b) - (a < b);
}

/* Slices a and b of [count, block]. */
static int compare_rows(const float *x, uint32_t block, uint32_t a, uint32_t b) {
    int order = 0;
    for (uint32_t i = 0; i < block && order == 0; i++) {
        order = compare_floats(x[a * block + i], x[b * block + i]);
    }
    return order;
}

static void check_unique(uint32_t round) {
    static const float values[] = {0, -0.0f, 1, 2, NAN};
    const uint32_t count = next(12), block = 1 + next(2);
    const wai_unique_params params = {.sorted = next(2)};
    wai_operand in[1] = {floats(2, (uint32_t[]){count, block}, values, 5)};
    wai_operand out[3] = {{{0}, NULL, false}, {{0}, NULL, false}, {{0}, NULL, false}};
    wai_step step = make_step(&wai_op_unique, &params, in, 1, out);
    step.out_count = 3;
    solve(&step);
    const float *x = in[0].data;
    const int64_t *first = out[0].data, *inverse = out[1].data, *sizes = out[2].data;
    const uint32_t groups = out[0].type.dims[0];
    bool same = out[1].type.dims[0] == count && out[2].type.dims[0] == groups;
    uint32_t firsts = 0;
    for (uint32_t i = 0; i < count && same; i++) {
        uint32_t earliest = i;
        for (uint32_t k = i; k-- > 0;) {
            earliest = compare_rows(x, block, k, i) == 0 ? k : earliest;
        }
        firsts += earliest == i;
        same = inverse[i] >= 0 && inverse[i] < groups && first[inverse[i]] == earliest;
    }
    for (uint32_t g = 0; g < groups && same; g++) {
        int64_t members = 0;
        for (uint32_t i = 0; i < count; i++) {
            members += inverse[i] == g;
        }
        const bool ordered =
            g == 0 ||
            (params.sorted ? compare_rows(x, block, (uint32_t)first[g - 1], (uint32_t)first[g]) < 0
                           : first[g - 1] < first[g]);
        same = members == sizes[g] && ordered;
    }
    expect(same && firsts == groups, "unique", round);
    drop(in, 1);
    drop(out, 3);
}

/* ---- non_max_suppression: pick the best box that is left, again and again ---- */

static float overlap_of(const float *a, const float *b) {
    const float top = fmaxf(a[0], b[0]), left = fmaxf(a[1], b[1]);
    const float bottom = fminf(a[2], b[2]), right = fminf(a[3], b[3]);
    const float both = fmaxf(0, bottom - top) * fmaxf(0, right - left);
    const float area_a = (a[2] - a[0]) * (a[3] - a[1]), area_b = (b[2] - b[0]) * (b[3] - b[1]);
    return area_a > 0 && area_b > 0 ? both / (area_a + area_b - both) : 0;
}

static uint32_t suppress(const float *boxes, const float *scores, uint32_t count, float most,
                         float least, uint32_t room, uint32_t *kept) {
    bool gone[64] = {false};
    uint32_t found = 0;
    while (found < room) {
        uint32_t best = count;
        for (uint32_t i = 0; i < count; i++) {
            if (!gone[i] && scores[i] > least && (best == count || scores[i] > scores[best])) {
                best = i;
            }
        }
        if (best == count) {
            break;
        }
        kept[found++] = best;
        gone[best] = true;
        for (uint32_t i = 0; i < count; i++) {
            gone[i] = gone[i] || overlap_of(boxes + 4 * best, boxes + 4 * i) > most;
        }
    }
    return found;
}

static void check_suppression(uint32_t round) {
    static const float levels[] = {0, 0.25f, 0.5f, 0.5f, 0.75f, 1, NAN};
    const uint32_t batches = 1 + next(2), classes = 1 + next(3), count = next(20);
    const wai_non_max_suppression_params params = {.per_class = 1 + next(6)};
    wai_operand in[5] = {floats(3, (uint32_t[]){batches, count, 4}, levels, 6),
                         floats(3, (uint32_t[]){batches, classes, count}, levels, 7),
                         {{0}, NULL, false},
                         floats(0, NULL, (float[]){0.1f, 0.4f}, 2),
                         floats(0, NULL, (float[]){0, 0.3f}, 2)};
    float *boxes = in[0].data;
    for (uint32_t i = 0; i < batches * count; i++, boxes += 4) { /* corner and size */
        boxes[2] = boxes[0] + 0.25f * (float)(1 + next(3));
        boxes[3] = boxes[1] + 0.25f * (float)(1 + next(3));
    }
    wai_operand out[1] = {{{0}, NULL, false}};
    wai_step step = make_step(&wai_op_non_max_suppression, &params, in, 5, out);
    solve(&step);
    const int64_t *rows = out[0].data;
    uint32_t total = 0, kept[64];
    bool same = true;
    for (uint32_t plane = 0; plane < batches * classes; plane++) {
        const uint32_t batch = plane / classes;
        const uint32_t found = suppress((const float *)in[0].data + (size_t)batch * count * 4,
                                        (const float *)in[1].data + (size_t)plane * count, count,
                                        *(const float *)in[3].data, *(const float *)in[4].data,
                                        params.per_class, kept);
        for (uint32_t i = 0; i < found && total < out[0].type.dims[0]; i++, total++) {
            same = same && rows[3 * total] == batch && rows[3 * total + 1] == plane % classes &&
                   rows[3 * total + 2] == kept[i];
        }
    }
    expect(same && total == out[0].type.dims[0], "non_max_suppression", round);
    drop(in, 5);
    drop(out, 1);
}

/* ---- matmul_4bit ---- */

static void check_matmul_4bit(uint32_t round) {
    static const float values[] = {-1, -0.5f, 0, 0.25f, 1, 2};
    const wai_matmul_4bit_params params = {1 + next(40), 8u << next(4)};
    const uint32_t rows = next(6), depth = 1 + next(150);
    const uint32_t tiles = (params.columns + 15) / 16, words = (depth + 7) / 8;
    const uint32_t blocks = (depth + params.block - 1) / params.block;
    const uint32_t scale_dims[3] = {tiles, blocks, 16}, q_dims[3] = {tiles, words, 16};
    wai_operand in[4] = {floats(2, (uint32_t[]){rows, depth}, values, 6),
                         {.type = wai_type_make(WAI_U32, 3, q_dims)},
                         floats(3, scale_dims, values, 6),
                         {{0}, NULL, false}};
    in[1].data = buffer(wai_type_size(&in[1].type));
    for (size_t i = 0; i < wai_type_count(&in[1].type); i++) {
        ((uint32_t *)in[1].data)[i] = next(1u << 16) << 16 | next(1u << 16);
    }
    if (next(2) != 0) {
        in[3] = floats(3, scale_dims, (float[]){0, 7, 8, 15}, 4);
    }
    for (uint32_t i = 0; i < 4; i++) {
        in[i].constant = i > 0;
    }
    wai_operand out[1] = {{{0}, NULL, false}};
    wai_step step = make_step(&wai_op_matmul_4bit, &params, in, 4, out);
    solve(&step);
    const float *x = in[0].data, *scale = in[2].data, *zero = in[3].data, *y = out[0].data;
    bool same = true;
    for (uint32_t r = 0; r < rows; r++) {
        for (uint32_t n = 0; n < params.columns; n++) {
            double sum = 0, size = 0;
            for (uint32_t k = 0; k < depth; k++) {
                const size_t at = (n / 16 * blocks + k / params.block) * 16 + n % 16;
                const uint32_t word =
                    ((const uint32_t *)in[1].data)[(n / 16 * words + k / 8) * 16 + n % 16];
                const double q = (double)(word >> k % 8 * 4 & 15) - (zero != NULL ? zero[at] : 8);
                sum += x[r * depth + k] * q * scale[at];
                size += fabs(x[r * depth + k] * q * scale[at]);
            }
            same = same && fabs(sum - (double)y[r * params.columns + n]) <= 2e-6 * (size + 1);
        }
    }
    expect(same, "matmul_4bit", round);
    drop(in, 4);
    drop(out, 1);
}

int main(int argc, char **argv) {
    const unsigned rounds = start(argc, argv, 400);
    for (uint32_t round = 0; round < rounds; round++) {
        check_non_zero(round);
        check_unique(round);
        check_suppression(round);
        check_matmul_4bit(round);
    }
    return finish();
}
