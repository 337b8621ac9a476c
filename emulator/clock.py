"""Time is a parameter. The lab's one clock is CLOCK_MONOTONIC of its kernel, in nanoseconds.

Programs in the lab stamp their events with `MonotonicClock`; tests move a `ManualClock`.
"""

from __future__ import annotations

import time
from typing import Protocol

NS_PER_S = 1_000_000_000
NS_PER_MS = 1_000_000


class Clock(Protocol):
    """Now, in nanoseconds since an arbitrary start that never moves."""

    def now_ns(self) -> int: ...

    def sleep(self, seconds: float) -> None: ...


class MonotonicClock:
    """The kernel's CLOCK_MONOTONIC: the same number in every container of one machine."""

    def now_ns(self) -> int:
        return time.monotonic_ns()

    def sleep(self, seconds: float) -> None:
        time.sleep(max(0.0, seconds))


class WallClock:
    """What the kernel stamps by the wall clock, as instants of CLOCK_MONOTONIC.

    The two differ by a constant until somebody sets the wall clock: both are slewed alike. It is
    read from one clock between two readings of the other, and the closest two count: a processor
    that is taken away in between would be an error of milliseconds.
    """

    def __init__(self) -> None:
        self._offset, self._doubt = min((_offset() for _ in range(10)), key=lambda seen: seen[1])

    def look(self) -> None:
        """Take a closer reading, or notice that the clock was set."""
        offset, doubt = _offset()
        if doubt < self._doubt or abs(offset - self._offset) > doubt + self._doubt:
            self._offset, self._doubt = offset, doubt

    def monotonic_ns(self, wall_ns: int) -> int:
        return wall_ns + self._offset


def _offset() -> tuple[int, int]:
    """What makes a monotonic instant of one of the wall clock, and by how much it may be off."""
    before = time.monotonic_ns()
    wall = time.time_ns()
    after = time.monotonic_ns()
    return (before + after) // 2 - wall, after - before


MONOTONIC = MonotonicClock()  # what time is, where nobody says otherwise


class ManualClock:
    """A clock that only moves when told to; `sleep` moves it at once."""

    def __init__(self, start_ns: int = 0) -> None:
        self._now_ns = start_ns

    def now_ns(self) -> int:
        return self._now_ns

    def sleep(self, seconds: float) -> None:
        self._now_ns += round(max(0.0, seconds) * NS_PER_S)
