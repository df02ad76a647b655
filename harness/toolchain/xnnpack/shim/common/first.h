/* Included before every XNNPACK source (-include), so that its own headers, which guard themselves,
 * are seen here once and corrected. Two corrections:
 *
 * 1. Every build, native ones too, takes the wasm SIMD kernels and their figures, so that native
 *    tests run what is shipped.
 * 2. On wasm XNNPACK looks at the sign of a NaN at run time to guess the CPU and takes kernels by
 *    it. Packages carry packed weights and results must not depend on the machine, so the choice is
 *    a constant here; the compiler then drops the kernels of the other choice. */
#ifndef WAI_XNNPACK_FIRST_H
#define WAI_XNNPACK_FIRST_H

#include <math.h> /* xnnpack/math.h calls rint() on wasm without declaring it */

#include "xnnpack/common.h"

#undef XNN_ARCH_X86
#undef XNN_ARCH_X86_64
#undef XNN_ARCH_ARM
#undef XNN_ARCH_ARM64
#undef XNN_ARCH_PPC64
#undef XNN_ARCH_RISCV
#undef XNN_ARCH_HEXAGON
#undef XNN_ARCH_WASMSIMD
#define XNN_ARCH_X86      0
#define XNN_ARCH_X86_64   0
#define XNN_ARCH_ARM      0
#define XNN_ARCH_ARM64    0
#define XNN_ARCH_PPC64    0
#define XNN_ARCH_RISCV    0
#define XNN_ARCH_HEXAGON  0
#define XNN_ARCH_WASMSIMD 1

/* What common.h derived from the architecture, as on wasm. */
#undef XNN_ALLOCATION_ALIGNMENT
#undef XNN_MAX_SIMD_SIZE
#undef XNN_MULTIPASS_EXTRA_BYTES
#undef XNN_MAX_UARCH_TYPES
#define XNN_ALLOCATION_ALIGNMENT  16
#define XNN_MAX_SIMD_SIZE         16
#define XNN_MULTIPASS_EXTRA_BYTES 16
#define XNN_MAX_UARCH_TYPES       1

/* One thread: no pthread_once in the wasm. */
#if defined(__wasm__) && !defined(__EMSCRIPTEN_PTHREADS__)
#undef XNN_HAS_PTHREADS
#define XNN_HAS_PTHREADS 0
#endif

/* XNNPACK marks the kernels that read up to XNN_EXTRA_BYTES past a buffer on purpose, for other
 * sanitizers only; the mark must count for AddressSanitizer too. */
#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#undef XNN_OOB_READS
#define XNN_OOB_READS __attribute__((__no_sanitize__("address")))
#endif
#endif

#define xnn_init_hardware_config wai_unused_init_hardware_config
#include "xnnpack/hardware-config.h"
#undef xnn_init_hardware_config

static const struct xnn_hardware_config wai_hardware_config = {
    .arch_flags = xnn_arch_wasm_is_x86,
    .is_x86 = true,
};

static inline const struct xnn_hardware_config *xnn_init_hardware_config(void) {
    return &wai_hardware_config;
}

#endif
