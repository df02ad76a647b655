/*
 * format.h - the bytes of a package (.wai), as a specification.
 *
 * All numbers are little-endian; unnamed bytes are zero and refused otherwise.
 * The file is: head, sections in the order of their kinds, each starting at a
 * multiple of 64, zero bytes between. The head is all before the first section:
 * header, section table, zero bytes up to where the rest makes its size a
 * multiple of 64, chunk table, digest.
 *
 *   0    u8[4]   "WAI" 0x1a
 *   4    u32     format version (WAI_FORMAT_VERSION)
 *   8    u32     layout of packed weights (runtime/xnn.h, wai_xnn_layout)
 *   12   u32     flags, 0
 *   16   u64     package size in bytes
 *   24   u64     arena size in bytes
 *   32   u64     operator state in bytes, measured on wasm32
 *   40   u64     peak linear memory in bytes, the runtime included
 *   48   u64     weights of the source model, elements
 *   56   u64     floating-point operations of one inference
 *   64   u32     step count
 *   68   u32     section count (7)
 *   72   u8[48]  SHA-384 of the source ONNX file
 *   120  u64     fuel of one inference on the metered runtime that was built
 *                with the compiler, 0: not stated
 *   128  section table: per section u32 kind, u32 zero, u64 offset, u64 size
 *   then of the head, from its end:
 *   -48n-48  chunk table: SHA-384 of each of the n chunks, which are what
 *            follows the head, cut every WAI_FORMAT_CHUNK_SIZE bytes
 *   -48      SHA-384 of the head before it: the one digest that everything
 *            hangs on, which `build` pins and a signature names
 *
 * Sections:
 *   1 strings  NUL-terminated printable ASCII or UTF-8, one after another
 *   2 values   12 words each: dtype, rank, dims[8] (unused ones 0),
 *              storage (1 constant, 2 arena, 3 constant as f16), offset in
 *              bytes, a multiple of 64, in the data section or the arena.
 *              Reserved there: wai_slot_size(size of the tensor, or half of
 *              it). As f16: every four bytes of the tensor are an f32 that
 *              was made an f16 without loss; f32 and u8 (packed weights) only
 *   3 steps    words, in the order of execution: operator id (ops.def), name
 *              (offset in strings), input count, output count, inputs (value
 *              index, or WAI_FORMAT_ABSENT), outputs (value index), word count
 *              of params, params (the operator's struct, see ops/emit.h)
 *   4 io       words: input count, output count, then for each input and
 *              output: name (offset in strings), value index
 *   5 data     constants and packed weights
 *   6 dynamic  words, six lists, each with its count in front; the first five
 *              empty when every dim is a number:
 *              symbols: name (offset in strings), smallest, largest value
 *              axes: input, axis, symbol; ascending, no axis twice
 *              formulas: see tensor/formula.h, over value indices
 *              uses: step, word of its params, formula, formula that it is to
 *                be divided by as f32 (or WAI_FORMAT_ABSENT); steps ascending
 *              reserves: value, bytes, for values that can be larger than at
 *                the largest dims
 *              guards: step, value: one bool, that is a constant, an input or
 *                written by an earlier step; the step runs only when it is not
 *                0, else its outputs keep what bytes are there. Steps ascending,
 *                none twice
 *   7 golden   words: version of this section (1), seed, count of cases (at
 *              most WAI_GOLDEN_CASES). With cases, each: fill, the dims of
 *              every input, then for every output its dims and 48 bytes, its
 *              digest in that run. Without: why, printable text. The rest is 0
 *
 * Golden outputs. Inputs by fill: 1 zeros, 2 ones, and 0: element i of input k
 * (all counted from 0) is made from the word mix(mix(seed + mix(k + 1)) + i),
 * all modulo 2^32, where mix(x) is
 *     x ^= x >> 16; x *= 0x7feb352d; x ^= x >> 15; x *= 0x846ca68b; x ^= x >> 16
 * and n is the upper b bits of the word:
 *     f32, f64 b = 16; f16 b = 11; bf16 b = 8; float8 b = 3: n / 2^(b-1) - 1
 *     i8, u8, i16, u16, i4, u4    b = their width: the n of that many bits
 *     i32, u32, i64, u64, bool    b = 1: valid as indices and ids as well
 * so that no input is rounded. "One" in i4 is 1, in a float8 1.0. The digest of
 * a tensor is the SHA-384 of "wasm-ai tensor 1\n", its dtype as the loader
 * names it, a space, its dims in decimal with commas between, "\n", and its
 * elements, little-endian (bool and 4 bits in a byte each).
 *
 * With symbols, values have their types at the largest dims, and params their
 * words.
 *
 * Values are single-assignment: each is a constant, a graph input, or an
 * output of exactly one step.
 */
#ifndef WAI_FORMAT_H
#define WAI_FORMAT_H

#define WAI_FORMAT_MAGIC       "WAI\x1a"
#define WAI_FORMAT_VERSION     3u
#define WAI_FORMAT_HEADER_SIZE 128u
#define WAI_FORMAT_ENTRY_SIZE  24u
#define WAI_FORMAT_DIGEST_SIZE 48u
#define WAI_FORMAT_CHUNK_SIZE  262144u
#define WAI_FORMAT_ABSENT      0xffffffffu
#define WAI_FORMAT_VALUE_WORDS 12u

enum {
    WAI_SECTION_STRINGS = 1,
    WAI_SECTION_VALUES,
    WAI_SECTION_STEPS,
    WAI_SECTION_IO,
    WAI_SECTION_DATA,
    WAI_SECTION_DYNAMIC,
    WAI_SECTION_GOLDEN
};
#define WAI_SECTION_COUNT 7u

#define WAI_GOLDEN_VERSION   1u
#define WAI_GOLDEN_CASES     3u /* largest dims, smallest, and between      */
#define WAI_GOLDEN_FILLS     3u
#define WAI_GOLDEN_HEADER    12u  /* bytes before cases or text             */
#define WAI_GOLDEN_TEXT_SIZE 128u /* room for the reason, its NUL included  */

enum { WAI_STORAGE_CONSTANT = 1, WAI_STORAGE_ARENA = 2, WAI_STORAGE_HALF = 3 };

#endif
