/* What waits on all paths: a FIFO a lane, under one heap of the lanes' first due times. */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core.h"

int64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * SECOND + t.tv_nsec;
}

struct frame *frame_of(struct core *c, const uint8_t *data, uint32_t size)
{
    struct frame *frame = NULL;
    uint32_t capacity = size;
    if (size > SMALL) {
        capacity = LARGEST;
        frame = c->spare;
        if (frame) c->spare = frame->next;
    }
    if (!frame) frame = malloc(sizeof *frame + capacity);
    if (!frame) return NULL;
    frame->capacity = capacity;
    frame->size = size;
    if (data) memcpy(frame->data, data, size);
    return frame;
}

void release(struct core *c, struct frame *frame)
{
    if (frame->capacity == LARGEST) {
        frame->next = c->spare;
        c->spare = frame;
    } else
        free(frame);
}

static int is_before(const struct core *c, int a, int b)
{
    if (c->heap_due[a] != c->heap_due[b]) return c->heap_due[a] < c->heap_due[b];
    return c->heap_lane[a] < c->heap_lane[b];
}

static void swap(struct core *c, int a, int b)
{
    int64_t due = c->heap_due[a];
    int32_t lane = c->heap_lane[a];
    c->heap_due[a] = c->heap_due[b];
    c->heap_lane[a] = c->heap_lane[b];
    c->heap_due[b] = due;
    c->heap_lane[b] = lane;
}

static void sink(struct core *c)
{
    for (int at = 0;;) {
        int child = 2 * at + 1;
        if (child >= c->waiting) return;
        if (child + 1 < c->waiting && is_before(c, child + 1, child)) child++;
        if (is_before(c, at, child)) return;
        swap(c, at, child);
        at = child;
    }
}

/* Takes the frame over. When it is due: never before one that entered its lane earlier. */
int64_t hold(struct core *c, int lane, int64_t due, struct frame *frame)
{
    struct lane *l = &c->lanes[lane];
    int64_t cost = sizeof *frame + frame->capacity;
    if (c->held + cost > c->limit) {
        release(c, frame);
        return FATE_OVERLOAD;
    }
    c->held += cost;
    if (due < l->due) due = l->due;
    l->due = frame->due = due;
    frame->next = NULL;
    if (l->first) {
        l->last->next = frame;
    } else {
        l->first = frame;
        int at = c->waiting++;
        c->heap_due[at] = due;
        c->heap_lane[at] = lane;
        for (int up; at && is_before(c, at, up = (at - 1) / 2); at = up) swap(c, at, up);
    }
    l->last = frame;
    return due;
}

/* The frame that is due first. Ask only while some lane waits. */
struct frame *pop(struct core *c, int *lane)
{
    *lane = c->heap_lane[0];
    struct lane *l = &c->lanes[*lane];
    struct frame *frame = l->first;
    l->first = frame->next;
    if (l->first) {
        c->heap_due[0] = l->first->due;
    } else {
        c->waiting--;
        c->heap_due[0] = c->heap_due[c->waiting];
        c->heap_lane[0] = c->heap_lane[c->waiting];
    }
    sink(c);
    c->held -= (int64_t)(sizeof *frame + frame->capacity);
    return frame;
}
