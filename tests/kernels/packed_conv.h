/* packed_conv.h - for checks of the operators that read conv2d's packed weights: a random
 * convolution of one group, and its weights as they are packed. */
#ifndef WAI_TEST_PACKED_CONV_H
#define WAI_TEST_PACKED_CONV_H

#include "check.h"

#include "runtime/xnn.h"

/* Input, weights and bias; free_inputs. */
static inline void random_inputs(const wai_conv_params *p, uint32_t height, uint32_t width,
                                 wai_operand *in) {
    const uint32_t x[4] = {1 + next(2), height, width, p->group_in};
    const uint32_t w[4] = {p->group_out, p->kernel_h, p->kernel_w, p->group_in};
    in[0] = random_operand(4, x, false);
    in[1] = random_operand(4, w, true);
    in[2] = random_operand(1, w, true);
}

static inline void free_inputs(wai_operand *in) {
    free(in[0].data), free(in[1].data), free(in[2].data);
}

/* u8[n], a new buffer; without data where random geometry leaves no output. */
static inline wai_operand packed_weights(const wai_conv_params *p, wai_operand *in,
                                         uint64_t expected_size) {
    wai_operand out = {0}, packed = {.constant = true};
    wai_step direct = make_step(&wai_op_conv2d, p, in, 3, &out);
    wai_diag diag = {0};
    if (infer_step(&direct, NULL, &diag) != WAI_OK) {
        failures += strstr(diag.message, "no output") == NULL;
        return packed;
    }
    wai_pool scratch;
    wai_pool_init(&scratch, NULL, 1u << 26);
    const uint8_t *bytes;
    size_t size;
    if (wai_xnn_pack(&direct, &scratch, &bytes, &size, &diag) != WAI_OK || size != expected_size) {
        printf("FAIL weights are packed into %zu bytes: %s\n", size, diag.message);
        exit(1);
    }
    packed.type = wai_type_make(WAI_U8, 1, (uint32_t[]){(uint32_t)size});
    packed.data = memcpy(buffer(size), bytes, size);
    wai_pool_free(&scratch);
    return packed;
}

#endif
