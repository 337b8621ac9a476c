/* Which frames tell something, and what each direction of a flow has come to: flows.py in C. */
#include <stdlib.h>
#include <string.h>

#include "core.h"

enum { SYN, SYNACK, FIN, RST, DATA, AGAIN, SYN_AGAIN, SYNACK_AGAIN, DNS, LOST, QUESTION,
       RST_STRANGER, FLOW };
enum { F_FIN = 1, F_SYN = 2, F_RST = 4, F_ACK = 16, TCP = 6, UDP = 17 };
enum { LIMIT = 1 << 16, HEADS = 1 << 17, ASIDE = 1 << 13, NONE = -1 };
#define TELL (5 * SECOND)
#define IDLE SECOND

struct __attribute__((packed)) head {
    uint8_t what, cause, source, target;
    uint16_t addresses, payload;
    int64_t t, out;
};

struct __attribute__((packed)) told {
    uint8_t protocol, ended;
    uint16_t unused;
    uint32_t again;
    int64_t began, first, last, seen;
    uint64_t segments, bytes;
    int64_t silence;
};

static uint32_t be16(const uint8_t *p) { return p[0] << 8 | p[1]; }
static uint32_t be32(const uint8_t *p) { return (uint32_t)be16(p) << 16 | be16(p + 2); }

static uint16_t native16(const uint8_t *p)
{
    uint16_t value;
    memcpy(&value, p, 2);
    return value;
}

/* Whether the IP header at `ip` ends where the transport begins, and is what the kind of GSO says. */
static int is_whole_ip(const uint8_t *data, int ip, int transport, int kind)
{
    uint32_t type = be16(data + ip - 2);
    int version = data[ip] >> 4, words = data[ip] & 15;
    if (type == 0x0800 && version == 4)
        return kind != 4 && words >= 5 && transport == ip + 4 * words;
    if (type == 0x86DD && version == 6)
        return kind != 1 && transport >= ip + 40 && (transport - ip) % 8 == 0;
    return 0;
}

struct shape shape_of(const uint8_t *data, int size)
{
    struct shape one = {0, size, 0, 1};
    int kind = data[1] & 0x7F, is_udp = kind == 5, ip = IP;
    if ((kind != 1 && kind != 4 && kind != 5) || !(data[0] & 1)) return one;
    while (ip + 4 < size && (be16(data + ip - 2) == 0x8100 || be16(data + ip - 2) == 0x88A8)) ip += 4;
    struct shape s = {VNET + native16(data + 6), 0, native16(data + 4), 1};
    if (!s.size || native16(data + 8) != (is_udp ? 6 : 16)) return one;
    if (size < s.transport + 20 || size - ip > 65535) return one;
    if (s.transport < ip + 20 || !is_whole_ip(data, ip, s.transport, kind)) return one;
    int words = data[s.transport + 12] >> 4;
    if (!is_udp && words < 5) return one;
    s.header = s.transport + (is_udp ? 8 : 4 * words);
    int payload = size - s.header;
    if (payload <= s.size) return one;
    s.segments = (payload + s.size - 1) / s.size;
    return s;
}

int flows_init(struct flows *f)
{
    f->all = calloc(LIMIT, sizeof *f->all);
    f->heads = malloc(HEADS * sizeof *f->heads);
    f->aside = malloc(ASIDE * sizeof *f->aside);
    if (!f->all || !f->heads || !f->aside) return -1;
    memset(f->heads, 0xFF, HEADS * sizeof *f->heads);
    f->newest = f->oldest = f->unused = NONE;
    return 0;
}

static uint32_t hash_of(const uint8_t *key, int size)
{
    uint64_t h = 1469598103934665603ULL; /* FNV-1a, by 4 bytes; finished by a multiplication */
    uint32_t part;
    int at = 0;
    for (; at + 4 <= size; at += 4) {
        memcpy(&part, key + at, 4);
        h = (h ^ part) * 1099511628211ULL;
    }
    for (; at < size; at++) h = (h ^ key[at]) * 1099511628211ULL;
    return (uint32_t)((h * 0x9E3779B97F4A7C15ULL) >> 47) % HEADS;
}

static void unlink_age(struct flows *f, int at)
{
    struct direction *d = &f->all[at];
    if (d->newer != NONE) f->all[d->newer].older = d->older; else f->newest = d->older;
    if (d->older != NONE) f->all[d->older].newer = d->newer; else f->oldest = d->newer;
}

static void make_newest(struct flows *f, int at)
{
    struct direction *d = &f->all[at];
    d->newer = NONE;
    d->older = f->newest;
    if (f->newest != NONE) f->all[f->newest].newer = at; else f->oldest = at;
    f->newest = at;
}

static struct direction *find(struct flows *f, const uint8_t *key, int size)
{
    for (int at = f->heads[hash_of(key, size)]; at != NONE; at = f->all[at].chain)
        if (f->all[at].size == size && !memcmp(f->all[at].key, key, size)) return &f->all[at];
    return NULL;
}

static void forget(struct flows *f, int at)
{
    struct direction *d = &f->all[at];
    int32_t *link = &f->heads[hash_of(d->key, d->size)];
    while (*link != at) link = &f->all[*link].chain;
    *link = d->chain;
    unlink_age(f, at);
}

static void set_aside(struct flows *f, struct direction *d)
{
    if (f->aside_count == ASIDE) return;
    f->aside[f->aside_count++] = *d;
    d->told = d->seen;
}

/* A fresh direction in place of one of the same key, or of the one that was silent longest. */
static struct direction *remember(struct flows *f, const uint8_t *key, int size, int protocol,
                                  int source, int target, int64_t now)
{
    struct direction *d = find(f, key, size);
    int at = d ? (int)(d - f->all) : f->unused;
    if (!d && at != NONE) f->unused = f->all[at].chain;
    else if (!d) at = f->count < LIMIT ? f->count++ : f->oldest;
    d = &f->all[at];
    if (d->used && d->seen > d->told) set_aside(f, d);
    if (d->used) forget(f, at);
    memset(d, 0, sizeof *d);
    memcpy(d->key, key, size);
    d->size = size;
    d->protocol = protocol;
    d->source = source;
    d->target = target;
    d->began = d->seen = now;
    d->used = 1;
    int32_t *link = &f->heads[hash_of(key, size)];
    d->chain = *link;
    *link = at;
    make_newest(f, at);
    return d;
}

/* Its link went: what speaks there next is another life of it, which had none of these. */
void forget_site(struct flows *f, int site)
{
    for (int at = f->oldest, next; at != NONE; at = next) {
        struct direction *d = &f->all[at];
        next = d->newer;
        if (d->source != site) continue;
        if (d->seen > d->told) set_aside(f, d);
        forget(f, at);
        d->used = 0;
        d->chain = f->unused;
        f->unused = at;
    }
}

static void saw(struct flows *f, struct direction *d, int64_t now, int segments, int payload)
{
    if (now - d->seen > d->silence) d->silence = now - d->seen;
    d->seen = now;
    d->segments += segments;
    if (payload) {
        d->bytes += payload;
        d->last = now;
        if (!d->first) d->first = now;
    }
    int at = (int)(d - f->all);
    if (f->newest != at) {
        unlink_age(f, at);
        make_newest(f, at);
    }
}

static int segments_of(const uint8_t *data, int payload)
{
    int size = native16(data + 4);
    return data[1] && size && payload ? (payload + size - 1) / size : 1;
}

/* A segment of an open connection; what it tells is put into `sight`. */
static void sent(struct direction *d, uint32_t sequence, int payload, int fin, struct sight *sight)
{
    if (!(payload + fin)) return;
    uint32_t end = sequence + payload + fin;
    if ((int32_t)(end - d->high) <= 0) {
        if (!fin && payload <= 1) return; /* a keep-alive, or a probe of the window */
        d->again++;
        sight->whats[sight->count++] = AGAIN;
        return;
    }
    d->high = end;
    if (payload && d->fresh) {
        d->fresh = 0;
        sight->whats[sight->count++] = DATA;
    }
    if (fin) sight->whats[sight->count++] = FIN;
}

static void tcp(struct flows *f, const uint8_t *data, int transport, int end, int64_t now,
                int source, int target, struct sight *sight)
{
    uint32_t sequence = be32(data + transport + 4);
    int flags = data[transport + 13], fin = flags & F_FIN;
    int payload = end - transport - (data[transport + 12] >> 4) * 4;
    if (payload < 0) payload = 0;
    struct direction *d = find(f, sight->key, sight->key_size);
    if (flags & F_SYN && !(flags & F_RST)) {
        int again = d && d->start == sequence;
        if (!again) {
            d = remember(f, sight->key, sight->key_size, TCP, source, target, now);
            d->start = sequence;
            d->high = sequence + 1;
            d->fresh = 1;
        }
        d->again += again;
        sight->whats[sight->count++] = (flags & F_ACK) ? (again ? SYNACK_AGAIN : SYNACK)
                                                       : (again ? SYN_AGAIN : SYN);
    } else if (flags & F_RST) {
        sight->whats[sight->count++] = d ? RST : RST_STRANGER;
        if (!d) return;
    } else if (!d) {
        d = remember(f, sight->key, sight->key_size, TCP, source, target, now);
        d->start = sequence;
        d->high = sequence + payload + fin;
        if (fin) sight->whats[sight->count++] = FIN;
    } else {
        sent(d, sequence, payload, fin, sight);
    }
    int is_all_told = d->told == d->seen;
    saw(f, d, now, segments_of(data, payload), payload);
    if (flags & (F_FIN | F_RST) && !d->ended) {
        d->ended = 1;
        set_aside(f, d);
    } else if (d->ended && is_all_told && !payload && !(flags & (F_FIN | F_SYN))) {
        d->told = now; /* it acknowledges the other's end: no news */
    }
}

static void udp(struct flows *f, const uint8_t *data, int size, int transport, int end,
                int64_t now, int source, int target, struct sight *sight)
{
    int from_dns = be16(data + transport) == 53, to_dns = be16(data + transport + 2) == 53;
    if (from_dns || to_dns) {
        sight->whats[sight->count++] = from_dns ? DNS : QUESTION;
        sight->payload = data + transport + 8;
        int payload = (end < size ? end : size) - transport - 8;
        sight->payload_size = payload > 0 ? payload : 0;
        return;
    }
    uint8_t key[37] = "q";
    memcpy(key + 1, sight->key, sight->key_size);
    struct direction *d = find(f, key, sight->key_size + 1);
    if (!d) {
        if (size <= transport + 12 || (data[transport + 8] & 0xC0) != 0xC0) return;
        uint32_t version = be32(data + transport + 9);
        if (version != 1 && version != 0x6b3343cf) return; /* RFC 9000, RFC 9369 */
        d = remember(f, key, sight->key_size + 1, UDP, source, target, now);
    }
    int payload = end - transport - 8 > 0 ? end - transport - 8 : 0;
    saw(f, d, now, segments_of(data, payload), payload);
}

/* Take note of a frame; how many things it tells. Any bytes are fine. */
int observe(struct core *c, const uint8_t *data, int size, int64_t now, int source, int target,
            struct sight *sight)
{
    int transport, protocol, end, addresses;
    sight->count = sight->payload_size = 0;
    uint32_t kind = be16(data + 22);
    if (kind == 0x0800 && size >= IP + 28) {
        transport = IP + (data[IP] & 15) * 4;
        protocol = (data[IP + 6] & 0x3F) || data[IP + 7] ? 0 : data[IP + 9];
        end = IP + be16(data + IP + 2);
        addresses = 8;
        memcpy(sight->key, data + IP + 12, 8);
    } else if (kind == 0x86DD && size >= IP + 48) {
        transport = IP + 40;
        protocol = data[IP + 6];
        end = transport + be16(data + IP + 4);
        addresses = 32;
        memcpy(sight->key, data + IP + 8, 32);
    } else
        return 0;
    int least = protocol == TCP ? 20 : protocol == UDP ? 8 : 0;
    if (!least || size < transport + least) return 0;
    memcpy(sight->key + addresses, data + transport, 4);
    sight->key_size = addresses + 4;
    if (protocol == TCP)
        tcp(&c->flows, data, transport, end, now, source, target, sight);
    else
        udp(&c->flows, data, size, transport, end, now, source, target, sight);
    return sight->count;
}

void tell_sight(struct core *c, const struct sight *sight, int64_t t, const struct fates *fates,
                int source, int target)
{
    for (int i = 0; i < sight->count; i++) {
        int64_t fate = sight->whats[i] == FIN ? fates->last : fates->first;
        struct head head = {sight->whats[i], fate < 0 ? -fate : 0, source, target,
                            sight->key_size - 4, sight->payload_size, t, fate < 0 ? 0 : fate};
        outbox_add(&c->outbox, &head, sizeof head, sight->key, sight->key_size, sight->payload,
                   sight->payload_size, t);
    }
}

static void tell(struct core *c, const struct direction *d, int64_t now)
{
    const uint8_t *key = d->protocol == UDP ? d->key + 1 : d->key;
    int size = d->protocol == UDP ? d->size - 1 : d->size;
    struct told told = {d->protocol, d->ended, 0, d->again, d->began, d->first, d->last,
                        d->seen, d->segments, d->bytes, d->silence};
    struct head head = {FLOW, 0, d->source, d->target, size - 4, sizeof told, now, 0};
    outbox_add(&c->outbox, &head, sizeof head, key, size, &told, sizeof told, now);
}

/* Soon, and not all of a second at once: whoever reads them would take a core for as long. */
void tell_ended(struct core *c, int64_t now)
{
    struct flows *f = &c->flows;
    for (int i = 0; i < f->aside_count; i++) tell(c, &f->aside[i], now);
    f->aside_count = 0;
}

void tell_flows(struct core *c, int64_t now, int all)
{
    struct flows *f = &c->flows;
    tell_ended(c, now);
    for (int at = f->newest; at != NONE; at = f->all[at].older) {
        struct direction *d = &f->all[at];
        if (now - d->seen > TELL + 2 * IDLE) return;
        int due = now - d->told >= TELL || now - d->seen >= IDLE;
        if (d->seen > d->told && (all || due)) {
            tell(c, d, now);
            d->told = now;
        }
    }
}
