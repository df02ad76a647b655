/*
 * parts.h - what operators and sessions do in ways that few models need. Always there, but
 * for a runtime linked for models: harness/toolchain/link_runtime.mjs links
 * harness/toolchain/wasm/without_PART.c in their place, in which these say no
 * and the code behind them is empty. Ask in prepare and answer UNSUPPORTED.
 */
#ifndef WAI_PARTS_H
#define WAI_PARTS_H

#include <stdbool.h>

/* conv2d of one input and one output channel per group. */
bool wai_has_depthwise(void);

/* Dims that change from run to run (runtime/live.h). */
bool wai_has_live(void);

/* Guard words and wiping (runtime/harden.h). */
bool wai_has_hardening(void);

/* Weights that are not packed: XNNPACK's packing, and the plain loops. */
bool wai_has_raw_weights(void);

#endif
