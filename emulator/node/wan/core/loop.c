/* Ports, paths and departures: one thread, one epoll. */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "core.h"

#define IDLE_WAIT (100 * MILLI)   /* the heartbeat's period when nothing moves */
#define AWAKE (80 * MICRO)        /* before something is due */
#define AWAKE_IDLE 12              /* one part in so many of the time at most, on a machine that has */
#define AWAKE_BUSY 100            /* processors to spare, and on one that has not */
#define AWAKE_MOST (2 * MILLI)    /* that may be saved up for it */
#define RECORDS_WAIT (2 * MILLI)  /* when records wait to be flushed */
/* What waited for us longer than this, to come in or to go out, is dropped: an overload costs frames,
 * not seconds. Both together are the longest queue that a path has by default. */
#define STALE (500 * MILLI)

static int64_t *path_of(struct core *c, int source, int target)
{
    return c->words + WIRE_WORDS + (source * SITES + target) * PATH_WORDS;
}

static int place_of(const struct core *c, uint64_t mac)
{
    int at = (mac * 0x9E3779B97F4A7C15ULL) >> 56;
    while (c->mac_of[at] && c->mac_of[at] != mac) at = (at + 1) % 256;
    return at;
}

/* Let a frame enter a path. `may_take`: a big one goes on its way as it is, and a fresh frame is
 * put in its place. */
static void admit(struct core *c, int source, int target, struct frame **given, int64_t entered,
                  int may_take)
{
    struct frame *frame = *given;
    int64_t *path = path_of(c, source, target);
    struct sight sight = {.count = 0};
    struct fates fates = {0};
    int number = source * SITES + target;
    uint8_t *data = frame->data;
    int size = (int)frame->size;
    int is_wanted = capture_wants(c, number, entered);
    int telling = c->flow_log && !(data[VNET] & 1)
                  && observe(c, data, size, entered, source, target, &sight);
    if (path[SPECIAL] && !path[CUT]) {
        fates.first = fates.last = fates.cause = FATE_OVERLOAD; /* should Python fail */
        c->special(source, target, data, size, entered, &fates);
    } else {
        struct shape shape = shape_of(data, size);
        int count = shape.segments;
        path[PACKETS] += count;
        path[BYTES] += size - VNET + (count - 1) * (shape.header - VNET);
        int64_t fate = FATE_CUT;
        if (!path[CUT]) {
            struct frame *own = frame;
            if (!may_take || is_wanted || telling || size <= SMALL) {
                own = frame_of(c, data, size);
            } else {
                *given = frame_of(c, NULL, LARGEST);
                if (!*given) *given = frame, own = frame_of(c, data, size);
            }
            fate = own ? hold(c, number, entered + path[DELAY], own) : FATE_OVERLOAD;
        }
        fates = (struct fates){fate, fate, count, fate < 0 ? count : 0, fate < 0 ? fate : 0};
        if (fate == FATE_CUT) path[CUT_DROPS] += count;
        if (fate == FATE_OVERLOAD) {
            path[OVERLOAD_DROPS] += count;
            c->words[TOTAL_OVERLOAD] += count;
        }
    }
    if (telling) tell_sight(c, &sight, entered, &fates, source, target);
    if (is_wanted) capture_add(c, number, data, size, entered, &fates);
}

static void forward(struct core *c, int source, struct frame **given, int64_t entered)
{
    struct frame *frame = *given;
    c->words[TOTAL_PACKETS]++;
    if (frame->size < VNET + 14 || frame->size > LARGEST) {
        c->words[TOTAL_UNKNOWN]++;
        return;
    }
    if (frame->data[VNET] & 1) { /* multicast, broadcast */
        for (int target = 1; target < SITES; target++)
            if (target != source && c->port_of[target] >= 0)
                admit(c, source, target, given, entered, 0);
        return;
    }
    uint64_t mac = 0;
    memcpy(&mac, frame->data + VNET, 6);
    int at = place_of(c, mac), target = c->site_of[at];
    if (!mac || c->mac_of[at] != mac || target == source) { /* 0 marks a free place */
        c->words[TOTAL_UNKNOWN]++;
        return;
    }
    admit(c, source, target, given, entered, 1);
}

/* The kernel stamps by the wall clock, which differs from ours by a constant until somebody sets it.
 * It is read between two readings of ours, and the closest two count: a processor that is taken away
 * in between would be an error of milliseconds. */
static void look_at_wall(struct core *c)
{
    struct timespec t;
    int64_t before = now_ns();
    clock_gettime(CLOCK_REALTIME, &t);
    int64_t doubt = now_ns() - before;
    int64_t wall = before + doubt / 2 - (t.tv_sec * SECOND + t.tv_nsec);
    int64_t off = wall > c->wall ? wall - c->wall : c->wall - wall;
    if (doubt >= c->wall_doubt && off <= doubt + c->wall_doubt) return;
    c->wall = wall;
    c->wall_doubt = doubt;
}

/* When the kernel took the frame in, on our clock; the time of its reading may be much later. */
static int64_t entered_at(const struct core *c, struct msghdr *message, int64_t now)
{
    for (struct cmsghdr *m = CMSG_FIRSTHDR(message); m; m = CMSG_NXTHDR(message, m))
        if (m->cmsg_level == SOL_SOCKET && m->cmsg_type == SO_TIMESTAMPNS) {
            struct timespec t;
            memcpy(&t, CMSG_DATA(m), sizeof t);
            int64_t entered = t.tv_sec * SECOND + t.tv_nsec + c->wall;
            return entered < now ? entered : now;
        }
    return now;
}

static void receive(struct core *c, int site)
{
    struct mmsghdr messages[RECEIVE];
    struct iovec parts[RECEIVE];
    char controls[RECEIVE][64];
    memset(messages, 0, sizeof messages);
    for (int i = 0; i < RECEIVE; i++) {
        parts[i] = (struct iovec){c->slots[i]->data, LARGEST};
        messages[i].msg_hdr.msg_iov = &parts[i];
        messages[i].msg_hdr.msg_iovlen = 1;
        messages[i].msg_hdr.msg_control = controls[i];
        messages[i].msg_hdr.msg_controllen = sizeof controls[i];
    }
    int count = recvmmsg(c->port_of[site], messages, RECEIVE, MSG_DONTWAIT | MSG_TRUNC, NULL);
    if (count <= 0) return; /* empty, or the interface went down: epoll tells which */
    look_at_wall(c);
    int64_t now = now_ns();
    for (int i = 0; i < count; i++) {
        int64_t entered = entered_at(c, &messages[i].msg_hdr, now);
        c->slots[i]->size = messages[i].msg_len;
        if (now - entered > STALE) c->words[TOTAL_OVERLOAD]++;
        else forward(c, site, &c->slots[i], entered);
    }
}

static void refused(struct core *c, int lane)
{
    int number = lane % PATHS;
    path_of(c, number / SITES, number % SITES)[SEND_ERRORS]++;
    c->words[TOTAL_SEND_ERRORS]++;
}

static void transmit(struct core *c, int target, struct frame **frames, int *lanes, int count)
{
    struct mmsghdr messages[SEND];
    struct iovec parts[SEND];
    memset(messages, 0, count * sizeof *messages);
    for (int i = 0; i < count; i++) {
        parts[i] = (struct iovec){frames[i]->data, frames[i]->size};
        messages[i].msg_hdr.msg_iov = &parts[i];
        messages[i].msg_hdr.msg_iovlen = 1;
    }
    for (int done = 0; done < count;) {
        int fd = c->port_of[target];
        int sent = fd < 0 ? -1 : sendmmsg(fd, messages + done, count - done, MSG_DONTWAIT);
        if (sent > 0) done += sent;
        else refused(c, lanes[done++]); /* ENXIO, ENETDOWN, ENOBUFS, EMSGSIZE: lost, as on a wire */
    }
    for (int i = 0; i < count; i++) release(c, frames[i]);
}

/* The frame that is due first; NULL where it comes too late to be sent. */
static struct frame *next_due(struct core *c, int *lane, int64_t now)
{
    int64_t late = now - c->heap_due[0];
    struct frame *frame = pop(c, lane);
    if (late > c->words[LAG_MAX]) c->words[LAG_MAX] = late;
    if (late <= STALE) return frame;
    int number = *lane % PATHS;
    path_of(c, number / SITES, number % SITES)[OVERLOAD_DROPS]++;
    c->words[TOTAL_OVERLOAD]++;
    release(c, frame);
    return NULL;
}

/* Send all that was due when we began, as many at once as leave by one port. More may come in than
 * goes out in a turn (many ports, broadcasts): what waits longer must wait where the kernel drops. */
static void depart(struct core *c)
{
    struct frame *frames[SEND];
    int lanes[SEND];
    int64_t begun = now_ns();
    while (c->waiting && c->heap_due[0] <= begun) {
        int64_t now = now_ns();
        int count = 0, target = -1;
        c->words[HEARTBEAT] = now;
        while (c->waiting && c->heap_due[0] <= begun && count < SEND) {
            int next = c->heap_lane[0] % SITES;
            if (target >= 0 && next != target) break;
            target = next;
            frames[count] = next_due(c, &lanes[count], now);
            if (frames[count]) count++;
        }
        if (count) transmit(c, target, frames, lanes, count);
    }
}

/* Whether the machine's processors had nothing to do for half of the last second: then nobody waits
 * for the one that stays awake. */
static void look_at_load(struct core *c)
{
    long long t[8];
    FILE *file = fopen("/proc/stat", "r"); /* user nice system idle iowait irq softirq steal */
    if (!file) return;
    int count = fscanf(file, "cpu %lld %lld %lld %lld %lld %lld %lld %lld", &t[0], &t[1], &t[2],
                       &t[3], &t[4], &t[5], &t[6], &t[7]);
    fclose(file);
    if (count != 8) return;
    int64_t idle = t[3] + t[4], all = 0;
    for (int i = 0; i < 8; i++) all += t[i];
    c->is_idle = 2 * (idle - c->idle_ticks) > all - c->all_ticks;
    c->idle_ticks = idle;
    c->all_ticks = all;
}

static void keep_house(struct core *c, int64_t now)
{
    c->words[HEARTBEAT] = now;
    tell_ended(c, now);
    if (c->outbox.size || c->outbox.count) outbox_flush(&c->outbox, now);
    if (now - c->checked < SECOND) return;
    c->checked = now;
    c->words[TOTAL_RECORDS_LOST] = c->outbox.lost;
    tell_flows(c, now, 0);
    look_at_load(c);
    for (int site = 1; site < SITES; site++) {
        unsigned seen[2] = {0, 0};
        socklen_t size = sizeof seen;
        if (c->port_of[site] >= 0 && !getsockopt(c->port_of[site], 263, 6, seen, &size))
            c->words[TOTAL_OVERLOAD] += seen[1]; /* SOL_PACKET, PACKET_STATISTICS: reading resets */
    }
}

/* How long nothing is due. A sleep ends late by some 70 us, by 400 at p99 (a virtual processor that
 * was halted must be woken first); so its last part is spent awake, as long as that stays a small
 * part of all time. */
static struct timespec patience(struct core *c, int64_t now)
{
    int64_t passed = now - c->looked;
    c->awake_left += c->is_awake ? -passed : passed / (c->is_idle ? AWAKE_IDLE : AWAKE_BUSY);
    if (c->awake_left > AWAKE_MOST) c->awake_left = AWAKE_MOST;
    c->looked = now;
    int64_t wait = c->outbox.size || c->outbox.count ? RECORDS_WAIT : IDLE_WAIT;
    int64_t due = c->waiting ? c->heap_due[0] - now : wait;
    c->is_awake = c->awake_left > 0 && due > 0 && due <= AWAKE;
    if (c->is_awake) due = 0;
    else if (c->awake_left > 0 && due > AWAKE) due -= AWAKE;
    if (c->waiting && due < wait) wait = due;
    if (wait < 0) wait = 0;
    return (struct timespec){wait / SECOND, wait % SECOND};
}

/* Until the control socket has something: 0; or the interface of a port went: its site; -errno. */
int core_run(struct core *c)
{
    struct epoll_event events[SITES];
    for (;;) {
        int64_t now = now_ns();
        struct timespec wait = patience(c, now);
        int count = epoll_pwait2(c->epoll, events, SITES, &wait, NULL);
        if (count < 0 && errno != EINTR) return -errno;
        int is_told = 0, gone = 0;
        for (int i = 0; i < count; i++) {
            int site = (int)events[i].data.u64;
            if (!site) is_told = 1;
            else if (events[i].events & EPOLLIN) receive(c, site);
            else gone = site;
        }
        depart(c);
        keep_house(c, now_ns());
        if (gone) return gone;
        if (is_told) return 0;
    }
}

int core_add_port(struct core *c, int site, int fd)
{
    int on = 1;
    struct epoll_event event = {.events = EPOLLIN, .data.u64 = site};
    setsockopt(fd, SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof on);
    c->port_of[site] = fd;
    return epoll_ctl(c->epoll, EPOLL_CTL_ADD, fd, &event) ? -errno : 0;
}

/* The caller closes it. epoll watches the open file: the keeper's copy would keep it there. */
void core_drop_port(struct core *c, int site)
{
    if (c->port_of[site] >= 0) epoll_ctl(c->epoll, EPOLL_CTL_DEL, c->port_of[site], NULL);
    c->port_of[site] = -1;
    forget_site(&c->flows, site);
}

void core_macs(struct core *c, int count, const uint8_t *macs, const uint8_t *sites)
{
    memset(c->mac_of, 0, sizeof c->mac_of);
    for (int i = 0; i < count; i++) {
        uint64_t mac = 0;
        memcpy(&mac, macs + 6 * i, 6);
        int at = place_of(c, mac);
        c->mac_of[at] = mac;
        c->site_of[at] = sites[i];
    }
}

/* When the frame, which is copied, is due; FATE_OVERLOAD without room for it. */
int64_t core_hold(struct core *c, int lane, int64_t due, const uint8_t *data, int size)
{
    struct frame *frame = frame_of(c, data, size);
    return frame ? hold(c, lane, due, frame) : FATE_OVERLOAD;
}

void core_tell_flows(struct core *c) { tell_flows(c, now_ns(), 1); }

/* As if a frame had come in at `now`, the departure that is due first, and then all flows told: with
 * these the tests hold both movers to one behaviour. */
void core_feed(struct core *c, int source, const uint8_t *data, int size, int64_t now)
{
    struct frame *frame = frame_of(c, data, size < LARGEST ? size : LARGEST);
    if (!frame) return;
    frame->size = size; /* as MSG_TRUNC tells it */
    forward(c, source, &frame, now);
    release(c, frame);
}

/* Its lane, its bytes into `data`, which has room for LARGEST; -1: nothing waits. */
int core_take(struct core *c, int64_t *due, uint8_t *data, int *size)
{
    int lane;
    if (!c->waiting) return -1;
    struct frame *frame = pop(c, &lane);
    *due = frame->due;
    *size = (int)frame->size;
    memcpy(data, frame->data, frame->size);
    release(c, frame);
    return lane;
}

void core_tell_at(struct core *c, int64_t now, int all)
{
    tell_flows(c, now, all);
    outbox_flush(&c->outbox, now + SECOND);
}

/* What Python must agree with; it reads this before it uses anything else. */
const int32_t core_layout[] = {PATH_WORDS, WIRE_WORDS, DELAY, CUT, SPECIAL, PACKETS, SEND_ERRORS,
                               TOTAL_RECORDS_LOST, FATE_CUT, FATE_OVERLOAD, LANES};

/* NULL without memory. `capture` may be NULL. */
struct core *core_new(int64_t *words, uint8_t *capture, int64_t limit, int control, int records,
                      int flow_log, special_call special)
{
    struct core *c = calloc(1, sizeof *c);
    if (!c || flows_init(&c->flows)) return NULL;
    for (int i = 0; i < RECEIVE; i++)
        if (!(c->slots[i] = frame_of(c, NULL, LARGEST))) return NULL;
    memset(c->port_of, 0xFF, sizeof c->port_of);
    c->words = words;
    c->capture = capture;
    c->limit = limit;
    c->control = control;
    c->outbox.fd = records;
    c->outbox.lost = words[TOTAL_RECORDS_LOST]; /* by those before us */
    c->flow_log = flow_log;
    c->special = special;
    c->epoll = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event event = {.events = EPOLLIN, .data.u64 = 0};
    if (c->epoll < 0 || epoll_ctl(c->epoll, EPOLL_CTL_ADD, control, &event)) return NULL;
    return c;
}
