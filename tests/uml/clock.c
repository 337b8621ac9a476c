/* Gives User-mode Linux a clock of its own, which a busy machine does not disturb.
 *
 * Between two looks of the kernel at its clock no more than MOST passes, however long the machine
 * did something else; and a kernel that has nothing to do is at once as late as its next timer
 * says. (UML has such a mode, "time-travel=" of its kernel parameters; Debian compiles it without.)
 * Preloaded (ld.so(8)) into UML alone: its kernel is one thread, which looks at CLOCK_MONOTONIC,
 * sets one timer, and waits for that by sigsuspend().
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <time.h>

/* ns; about what a packet takes through a path of that kernel on an idle machine */
enum { MOST = 100000, SECOND = 1000000000 };

static struct {
    int (*clock_gettime)(clockid_t, struct timespec *);
    int (*timer_settime)(timer_t, int, const struct itimerspec *, struct itimerspec *);
    int (*timer_gettime)(timer_t, struct itimerspec *);
    int (*sigsuspend)(const sigset_t *);
} libc;

static int64_t now, machine; /* ns: UML's clock, and the machine's when it was last looked at */
static timer_t timer;
static int64_t due; /* ns, by UML's clock: when its timer ends */

__attribute__((constructor)) static void find(void)
{
    libc.clock_gettime = dlsym(RTLD_NEXT, "clock_gettime");
    libc.timer_settime = dlsym(RTLD_NEXT, "timer_settime");
    libc.timer_gettime = dlsym(RTLD_NEXT, "timer_gettime");
    libc.sigsuspend = dlsym(RTLD_NEXT, "sigsuspend");
}

static int64_t ns(struct timespec t)
{
    return (int64_t)t.tv_sec * SECOND + t.tv_nsec;
}

static int64_t machine_now(void)
{
    struct timespec t;

    libc.clock_gettime(CLOCK_MONOTONIC, &t);
    return ns(t);
}

static void look(void)
{
    int64_t t = machine_now(), passed = t - machine;

    now += passed < MOST ? passed : MOST;
    machine = t;
}

int clock_gettime(clockid_t clock, struct timespec *t)
{
    if (clock != CLOCK_MONOTONIC)
        return libc.clock_gettime(clock, t);
    look();
    t->tv_sec = now / SECOND;
    t->tv_nsec = now % SECOND;
    return 0;
}

/* The machine's timer is never the later one; told too early, the kernel sets it again. */
int timer_settime(timer_t id, int flags, const struct itimerspec *wanted, struct itimerspec *old)
{
    look();
    timer = id;
    due = now + ns(wanted->it_value);
    return libc.timer_settime(id, flags, wanted, old);
}

/* How the kernel waits when there is nothing to do. */
int sigsuspend(const sigset_t *mask)
{
    struct itimerspec left, at_once = {.it_value = {.tv_nsec = 1}};

    libc.timer_gettime(timer, &left);
    bool runs = ns(left.it_value), repeats = ns(left.it_interval); /* repeats: during boot */
    if (runs && !repeats) {
        now = now < due ? due : now;
        libc.timer_settime(timer, 0, &at_once, NULL);
    }
    int result = libc.sigsuspend(mask);
    machine = machine_now();
    return result;
}
