#include "onnx/names.h"

#include <string.h>

/* FNV-1a, 32 bits. */
static uint32_t hash(const char *name) {
    uint32_t h = 2166136261u;
    for (; *name != 0; name++) {
        h = (h ^ (uint8_t)*name) * 16777619u;
    }
    return h;
}

bool wai_names_init(wai_names *names, wai_arena *arena, size_t count) {
    uint32_t size = 16;
    while (size < (1u << 30) && size < count * 2) {
        size *= 2;
    }
    names->mask = size - 1;
    names->places = wai_arena_array(arena, size, sizeof *names->places);
    return names->places != NULL;
}

static wai_name *place(const wai_names *names, const char *name) {
    uint32_t i = hash(name) & names->mask;
    while (names->places[i].name != NULL && strcmp(names->places[i].name, name) != 0) {
        i = (i + 1) & names->mask;
    }
    return &names->places[i];
}

wai_name *wai_names_find(const wai_names *names, const char *name) {
    wai_name *found = place(names, name);
    return found->name != NULL ? found : NULL;
}

wai_name *wai_names_add(wai_names *names, const char *name, wai_value *value) {
    wai_name *free_place = place(names, name);
    free_place->name = name;
    free_place->value = value;
    return free_place;
}
