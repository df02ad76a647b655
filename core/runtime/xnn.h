/*
 * xnn.h - XNNPACK's start-up, allocation and weights, without its header.
 *
 * XNNPACK has one allocator per process and asks it while an operator is
 * created and reshaped. Ours takes memory from the pool of the session that is
 * being opened, named by wai_xnn_begin and forgotten by wai_xnn_end; outside
 * of the two every request fails. What XNNPACK gives back stays in the pool
 * and serves its next requests.
 */
#ifndef WAI_XNN_H
#define WAI_XNN_H

#include "base/pool.h"
#include "ops/op.h"

/* Around create and reshape in a kernel's prepare. Does not nest. */
wai_status wai_xnn_begin(wai_pool *pool, wai_diag *diag);
void wai_xnn_end(void);

/*
 * Names the layout of packed weights: the kernels' tiles (see xnn.c). Written
 * to packages and compared at open.
 */
uint32_t wai_xnn_layout(void);

/*
 * For the compiler: the bytes that the kernel of `step` (conv2d, deconv2d or
 * fully_connected, packed == 0, constant weights and bias, types inferred)
 * reads as its weights, from `scratch`. A step with params.packed = 1, in[1] a
 * constant u8[size] of these bytes, 64-byte aligned and with the usual spare
 * bytes behind it, and without a bias reads them in place. The layout depends
 * on the params (padding and stride choose the kernel): pack last.
 * UNSUPPORTED, with nothing in `diag`: this step reads raw weights; leave it.
 */
wai_status wai_xnn_pack(wai_step *step, wai_pool *scratch, const uint8_t **packed, size_t *size,
                        wai_diag *diag);

#endif
