/* Dinic's algorithm: shortest augmenting paths, level by level, without
 * recursion. Source: Y. Dinitz, "Algorithm for solution of a problem of maximum
 * flow in networks with power estimation", 1970. */
#include "passes/cut.h"

#include <string.h>

#define NONE UINT32_MAX

/* Edge visits before giving up: some seconds. Real nets need a few thousand. */
#define MAX_WORK 400000000u

void wai_cut_init(wai_cut *cut, wai_arena *arena, uint32_t vertex_capacity) {
    memset(cut, 0, sizeof *cut);
    vertex_capacity += 2;
    cut->arena = arena;
    cut->vertex_capacity = vertex_capacity;
    cut->first = wai_arena_array(arena, vertex_capacity, sizeof *cut->first);
    cut->level = wai_arena_array(arena, vertex_capacity, sizeof *cut->level);
    cut->at = wai_arena_array(arena, vertex_capacity, sizeof *cut->at);
    cut->queue = wai_arena_array(arena, vertex_capacity, sizeof *cut->queue);
    cut->path = wai_arena_array(arena, vertex_capacity, sizeof *cut->path);
    cut->failed = cut->first == NULL || cut->level == NULL || cut->at == NULL ||
                  cut->queue == NULL || cut->path == NULL;
    wai_cut_vertex(cut);
    wai_cut_vertex(cut);
}

uint32_t wai_cut_vertex(wai_cut *cut) {
    if (cut->failed || cut->vertex_count == cut->vertex_capacity) {
        cut->failed = true;
        return 0;
    }
    cut->first[cut->vertex_count] = NONE;
    return cut->vertex_count++;
}

static bool make_room(wai_cut *cut) {
    if (cut->edge_count + 2 <= cut->edge_capacity) {
        return true;
    }
    uint32_t capacity = cut->edge_capacity != 0 ? 2 * cut->edge_capacity : 256;
    wai_cut_edge *edges = wai_arena_array(cut->arena, capacity, sizeof *edges);
    if (edges == NULL) {
        return false;
    }
    if (cut->edge_count != 0) {
        memcpy(edges, cut->edges, cut->edge_count * sizeof *edges);
    }
    cut->edges = edges;
    cut->edge_capacity = capacity;
    return true;
}

void wai_cut_edge_add(wai_cut *cut, uint32_t from, uint32_t to, uint64_t cost) {
    if (cut->failed || from == to || cost == 0) {
        return;
    }
    if (!make_room(cut)) {
        cut->failed = true;
        return;
    }
    uint32_t edge = cut->edge_count;
    cut->edges[edge] = (wai_cut_edge){to, cut->first[from], cost};
    cut->edges[edge + 1] = (wai_cut_edge){from, cut->first[to], 0};
    cut->first[from] = edge;
    cut->first[to] = edge + 1;
    cut->edge_count += 2;
}

/* Distances from `start` along edges with room, or, backwards, to it. */
static bool measure(wai_cut *cut, uint32_t start, uint32_t wanted, bool backwards, uint64_t *work) {
    for (uint32_t v = 0; v < cut->vertex_count; v++) {
        cut->level[v] = NONE;
    }
    uint32_t head = 0;
    uint32_t tail = 0;
    cut->level[start] = 0;
    cut->queue[tail++] = start;
    while (head < tail) {
        uint32_t v = cut->queue[head++];
        for (uint32_t e = cut->first[v]; e != NONE; e = cut->edges[e].next, ++*work) {
            uint32_t to = cut->edges[e].to;
            uint64_t room = cut->edges[backwards ? e ^ 1 : e].room;
            if (room != 0 && cut->level[to] == NONE) {
                cut->level[to] = cut->level[v] + 1;
                cut->queue[tail++] = to;
            }
        }
    }
    return cut->level[wanted] != NONE;
}

/* Send what fits along path[0..length); returns the length up to the first
 * edge that is full now. */
static uint32_t send(wai_cut *cut, uint32_t length) {
    uint64_t flow = UINT64_MAX;
    for (uint32_t i = 0; i < length; i++) {
        uint64_t room = cut->edges[cut->path[i]].room;
        flow = room < flow ? room : flow;
    }
    uint32_t kept = length;
    for (uint32_t i = length; i-- > 0;) {
        cut->edges[cut->path[i]].room -= flow;
        cut->edges[cut->path[i] ^ 1].room += flow;
        if (cut->edges[cut->path[i]].room == 0) {
            kept = i;
        }
    }
    return kept;
}

/* A blocking flow: no path of rising levels is left. */
static void block(wai_cut *cut, uint64_t *work) {
    memcpy(cut->at, cut->first, cut->vertex_count * sizeof *cut->at);
    uint32_t length = 0;
    uint32_t v = WAI_CUT_SOURCE;
    while (*work < MAX_WORK) {
        if (v == WAI_CUT_SINK) {
            *work += length;
            length = send(cut, length);
            v = length != 0 ? cut->edges[cut->path[length - 1]].to : WAI_CUT_SOURCE;
            continue;
        }
        uint32_t e = cut->at[v];
        for (; e != NONE; e = cut->edges[e].next, ++*work) {
            if (cut->edges[e].room != 0 && cut->level[cut->edges[e].to] == cut->level[v] + 1) {
                break;
            }
        }
        cut->at[v] = e;
        if (e != NONE) {
            cut->path[length++] = e;
            v = cut->edges[e].to;
        } else if (length != 0) {
            cut->level[v] = NONE; /* a dead end */
            length--;
            v = cut->edges[cut->path[length] ^ 1].to;
        } else {
            return;
        }
    }
}

bool wai_cut_solve(wai_cut *cut) {
    uint64_t work = 0;
    while (!cut->failed && measure(cut, WAI_CUT_SOURCE, WAI_CUT_SINK, false, &work)) {
        if (work >= MAX_WORK) {
            return false;
        }
        block(cut, &work);
    }
    if (cut->failed) {
        return false;
    }
    measure(cut, WAI_CUT_SINK, WAI_CUT_SINK, true, &work);
    return true;
}

bool wai_cut_is_sink(const wai_cut *cut, uint32_t vertex) {
    return cut->level[vertex] != NONE;
}
