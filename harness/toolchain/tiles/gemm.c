/* GEMM in tiles of six rows: with fused multiply-add, eight sums of four rows are just as many as
 * the processor keeps in flight, and twelve are a tenth to a fifth faster. Without it they are not,
 * so simd keeps four. Convolutions by indirection stay at four rows, for their buffer's size
 * follows from that and is in the certificate, which holds for both variants. The order of sums,
 * and the layout of weights (8 columns), are those of four rows. */
#include "xnnpack/gemm.h"
#include "xnnpack/config.h"

#define KERNEL(kind)                                                                               \
    xnn_init_hmp_gemm_ukernel(                                                                     \
        (xnn_gemm_ukernel_fn)xnn_f32_gemm_##kind##_6x8__wasmrelaxedsimd_fma_loadsplat)

const struct xnn_gemm_config *__real_xnn_init_f32_gemm_config(void);

const struct xnn_gemm_config *__wrap_xnn_init_f32_gemm_config(void) {
    /* Its own static, which it fills in at the first call. */
    struct xnn_gemm_config *config = (struct xnn_gemm_config *)__real_xnn_init_f32_gemm_config();
    if (config != NULL && config->mr == 4) {
        config->linear.gemm[6 - 1] = KERNEL(ukernel);
        config->minmax.gemm[6 - 1] = KERNEL(minmax_ukernel);
        config->relu.gemm[6 - 1] = KERNEL(relu_ukernel);
        config->mr = 6;
    }
    return config;
}
