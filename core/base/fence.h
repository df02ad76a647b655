/*
 * fence.h - guard words: bytes that nobody may write, filled with a pattern and
 * looked at later. ("Guard" is the condition of a step here, hence the name.)
 *
 * The pattern repeats a key of eight bytes by address, so fences that overlap
 * agree. A key that the writer cannot know makes a wrong write show up with all
 * but 1 in 256 per byte; 0 is no key: the same as no fences.
 */
#ifndef WAI_FENCE_H
#define WAI_FENCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The given number with no byte of it 0: what overruns write most. */
uint64_t wai_fence_key(uint64_t number);

void wai_fence_arm(uint64_t key, void *from, size_t size);

bool wai_fence_holds(uint64_t key, const void *from, size_t size);

#endif
