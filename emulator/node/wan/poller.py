"""epoll with time-outs below a millisecond, which `select.epoll` rounds to milliseconds."""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import select

_EVENTS = 64
_PR_SET_TIMERSLACK = 29
_LIBC = ctypes.CDLL(None, use_errno=True)


class _Event(ctypes.Structure):
    # linux/eventpoll.h: packed on x86-64 only, elsewhere the 64-bit data is aligned. Python's
    # epoll fills the data's first half with the descriptor and leaves the second as it was.
    _fields_ = (
        ("events", ctypes.c_uint32),
        *([] if platform.machine() == "x86_64" else [("padding", ctypes.c_uint32)]),
        ("fd", ctypes.c_int32),
        ("rest", ctypes.c_uint32),
    )


class _Timespec(ctypes.Structure):
    _fields_ = (("seconds", ctypes.c_int64), ("nanoseconds", ctypes.c_int64))


def sharpen_timers() -> None:
    """Let this thread's timers ring on time: 1 ns of slack instead of the kernel's 50 us."""
    _LIBC.prctl(_PR_SET_TIMERSLACK, ctypes.c_ulong(1), 0, 0, 0)


class Poller:
    """Needs Linux 5.11 and glibc 2.35 (epoll_pwait2)."""

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._events = (_Event * _EVENTS)()
        self._timeout = _Timespec()
        self._wait = _LIBC.epoll_pwait2
        self._arguments = (
            self._epoll.fileno(),
            self._events,
            _EVENTS,
            ctypes.byref(self._timeout),
            None,
        )

    def add(self, fd: int) -> None:
        self._epoll.register(fd, select.EPOLLIN)

    def remove(self, fd: int) -> None:
        self._epoll.unregister(fd)

    def wait(self, timeout_ns: int) -> list[tuple[int, int]]:
        """(fd, events) of what is ready, at most `timeout_ns` from now."""
        self._timeout.seconds, self._timeout.nanoseconds = divmod(timeout_ns, 1_000_000_000)
        count = self._wait(*self._arguments)
        if count < 0:
            code = ctypes.get_errno()
            if code == errno.EINTR:
                return []
            raise OSError(code, f"epoll_pwait2: {os.strerror(code)}")
        events = self._events
        return [(events[i].fd, events[i].events) for i in range(count)]
