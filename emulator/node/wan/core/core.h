/* The wire's frame mover: what `wire.py` does for every frame, where every frame counts.
 *
 * It knows plain paths (a delay, a cut) by itself. What enters any other path is handed to Python
 * (`special`), which decides and gives the pieces back by `core_hold`. So every impairment is
 * written once, in `paths.py`, and what is here moves frames, remembers flows and copies for
 * captures. The plain Python wire does all of it where this was not compiled.
 */
#ifndef NETEMU_CORE_H
#define NETEMU_CORE_H

#include <stdint.h>
#include <sys/epoll.h>
#include <sys/socket.h>

enum { VNET = 10, IP = 24, SITES = 64, PATHS = SITES * SITES, LANES = 2 * PATHS };
enum { LARGEST = VNET + 14 + 4 + 65536 }; /* virtio, Ethernet, VLAN, and the most that GSO packs */
enum { RECEIVE = 32, SEND = 32, SMALL = 4096 };

/* Words of the shared table, as table.py numbers them. */
enum { DELAY = 0, CUT = 15, SPECIAL = 16, PACKETS = 24, BYTES, CUT_DROPS, LOSS_DROPS, QUEUE_DROPS,
       OVERLOAD_DROPS, SEND_ERRORS };
enum { PATH_WORDS = 40, WIRE_WORDS = 16 };
enum { HEARTBEAT = 0, LAG_MAX, TOTAL_PACKETS, TOTAL_OVERLOAD, TOTAL_UNKNOWN, TOTAL_SEND_ERRORS,
       TOTAL_RECORDS_LOST };

/* Fates below zero, as paths.py numbers them. */
enum { FATE_CUT = -1, FATE_OVERLOAD = -4 };

#define SECOND 1000000000LL
#define MILLI 1000000LL
#define MICRO 1000LL

struct frame {
    struct frame *next;
    int64_t due;
    uint32_t size;     /* bytes of data */
    uint32_t capacity;
    uint8_t data[];    /* struct virtio_net_hdr, then Ethernet */
};

struct lane {
    struct frame *first, *last;
    int64_t due; /* of its newest frame */
};

struct fates {
    int64_t first, last;
    int64_t segments, dropped, cause;
};

struct shape { /* of a super-frame; segments 1: no such frame */
    int transport, header, size, segments;
};

struct direction {
    uint8_t key[37];
    uint8_t size, protocol, source, target, fresh, ended, used;
    uint32_t start, high, again;
    int64_t began, first, last, seen, told, silence;
    uint64_t segments, bytes;
    int32_t chain, newer, older;
};

struct flows {
    struct direction *all;
    int32_t *heads;
    struct direction *aside; /* as they were when they ended, to be told */
    int32_t count, newest, oldest, unused, aside_count;
};

struct sight { /* what a frame tells, see flows.py */
    uint8_t whats[2];
    int count;
    const uint8_t *addresses; /* then ports behind them, in `key` */
    const uint8_t *payload;
    int payload_size;
    uint8_t key[37];
    int key_size;
};

struct outbox {
    int fd;
    uint8_t *batch;
    uint32_t size;
    int64_t begun;
    uint8_t *full[128];
    uint32_t sizes[128];
    int first, count;
    int64_t lost, unsaid;
};

typedef void (*special_call)(int source, int target, const uint8_t *data, int size, int64_t now,
                             struct fates *fates);

struct core {
    int64_t *words;
    uint8_t *capture;
    uint32_t capture_seq;
    special_call special;
    int epoll, control;
    int flow_log;
    int port_of[SITES];
    int gone; /* site whose interface went, to be told to Python */
    uint64_t mac_of[256];
    uint8_t site_of[256];
    struct lane lanes[LANES];
    int64_t heap_due[LANES];
    int32_t heap_lane[LANES];
    int32_t waiting; /* lanes in the heap */
    int64_t held, limit;
    struct frame *slots[RECEIVE];
    struct frame *spare;
    int64_t wall, wall_doubt; /* what makes our clock's instant of the wall clock's; how sure */
    int64_t checked, looked, awake_left;
    int64_t idle_ticks, all_ticks; /* of the machine, see look_at_load */
    int is_awake, is_idle;
    struct flows flows;
    struct outbox outbox;
};

/* lanes.c */
int64_t now_ns(void);
struct frame *frame_of(struct core *c, const uint8_t *data, uint32_t size);
void release(struct core *c, struct frame *frame);
int64_t hold(struct core *c, int lane, int64_t due, struct frame *frame);
struct frame *pop(struct core *c, int *lane);

/* flows.c */
struct shape shape_of(const uint8_t *data, int size);
int flows_init(struct flows *f);
void forget_site(struct flows *f, int site);
int observe(struct core *c, const uint8_t *data, int size, int64_t now, int source, int target,
            struct sight *sight);
void tell_sight(struct core *c, const struct sight *sight, int64_t t, const struct fates *fates,
                int source, int target);
void tell_ended(struct core *c, int64_t now);
void tell_flows(struct core *c, int64_t now, int all);

/* outbox.c */
void outbox_add(struct outbox *o, const void *head, uint32_t head_size, const void *a,
                uint32_t a_size, const void *b, uint32_t b_size, int64_t now);
void outbox_flush(struct outbox *o, int64_t now);

/* capture.c */
int capture_wants(const struct core *c, int number, int64_t now);
void capture_add(struct core *c, int number, const uint8_t *data, int size, int64_t t,
                 const struct fates *fates);

#endif
