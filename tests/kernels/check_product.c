/*
 * product against a dull loop, bit by bit: a sum in its order, over shapes that cross chunks of
 * inputs, shares of rows and the last columns; infinite, NaN and signed zero among the numbers.
 * That XNNPACK gives the same bits is check_conv's.
 *
 *   check_product [rounds] [seed]
 */
#include "check.h"

#include <math.h>

#include "ops/product.h"

static float *random_floats(size_t count) {
    static const float strange[] = {NAN, INFINITY, -INFINITY, -0.0f, 1e-40f, 3e38f};
    float *data = buffer(count * sizeof(float));
    for (size_t i = 0; i < count; i++) {
        data[i] = next(4000) == 0 ? strange[next(6)] : (float)next(2001) / 1000.0f - 1.0f;
    }
    return data;
}

/* As the runtime documents it: a ReLU keeps a NaN, other bounds make it the lower one. */
static float clamped(float y, float min, float max) {
    if (min == 0 && max == INFINITY) {
        return y <= 0 ? 0 : y;
    }
    if (min != -INFINITY || max != INFINITY) {
        y = min < y ? y : min;
        y = y < max ? y : max;
    }
    return y;
}

static float reference(const wai_product *p, size_t row, size_t column) {
    const float *tile = p->weights + column / 8 * 8 * (1 + p->depth) + column % 8;
    const float *x = p->x + row * p->depth;
    float sum = tile[0];
    for (size_t k = 0; k < p->depth; k++) {
        const float product = x[k] * tile[8 * (k + 1)];
        sum = sum + product;
    }
    return clamped(sum, p->min, p->max);
}

static void check_random(void) {
    static const float lows[] = {-INFINITY, 0, -0.5f, -INFINITY};
    static const float highs[] = {INFINITY, INFINITY, 0.75f, 0.25f};
    const uint32_t range = next(4), deep = next(6) == 0, tall = next(6) == 0;
    wai_product p = {.rows = next(4) == 0 ? 1 : next(tall ? 400 : 20),
                     .depth = 1 + next(deep ? 900 : 40),
                     .columns = 1 + next(90),
                     .min = lows[range],
                     .max = highs[range]};
    const size_t size = wai_product_weights_size(p.depth, p.columns);
    float *x = random_floats(p.rows * p.depth), *weights = random_floats(size / sizeof(float));
    float *y = buffer(p.rows * p.columns * sizeof(float));
    p.x = x, p.weights = weights, p.y = y;
    wai_product_run(&p, NULL);
    for (size_t i = 0; i < p.rows * p.columns; i++) {
        const float wanted = reference(&p, i / p.columns, i % p.columns);
        compared++;
        if (memcmp(&y[i], &wanted, sizeof wanted) != 0 && !(isnan(y[i]) && isnan(wanted)) &&
            failures++ < 20) {
            printf("FAIL %zux%zu times %zu, %g to %g: [%zu] is %.9g, expected %.9g\n", p.rows,
                   p.depth, p.columns, (double)p.min, (double)p.max, i, (double)y[i],
                   (double)wanted);
            break;
        }
    }
    for (size_t i = 0; i < WAI_SPARE_SIZE; i++) {
        failures += ((const uint8_t *)(y + p.rows * p.columns))[i] != POISON;
    }
    free(x), free(weights), free(y);
}

int main(int argc, char **argv) {
    const unsigned rounds = start(argc, argv, 300);
    for (unsigned i = 0; i < rounds; i++) {
        check_random();
    }
    return finish();
}
