/* Lowerings that choose between ways: Einsum beside a dull sum over all
 * letters, and com.microsoft's operators. Inputs are constants, so that
 * folding gives the numbers. */
#include "unit.h"

#include "base/arena.h"
#include "compiler/fold.h"
#include "onnx/lower.h"
#include "onnx/read.h"
#include "ops/emit.h"

#define MAX_INPUTS 4
#define MAX_COUNT  1024

typedef struct bench {
    wai_arena arena;
    wai_diag diag;
    wai_graph graph;
    wai_value *in[MAX_INPUTS], *out[4];
    uint32_t in_count;
} bench;

static void open_bench(bench *b) {
    memset(b, 0, sizeof *b);
    wai_arena_init(&b->arena, NULL, 1u << 26);
    wai_graph_init(&b->graph, &b->arena, &b->diag);
    b->graph.fold = wai_fold_node;
    b->graph.scope = "node";
}

/* Numbers that no sum rounds. */
static void add_input(bench *b, uint32_t rank, const uint32_t *dims) {
    const wai_type type = wai_type_make(WAI_F32, rank, dims);
    float data[MAX_COUNT];
    for (size_t i = 0; i < wai_type_count(&type); i++) {
        data[i] = (float)((i * 7 + b->in_count * 5) % 11) - 5;
    }
    b->in[b->in_count++] = wai_emit_constant(&b->graph, &type, data);
}

static void lower(bench *b, wai_lower_function function, const char *op_type, wai_onnx_attr *attrs,
                  uint32_t attr_count) {
    const char *outputs[] = {"y", "", "", "s"};
    const wai_onnx_node node = {.op_type = op_type,
                                .outputs = outputs,
                                .output_count = 4,
                                .attrs = attrs,
                                .attr_count = attr_count};
    wai_lower l = {.graph = &b->graph,
                   .node = &node,
                   .op_type = op_type,
                   .opset = 12,
                   .in = b->in,
                   .in_count = b->in_count,
                   .out = b->out,
                   .out_count = 4};
    function(&l);
}

static void close_bench(bench *b) {
    wai_arena_free(&b->arena);
}

/* ---- Einsum ------------------------------------------------------------------- */

static void einsum(bench *b, const char *equation) {
    wai_onnx_attr attr = {.name = "equation", .type = WAI_ONNX_ATTR_STRING, .s = equation};
    lower(b, wai_lower_einsum, "Einsum", &attr, 1);
}

/* Element of `value`, whose axes the letters of `term` name. */
static size_t place_of(const wai_value *value, const char *term, const uint32_t *at) {
    size_t place = 0;
    for (uint32_t i = 0; i < value->type.rank; i++) {
        place = place * value->type.dims[i] + at[term[i] - 'a'];
    }
    return place;
}

/* "ij,jk->ik": adds up products for every value of every letter. */
static void sum_dully(const bench *b, const char *equation, float *sums) {
    const char *terms[MAX_INPUTS], *output = strchr(equation, '>') + 1;
    uint32_t dims[26], at[26] = {0};
    for (uint32_t i = 0; i < 26; i++) {
        dims[i] = 1;
    }
    for (uint32_t k = 0; k < b->in_count; k++) {
        terms[k] = k == 0 ? equation : strchr(terms[k - 1], ',') + 1;
        for (uint32_t i = 0; i < b->in[k]->type.rank; i++) {
            dims[terms[k][i] - 'a'] = b->in[k]->type.dims[i];
        }
    }
    for (uint32_t letter = 0; letter < 26;) {
        float product = 1;
        for (uint32_t k = 0; k < b->in_count; k++) {
            product *= ((const float *)b->in[k]->data)[place_of(b->in[k], terms[k], at)];
        }
        sums[place_of(b->out[0], output, at)] += product;
        for (letter = 0; letter < 26 && ++at[letter] == dims[letter]; letter++) {
            at[letter] = 0;
        }
    }
}

static void test_einsum(void **state) {
    (void)state;
    static const char *const equations[] = {
        "a->a",           "ab->ba",        "ab->",          "aa->a",           "aa->",
        "aba->b",         "aabb->ba",      "abc->ca",       "ab,bc->ac",       "ab,bc->ca",
        "ab,cb->ac",      "ab,bc->",       "a,b->ba",       "a,a->",           "a,a->a",
        "ab,ab->ab",      "abc,acd->abd",  "bac,cad->dab",  "abcd,abed->abce", "abc,cba->b",
        "ab,c->cb",       "abc,bd->acd",   "aab,ba->b",     "ab,bc,cd->da",    "a,ab,abc->cba",
        "ab,cd,ef->face", "abc,cde->abde", "ab,ac,ad->bcd",
    };
    for (size_t i = 0; i < sizeof equations / sizeof equations[0]; i++) {
        bench b;
        open_bench(&b);
        uint32_t dims[WAI_MAX_RANK], rank = 0;
        const char *c = equations[i];
        for (; c[0] != '-' || rank > 0; c++) {
            if (*c == ',' || *c == '-') {
                add_input(&b, rank, dims);
                rank = 0;
                if (*c == '-') {
                    break;
                }
            } else {
                dims[rank++] = 2 + (uint32_t)(*c - 'a') % 3;
            }
        }
        einsum(&b, equations[i]);
        if (b.graph.status != WAI_OK) {
            fail_msg("%s: %s", equations[i], b.diag.message);
        }
        float sums[MAX_COUNT] = {0};
        assert_int_equal(b.out[0]->type.rank, strlen(strchr(equations[i], '>') + 1));
        sum_dully(&b, equations[i], sums);
        for (size_t k = 0; k < wai_type_count(&b.out[0]->type); k++) {
            if (sums[k] != ((const float *)b.out[0]->data)[k]) { /* 0 is -0 */
                fail_msg("%s gives other numbers", equations[i]);
            }
        }
        close_bench(&b);
    }
}

static void test_einsum_refusals(void **state) {
    (void)state;
    static const struct {
        const char *equation, *text;
    } rows[] = {
        {"", "0 letters for rank 2"},         {"abc->a", "3 letters for rank 2"},
        {"ab,bc->ac", "not for 1 operands"},  {"ab->aa", "a letter twice"},
        {"ab->c", "of no operand"},           {"ab1->a", "has `1`"},
        {"aa->a", "axes of 3 and 2"},         {"ab-", "more than one output"},
        {"ab->a->b", "more than one output"}, {"....ab", "has `.`"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        bench b;
        open_bench(&b);
        add_input(&b, 2, (uint32_t[]){3, 2});
        einsum(&b, rows[i].equation);
        assert_int_equal(b.graph.status, WAI_ERR_MALFORMED);
        if (strstr(b.diag.message, rows[i].text) == NULL) {
            fail_msg("%s: \"%s\"", rows[i].equation, b.diag.message);
        }
        close_bench(&b);
    }
}

/* ---- com.microsoft ------------------------------------------------------------ */

static void test_skip_layer_norm(void **state) {
    (void)state;
    bench b;
    open_bench(&b);
    add_input(&b, 2, (uint32_t[]){2, 3});
    add_input(&b, 2, (uint32_t[]){2, 3});
    add_input(&b, 1, (uint32_t[]){3});
    lower(&b, wai_lower_skip_layer_norm, "SkipLayerNormalization", NULL, 0);
    assert_int_equal(b.graph.status, WAI_OK);
    const float *x = b.in[0]->data, *skip = b.in[1]->data, *sum = b.out[3]->data;
    const float *y = b.out[0]->data, *scale = b.in[2]->data;
    for (uint32_t i = 0; i < 6; i++) {
        assert_true(sum[i] == x[i] + skip[i]);
    }
    for (uint32_t row = 0; row < 2; row++) {
        float total = 0, squares = 0;
        for (uint32_t i = 0; i < 3; i++) {
            const float normal = y[row * 3 + i] / scale[i];
            total += normal;
            squares += normal * normal;
        }
        assert_true(total > -1e-5f && total < 1e-5f);
        assert_true(squares > 2.9999f && squares < 3.0001f);
    }
    close_bench(&b);
}

static void test_fused_matmul(void **state) {
    (void)state;
    wai_onnx_attr attrs[] = {{.name = "alpha", .type = WAI_ONNX_ATTR_FLOAT, .f = 0.5f},
                             {.name = "transA", .type = WAI_ONNX_ATTR_INT, .i = 1},
                             {.name = "transB", .type = WAI_ONNX_ATTR_INT, .i = 1}};
    bench b;
    open_bench(&b);
    add_input(&b, 3, (uint32_t[]){2, 4, 3});
    add_input(&b, 2, (uint32_t[]){5, 4});
    lower(&b, wai_lower_fused_matmul, "FusedMatMul", attrs, 3);
    assert_int_equal(b.graph.status, WAI_OK);
    float sums[2 * 3 * 5] = {0};
    sum_dully(&b, "bka,ck->bac", sums);
    for (uint32_t i = 0; i < 30; i++) {
        assert_true(((const float *)b.out[0]->data)[i] == sums[i] / 2);
    }
    close_bench(&b);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_einsum),
        cmocka_unit_test(test_einsum_refusals),
        cmocka_unit_test(test_skip_layer_norm),
        cmocka_unit_test(test_fused_matmul),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
