/* Two wasm kernels include <arm_neon.h> by mistake. On ARM, SIMDe needs the real one. */
#ifndef WAI_SHIM_ARM_NEON_H
#define WAI_SHIM_ARM_NEON_H
#if defined(__ARM_NEON)
#include_next <arm_neon.h>
#endif
#include <wasm_simd128.h>
#endif
