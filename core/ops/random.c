/* random.c - numbers from a counter: every element follows from its index alone. */
#include "ops/random.h"

#include "base/limits.h"
#include "ops/op.h"

/* ---- meaning ------------------------------------------------------------ */

static const wai_field fields[] = {
    WAI_FIELD(wai_random_params, WAI_FIELD_U32, seed),
    WAI_FIELD(wai_random_params, WAI_FIELD_U32, stream),
    WAI_FIELD(wai_random_params, WAI_FIELD_U32, part),
};

static wai_status infer(wai_signature *s) {
    if (s->in[0] == NULL) {
        return WAI_REFUSE(s, "input 0 is absent");
    }
    s->out[0] = *s->in[0];
    s->out[0].dtype = WAI_F32;
    if (!wai_type_is_valid(&s->out[0])) {
        char text[WAI_TYPE_TEXT];
        return wai_fail(s->diag, WAI_ERR_LIMIT, s->where, "numbers of the dims of %s are too many",
                        wai_type_text(s->in[0], text));
    }
    return WAI_OK;
}

/* Ten rounds of two multiplications and four exclusive ors, for four elements. */
static uint64_t flops(const wai_signature *s) {
    return 16 * (uint64_t)wai_type_count(s->in[0]);
}

const wai_op wai_op_random = {.name = "random",
                              .params_size = sizeof(wai_random_params),
                              .fields = fields,
                              .field_count = sizeof fields / sizeof fields[0],
                              .min_in = 1,
                              .max_in = 1,
                              .min_out = 1,
                              .max_out = 1,
                              .infer = infer,
                              .flops = flops};

/* ---- kernel ------------------------------------------------------------- */

#define ROUNDS 10

static void philox(uint32_t x[4], uint32_t key) {
    uint32_t low = key, high = 0;
    for (int i = 0; i < ROUNDS; i++) {
        const uint64_t a = (uint64_t)0xd2511f53u * x[0], b = (uint64_t)0xcd9e8d57u * x[2];
        x[0] = (uint32_t)(b >> 32) ^ x[1] ^ low;
        x[2] = (uint32_t)(a >> 32) ^ x[3] ^ high;
        x[1] = (uint32_t)b;
        x[3] = (uint32_t)a;
        low += 0x9e3779b9u;
        high += 0xbb67ae85u;
    }
}

static wai_status run(wai_step *step, wai_diag *diag) {
    (void)diag;
    const wai_random_params *p = step->params;
    const size_t count = wai_type_count(&step->out[0].type);
    float *out = step->out[0].data;
    for (size_t i = 0; i < count; i += 4) {
        uint32_t x[4] = {(uint32_t)(i / 4), p->stream, p->part, 0};
        philox(x, p->seed);
        for (size_t k = 0; k < 4 && i + k < count; k++) {
            out[i + k] = (float)(x[k] >> 8) * 0x1p-24f;
        }
    }
    return WAI_OK;
}

const wai_kernel wai_op_random_kernel = {.run = run};
