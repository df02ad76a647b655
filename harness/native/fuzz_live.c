/*
 * Fuzz target: a package whose dims change from run to run, and behind it a script
 * of what the caller does: other dims, runs, carries. The size that the package
 * states says where the script begins.
 *
 * Where the hashes are right, nobody has changed the package since it was compiled.
 * Then a session that has been through the script must answer as a fresh one does.
 */
#include "fuzz.h"

#include "package/format.h"
#include "package/seal.h"

size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed);

enum { MOST_RUNS = 8 };

typedef struct script {
    const uint8_t *at, *end;
} script;

/* 0 where it has ended. */
static uint8_t take(script *s) {
    return s->at < s->end ? *s->at++ : 0;
}

/* A number per symbol and turn, now and then one that does not fit. */
static uint32_t dim_of(const wai_axis *axis, uint8_t turn, uint8_t odd) {
    if (axis->symbol == NULL) {
        return axis->min + (odd == 255);
    }
    uint32_t hash = turn;
    for (const char *c = axis->symbol; *c != 0; c++) {
        hash = (hash ^ (uint8_t)*c) * 16777619u;
    }
    const uint32_t range = axis->max - axis->min + 1;
    return odd < 240 ? axis->min + (hash >> 8) % range : axis->max + (odd & 3) - 1;
}

static void resize(wai_session *session, script *s, wai_diag *diag) {
    const uint8_t turn = take(s);
    for (uint32_t i = 0; i < wai_session_input_count(session); i++) {
        wai_axis axes[WAI_MAX_RANK];
        wai_tensor input;
        if (wai_session_input(session, i, &input) != WAI_OK ||
            wai_session_axes(session, i, axes) != WAI_OK) {
            abort();
        }
        const uint8_t odd = take(s);
        for (uint32_t k = 0; k < input.rank; k++) {
            input.dims[k] = dim_of(&axes[k], turn, odd);
        }
        fuzz_judge(wai_session_resize(session, i, input.dims, diag), diag);
    }
}

static void fill(wai_session *session, uint8_t seed) {
    wai_tensor input;
    for (uint32_t i = 0; i < wai_session_input_count(session); i++) {
        if (wai_session_input(session, i, &input) != WAI_OK) {
            abort();
        }
        for (size_t k = 0; k < input.size; k++) {
            ((uint8_t *)input.data)[k] = (uint8_t)(k % 4 == 3 ? 0x3f : k % 4 == 0 ? k + seed : 0);
        }
    }
}

/* Inputs may be overwritten by the run: what they held before it. */
typedef struct held {
    wai_tensor tensors[WAI_MAX_IO];
    uint8_t *bytes[WAI_MAX_IO];
    uint32_t count;
} held;

static void hold(held *h, const wai_session *session) {
    h->count = wai_session_input_count(session);
    for (uint32_t i = 0; i < h->count; i++) {
        wai_session_input(session, i, &h->tensors[i]);
        h->bytes[i] = fuzz_copy(h->tensors[i].data, h->tensors[i].size);
    }
}

static void release(held *h) {
    for (uint32_t i = 0; i < h->count; i++) {
        free(h->bytes[i]);
    }
    h->count = 0;
}

static void compare(const wai_session *a, const wai_session *b, const wai_diag *diag) {
    for (uint32_t i = 0; i < wai_session_output_count(a); i++) {
        wai_tensor x, y;
        if (wai_session_output(a, i, &x) != WAI_OK || wai_session_output(b, i, &y) != WAI_OK ||
            x.size != y.size || memcmp(x.dims, y.dims, sizeof x.dims) != 0 ||
            (x.size != 0 && memcmp(x.data, y.data, x.size) != 0)) {
            fuzz_crash("a fresh session answers otherwise", diag);
        }
    }
}

/* The last run once more, in a session that has been through nothing. */
static void check_fresh(const wai_session *used, const held *h, wai_bytes package) {
    wai_session *fresh;
    wai_diag diag;
    wai_status status = wai_session_open(&fresh, package, NULL, &diag);
    for (uint32_t i = 0; status == WAI_OK && i < h->count; i++) {
        wai_tensor input;
        status = wai_session_resize(fresh, i, h->tensors[i].dims, &diag);
        wai_session_input(fresh, i, &input);
        memcpy(input.data, h->bytes[i], h->tensors[i].size);
    }
    status = status == WAI_OK ? wai_session_run(fresh, &diag) : status;
    if (status != WAI_OK) {
        fuzz_crash("a fresh session fails", &diag);
    }
    compare(used, fresh, &diag);
    wai_session_close(fresh);
}

static void play(wai_session *session, wai_bytes package, script s, bool whole) {
    wai_diag diag;
    held h = {.count = 0};
    bool carried = false, ran = false;
    for (int run = 0; run < MOST_RUNS && s.at < s.end; run++) {
        const uint8_t what = take(&s);
        if ((what & 1) == 0) {
            resize(session, &s, &diag);
            carried = false;
        }
        if (!carried) {
            fill(session, what);
        }
        release(&h);
        hold(&h, session);
        const wai_status status = wai_session_run(session, &diag);
        fuzz_judge(status, &diag);
        ran = status == WAI_OK;
        wai_tensor tensor;
        if (wai_session_input(session, 0, &tensor) == WAI_ERR_STATE) {
            break;
        }
        if (ran && whole && (what & 2) != 0) {
            check_fresh(session, &h, package);
        }
        carried = ran && (what & 4) != 0;
        if (carried) {
            fuzz_carry(session, &diag);
        } else if (ran && (what & 8) != 0) {
            fuzz_judge(wai_session_wipe(session, &diag), &diag);
        }
    }
    release(&h);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    uint64_t stated = 0;
    if (size >= WAI_FORMAT_HEADER_SIZE + WAI_FORMAT_DIGEST_SIZE) {
        memcpy(&stated, data + 16, sizeof stated);
    }
    if (stated < WAI_FORMAT_HEADER_SIZE + WAI_FORMAT_DIGEST_SIZE || stated > size) {
        return 0;
    }
    const wai_bytes package = {fuzz_copy(data, (size_t)stated), (size_t)stated};
    fuzz_memory memory = {0, 0};
    const wai_allocator allocator = fuzz_allocator(&memory);
    /* Hardened: guard words after every run, and the weights hashed at every wipe. */
    const uint64_t key = size % 2 == 1 ? 0x9e3779b97f4a7c15 : 0;
    const wai_options options = {.allocator = &allocator, .hardening = {key, 1}};
    wai_session *session;
    wai_diag diag;
    const wai_status status = wai_session_open(&session, package, &options, &diag);
    fuzz_judge(status, &diag);
    if (status == WAI_OK && fuzz_is_quick(package, &allocator)) {
        play(session, package, (script){data + stated, data + size},
             wai_package_verify(package, NULL) == WAI_OK);
    }
    wai_session_close(session);
    if (memory.blocks != 0) {
        fuzz_crash("memory is left allocated", &diag);
    }
    free((void *)(uintptr_t)package.data);
    return 0;
}

/* Mostly the script; else words of the section that says how dims follow. */
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed) {
    uint64_t stated = 0;
    if (size >= WAI_FORMAT_HEADER_SIZE + WAI_SECTION_DYNAMIC * WAI_FORMAT_ENTRY_SIZE) {
        memcpy(&stated, data + 16, sizeof stated);
    }
    if (stated == 0 || stated > size) {
        return LLVMFuzzerMutate(data, size, max_size);
    }
    if (seed % 4 != 0) {
        const size_t room = max_size - (size_t)stated < 64 ? max_size - (size_t)stated : 64;
        const size_t length = size - (size_t)stated < room ? size - (size_t)stated : room;
        return (size_t)stated + LLVMFuzzerMutate(data + stated, length, room);
    }
    const uint8_t *entry =
        data + WAI_FORMAT_HEADER_SIZE + (WAI_SECTION_DYNAMIC - 1) * WAI_FORMAT_ENTRY_SIZE;
    uint64_t offset, count;
    memcpy(&offset, entry + 8, sizeof offset);
    memcpy(&count, entry + 16, sizeof count);
    if (offset < stated && count >= 4 && count <= stated - offset) {
        uint8_t *word = data + offset + seed / 4 % (count / 4) * 4;
        LLVMFuzzerMutate(word, 4, 4);
    }
    return size;
}
