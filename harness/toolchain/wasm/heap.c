/* What malloc asks of its host, without a host: the compiler's wasm grows its own memory.
 * Emscripten's version would import a function to tell JS about it. */
#include <stddef.h>
#include <stdint.h>

#define PAGE 65536u

size_t emscripten_get_heap_size(void);
int emscripten_resize_heap(size_t wanted);
void emscripten_notify_memory_growth(size_t index);

size_t emscripten_get_heap_size(void) {
    return (size_t)__builtin_wasm_memory_size(0) * PAGE;
}

int emscripten_resize_heap(size_t wanted) {
    const size_t have = __builtin_wasm_memory_size(0);
    const size_t need = wanted / PAGE + (wanted % PAGE != 0);
    if (need <= have)
        return 1;
    /* A quarter more than asked, so that a big model does not grow page by page. */
    const size_t generous = need + need / 4;
    if (generous <= 65536u && __builtin_wasm_memory_grow(0, generous - have) != SIZE_MAX)
        return 1;
    return __builtin_wasm_memory_grow(0, need - have) != SIZE_MAX;
}

void emscripten_notify_memory_growth(size_t index) {
    (void)index;
}
