"""Health checks over HTTP, on a schedule that nothing shifts.

Checks start at first + n * interval, however long the check before took; a check lasts at most
its timeout, which is at most the interval, so results come in order. A check that a stopped
process slept through is not made up for: the latest one due is made, the rest are skipped.

The schedules of a server count from one instant, which a command may move (the phase of the
checks): the first check of the new schedule is then the one at least half an interval after the
last of the old, so there is no burst, and no gap of more than one interval and a half.

Every check is a connection of its own (`Connection: close`), read to its end: closing with
unread bytes would put a RST on the wire that no fault caused.
"""

from __future__ import annotations

import asyncio
import errno
import math
import re
import socket
from collections.abc import Callable

from emulator.clock import Clock
from emulator.node.dns.config import Endpoint, Service
from emulator.node.dns.routing import Checked

# Regions' schedules start this far apart (less where they would not fit the interval): apart, so
# that checks do not come in bursts; not far, because the first checks decide when a lab is ready.
SPREAD_S = 0.05
ANSWER_SIZE_MAX = 16384  # bytes; a health page is far smaller

_STATUS = re.compile(rb"HTTP/\d(?:\.\d)? (\d{3})[ \r\n]")
_WORDS = {
    errno.ECONNREFUSED: "refused",
    errno.ECONNRESET: "reset",
    errno.EHOSTUNREACH: "host unreachable",
    errno.ENETUNREACH: "network unreachable",
}


def first_offset(index: int, count: int, interval_s: float) -> float:
    """Seconds from the start to the first check of the schedule `index` of `count`."""
    return index * min(SPREAD_S, interval_s / count)


def next_due(first: float, interval_s: float, last: float, now: float) -> float:
    """When the check after the one that was due at `last` is due. `first` is any instant of the
    schedule, also one to come."""
    half_after_last = math.ceil((last - first) / interval_s + 0.5)
    latest_due = math.floor((now - first) / interval_s)
    return first + max(half_after_last, latest_due) * interval_s


class Anchor:
    """The instant of the running loop that all schedules of a server count from."""

    def __init__(self, start: float) -> None:
        self._start = start
        self._moved = asyncio.Event()

    def move(self, start: float) -> None:
        """Every schedule goes on counted from `start`, also those that wait for a check."""
        self._start = start
        self._moved.set()
        self._moved = asyncio.Event()

    async def wait_until(self, due: Callable[[float], float]) -> float:
        """Wait until the instant `due(start)`, wherever the start is by then; that instant."""
        while True:
            moment = due(self._start)
            try:
                async with asyncio.timeout_at(moment):
                    await self._moved.wait()
            except TimeoutError:
                return moment


def judge(answer: bytes) -> tuple[bool, str]:
    """Is this HTTP answer a good check, and what did it say?"""
    if not answer:
        return False, "closed without an answer"
    status = _STATUS.match(answer)
    if not status:
        return False, "not an HTTP answer"
    return status[1].startswith(b"2"), f"HTTP {status[1].decode()}"


async def check(endpoint: Endpoint, timeout_s: float, clock: Clock) -> Checked:
    """One health check of `endpoint`, over after `timeout_s` at the latest."""
    start_ns = clock.now_ns()
    ok, detail = await _ask(endpoint, timeout_s)
    return Checked(start_ns, clock.now_ns(), ok, detail)


async def check_for_ever(
    service: Service,
    endpoint: Endpoint,
    schedule: tuple[Anchor, float],
    clock: Clock,
    take: Callable[[Checked], None],
) -> None:
    """Checks on the schedule that begins so many seconds after the anchor."""
    loop = asyncio.get_running_loop()
    anchor, offset = schedule
    last = await anchor.wait_until(lambda start: start + offset)
    while True:
        take(await check(endpoint, service.check.timeout_s, clock))

        def due(start: float, last: float = last) -> float:
            return next_due(start + offset, service.check.interval_s, last, loop.time())

        last = await anchor.wait_until(due)


async def _ask(endpoint: Endpoint, timeout_s: float) -> tuple[bool, str]:
    loop = asyncio.get_running_loop()
    phase = "connecting"
    answer = bytearray()
    family = socket.AF_INET6 if ":" in endpoint[0] else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as connection:
        connection.setblocking(False)  # noqa: FBT003
        try:
            async with asyncio.timeout(timeout_s):
                await loop.sock_connect(connection, endpoint)
                phase = "waiting for the answer"
                await loop.sock_sendall(connection, _request(endpoint))
                while len(answer) < ANSWER_SIZE_MAX:
                    chunk = await loop.sock_recv(connection, ANSWER_SIZE_MAX)
                    if not chunk:
                        break
                    answer += chunk
        except TimeoutError:
            if not _STATUS.match(answer):  # else it has answered, and only does not close
                return False, f"timed out {phase}"
        except OSError as error:
            return False, _WORDS.get(error.errno or 0) or str(error.strerror or error)
    return judge(bytes(answer))


def _request(endpoint: Endpoint) -> bytes:
    return (
        f"GET /healthz HTTP/1.1\r\nHost: {endpoint[0]}:{endpoint[1]}\r\n"
        "User-Agent: netemu-health-check\r\nConnection: close\r\n\r\n"
    ).encode()
