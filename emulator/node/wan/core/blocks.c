/* Captured records as pcapng's packet blocks, for `tap.py`: 200,000 a second are too many for
 * Python. Only of frames that are one segment and were not dropped; at any other record it stops,
 * and Python takes that one. */
#include <string.h>

#include "core.h"

enum { HEADER = 48, PACKET = 6, LONGEST = 1 << 17 };

struct record { /* as capture.py's HEADER */
    uint32_t size, seq;
    int64_t t, first, last;
    uint16_t number, segments, dropped, cause;
    uint32_t original, captured;
};

struct block { /* an Enhanced Packet Block's head */
    uint32_t kind, size, interface, high, low, captured, original;
};

struct wish { /* what a reader wants; and, behind it, how far this has come */
    int64_t offset;  /* from the lab's clock to ns since 1970 */
    int64_t until;   /* ns of the lab's clock; later ones are not wanted */
    int64_t snap, site;
    int64_t next, lost;      /* number of the record that comes next, -1: any; how many are missing */
    int64_t consumed, packets;
};

static uint32_t sum_of(const uint8_t *data, uint32_t size)
{
    uint32_t sum = 0;
    for (uint32_t i = 0; i + 1 < size; i += 2) sum += data[i] << 8 | data[i + 1];
    if (size & 1) sum += data[size - 1] << 8;
    while (sum >> 16) sum = (sum & 0xFFFF) + (sum >> 16);
    return sum;
}

/* The checksum that the sender left to its hardware; only of a frame that is here whole. */
static void complete(const uint8_t *vnet, uint8_t *frame, uint32_t size)
{
    uint16_t start, offset;
    memcpy(&start, vnet + 6, 2);
    memcpy(&offset, vnet + 8, 2);
    if (!(vnet[0] & 1) || (uint32_t)start + offset + 2 > size) return;
    uint32_t sum = sum_of(frame + start, size - start) ^ 0xFFFF;
    if (!sum && offset == 6) sum = 0xFFFF; /* of UDP, 0 would say that there is none */
    frame[start + offset] = sum >> 8;
    frame[start + offset + 1] = sum & 0xFF;
}

/* Blocks into `out`; how many bytes. `interfaces`: by path, -1: not wanted. */
int core_blocks(const uint8_t *data, int size, const int32_t *interfaces, int64_t *received,
                struct wish *w, uint8_t *out, int room)
{
    int at = 0, put = 0;
    while (at + HEADER + VNET <= size) {
        struct record r;
        memcpy(&r, data + at, HEADER);
        if (r.seq == 0xFFFFFFFF || r.size % 8 || r.size < HEADER + VNET || r.size > LONGEST
            || r.captured > r.size - HEADER - VNET || at + (int)r.size > size
            || r.segments != 1 || r.dropped || r.t >= w->until)
            break;
        uint32_t kept = r.captured < w->snap ? r.captured : (uint32_t)w->snap;
        uint32_t padded = (kept + 3) & ~3u, options = w->site ? 12 : 0;
        uint32_t whole = sizeof(struct block) + padded + options + 4;
        if (put + (int)whole > room) break;
        if (w->next >= 0) w->lost += (r.seq + 0xFFFFFFFFLL - w->next) % 0xFFFFFFFFLL;
        w->next = (r.seq + 1) % 0xFFFFFFFFLL;
        at += r.size;
        if (interfaces[r.number] < 0) continue;
        const uint8_t *vnet = data + at - r.size + HEADER;
        int64_t t = r.t + w->offset;
        struct block block = {PACKET, whole, interfaces[r.number], t >> 32, (uint32_t)t, kept, r.original};
        memcpy(out + put, &block, sizeof block);
        uint8_t *frame = out + put + sizeof block;
        memcpy(frame, vnet + VNET, kept);
        memset(frame + kept, 0, padded - kept);
        if (kept == r.original) complete(vnet, frame, kept);
        if (options) {
            uint16_t flags[2] = {2, 4};
            uint32_t told[2] = {r.number / SITES == w->site ? 2 : 1, 0};
            memcpy(frame + padded, flags, 4);
            memcpy(frame + padded + 4, told, 8);
        }
        memcpy(frame + padded + options, &whole, 4);
        put += whole;
        w->packets++;
        received[r.number]++;
    }
    w->consumed = at;
    return put;
}
