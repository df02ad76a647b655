/*
 * Carrying outputs over to inputs. The plan knows nothing of it: it may have
 * put an input where any output lies, because during a run the input was dead
 * by the time that the output was written. Between two runs both count, so
 * this is a parallel move with overlaps.
 *
 * What the proof of the plan (plan/prove.h) gives:
 *   - inputs are all written at one time, by the caller, so no two overlap;
 *   - outputs all live to the end, so no two overlap, unless one is the other
 *     under another type (reshape): then they are the same place;
 *   - offsets are multiples of 64, and the slot of every value reaches past
 *     the next multiple of 64 behind its end. A value that lives at the same
 *     time begins there or later, so a value owns whole blocks of 64 bytes.
 * Hence wai_moves_run may work on blocks. Everything else in the arena is dead
 * between runs: nobody misses what an input is written over, except moves that
 * have still to read it.
 */
#include "runtime/carry.h"

#include <string.h>

#include "base/limits.h"
#include "tensor/type.h"

#define BLOCK WAI_ALIGN

static size_t block_count(size_t size) {
    return size / BLOCK + (size % BLOCK != 0);
}

size_t wai_move_marks(size_t size) {
    return block_count(size) / 8 + 1;
}

/* ---- moves ---- */

static bool overlaps(const uint8_t *a, size_t a_size, const uint8_t *b, size_t b_size) {
    uintptr_t x = (uintptr_t)a;
    uintptr_t y = (uintptr_t)b;
    return x < y ? y - x < a_size : x - y < b_size;
}

/* Does a move other than `index` still have to read where it writes? */
static bool is_awaited(const wai_move *moves, uint32_t count, uint32_t index) {
    for (uint32_t i = 0; i < count; i++) {
        if (i != index &&
            overlaps(moves[index].to, moves[index].size, moves[i].from, moves[i].size)) {
            return true;
        }
    }
    return false;
}

/* Those that overwrite nothing that another one reads, until none is left or
 * each waits for another. Returns how many are left, in front. */
static uint32_t move_free_ones(wai_move *moves, uint32_t count) {
    for (bool progress = true; progress;) {
        progress = false;
        for (uint32_t i = 0; i < count;) {
            if (is_awaited(moves, count, i)) {
                i++;
                continue;
            }
            memmove(moves[i].to, moves[i].from, moves[i].size);
            moves[i] = moves[--count];
            progress = true;
        }
    }
    return count;
}

/* The block that is to receive what is at `block`, or NULL. */
static uint8_t *receiver(const wai_move *moves, uint32_t count, const uint8_t *block) {
    for (uint32_t i = 0; i < count; i++) {
        size_t at = (size_t)((uintptr_t)block - (uintptr_t)moves[i].from);
        if (at < moves[i].size) {
            return moves[i].to + at;
        }
    }
    return NULL;
}

/* The number of the move that writes to `block`, or `count`. */
static uint32_t writer(const wai_move *moves, uint32_t count, const uint8_t *block) {
    uint32_t i = 0;
    while (i < count && (uintptr_t)block - (uintptr_t)moves[i].to >= moves[i].size) {
        i++;
    }
    return i;
}

static size_t first_mark(const wai_move *moves, uint32_t index) {
    size_t mark = 0;
    for (uint32_t i = 0; i < index; i++) {
        mark += 8 * wai_move_marks(moves[i].size);
    }
    return mark;
}

/*
 * Each block is read by one move at most (equal sources were put aside) and
 * written by one at most: blocks form chains and circles. A chain is written
 * from the end that nobody reads; a circle from anywhere, with its first
 * block put aside.
 */
static void move_chain(const wai_move *moves, uint32_t count, uint8_t *block, uint8_t *marks) {
    uint8_t aside[BLOCK];
    uint8_t *start = block;
    for (uint8_t *next; (next = receiver(moves, count, start)) != NULL && next != block;) {
        start = next;
    }
    memcpy(aside, start, BLOCK);
    for (uint8_t *to = start;;) {
        uint32_t move = writer(moves, count, to);
        if (move == count) {
            return; /* a chain's last source: nobody writes there */
        }
        size_t at = (size_t)(to - moves[move].to);
        size_t mark = first_mark(moves, move) + at / BLOCK;
        marks[mark / 8] |= (uint8_t)(1u << mark % 8);
        uint8_t *from = (uint8_t *)(uintptr_t)moves[move].from + at;
        memcpy(to, from != start ? from : aside, BLOCK);
        if (from == start) {
            return;
        }
        to = from;
    }
}

static void move_circles(const wai_move *moves, uint32_t count, uint8_t *marks) {
    memset(marks, 0, first_mark(moves, count) / 8);
    for (uint32_t i = 0; i < count; i++) {
        size_t mark = first_mark(moves, i);
        for (size_t at = 0; at < moves[i].size; at += BLOCK, mark++) {
            if ((marks[mark / 8] >> mark % 8 & 1) == 0) {
                move_chain(moves, count, moves[i].to + at, marks);
            }
        }
    }
}

/* One output may go to several inputs: the first copy is a move, the others are
 * made from it at last, when nothing is left that could be overwritten. They go
 * behind the moves. Returns the number of moves. */
static uint32_t put_copies_last(wai_move *moves, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        for (uint32_t k = i + 1; k < count;) {
            if (moves[k].from != moves[i].from) {
                k++;
                continue;
            }
            wai_move copy = {moves[k].to, moves[i].to, moves[k].size};
            moves[k] = moves[--count];
            moves[count] = copy;
        }
    }
    return count;
}

void wai_moves_run(wai_move *moves, uint32_t count, uint8_t *marks) {
    uint32_t kept = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (moves[i].size != 0) {
            moves[kept++] = moves[i];
        }
    }
    uint32_t distinct = put_copies_last(moves, kept);
    uint32_t left = move_free_ones(moves, distinct);
    if (left != 0) {
        move_circles(moves, left, marks);
    }
    for (uint32_t i = distinct; i < kept; i++) {
        memcpy(moves[i].to, moves[i].from, moves[i].size);
    }
}

/* ---- sessions ---- */

/* Whether input `index` takes the dims that the output has now. */
static bool fits(const wai_session *session, uint32_t index, const wai_tensor *input,
                 const wai_tensor *output) {
    wai_axis axes[WAI_MAX_RANK];
    bool fit = input->dtype == output->dtype && input->rank == output->rank &&
               wai_session_axes(session, index, axes) == WAI_OK;
    for (uint32_t i = 0; fit && i < input->rank; i++) {
        fit = output->dims[i] >= axes[i].min && output->dims[i] <= axes[i].max;
    }
    return fit;
}

static bool has_output_like(const wai_session *session, const wai_tensor *input) {
    wai_tensor output;
    for (uint32_t i = 0; i < wai_session_output_count(session); i++) {
        if (wai_session_output(session, i, &output) == WAI_OK && output.dtype == input->dtype &&
            output.rank == input->rank) {
            return true;
        }
    }
    return false;
}

wai_status wai_carrier_open(wai_session *session, wai_pool *pool, wai_diag *diag) {
    size_t size = 0;
    wai_tensor input;
    for (uint32_t i = 0; i < wai_session_input_count(session); i++) {
        if (wai_session_input(session, i, &input) == WAI_OK && has_output_like(session, &input)) {
            size += wai_move_marks(input.size);
        }
    }
    wai_carrier *carrier = wai_session_carrier(session);
    carrier->marks = size != 0 ? wai_pool_alloc(pool, size) : NULL;
    return size == 0 || carrier->marks != NULL
               ? WAI_OK
               : wai_fail(diag, WAI_ERR_MEMORY, "session", "no memory for %zu bytes", size);
}

static wai_status make_move(wai_move *move, const wai_session *session, uint32_t to, uint32_t from,
                            wai_diag *diag) {
    wai_tensor input;
    wai_tensor output;
    wai_status status = wai_session_input(session, to, &input);
    if (status == WAI_ERR_STATE) {
        return wai_fail(diag, status, "session", "an earlier run failed: close the session");
    }
    if (wai_session_output(session, from, &output) != WAI_OK) {
        return wai_fail(diag, WAI_ERR_ARGUMENT, input.name, "there is no output %u to carry here",
                        from);
    }
    if (!fits(session, to, &input, &output)) {
        return wai_fail(diag, WAI_ERR_ARGUMENT, input.name,
                        "output \"%s\" has another type or other dims: it cannot be carried here",
                        output.name);
    }
    *move = (wai_move){input.data, output.data, output.size};
    return WAI_OK;
}

wai_status wai_session_carry(wai_session *session, const uint32_t *from, wai_diag *diag) {
    wai_diag_clear(diag);
    wai_move moves[WAI_MAX_IO];
    uint32_t count = 0;
    wai_carrier *carrier = wai_session_carrier(session);
    for (uint32_t i = 0; i < wai_session_input_count(session); i++) {
        if (from[i] == WAI_NO_OUTPUT) {
            continue;
        }
        wai_status status = make_move(&moves[count++], session, i, from[i], diag);
        if (status != WAI_OK) {
            return status;
        }
    }
    if (count != 0 && !carrier->filled) {
        return wai_fail(diag, WAI_ERR_STATE, "session", "there are no outputs: run first");
    }
    carrier->filled = false;
    wai_moves_run(moves, count, carrier->marks);
    for (uint32_t i = 0; i < wai_session_input_count(session); i++) {
        wai_tensor output;
        if (from[i] != WAI_NO_OUTPUT && wai_session_output(session, from[i], &output) == WAI_OK) {
            carrier->kept[i / 32] |= 1u << i % 32;
            wai_session_resize(session, i, output.dims, diag); /* cannot fail: it fits */
        }
    }
    return WAI_OK;
}
