/* limits.h - every cap in one place, each with its reason. None is a limit of
 * ONNX; each keeps hostile counts from costing more than the file did. */
#ifndef WAI_LIMITS_H
#define WAI_LIMITS_H

/* XNNPACK may read this many bytes past the end of any buffer. */
#define WAI_SPARE_SIZE 16u

/* Cache line, and what XNNPACK wants for packed weights. */
#define WAI_ALIGN 64u

/* Fits every net seen (the largest, GPT-2 exports, have about 4,000) and keeps
 * passes that look at all pairs below a second. */
#define WAI_MAX_NODES  32768u
#define WAI_MAX_VALUES 131072u

/* Inputs of one node. Concat of every position in a sequence is the largest
 * use seen (a few hundred). */
#define WAI_MAX_OPERANDS 1024u

#define WAI_MAX_IO 256u

/* One dim and one tensor. A tensor of 2^31 bytes or more could not be
 * addressed beside anything else in wasm32. */
#define WAI_MAX_DIM         0x7fffffffu
#define WAI_MAX_TENSOR_SIZE 0x7fffffffu

/* Linear memory of wasm32 in bytes. */
#define WAI_MAX_MEMORY 0x100000000ull

/* What the runtime itself takes at the bottom of linear memory: data and
 * stack. A build test holds the module to it. */
#define WAI_RUNTIME_SIZE  (384u * 1024u)
#define WAI_RUNTIME_STACK (256u * 1024u)
/* Of each thread but the first, which only run tiles of kernels. A page of wasm memory, so that the
 * loader adds one page for each. */
#define WAI_THREAD_STACK (64u * 1024u)

/* A constant folded at compile time must not blow up the package: a net that
 * expands one number to 100 MB is cheaper to run than to ship. */
#define WAI_MAX_FOLD_SIZE (16u * 1024u * 1024u)

/* Operations plus bytes of all folding in one compilation, a few seconds'
 * worth: a file of 300 bytes can ask for a convolution of 10^13 operations
 * over constants. What is above it is left for the run; nodes of little work
 * (shapes) are always folded. */
#define WAI_MAX_FOLD_WORK   (1ull << 35)
#define WAI_SMALL_FOLD_WORK (1ull << 16)

/* All constants of one compilation that folding made from next to nothing: a
 * hundred of them, each below the limit of one, are gigabytes. */
#define WAI_MAX_FOLD_GROWTH (128u * 1024u * 1024u)

/* Bodies of If, Loop and Scan inside each other, and iterations of one loop:
 * loops are unrolled. Bodies' nodes of one compilation, each time they are
 * imported, plus iterations: loops in loops must not run away. */
#define WAI_MAX_BODY_DEPTH 8u
#define WAI_MAX_UNROLL     1024u
#define WAI_MAX_ITERATIONS 32u /* of a loop that does not say how many, by default */
#define WAI_MAX_BODY_WORK  65536u

/* Length of a Fourier transform: its roots are a constant of 16 bytes each. */
#define WAI_MAX_DFT (1u << 24)

/* Names end up in messages and in the package. */
#define WAI_MAX_NAME 512u

/* Memory that one compilation may take, in bytes: a guard against hostile
 * files, generous for honest ones (weights are borrowed, not copied). */
#define WAI_MAX_COMPILE_MEMORY 0xc0000000ull

#endif
