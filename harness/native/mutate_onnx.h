/*
 * mutate_onnx.h - a libFuzzer mutator that knows where protobuf has its lengths and
 * what the messages of onnx.proto hold: it changes, removes, doubles and moves whole
 * fields, so that what comes out still parses and reaches the code behind the reader.
 */
#ifndef WAI_MUTATE_ONNX_H
#define WAI_MUTATE_ONNX_H

#include <stddef.h>
#include <stdint.h>

/* Changes the model in data[0..size) in place; returns its new size, at most max_size. */
size_t mutate_onnx(uint8_t *data, size_t size, size_t max_size, unsigned seed);

/* A copy of `a` in out with some of `b`'s fields; returns its size, 0: it did not fit. */
size_t cross_onnx(const uint8_t *a, size_t a_size, const uint8_t *b, size_t b_size, uint8_t *out,
                  size_t max_size, unsigned seed);

#endif
