/* stop: the end of a loop that is unrolled to a bound. */
#include "ops/stop.h"

#include <string.h>

#include "ops/move.h"
#include "ops/op.h"

static const wai_field fields[] = {
    WAI_FIELD(wai_stop_params, WAI_FIELD_U32, iterations),
};

static wai_status infer(wai_signature *s) {
    const wai_type *x = s->in[0], *more = s->in[1];
    if (x == NULL || more == NULL || more->dtype != WAI_BOOL || wai_type_count(more) != 1) {
        return WAI_REFUSE(s, "stop takes a tensor and one bool");
    }
    s->out[0] = *x;
    return WAI_OK;
}

const wai_op wai_op_stop = {
    .name = "stop",
    .params_size = sizeof(wai_stop_params),
    .fields = fields,
    .field_count = sizeof fields / sizeof fields[0],
    .min_in = 2,
    .max_in = 2,
    .min_out = 1,
    .max_out = 1,
    .in_place = 1,
    .same_bytes = true,
    .infer = infer,
    .flops = wai_move_flops,
};

static wai_status run(wai_step *step, wai_diag *diag) {
    if (*(const uint8_t *)step->in[1].data != 0) {
        return wai_fail(diag, WAI_ERR_LIMIT, step->where,
                        "the loop wants more than %u iterations: compile the model with more "
                        "(--max-iterations)",
                        ((const wai_stop_params *)step->params)->iterations);
    }
    if (step->out[0].data != step->in[0].data) {
        memcpy(step->out[0].data, step->in[0].data, wai_type_size(&step->in[0].type));
    }
    return WAI_OK;
}

const wai_kernel wai_op_stop_kernel = {.run = run};
