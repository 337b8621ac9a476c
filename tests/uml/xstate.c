/* Lets User-mode Linux run on CPUs whose extended state is larger than its own fixed buffer (AMX).
 *
 * UML reads its child's registers into a buffer of fixed size, which the kernel cuts short without
 * a word, and writes that back, which the kernel refuses (EFAULT) because it is too short. Here the
 * whole state is read, what UML has is laid over its beginning, and all of it is written. Where the
 * buffer is large enough nothing changes. Preloaded (ld.so(8)) into UML alone.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdarg.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/uio.h>

enum { XSTATE = 0x202 }; /* NT_X86_XSTATE of elf.h */

typedef long call(enum __ptrace_request, int, void *, void *);

static long write_whole(call *real, int pid, struct iovec *given)
{
    static char state[1 << 16]; /* AMX needs 11 KB; UML's kernel is one thread */
    struct iovec whole = {state, sizeof state};

    if (real(PTRACE_GETREGSET, pid, (void *)XSTATE, &whole) || whole.iov_len <= given->iov_len)
        return real(PTRACE_SETREGSET, pid, (void *)XSTATE, given);
    memcpy(state, given->iov_base, given->iov_len);
    return real(PTRACE_SETREGSET, pid, (void *)XSTATE, &whole);
}

long ptrace(enum __ptrace_request request, ...)
{
    static call *real;
    va_list rest;

    va_start(rest, request);
    int pid = va_arg(rest, int);
    void *address = va_arg(rest, void *);
    void *data = va_arg(rest, void *);
    va_end(rest);
    if (!real)
        real = (call *)dlsym(RTLD_NEXT, "ptrace");
    if (request == PTRACE_SETREGSET && address == (void *)XSTATE)
        return write_whole(real, pid, data);
    return real(request, pid, address, data);
}
