/* Datagrams to port 9 of an address, as many as go: flood ADDRESS SECONDS. Says how many. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

enum { BATCH = 64, SIZE = 22 };

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + 1e-9 * t.tv_nsec;
}

int main(int count, char **words)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(9)};
    char payload[SIZE] = {0};
    struct iovec part = {payload, SIZE};
    struct mmsghdr messages[BATCH];
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    if (count != 3 || !inet_aton(words[1], &to.sin_addr)) return 2;
    memset(messages, 0, sizeof messages);
    for (int i = 0; i < BATCH; i++)
        messages[i].msg_hdr = (struct msghdr){ /* not connected: no answer makes an error */
            .msg_name = &to, .msg_namelen = sizeof to, .msg_iov = &part, .msg_iovlen = 1};
    long sent = 0;
    for (double until = now() + atof(words[2]); now() < until;) {
        int done = sendmmsg(fd, messages, BATCH, 0);
        if (done > 0) sent += done;
    }
    printf("%ld\n", sent);
    return 0;
}
