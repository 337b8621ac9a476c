"""One thread, one epoll, one timer: due requests first, everything else between two of them.

Rules that keep the schedule while hundreds of requests are in flight:
 * after every handled socket and every expired timer, what is due is started;
 * sockets are served before timers, so that an answer that waits in the kernel is never
   reported as a timeout because we were late;
 * work that can wait (writing events) is done only when the next wake-up is far enough away.
"""

from __future__ import annotations

import ctypes
import heapq
import os
import select
from collections.abc import Callable
from itertools import count
from time import monotonic_ns
from typing import Protocol

from emulator.clock import NS_PER_S
from emulator.node.client.schedule import FOREVER

BATCH = 16  # sockets a poll may report; timers wait until a poll reports fewer
IDLE_NS = 300_000  # time that must be left before the next wake-up for work that can wait
_CLOCK_MONOTONIC = 1
_ABSOLUTE = 1  # TFD_TIMER_ABSTIME

Handler = Callable[[int], None]


class Conn(Protocol):
    """What is done with a connection once it is open; a socket, or one inside TLS."""

    def recv(self, size: int, /) -> bytes: ...

    def send(self, data: bytes, /) -> int: ...

    def fileno(self) -> int: ...

    def close(self) -> None: ...


class _Timespec(ctypes.Structure):
    _fields_ = (("s", ctypes.c_long), ("ns", ctypes.c_long))


class _Itimerspec(ctypes.Structure):
    _fields_ = (("interval", _Timespec), ("value", _Timespec))


class _Closable(Protocol):
    def fileno(self) -> int: ...

    def close(self) -> None: ...


class Alarm:
    """A kernel timer with nanoseconds behind a file descriptor.

    epoll's own timeout counts whole milliseconds, and os.timerfd_create came with Python 3.13.
    """

    def __init__(self) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)
        self.fd: int = self._libc.timerfd_create(_CLOCK_MONOTONIC, os.O_NONBLOCK | os.O_CLOEXEC)
        if self.fd < 0:
            raise OSError(ctypes.get_errno(), "timerfd_create failed")
        self._spec = _Itimerspec()

    def set(self, when: int) -> None:
        """Become readable at `when`; a new setting forgets the last."""
        self._spec.value.s, self._spec.value.ns = divmod(when, NS_PER_S)
        if self._libc.timerfd_settime(self.fd, _ABSOLUTE, ctypes.byref(self._spec), None) < 0:
            raise OSError(ctypes.get_errno(), "timerfd_settime failed")


class Timer:
    """An action in the future. Cancelling also forgets the action and all that it holds."""

    __slots__ = ("action",)

    def __init__(self, action: Callable[[], None]) -> None:
        self.action: Callable[[], None] | None = action

    def cancel(self) -> None:
        self.action = None


class Loop:
    """Watches sockets and timers; `run` gives way to `urgent` between any two of them."""

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._handlers: dict[int, Handler] = {}
        self._timers: list[tuple[int, int, Timer]] = []
        self._order = count()
        self._alarm = Alarm()
        self._armed = 0
        self._stopped = False
        # Edge-triggered, so that it need not be read: every expiry is an edge.
        self._epoll.register(self._alarm.fd, select.EPOLLIN | select.EPOLLET)

    def watch(self, fd: int, events: int, handler: Handler) -> None:
        """Call `handler(mask)` when one of `events` happens. PermissionError: not pollable."""
        self._epoll.register(fd, events)
        self._handlers[fd] = handler

    def forget(self, fd: int) -> None:
        if self._handlers.pop(fd, None) is not None:
            self._epoll.unregister(fd)

    def close(self, sock: _Closable) -> None:
        """Forget the socket and close it the normal way."""
        self.forget(sock.fileno())
        sock.close()

    def at(self, when: int, action: Callable[[], None]) -> Timer:
        """Call `action` once at `when` (ns) or as soon after as we can."""
        timer = Timer(action)
        heapq.heappush(self._timers, (when, next(self._order), timer))
        return timer

    def stop(self) -> None:
        self._stopped = True

    def run(self, urgent: Callable[[], int], idle: Callable[[], None]) -> None:
        """Until `stop`. `urgent` starts what is due and says when the next is."""
        while not self._stopped:
            due = urgent()
            ready = self._wait(min(due, self._next_timer()), idle)
            for fd, handler, mask in ready:
                # It may be closed by now, and its number taken by another socket.
                if self._handlers.get(fd) is handler:
                    handler(mask)
                    urgent()
            if len(ready) < BATCH:
                self._expire(urgent)

    def _wait(self, wake: int, idle: Callable[[], None]) -> list[tuple[int, Handler, int]]:
        left = wake - monotonic_ns()
        if left > IDLE_NS:
            idle()
        if left > 0 and wake != self._armed:
            self._alarm.set(wake)
            self._armed = wake
        happened = self._epoll.poll(-1 if left > 0 else 0, BATCH)
        handlers = self._handlers
        return [(fd, handlers[fd], mask) for fd, mask in happened if fd in handlers]

    def _next_timer(self) -> int:
        while self._timers and self._timers[0][2].action is None:
            heapq.heappop(self._timers)
        return self._timers[0][0] if self._timers else FOREVER

    def _expire(self, urgent: Callable[[], int]) -> None:
        while self._next_timer() <= monotonic_ns():
            timer = heapq.heappop(self._timers)[2]
            action, timer.action = timer.action, None
            if action is not None:
                action()
            urgent()
