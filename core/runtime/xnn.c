#include "runtime/xnn.h"

#include <string.h>

#include "base/checked.h"
#include "base/limits.h"
#include "runtime/xnn_operator.h"

/* ---- allocation ------------------------------------------------------- */

/* XNNPACK holds its allocator for the life of the process and passes one
 * context to all calls, so the pool of the session being opened has to stand
 * somewhere that outlives every session. */
static _Thread_local wai_pool *current;

/* In front of every block. 16 bytes: what XNNPACK wants its memory aligned to. */
typedef struct block {
    _Alignas(16) size_t capacity;
    struct block *next; /* when it is in pool->freed */
} block;

/* A freed block of `size` up to `most` bytes, else a new one. */
static void *take(wai_pool *pool, size_t size, size_t most) {
    block **link = (block **)&pool->freed;
    for (block *b = *link; b != NULL && !pool->wasteful; link = &b->next, b = b->next) {
        if (b->capacity >= size && b->capacity <= most) {
            *link = b->next;
            return b + 1;
        }
    }
    size_t whole;
    block *b = wai_add_size(size, sizeof *b, &whole) ? wai_pool_alloc(pool, whole) : NULL;
    if (b == NULL) {
        return NULL;
    }
    b->capacity = size;
    return b + 1;
}

static void give_back(wai_pool *pool, void *pointer) {
    if (pool != NULL && pointer != NULL) {
        block *b = (block *)pointer - 1;
        if (pool->fence != 0) {
            memset(pointer, WAI_POOL_POISON, b->capacity);
        }
        b->next = pool->freed;
        pool->freed = b;
    }
}

static void *xnn_take(void *context, size_t size) {
    (void)context;
    if (current == NULL) {
        return NULL;
    }
    /* A large block is not given away for a small request. */
    return take(current, size, size <= SIZE_MAX / 2 ? size * 2 : size);
}

static void *xnn_take_aligned(void *context, size_t alignment, size_t size) {
    return alignment <= sizeof(block) ? xnn_take(context, size) : NULL;
}

static void xnn_give_back(void *context, void *pointer) {
    (void)context;
    give_back(current, pointer);
}

static void *xnn_retake(void *context, void *pointer, size_t size) {
    size_t capacity = pointer != NULL ? ((block *)pointer - 1)->capacity : 0;
    if (pointer != NULL && capacity >= size) {
        return pointer;
    }
    void *larger = xnn_take(context, size);
    if (larger != NULL && pointer != NULL) {
        memcpy(larger, pointer, capacity);
        xnn_give_back(context, pointer);
    }
    return larger;
}

wai_status wai_xnn_begin(wai_pool *pool, wai_diag *diag) {
    static const struct xnn_allocator allocator = {
        NULL, xnn_take, xnn_retake, xnn_give_back, xnn_take_aligned, xnn_give_back,
    };
    if (xnn_initialize(&allocator) != xnn_status_success) {
        return wai_fail(diag, WAI_ERR_INTERNAL, "xnnpack", "does not start");
    }
    current = pool;
    return WAI_OK;
}

void wai_xnn_end(void) {
    current = NULL;
}

/* ---- packed weights ----------------------------------------------------- */

/*
 * 1: f32 with simd kernels. gemm and igemm in tiles of 8 output channels
 *    (kr = sr = 1), fewer than 8 output channels of fully_connected and deconv2d
 *    in tiles of 2 with kr = 4, depthwise in tiles of 8 channels with 3, 4, 9 or
 *    25 taps, 1x1 depthwise in tiles of 4; bias first in every tile.
 */
uint32_t wai_xnn_layout(void) {
    return 1;
}

/*
 * XNNPACK asks its weights cache in two ways. gemm, igemm and fully connected
 * look up first and pack only what is not found. Depthwise and deconvolution
 * (convolution-nhwc.c, deconvolution-nhwc.c) always reserve, pack and then let
 * the cache say that it had the bytes already; for those the packing goes into
 * scratch memory that the next operator uses again.
 *
 * The size that XNNPACK will read follows from its choice of kernel, which is
 * its own; so an operator over hostile bytes is created twice: MEASURE finds
 * nothing and refuses to reserve, which tells the size and ends the creation
 * before any weight is looked at.
 */
typedef enum mode { MEASURE, READ, PACK } mode;

typedef struct weights {
    struct xnn_weights_cache_provider provider;
    mode mode;
    wai_pool *pool;
    const uint8_t *data;
    size_t size;
    bool measured;
    void *scratch;
} weights;

static size_t look_up(void *context, const struct xnn_weights_cache_look_up_key *key) {
    (void)key;
    return ((weights *)context)->mode == READ ? 0 : SIZE_MAX;
}

static void *reserve_space(void *context, size_t size) {
    weights *w = context;
    if (w->mode == READ) {
        w->scratch = size == w->size ? take(w->pool, size, SIZE_MAX) : NULL;
        return w->scratch;
    }
    w->size = size;
    w->measured = true;
    if (w->mode == MEASURE) {
        return NULL;
    }
    w->data = wai_pool_alloc(w->pool, size);
    return (void *)w->data;
}

static size_t look_up_or_insert(void *context, const struct xnn_weights_cache_look_up_key *key,
                                void *data, size_t size) {
    (void)context;
    (void)key;
    (void)data;
    (void)size;
    return 0;
}

static bool is_finalized(void *context) {
    (void)context;
    return true;
}

static void *offset_to_address(void *context, size_t offset) {
    /* Only ever read: XNNPACK's interface has no const here. */
    return (void *)(((weights *)context)->data + offset);
}

static enum xnn_status delete_cache(void *context) {
    (void)context;
    return xnn_status_success;
}

static void weights_init(weights *w, wai_pool *pool, mode mode) {
    memset(w, 0, sizeof *w);
    w->provider = (struct xnn_weights_cache_provider){
        w,           look_up, reserve_space, look_up_or_insert, is_finalized, offset_to_address,
        delete_cache};
    w->mode = mode;
    w->pool = pool;
}

/* ---- operators ---------------------------------------------------------- */

wai_status wai_xnn_check(enum xnn_status status, const wai_step *step, wai_diag *diag) {
    if (status == xnn_status_success) {
        return WAI_OK;
    }
    if (status == xnn_status_out_of_memory) {
        return wai_fail(diag, WAI_ERR_MEMORY, step->where, "no memory for the state of %s",
                        step->op->name);
    }
    return wai_fail(diag, WAI_ERR_INTERNAL, step->where, "XNNPACK refuses %s (status %d)",
                    step->op->name, (int)status);
}

/* convolution-nhwc.c answers success and gives no operator when there is no
 * memory for its zero buffer. */
static enum xnn_status create_checked(const wai_step *step, wai_xnn_create *create,
                                      const float *data, const float *bias,
                                      xnn_weights_cache_t cache, xnn_operator_t *out) {
    *out = NULL;
    enum xnn_status status = create(step, data, bias, cache, out);
    return status == xnn_status_success && *out == NULL ? xnn_status_out_of_memory : status;
}

wai_status wai_xnn_create_raw(const wai_step *step, wai_xnn_create *create, const float *data,
                              const float *bias, xnn_operator_t *out, wai_diag *diag) {
    return wai_xnn_check(create_checked(step, create, data, bias, NULL, out), step, diag);
}

wai_status wai_xnn_create_packed(const wai_step *step, wai_xnn_create *create, wai_pool *pool,
                                 const uint8_t *data, size_t size, xnn_operator_t *out,
                                 wai_diag *diag) {
    weights *w = wai_pool_alloc(pool, sizeof *w);
    if (w == NULL) {
        return wai_xnn_check(xnn_status_out_of_memory, step, diag);
    }
    /* Where XNNPACK packs in vain it reads raw weights; the packed ones are
     * never smaller, so it may read those. */
    const float *vain = (const float *)(const void *)data;
    weights_init(w, pool, MEASURE);
    enum xnn_status status = create_checked(step, create, vain, NULL, &w->provider, out);
    if (!w->measured) {
        return wai_xnn_check(status, step, diag);
    }
    if (w->size != size) {
        return wai_fail(diag, WAI_ERR_MALFORMED, step->where,
                        "%zu bytes of packed weights where the kernel reads %zu", size, w->size);
    }
    weights_init(w, pool, READ);
    w->data = data;
    w->size = size;
    status = create_checked(step, create, vain, NULL, &w->provider, out);
    give_back(pool, w->scratch);
    w->scratch = NULL;
    return wai_xnn_check(status, step, diag);
}

wai_status wai_xnn_pack_with(const wai_step *step, wai_xnn_create *create, const float *data,
                             const float *bias, wai_pool *pool, const uint8_t **packed,
                             size_t *size, wai_diag *diag) {
    weights w;
    weights_init(&w, pool, PACK);
    wai_status status = wai_xnn_begin(pool, diag);
    if (status != WAI_OK) {
        return status;
    }
    xnn_operator_t op = NULL;
    status = wai_xnn_check(create_checked(step, create, data, bias, &w.provider, &op), step, diag);
    if (status == WAI_OK) {
        (void)xnn_delete_operator(op);
        *packed = w.data;
        *size = w.size;
    }
    wai_xnn_end();
    return status;
}
