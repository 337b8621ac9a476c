/* Copies of frames for those who look, in the ring that capture.py describes. */
#include <string.h>

#include "core.h"

enum { HEADER = 48, WANTED = 64, START = 8192 };
#define RING ((uint64_t)32 << 20)

struct ring {
    uint64_t until, written, snap;
};

struct record {
    uint32_t size, seq;
    int64_t t, first, last;
    uint16_t number, segments, dropped, cause;
    uint32_t original, captured;
};

int capture_wants(const struct core *c, int number, int64_t now)
{
    const struct ring *ring = (const struct ring *)c->capture;
    if (!ring || (int64_t)__atomic_load_n(&ring->until, __ATOMIC_RELAXED) < now) return 0;
    return c->capture[WANTED + number];
}

void capture_add(struct core *c, int number, const uint8_t *data, int size, int64_t t,
                 const struct fates *fates)
{
    struct ring *ring = (struct ring *)c->capture;
    uint32_t original = size - VNET;
    uint32_t kept = original < ring->snap ? original : (uint32_t)ring->snap;
    uint32_t whole = (HEADER + VNET + kept + 7) & ~7u;
    uint64_t written = ring->written, at = written % RING;
    if (at + whole > RING) {
        uint32_t filler[2] = {(uint32_t)(RING - at), 0xFFFFFFFF};
        memcpy(c->capture + START + at, filler, sizeof filler);
        written += RING - at;
        at = 0;
    }
    struct record record = {whole, c->capture_seq, t, fates->first, fates->last, number,
                            fates->segments, fates->dropped, -fates->cause, original, kept};
    c->capture_seq = (c->capture_seq + 1) % 0xFFFFFFFF;
    memcpy(c->capture + START + at, &record, HEADER);
    memcpy(c->capture + START + at + HEADER, data, VNET + kept);
    __atomic_store_n(&ring->written, written + whole, __ATOMIC_RELEASE);
}
