/* The memory plan and its proof. The proof is compared with a dull reference
 * that plays a plan cell by cell. */
#include "net.h"

#include "base/limits.h"
#include "plan/plan.h"
#include "plan/prove.h"

#define CELL WAI_ALIGN

/* ---- the reference ------------------------------------------------------- */

enum { MAX_STEPS = 24, MAX_PLAN_VALUES = 32, MAX_CELLS = 64 };

/* A plan that can be changed, with room for its view's arrays. */
typedef struct sample {
    wai_prove_view view;
    wai_prove_value values[MAX_PLAN_VALUES];
    wai_prove_step steps[MAX_STEPS];
    uint32_t in[MAX_STEPS][3], out[MAX_STEPS][2];
    uint32_t inputs[3], outputs[3];
} sample;

typedef struct player {
    const wai_prove_view *view;
    uint32_t cells[MAX_CELLS];         /* which content lies there; 0: none          */
    uint32_t content[MAX_PLAN_VALUES]; /* per value; 0: not written          */
    uint32_t written_now[MAX_CELLS];   /* by the step that is running        */
    uint32_t next;
} player;

static uint32_t first_cell(const wai_prove_value *v) {
    return (uint32_t)(v->offset / CELL);
}

/* All test sizes are whole cells. */
static uint32_t cell_count(const wai_prove_value *v) {
    return (uint32_t)(v->size / CELL);
}

static bool readable(const player *p, uint32_t value) {
    const wai_prove_value *v = &p->view->values[value];
    for (uint32_t c = 0; c < cell_count(v); c++) {
        if (p->cells[first_cell(v) + c] != p->content[value]) {
            return false;
        }
    }
    return p->content[value] != 0;
}

static bool write_cells(player *p, uint32_t value, uint32_t content) {
    const wai_prove_value *v = &p->view->values[value];
    if (p->content[value] != 0 || v->constant) {
        return false;
    }
    p->content[value] = content;
    for (uint32_t c = 0; c < cell_count(v); c++) {
        if (p->written_now[first_cell(v) + c]) {
            return false;
        }
        p->written_now[first_cell(v) + c] = 1;
        p->cells[first_cell(v) + c] = content;
    }
    return true;
}

static bool overlap(const wai_prove_value *a, const wai_prove_value *b) {
    return !a->constant && !b->constant && a->size != 0 && b->size != 0 &&
           a->offset < b->offset + b->size && b->offset < a->offset + a->size;
}

/* Is it allowed that this output lies where inputs of its step lie? */
static bool placing_allowed(const player *p, const wai_prove_step *s, uint32_t o, bool *alias) {
    const wai_prove_value *out = &p->view->values[s->out[o]];
    for (uint32_t i = 0; i < s->in_count; i++) {
        const wai_prove_value *in =
            s->in[i] != WAI_PROVE_ABSENT ? &p->view->values[s->in[i]] : NULL;
        if (in == NULL || !overlap(in, out)) {
            continue;
        }
        if (o != 0 || in->offset != out->offset || in->size != out->size) {
            return false;
        }
        if (i == 0 && s->same_bytes) {
            *alias = true;
        } else if ((s->in_place >> i & 1) == 0) {
            return false;
        }
    }
    return true;
}

static bool play_step(player *p, const wai_prove_step *s) {
    memset(p->written_now, 0, sizeof p->written_now);
    for (uint32_t i = 0; i < s->in_count; i++) {
        if (s->in[i] != WAI_PROVE_ABSENT && !p->view->values[s->in[i]].constant &&
            !readable(p, s->in[i])) {
            return false;
        }
    }
    if (s->guard != WAI_PROVE_ABSENT && !p->view->values[s->guard].constant &&
        !readable(p, s->guard)) {
        return false;
    }
    for (uint32_t o = 0; o < s->out_count; o++) {
        bool alias = false;
        if (!placing_allowed(p, s, o, &alias) ||
            !write_cells(p, s->out[o], alias ? p->content[s->in[0]] : p->next++)) {
            return false;
        }
    }
    return true;
}

static bool play(const wai_prove_view *view) {
    player p = {.view = view, .next = 1};
    for (uint32_t i = 0; i < view->value_count; i++) {
        const wai_prove_value *v = &view->values[i];
        if (!v->constant && (v->offset % CELL != 0 ||
                             v->offset + wai_slot_size((size_t)v->size) > view->arena_size)) {
            return false;
        }
    }
    for (uint32_t i = 0; i < view->input_count; i++) {
        if (!write_cells(&p, view->inputs[i], p.next++)) {
            return false;
        }
    }
    for (uint32_t s = 0; s < view->step_count; s++) {
        if (!play_step(&p, &view->steps[s])) {
            return false;
        }
    }
    for (uint32_t i = 0; i < view->output_count; i++) {
        if (view->values[view->outputs[i]].constant || !readable(&p, view->outputs[i])) {
            return false;
        }
    }
    return true;
}

static wai_status prove(const wai_prove_view *view, wai_diag *diag) {
    wai_pool scratch;
    wai_pool_init(&scratch, NULL, UINT64_MAX);
    wai_status status = wai_plan_prove(view, &scratch, diag);
    wai_pool_free(&scratch);
    return status;
}

/* ---- samples ------------------------------------------------------------- */

static uint32_t below(uint32_t *random, uint32_t count) {
    return unit_random(random) % count;
}

/* Right in who reads what; where things lie is anyone's guess. */
static void make_sample(sample *s, uint32_t *random) {
    memset(s, 0, sizeof *s);
    uint32_t count = 0;
    uint32_t inputs = 1 + below(random, 2);
    for (; count < inputs; count++) {
        s->inputs[count] = count;
    }
    s->values[count++].constant = true;
    uint32_t steps = 1 + below(random, 12);
    for (uint32_t i = 0; i < steps; i++) {
        wai_prove_step *step = &s->steps[i];
        step->in = s->in[i];
        step->out = s->out[i];
        step->in_count = 1 + below(random, 3);
        for (uint32_t k = 0; k < step->in_count; k++) {
            s->in[i][k] = below(random, 12) == 0 ? WAI_PROVE_ABSENT : below(random, count);
        }
        step->out_count = 1 + (below(random, 8) == 0);
        step->guard = below(random, 3) == 0 ? below(random, count) : WAI_PROVE_ABSENT;
        step->in_place = below(random, 8);
        step->same_bytes = below(random, 4) == 0 && s->in[i][0] != WAI_PROVE_ABSENT;
        for (uint32_t k = 0; k < step->out_count; k++) {
            s->out[i][k] = count++;
        }
    }
    s->outputs[0] = count - 1;
    s->view = (wai_prove_view){.arena_size = MAX_CELLS * CELL,
                               .values = s->values,
                               .steps = s->steps,
                               .inputs = s->inputs,
                               .outputs = s->outputs,
                               .value_count = count,
                               .step_count = steps,
                               .input_count = inputs,
                               .output_count = 1};
}

/* Few places and sizes, so that both answers are frequent. */
static void place_at_random(sample *s, uint32_t *random, uint32_t places) {
    for (uint32_t i = 0; i < s->view.value_count; i++) {
        s->values[i].offset = (uint64_t)below(random, places) * 2 * CELL;
        s->values[i].size =
            (uint64_t)(below(random, 8) != 0) * (1 + (below(random, 4) != 0)) * CELL;
    }
}

/* Move values until the reference is content, to have right plans as well. */
static void repair(sample *s, uint32_t *random, uint32_t places) {
    for (int i = 0; i < 200 && !play(&s->view); i++) {
        uint32_t value = below(random, s->view.value_count);
        s->values[value].offset = (uint64_t)below(random, places) * 2 * CELL;
    }
}

static void test_proof_against_reference(void **state) {
    (void)state;
    uint32_t random = 7;
    uint32_t right = 0;
    uint32_t wrong = 0;
    for (int round = 0; round < 30000; round++) {
        sample s;
        uint32_t places = 2 + below(&random, 20);
        make_sample(&s, &random);
        place_at_random(&s, &random, places);
        if (round % 2 == 0) {
            repair(&s, &random, places);
        }
        bool expected = play(&s.view);
        wai_diag diag = {0};
        wai_status status = prove(&s.view, &diag);
        if ((status == WAI_OK) != expected) {
            fail_msg("round %d: the reference says %d, the proof %d (%s)", round, expected, status,
                     diag.message);
        }
        right += expected;
        wrong += !expected;
    }
    assert_true(right > 3000 && wrong > 3000);
}

/* a -> step 0 -> b -> step 1 -> c, all of one cell, side by side. */
static void make_chain(sample *s) {
    memset(s, 0, sizeof *s);
    for (uint32_t i = 0; i < 3; i++) {
        s->values[i] = (wai_prove_value){2 * CELL * i, CELL, false};
    }
    for (uint32_t i = 0; i < 2; i++) {
        s->in[i][0] = i;
        s->out[i][0] = i + 1;
        s->steps[i] = (wai_prove_step){s->in[i], s->out[i], 1, 1, WAI_PROVE_ABSENT, 0, false};
    }
    s->outputs[0] = 2;
    s->view =
        (wai_prove_view){6 * CELL, s->values, s->steps, s->inputs, s->outputs, 3, 2, 1, 1, false};
}

static void expect_refused(const sample *s, const char *why) {
    wai_diag diag = {0};
    assert_int_equal(prove(&s->view, &diag), WAI_ERR_MALFORMED);
    if (strstr(diag.message, why) == NULL) {
        fail_msg("\"%s\" does not say \"%s\"", diag.message, why);
    }
}

static void test_proof_refuses(void **state) {
    (void)state;
    sample s;
    make_chain(&s);
    assert_int_equal(prove(&s.view, NULL), WAI_OK);
    s.values[2].offset = 0; /* a is dead by then */
    assert_int_equal(prove(&s.view, NULL), WAI_OK);
    s.values[1].offset = 0;
    expect_refused(&s, "cannot work in place");
    s.steps[0].in_place = s.steps[1].in_place = 1;
    assert_int_equal(prove(&s.view, NULL), WAI_OK);
    s.outputs[1] = 1;
    s.view.output_count = 2;
    expect_refused(&s, "still needed");
    make_chain(&s);
    s.values[1].offset = 4 * CELL;
    s.values[1].size = 2 * CELL;
    s.values[2].size = 2 * CELL;
    s.values[2].offset = 4 * CELL;
    s.view.arena_size = 7 * CELL - 1;
    expect_refused(&s, "within the arena");
    s.view.arena_size++;
    s.steps[1].in_place = 1;
    assert_int_equal(prove(&s.view, NULL), WAI_OK);
    s.values[2].offset = UINT64_MAX - 63;
    expect_refused(&s, "within the arena");
    s.values[2].offset = 8;
    expect_refused(&s, "not aligned");
    make_chain(&s);
    s.values[1].size = UINT64_MAX;
    expect_refused(&s, "within the arena");
    make_chain(&s);
    s.in[0][0] = 2;
    expect_refused(&s, "before it is written");
    make_chain(&s);
    s.out[1][0] = 1;
    expect_refused(&s, "written twice");
    s.out[1][0] = 3;
    expect_refused(&s, "no such value");
    s.out[1][0] = WAI_PROVE_ABSENT;
    expect_refused(&s, "no such value");
    make_chain(&s);
    s.outputs[0] = 77;
    expect_refused(&s, "no such value");
    make_chain(&s);
    s.steps[0].guard = 2;
    expect_refused(&s, "before it is written");
    s.steps[0].guard = 3;
    expect_refused(&s, "no such value");
    make_chain(&s);
    s.steps[1].guard = 0; /* a lives as long as it guards */
    assert_int_equal(prove(&s.view, NULL), WAI_OK);
    s.values[1].offset = 0;
    s.steps[0].in_place = 1;
    expect_refused(&s, "still needed");
    make_chain(&s);
    s.values[1].constant = true;
    expect_refused(&s, "constant is written");
}

static void test_proof_without_memory(void **state) {
    (void)state;
    sample s;
    wai_pool scratch;
    make_chain(&s);
    wai_pool_init(&scratch, NULL, 300);
    assert_int_equal(wai_plan_prove(&s.view, &scratch, NULL), WAI_ERR_MEMORY);
    wai_pool_free(&scratch);
    s.view.value_count = UINT32_MAX;
    assert_int_equal(prove(&s.view, NULL), WAI_ERR_LIMIT);
}

/* As many values as a package may have, laid out to be as bad as can be for a
 * list of live values: all live to the end. Seconds, not hours. */
static void test_proof_is_not_quadratic(void **state) {
    (void)state;
    uint32_t count = WAI_MAX_NODES;
    wai_prove_value *values = calloc(count + 1, sizeof *values);
    wai_prove_step *steps = calloc(count, sizeof *steps);
    uint32_t *numbers = calloc(count + 1, sizeof *numbers);
    for (uint32_t i = 0; i <= count; i++) {
        numbers[i] = i;
        values[i] = (wai_prove_value){(uint64_t)(count - i) * 2 * CELL, CELL, false};
    }
    for (uint32_t i = 0; i < count; i++) {
        steps[i] = (wai_prove_step){&numbers[i], &numbers[i + 1], 1, 1, WAI_PROVE_ABSENT, 0, false};
    }
    wai_prove_view view = {(uint64_t)(count + 1) * 2 * CELL,
                           values,
                           steps,
                           numbers,
                           numbers,
                           count + 1,
                           count,
                           1,
                           count + 1,
                           false};
    assert_int_equal(prove(&view, NULL), WAI_OK);
    values[count].offset = values[count / 2].offset;
    assert_int_equal(prove(&view, NULL), WAI_ERR_MALFORMED);
    free(values);
    free(steps);
    free(numbers);
}

/* ---- plans of graphs ------------------------------------------------------ */

/* A graph and its plan, empty at the start of each test. */
typedef struct bench {
    net net;
    wai_plan plan;
} bench;

static int open_bench(void **state) {
    bench *b = calloc(1, sizeof *b);
    net_open(&b->net, 0);
    *state = b;
    return 0;
}

static int close_bench(void **state) {
    bench *b = *state;
    net_close(&b->net);
    free(b);
    return 0;
}

static wai_value *input(net *n, uint32_t elements) {
    return net_input(n, 1, &elements);
}

static wai_value *relu(net *n, wai_value *x) {
    return wai_emit_clamp(&n->graph, x, 0, 6);
}

static void make_plan(bench *b) {
    if (wai_plan_make(&b->plan, &b->net.graph) != WAI_OK) {
        fail_msg("%s", b->net.diag.message);
    }
    assert_true(b->plan.arena_size >= b->plan.lower_bound);
}

static void expect_together(const bench *b, const wai_value *x, const wai_value *y) {
    assert_int_equal(wai_plan_offset(&b->plan, x), wai_plan_offset(&b->plan, y));
}

static void expect_apart(const bench *b, const wai_value *x, const wai_value *y) {
    assert_int_not_equal(wai_plan_offset(&b->plan, x), wai_plan_offset(&b->plan, y));
}

static void test_plan_works_in_place(void **state) {
    bench *b = *state;
    wai_value *x = input(&b->net, 1000);
    wai_value *y = relu(&b->net, x);
    wai_value *z = relu(&b->net, y);
    net_output(&b->net, z);
    make_plan(b);
    assert_int_equal(b->plan.arena_size, wai_slot_size(4000));
    expect_together(b, x, z);
}

static void test_plan_spares_what_is_read_later(void **state) {
    bench *b = *state;
    wai_value *x = input(&b->net, 1000);
    wai_value *y = relu(&b->net, x);
    wai_value *z = wai_emit_binary(&b->net.graph, WAI_BINARY_ADD, y, x);
    net_output(&b->net, z);
    net_output(&b->net, y);
    make_plan(b);
    expect_apart(b, x, y);
    expect_together(b, x, z);
    assert_int_equal(b->plan.arena_size, 2 * wai_slot_size(4000));
}

/* x and its reshape hold the same bytes; nobody may work in place on one while
 * the other is wanted. */
static void test_plan_reshape_shares(void **state) {
    bench *b = *state;
    wai_value *x = relu(&b->net, input(&b->net, 1000));
    wai_value *r = wai_emit_reshape(&b->net.graph, x, 2, (uint32_t[]){10, 100});
    wai_value *s = relu(&b->net, r);
    wai_value *t = wai_emit_reshape(&b->net.graph, s, 1, (uint32_t[]){1000});
    wai_value *u = wai_emit_binary(&b->net.graph, WAI_BINARY_SUB, t, x);
    net_output(&b->net, u);
    make_plan(b);
    expect_together(b, x, r);
    expect_apart(b, s, r);
    expect_together(b, s, t);
    assert_int_equal(b->plan.arena_size, 2 * wai_slot_size(4000));
}

static void test_plan_outputs_are_apart(void **state) {
    bench *b = *state;
    wai_value *x = relu(&b->net, input(&b->net, 1000));
    wai_value *r = wai_emit_reshape(&b->net.graph, x, 2, (uint32_t[]){10, 100});
    net_output(&b->net, x);
    net_output(&b->net, r);
    make_plan(b);
    expect_apart(b, x, r);
}

static void test_plan_input_is_no_output(void **state) {
    bench *b = *state;
    net_output(&b->net, input(&b->net, 10));
    assert_int_equal(wai_plan_make(&b->plan, &b->net.graph), WAI_ERR_INTERNAL);
}

static void test_plan_of_nothing(void **state) {
    bench *b = *state;
    net_output(&b->net, relu(&b->net, input(&b->net, 0)));
    make_plan(b);
    assert_int_equal(b->plan.arena_size, wai_slot_size(0));
}

static void test_plan_of_no_steps(void **state) {
    bench *b = *state;
    make_plan(b);
}

/* Two wide branches that are joined: one after the other costs less than both
 * at once, which is how they stand in the list. */
static void test_plan_orders_branches(void **state) {
    bench *b = *state;
    wai_value *x = input(&b->net, 16);
    uint32_t wide[2] = {4096, 16};
    wai_value *grown[4];
    for (int i = 0; i < 4; i++) {
        wai_expand_params params = {2, {wide[0], wide[1]}};
        grown[i] = wai_emit(&b->net.graph, &wai_op_expand, &params, &x, 1);
    }
    wai_value *sum = NULL;
    for (int i = 0; i < 4; i++) {
        wai_value *small = wai_emit_reduce(&b->net.graph, WAI_REDUCE_MAX, grown[i], 1, false);
        sum = sum != NULL ? wai_emit_binary(&b->net.graph, WAI_BINARY_ADD, sum, small) : small;
    }
    net_output(&b->net, sum);
    make_plan(b);
    assert_true(b->plan.arena_size < 2 * wai_slot_size(4096 * 16 * 4));
}

/* Random graphs: wai_plan_make proves each plan itself. The same graph gives
 * the same plan, and placement stays near the bound. */
static void random_graph(net *n, uint32_t seed) {
    uint32_t random = seed * 2654435761u + 1;
    wai_value *values[64];
    uint32_t count = 0;
    values[count++] = input(n, 64 * (1 + below(&random, 8)));
    values[count++] = input(n, 64 * (1 + below(&random, 8)));
    for (int i = 0; i < 40; i++) {
        wai_value *x = values[below(&random, count)];
        wai_value *y = values[below(&random, count)];
        uint32_t elements = (uint32_t)wai_type_count(&x->type);
        switch (below(&random, 4)) {
        case 0:
            values[count++] = relu(n, x);
            break;
        case 1:
            values[count++] = x->type.rank == 1 ? wai_emit_reshape(&n->graph, x, 2,
                                                                   (uint32_t[]){elements / 64, 64})
                                                : wai_emit_reshape(&n->graph, x, 1, &elements);
            break;
        case 2: {
            wai_concat_params params = {0};
            wai_value *in[] = {x, y};
            if (x->type.rank == 1 && y->type.rank == 1 && elements < 4096) {
                values[count++] = wai_emit(&n->graph, &wai_op_concat, &params, in, 2);
            }
            break;
        }
        default:
            if (wai_type_equal(&x->type, &y->type)) {
                values[count++] = wai_emit_binary(&n->graph, WAI_BINARY_MUL, x, y);
            }
        }
    }
    net_output(n, relu(n, values[count - 1]));
    net_output(n, relu(n, values[count / 2]));
}

static void test_plan_random_graphs(void **state) {
    (void)state;
    uint64_t arena_sum = 0;
    uint64_t bound_sum = 0;
    for (uint32_t seed = 0; seed < 200; seed++) {
        bench once, again;
        bench *both[] = {&once, &again};
        for (int i = 0; i < 2; i++) {
            net_open(&both[i]->net, 0);
            random_graph(&both[i]->net, seed);
            make_plan(both[i]);
        }
        const wai_plan *first = &once.plan, *second = &again.plan;
        assert_int_equal(first->arena_size, second->arena_size);
        assert_int_equal(first->value_count, second->value_count);
        assert_memory_equal(first->offsets, second->offsets,
                            first->value_count * sizeof *first->offsets);
        arena_sum += first->arena_size;
        bound_sum += first->lower_bound;
        net_close(&once.net);
        net_close(&again.net);
    }
    assert_true(arena_sum * 100 <= bound_sum * 102);
}

#define PLAN_TEST(test) cmocka_unit_test_setup_teardown(test, open_bench, close_bench)

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_proof_against_reference),
        cmocka_unit_test(test_proof_refuses),
        cmocka_unit_test(test_proof_without_memory),
        cmocka_unit_test(test_proof_is_not_quadratic),
        PLAN_TEST(test_plan_works_in_place),
        PLAN_TEST(test_plan_spares_what_is_read_later),
        PLAN_TEST(test_plan_reshape_shares),
        PLAN_TEST(test_plan_outputs_are_apart),
        PLAN_TEST(test_plan_input_is_no_output),
        PLAN_TEST(test_plan_of_nothing),
        PLAN_TEST(test_plan_of_no_steps),
        PLAN_TEST(test_plan_orders_branches),
        cmocka_unit_test(test_plan_random_graphs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
