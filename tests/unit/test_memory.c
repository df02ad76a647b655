/*
 * Memory that runs out: a third of the fuzzers' corpus and the bundled model, with the
 * n-th allocation failing and all behind it, in the compiler and in open. Each time the
 * status is MEMORY, the message says so, and nothing is left allocated. What comes after
 * open asks for nothing: runs, other dims, carries, wipes.
 */
#include "unit.h"

#include "base/arena.h"
#include "base/limits.h"
#include "wasmai_compile.h"

/* ---- an allocator that fails, and counts ---- */

/* Outlives what is allocated by it. */
typedef struct failing {
    wai_allocator allocator;
    size_t asked, fails_at;
    long live;
} failing;

static void *failing_alloc(void *context, size_t size, size_t align) {
    failing *f = context;
    if (f->asked++ >= f->fails_at) {
        return NULL;
    }
    f->live++;
    return wai_malloc_allocator.alloc(NULL, size, align);
}

static void failing_free(void *context, void *pointer) {
    failing *f = context;
    f->live--;
    wai_malloc_allocator.free(NULL, pointer);
}

static void fail_at(failing *f, size_t n) {
    *f = (failing){{f, failing_alloc, failing_free}, 0, n, 0};
}

static void assert_out_of_memory(wai_status status, const wai_diag *diag, const failing *f,
                                 const char *what, size_t model) {
    if (status != WAI_ERR_MEMORY || diag->status != WAI_ERR_MEMORY || diag->message[0] == 0) {
        fail_msg("%s of model %zu without allocation %zu: %s: %s: %s", what, model, f->fails_at,
                 wai_status_name(status), diag->where, diag->message);
    }
    if (f->live != 0) {
        fail_msg("%s of model %zu without allocation %zu: %ld blocks are left", what, model,
                 f->fails_at, f->live);
    }
}

/* ---- compile ---- */

typedef struct open_dims {
    char names[4][64];
    wai_dim dims[4];
    size_t count;
} open_dims;

static void note_dim(void *context, const char *name, uint32_t min, uint32_t max, int bound) {
    open_dims *open = context;
    (void)min;
    (void)max;
    if (bound == 0 && open->count < 4 && strlen(name) < 64) {
        strcpy(open->names[open->count], name);
        open->dims[open->count] = (wai_dim){open->names[open->count], 1, 9};
        open->count++;
    }
}

static wai_status compile(wai_package **package, wai_bytes model, const open_dims *dims, failing *f,
                          wai_diag *diag) {
    const wai_compile_options options = {.limits = {64u << 20},
                                         .allocator = &f->allocator,
                                         .optimize = 1,
                                         .dims = dims->dims,
                                         .dim_count = dims->count};
    return wai_compile(package, model, &options, diag);
}

/* Symbols of the model, each as a range; none of them if it does not compile so. */
static open_dims dims_of(wai_bytes model) {
    open_dims dims = {.count = 0};
    wai_package *package;
    wai_diag diag;
    const wai_compile_options options = {.on_dim = note_dim, .on_dim_context = &dims};
    wai_compile(&package, model, &options, &diag);
    wai_package_free(package);
    failing all;
    fail_at(&all, SIZE_MAX);
    if (compile(&package, model, &dims, &all, &diag) != WAI_OK) {
        dims.count = 0;
    }
    wai_package_free(package);
    return dims;
}

/* All n of a small number, else about `most` of them, others for each model. */
static size_t step_of(size_t count, size_t most) {
    return count <= most ? 1 : count / most;
}

static void compile_without_memory(wai_bytes model, const open_dims *dims, size_t count,
                                   size_t number, size_t most) {
    const size_t step = step_of(count, most);
    for (size_t n = number % step; n < count; n += step) {
        wai_package *none;
        wai_diag diag;
        failing f;
        fail_at(&f, n);
        assert_out_of_memory(compile(&none, model, dims, &f, &diag), &diag, &f, "compile", number);
        assert_null(none);
    }
}

/* ---- open, run ---- */

static void use(wai_session *session, const failing *f, size_t number) {
    uint32_t from[WAI_MAX_IO];
    wai_tensor tensor;
    wai_diag diag;
    const size_t asked = f->asked;
    for (uint32_t round = 0; round < 3; round++) {
        for (uint32_t i = 0; i < wai_session_input_count(session); i++) {
            wai_axis axes[WAI_MAX_RANK];
            from[i] = WAI_NO_OUTPUT;
            if (wai_session_input(session, i, &tensor) != WAI_OK) {
                return; /* a run has failed on its data */
            }
            wai_session_axes(session, i, axes);
            for (uint32_t k = 0; k < tensor.rank; k++) {
                tensor.dims[k] = round == 1 ? axes[k].min : axes[k].max;
            }
            wai_session_resize(session, i, tensor.dims, &diag);
            wai_session_input(session, i, &tensor);
            memset(tensor.data, 0, tensor.size);
        }
        if (wai_session_run(session, &diag) == WAI_OK) {
            wai_session_carry(session, from, &diag);
            wai_session_wipe(session, &diag);
        }
    }
    if (f->asked != asked) {
        fail_msg("model %zu: a run asked for memory", number);
    }
}

static void open_without_memory(wai_bytes package, size_t number, size_t most) {
    failing f;
    fail_at(&f, SIZE_MAX);
    const wai_options options = {.allocator = &f.allocator};
    wai_session *session;
    wai_diag diag;
    if (wai_session_open(&session, package, &options, &diag) != WAI_OK) {
        fail_msg("model %zu: %s: %s", number, diag.where, diag.message);
    }
    const size_t count = f.asked;
    use(session, &f, number);
    wai_session_close(session);
    assert_int_equal(f.live, 0);
    const size_t step = step_of(count, most);
    for (size_t n = number % step; n < count; n += step) {
        fail_at(&f, n);
        const wai_status status = wai_session_open(&session, package, &options, &diag);
        assert_out_of_memory(status, &diag, &f, "open", number);
        assert_null(session);
    }
}

/* 1 if it compiles at all. */
static size_t attack(wai_bytes model, size_t number, size_t most) {
    const open_dims dims = dims_of(model);
    wai_package *package;
    wai_diag diag;
    failing f;
    fail_at(&f, SIZE_MAX);
    const bool compiles = compile(&package, model, &dims, &f, &diag) == WAI_OK;
    if (compiles) {
        compile_without_memory(model, &dims, f.asked, number, most);
        open_without_memory(wai_package_bytes(package), number, most);
    }
    wai_package_free(package);
    assert_int_equal(f.live, 0);
    return compiles;
}

static void test_bundled_model(void **state) {
    (void)state;
    size_t size;
    uint8_t *model = unit_file("models/digits/digits.onnx", &size);
    assert_int_equal(attack((wai_bytes){model, size}, 0, SIZE_MAX), 1);
    free(model);
}

/* corpus.bin: models one after another, each with its size in front. */
static void test_corpus(void **state) {
    (void)state;
    size_t size, models = 0, compiled = 0;
    uint8_t *corpus = unit_file("tests/fuzz/corpus.bin", &size);
    for (size_t at = 0; at < size; models++) {
        uint32_t length;
        memcpy(&length, corpus + at, sizeof length);
        assert_true(length <= size - at - sizeof length);
        uint8_t *model = unit_copy(corpus + at + sizeof length, length);
        if (models % 3 == 0) { /* a minute, else */
            compiled += attack((wai_bytes){model, length}, models, 8);
        }
        free(model);
        at += sizeof length + length;
    }
    assert_true(models > 1000 && compiled > 100);
    print_message("%zu models compile\n", compiled);
    free(corpus);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bundled_model),
        cmocka_unit_test(test_corpus),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
