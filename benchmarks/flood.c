/* The ends of what is measured: cheap senders and receivers, each printing one JSON object.

   flood send TARGET PORT PER_S MS PAYLOAD SEGMENTS   UDP datagrams at a steady rate; above 1, so
                                                      many leave the host as one super-frame
   flood sink PORT SILENCE_MS [log]                   until nothing came for so long: how many, and
                                                      one-way delays; log: each one's as it came
   flood stream TARGET PORT MS ALGORITHM              TCP, as much as goes; "-": the route's own
   flood discard PORT SKIP_MS                         one connection, read; what came after SKIP_MS
   flood ping INTERVAL_US COUNT ADDRESS/RTT_NS...     ICMP echo, round robin: how much later than
                                                      its RTT each answer came
   flood tap INTERFACE in|out PORT SKIP_MS SILENCE_MS frames to PORT as they are on the wire,
                                                      segments of super-frames counted each

   Arrivals are stamped by the kernel, as ping(8) does, so that a receiver that waits for a CPU adds
   nothing, and may sleep while its socket's large buffer fills. All hosts share one clock. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/sock_diag.h>
#include <linux/virtio_net.h>
#include <net/if.h>
#include <netinet/ip.h>
#include <netinet/ip_icmp.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif
#define ICMP_FILTER 1 /* linux/icmp.h, which does not go with net/if.h */
#define BATCH 64
#define LARGEST 65536
#define BUFFER (128 << 20) /* of a receiver's socket */
#define NAP_NS 500000      /* between two looks into it */
#define SPREAD_NS 200000   /* a sender wakes this often and sends what is due */
#define SLOWEST_US 4000000 /* longer delays count as this */

typedef struct { uint64_t number, sent_ns; } Stamp;
typedef struct { uint64_t frames, segments, bytes; } Tally;

static void fail(const char *what) { perror(what); exit(1); }
static void need(int result, const char *what) { if (result < 0) fail(what); }

static uint64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t); /* what the kernel stamps arrivals with */
    return t.tv_sec * 1000000000ull + t.tv_nsec;
}

static void nap(int64_t ns) {
    if (ns > 0) nanosleep(&(struct timespec){ns / 1000000000, ns % 1000000000}, NULL);
}

static struct sockaddr_in address(const char *host, int port) {
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port)};
    if (!inet_aton(host, &to.sin_addr)) { fprintf(stderr, "no address: %s\n", host); exit(1); }
    return to;
}

static void set(int fd, int level, int option, int value, const char *what) {
    need(setsockopt(fd, level, option, &value, sizeof value), what);
}

/* Large, and stamping. */
static void make_receiver(int fd) {
    set(fd, SOL_SOCKET, SO_RCVBUFFORCE, BUFFER, "SO_RCVBUFFORCE (needs NET_ADMIN)");
    set(fd, SOL_SOCKET, SO_TIMESTAMPNS, 1, "SO_TIMESTAMPNS");
}

static int by_size(const void *a, const void *b) {
    int32_t left = *(const int32_t *)a, right = *(const int32_t *)b;
    return (left > right) - (left < right);
}

/* A batch of messages and where the kernel puts them. */
typedef struct {
    struct mmsghdr messages[BATCH];
    struct iovec pieces[BATCH];
    struct sockaddr_ll origins[BATCH];
    char data[BATCH][256], control[BATCH][128];
} Batch;

static int receive(int fd, Batch *batch) {
    for (int i = 0; i < BATCH; i++) {
        batch->pieces[i] = (struct iovec){batch->data[i], sizeof batch->data[i]};
        batch->messages[i].msg_hdr = (struct msghdr){
            .msg_iov = &batch->pieces[i], .msg_iovlen = 1,
            .msg_control = batch->control[i], .msg_controllen = sizeof batch->control[i],
            .msg_name = &batch->origins[i], .msg_namelen = sizeof batch->origins[i]};
    }
    int got = recvmmsg(fd, batch->messages, BATCH, MSG_DONTWAIT | MSG_TRUNC, NULL);
    if (got < 0 && errno != EAGAIN && errno != EINTR && errno != ECONNREFUSED) fail("recvmmsg");
    return got < 0 ? 0 : got;
}

static uint64_t arrival(struct msghdr *message) {
    for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c; c = CMSG_NXTHDR(message, c))
        if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_TIMESTAMPNS) {
            struct timespec t;
            memcpy(&t, CMSG_DATA(c), sizeof t);
            return t.tv_sec * 1000000000ull + t.tv_nsec;
        }
    fprintf(stderr, "the kernel stamped nothing\n");
    exit(1);
}

/* UDP */

static int send_(char **a) {
    struct sockaddr_in to = address(a[0], atoi(a[1]));
    double per_ns = atof(a[2]) / 1e9;
    uint64_t length = atoll(a[3]) * 1000000ull, sent = 0, refused = 0;
    int payload = atoi(a[4]), segments = atoi(a[5]);
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    need(connect(fd, (struct sockaddr *)&to, sizeof to), "connect");
    set(fd, SOL_SOCKET, SO_SNDBUFFORCE, BUFFER, "SO_SNDBUFFORCE (needs NET_ADMIN)");
    if (segments > 1) set(fd, SOL_UDP, UDP_SEGMENT, payload, "UDP_SEGMENT");
    static char data[BATCH][LARGEST];
    static struct mmsghdr messages[BATCH];
    static struct iovec pieces[BATCH];
    for (int i = 0; i < BATCH; i++) {
        pieces[i] = (struct iovec){data[i], (size_t)payload * segments};
        messages[i].msg_hdr = (struct msghdr){.msg_iov = &pieces[i], .msg_iovlen = 1};
    }
    uint64_t began = now_ns(), now = began;
    while ((now = now_ns()) - began < length) {
        uint64_t due = (now - began) * per_ns / segments + 1, done = (sent + refused) / segments;
        if (due <= done) {
            int64_t until = (done + 1) * segments / per_ns - (now - began);
            nap(until > SPREAD_NS ? until : SPREAD_NS);
            continue;
        }
        int many = due - done < BATCH ? due - done : BATCH;
        for (int i = 0; i < many; i++)
            for (int s = 0; s < segments; s++) {
                Stamp stamp = {sent + refused + (uint64_t)i * segments + s, now};
                memcpy(data[i] + s * payload, &stamp, sizeof stamp);
            }
        int gone = sendmmsg(fd, messages, many, 0);
        sent += gone < 0 ? 0 : (uint64_t)gone * segments;
        if (gone < 0) refused += segments;
    }
    printf("{\"sent\":%lu,\"refused\":%lu,\"seconds\":%.6f}\n", sent, refused, (now - began) / 1e9);
    return 0;
}

static uint32_t slots[SLOWEST_US + 1]; /* packets by delay in us */

static double percentile(uint64_t count, double share) {
    uint64_t wanted = count * share, passed = 0;
    for (int us = 0; us <= SLOWEST_US; us++)
        if ((passed += slots[us]) > wanted) return us / 1000.0;
    return SLOWEST_US / 1000.0;
}

static int sink(char **a) {
    uint64_t silence = atoll(a[1]) * 1000000ull;
    int is_log = a[2] != NULL;
    struct sockaddr_in here = address("0.0.0.0", atoi(a[0]));
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    need(bind(fd, (struct sockaddr *)&here, sizeof here), "bind");
    make_receiver(fd);
    static Batch batch;
    uint64_t count = 0, reordered = 0, next = 0, first = 0, heard = now_ns() + 5000000000ull;
    if (is_log) printf("{\"log\":[");
    while (1) {
        int got = receive(fd, &batch);
        if (!got && (int64_t)(now_ns() - heard) > (int64_t)silence) break;
        for (int i = 0; i < got; i++) {
            Stamp stamp;
            memcpy(&stamp, batch.data[i], sizeof stamp);
            heard = arrival(&batch.messages[i].msg_hdr);
            if (!first) first = heard;
            int64_t us = ((int64_t)(heard - stamp.sent_ns) + 500) / 1000;
            slots[us < 0 ? 0 : us > SLOWEST_US ? SLOWEST_US : us]++;
            if (is_log) printf("%s[%lu,%ld]", count ? "," : "", stamp.sent_ns, us);
            if (stamp.number < next) reordered++; else next = stamp.number + 1;
            count++;
        }
        if (got < BATCH) nap(NAP_NS);
    }
    uint32_t memory[SK_MEMINFO_VARS] = {0};
    socklen_t size = sizeof memory;
    getsockopt(fd, SOL_SOCKET, SO_MEMINFO, memory, &size);
    if (is_log) printf("],"); else printf("{");
    printf("\"received\":%lu,\"reordered\":%lu,\"overflowed\":%u,\"seconds\":%.6f,"
           "\"p50_ms\":%.3f,\"p99_ms\":%.3f}\n",
           count, reordered, memory[SK_MEMINFO_DROPS], first ? (heard - first) / 1e9 : 0.0,
           percentile(count, 0.5), percentile(count, 0.99));
    return 0;
}

/* TCP */

static int stream(char **a) {
    struct sockaddr_in to = address(a[0], atoi(a[1]));
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    need(connect(fd, (struct sockaddr *)&to, sizeof to), "connect");
    if (strcmp(a[3], "-")) /* only now: connecting takes over the route's */
        need(setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, a[3], strlen(a[3])), a[3]);
    struct timeval patience = {0, 100000};
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    static char data[128 << 10];
    uint64_t until = now_ns() + atoll(a[2]) * 1000000ull;
    while (now_ns() < until)
        if (send(fd, data, sizeof data, MSG_NOSIGNAL) < 0 && errno != EAGAIN) fail("send");
    struct tcp_info info = {0};
    socklen_t size = sizeof info;
    getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size);
    /* RST: what is still buffered must not flow into the next measurement. */
    struct linger abort_ = {1, 0};
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &abort_, sizeof abort_);
    close(fd);
    printf("{\"retransmits\":%u,\"mss\":%u}\n", info.tcpi_total_retrans, info.tcpi_snd_mss);
    return 0;
}

static int discard(char **a) {
    uint64_t skip = atoll(a[1]) * 1000000ull;
    struct sockaddr_in here = address("0.0.0.0", atoi(a[0]));
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    set(listener, SOL_SOCKET, SO_REUSEADDR, 1, "SO_REUSEADDR");
    need(bind(listener, (struct sockaddr *)&here, sizeof here), "bind");
    need(listen(listener, 1), "listen");
    struct timeval patience = {2, 500000}; /* the last word may be lost */
    setsockopt(listener, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    int fd = accept(listener, NULL, NULL);
    need(fd, "accept");
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    static char data[256 << 10];
    uint64_t accepted = now_ns(), began = 0, now = 0, bytes = 0;
    for (ssize_t got; (got = recv(fd, data, sizeof data, 0)) > 0;) {
        now = now_ns();
        if (now - accepted < skip) continue;
        if (began) bytes += got; else began = now; /* the first only starts the clock */
    }
    printf("{\"bytes\":%lu,\"seconds\":%.6f}\n", bytes, began ? (now - began) / 1e9 : 0.0);
    return 0;
}

/* ICMP */

typedef struct { struct icmphdr head; uint64_t sent_ns; uint32_t target, number; } Echo;

static uint16_t checksum(const void *data, int size) {
    uint32_t sum = 0;
    for (int i = 0; i < size / 2; i++) sum += ((const uint16_t *)data)[i];
    while (sum >> 16) sum = (sum & 0xffff) + (sum >> 16);
    return ~sum;
}

static int collect(int fd, Batch *batch, const int64_t *rtts, int32_t *errors, int count) {
    int found = 0, got;
    while ((got = receive(fd, batch)))
        for (int i = 0; i < got && found < count; i++) {
            struct iphdr *ip = (struct iphdr *)batch->data[i];
            Echo *echo = (Echo *)(batch->data[i] + ip->ihl * 4);
            if (echo->head.un.echo.id != htons(getpid() & 0xffff)) continue;
            int64_t took = arrival(&batch->messages[i].msg_hdr) - echo->sent_ns;
            errors[found++] = (took - rtts[echo->target]) / 1000;
        }
    return found;
}

static int ping(char **a) {
    uint64_t interval = atoll(a[0]) * 1000ull;
    int count = atoi(a[1]), targets = 0, found = 0, sent = 0;
    struct sockaddr_in to[256];
    int64_t rtts[256], longest = 0;
    for (char **word = a + 2; *word && targets < 256; word++, targets++) {
        char *slash = strchr(*word, '/');
        *slash = 0;
        to[targets] = address(*word, 0);
        rtts[targets] = atoll(slash + 1);
        if (rtts[targets] > longest) longest = rtts[targets];
    }
    int fd = socket(AF_INET, SOCK_RAW, IPPROTO_ICMP);
    need(fd, "raw socket (needs NET_RAW)");
    set(fd, SOL_RAW, ICMP_FILTER, ~(1 << ICMP_ECHOREPLY), "ICMP_FILTER");
    make_receiver(fd);
    static Batch batch;
    int32_t *errors = calloc(count, sizeof *errors);
    uint64_t began = now_ns(), now, patience = longest + 500000000ull, last = began;
    while ((now = now_ns()) - last < patience && found < count) {
        if (sent < count && now - began >= sent * interval) {
            Echo echo = {.head.type = ICMP_ECHO, .target = sent % targets, .number = sent};
            echo.head.un.echo.id = htons(getpid() & 0xffff);
            echo.head.un.echo.sequence = htons(sent & 0xffff);
            echo.sent_ns = last = now_ns();
            echo.head.checksum = checksum(&echo, sizeof echo);
            struct sockaddr_in *who = &to[sent++ % targets];
            need(sendto(fd, &echo, sizeof echo, 0, (struct sockaddr *)who, sizeof *who), "sendto");
        }
        found += collect(fd, &batch, rtts, errors + found, count - found);
        nap(sent < count ? (int64_t)(began + sent * interval - now_ns()) : NAP_NS);
    }
    qsort(errors, found, sizeof *errors, by_size);
    printf("{\"sent\":%d,\"late_us\":[", sent);
    for (int i = 0; i < found; i++) printf("%s%d", i ? "," : "", errors[i]);
    printf("]}\n");
    return 0;
}

/* Frames */

/* Adds one frame of IPv4, TCP or UDP, to PORT; 0 if it is something else. */
static int count_frame(Tally *tally, const char *data, uint32_t length, int port) {
    const struct virtio_net_hdr *virtio = (const void *)data;
    const struct ethhdr *ethernet = (const void *)(data + sizeof *virtio);
    const struct iphdr *ip = (const void *)(ethernet + 1);
    const char *transport = (const char *)ip + ip->ihl * 4;
    if (ethernet->h_proto != htons(ETH_P_IP)) return 0;
    if (ip->protocol != IPPROTO_TCP && ip->protocol != IPPROTO_UDP) return 0;
    if (((const struct udphdr *)transport)->dest != htons(port)) return 0;
    uint32_t head = sizeof *ethernet + ip->ihl * 4 + (ip->protocol == IPPROTO_UDP
        ? sizeof(struct udphdr) : ((const struct tcphdr *)transport)->doff * 4u);
    uint32_t bytes = length - sizeof *virtio, segments = 1;
    if (virtio->gso_type & 7) segments = (bytes - head + virtio->gso_size - 1) / virtio->gso_size;
    tally->frames++;
    tally->segments += segments;
    tally->bytes += bytes + (segments - 1) * head; /* which every segment repeats */
    return 1;
}

static int tap(char **a) {
    int port = atoi(a[2]), is_out = !strcmp(a[1], "out");
    uint64_t skip = atoll(a[3]) * 1000000ull, silence = atoll(a[4]) * 1000000ull;
    int fd = socket(AF_PACKET, SOCK_RAW, 0);
    need(fd, "packet socket (needs NET_RAW)");
    set(fd, SOL_PACKET, PACKET_VNET_HDR, 1, "PACKET_VNET_HDR");
    make_receiver(fd);
    struct sockaddr_ll where = {.sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL),
                                .sll_ifindex = if_nametoindex(a[0])};
    need(bind(fd, (struct sockaddr *)&where, sizeof where), a[0]);
    static Batch batch;
    Tally all = {0};
    uint64_t first = 0, began = 0, last = 0, heard = now_ns() + 5000000000ull;
    while (1) {
        int got = receive(fd, &batch);
        if (!got && (int64_t)(now_ns() - heard) > (int64_t)silence) break;
        for (int i = 0; i < got; i++) {
            if ((batch.origins[i].sll_pkttype == PACKET_OUTGOING) != is_out) continue;
            Tally one = {0};
            if (!count_frame(&one, batch.data[i], batch.messages[i].msg_len, port)) continue;
            heard = arrival(&batch.messages[i].msg_hdr);
            if (!first) first = heard;
            if (heard - first < skip) continue;
            last = heard;
            if (skip && !began) { began = heard; continue; } /* only starts the clock */
            if (!began) began = heard;
            all.frames += one.frames;
            all.segments += one.segments;
            all.bytes += one.bytes;
        }
        if (got < BATCH) nap(4 * NAP_NS);
    }
    struct tpacket_stats stats = {0};
    socklen_t size = sizeof stats;
    getsockopt(fd, SOL_PACKET, PACKET_STATISTICS, &stats, &size);
    printf("{\"frames\":%lu,\"segments\":%lu,\"bytes\":%lu,\"seconds\":%.6f,\"overflowed\":%u}\n",
           all.frames, all.segments, all.bytes, (last - began) / 1e9, stats.tp_drops);
    return 0;
}

int main(int count, char **words) {
    static const struct { const char *name; int (*run)(char **); int least; } modes[] = {
        {"send", send_, 6}, {"sink", sink, 2}, {"stream", stream, 4},
        {"discard", discard, 2}, {"ping", ping, 3}, {"tap", tap, 5}};
    prctl(PR_SET_TIMERSLACK, 1);
    for (size_t i = 0; count > 1 && i < sizeof modes / sizeof *modes; i++)
        if (!strcmp(words[1], modes[i].name) && count - 2 >= modes[i].least)
            return modes[i].run(words + 2);
    fprintf(stderr, "flood send|sink|stream|discard|ping|tap; see flood.c\n");
    return 2;
}
