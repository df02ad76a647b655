/* XNNPACK's choice of kernels is compiled twice, and the second time, for the variant `relaxed`,
 * each of these names is that of a kernel with fused multiply-add and the same layout of weights.
 * So what the compiler packed for simd is read by both. (XNNPACK's own choice for relaxed SIMD
 * takes other tiles.) */
#ifndef WAI_XNNPACK_RELAXED_NAMES_H
#define WAI_XNNPACK_RELAXED_NAMES_H

/* Its headers declare both under their own names, some only where the processor has both. */
#include "xnnpack/common.h"
#undef XNN_ARCH_WASMRELAXEDSIMD
#define XNN_ARCH_WASMRELAXEDSIMD 1
#include "xnnpack/dwconv.h"
#include "xnnpack/gemm.h"
#include "xnnpack/igemm.h"
#include "xnnpack/vmulcaddc.h"
#undef XNN_ARCH_WASMRELAXEDSIMD
#define XNN_ARCH_WASMRELAXEDSIMD 0

#define xnn_f32_gemm_ukernel_1x8__wasmsimd_loadsplat                                               \
    xnn_f32_gemm_ukernel_1x8__wasmrelaxedsimd_fma_loadsplat
#define xnn_f32_gemm_minmax_ukernel_1x8__wasmsimd_x86_loadsplat                                    \
    xnn_f32_gemm_minmax_ukernel_1x8__wasmrelaxedsimd_fma_loadsplat
#define xnn_f32_gemm_relu_ukernel_1x8__wasmsimd_loadsplat                                          \
    xnn_f32_gemm_relu_ukernel_1x8__wasmrelaxedsimd_fma_loadsplat
#define xnn_f32_gemm_ukernel_4x8__wasmsimd_loadsplat                                               \
    xnn_f32_gemm_ukernel_4x8__wasmrelaxedsimd_fma_loadsplat
#define xnn_f32_gemm_minmax_ukernel_4x8__wasmsimd_x86_loadsplat                                    \
    xnn_f32_gemm_minmax_ukernel_4x8__wasmrelaxedsimd_fma_loadsplat
#define xnn_f32_gemm_relu_ukernel_4x8__wasmsimd_loadsplat                                          \
    xnn_f32_gemm_relu_ukernel_4x8__wasmrelaxedsimd_fma_loadsplat
#define xnn_f32_gemm_ukernel_4x2c4__wasmsimd xnn_f32_gemm_ukernel_4x2c4__wasmrelaxedsimd_fma
#define xnn_f32_gemm_minmax_ukernel_4x2c4__wasmsimd_x86                                            \
    xnn_f32_gemm_minmax_ukernel_4x2c4__wasmrelaxedsimd_fma
#define xnn_f32_igemm_ukernel_1x8__wasmsimd_loadsplat                                              \
    xnn_f32_igemm_ukernel_1x8__wasmrelaxedsimd_fma_loadsplat
#define xnn_f32_igemm_minmax_ukernel_1x8__wasmsimd_x86_loadsplat                                   \
    xnn_f32_igemm_minmax_ukernel_1x8__wasmrelaxedsimd_fma_loadsplat
#define xnn_f32_igemm_relu_ukernel_1x8__wasmsimd_loadsplat                                         \
    xnn_f32_igemm_relu_ukernel_1x8__wasmrelaxedsimd_fma_loadsplat
#define xnn_f32_igemm_ukernel_4x8__wasmsimd_loadsplat                                              \
    xnn_f32_igemm_ukernel_4x8__wasmrelaxedsimd_fma_loadsplat
#define xnn_f32_igemm_minmax_ukernel_4x8__wasmsimd_x86_loadsplat                                   \
    xnn_f32_igemm_minmax_ukernel_4x8__wasmrelaxedsimd_fma_loadsplat
#define xnn_f32_igemm_relu_ukernel_4x8__wasmsimd_loadsplat                                         \
    xnn_f32_igemm_relu_ukernel_4x8__wasmrelaxedsimd_fma_loadsplat
#define xnn_f32_igemm_ukernel_4x2c4__wasmsimd xnn_f32_igemm_ukernel_4x2c4__wasmrelaxedsimd_fma
#define xnn_f32_igemm_minmax_ukernel_4x2c4__wasmsimd_x86                                           \
    xnn_f32_igemm_minmax_ukernel_4x2c4__wasmrelaxedsimd_fma
#define xnn_f32_dwconv_ukernel_3p8c__wasmsimd xnn_f32_dwconv_ukernel_3p8c__wasmrelaxedsimd_fma
#define xnn_f32_dwconv_minmax_ukernel_3p8c__wasmsimd_x86                                           \
    xnn_f32_dwconv_minmax_ukernel_3p8c__wasmrelaxedsimd_fma
#define xnn_f32_dwconv_ukernel_4p8c__wasmsimd xnn_f32_dwconv_ukernel_4p8c__wasmrelaxedsimd_fma
#define xnn_f32_dwconv_minmax_ukernel_4p8c__wasmsimd_x86                                           \
    xnn_f32_dwconv_minmax_ukernel_4p8c__wasmrelaxedsimd_fma
#define xnn_f32_dwconv_ukernel_9p8c__wasmsimd xnn_f32_dwconv_ukernel_9p8c__wasmrelaxedsimd_fma
#define xnn_f32_dwconv_minmax_ukernel_9p8c__wasmsimd_x86                                           \
    xnn_f32_dwconv_minmax_ukernel_9p8c__wasmrelaxedsimd_fma
#define xnn_f32_dwconv_ukernel_25p4c__wasmsimd xnn_f32_dwconv_ukernel_25p4c__wasmrelaxedsimd_fma
#define xnn_f32_dwconv_minmax_ukernel_25p4c__wasmsimd_arm                                          \
    xnn_f32_dwconv_minmax_ukernel_25p4c__wasmrelaxedsimd_fma
#define xnn_f32_vmulcaddc_minmax_ukernel_c4__wasmsimd_x86_2x                                       \
    xnn_f32_vmulcaddc_minmax_ukernel_c4__wasmrelaxedsimd_fma_2x

#endif
