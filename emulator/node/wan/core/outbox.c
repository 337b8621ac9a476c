/* Records on their way to the keeper, as outbox.py: in batches, never waiting, losses counted. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "core.h"

/* A record is at most a head, a key and a datagram; before it there may be one of what was lost. */
enum { BATCH = 32 << 10, ROOM = BATCH + 65536 + 256, BATCHES = 128 };
#define PATIENCE (5 * MILLI)

struct __attribute__((packed)) lost_head {
    uint8_t what, cause, source, target;
    uint16_t addresses, payload;
    int64_t t, count;
};

static void close_batch(struct outbox *o)
{
    int at = (o->first + o->count) % BATCHES;
    o->full[at] = o->batch;
    o->sizes[at] = o->size;
    o->count++;
    o->batch = malloc(ROOM);
    o->size = 0;
}

static void put(struct outbox *o, const void *data, uint32_t size)
{
    if (size) memcpy(o->batch + o->size, data, size);
    o->size += size;
}

void outbox_add(struct outbox *o, const void *head, uint32_t head_size, const void *a,
                uint32_t a_size, const void *b, uint32_t b_size, int64_t now)
{
    if (!o->batch) o->batch = malloc(ROOM);
    if (o->count >= BATCHES || !o->batch) {
        o->lost++;
        o->unsaid++;
        return;
    }
    if (!o->size) o->begun = now;
    if (o->unsaid) {
        struct lost_head lost = {9, 0, 0, 0, 0, 0, now, o->unsaid};
        put(o, &lost, sizeof lost);
        o->unsaid = 0;
    }
    put(o, head, head_size);
    put(o, a, a_size);
    put(o, b, b_size);
    if (o->size >= BATCH) close_batch(o);
}

void outbox_flush(struct outbox *o, int64_t now)
{
    if (o->size && now - o->begun >= PATIENCE && o->count < BATCHES) close_batch(o);
    while (o->count) {
        ssize_t sent = send(o->fd, o->full[o->first], o->sizes[o->first], MSG_DONTWAIT | MSG_NOSIGNAL);
        if (sent < 0 && (errno == EAGAIN || errno == EINTR)) return;
        free(o->full[o->first]); /* also when the keeper is gone: the control socket tells */
        o->first = (o->first + 1) % BATCHES;
        o->count--;
    }
}
