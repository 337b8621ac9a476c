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


MONOTONIC = MonotonicClock()  # what time is, where nobody says otherwise


class ManualClock:
    """A clock that only moves when told to; `sleep` moves it at once."""

    def __init__(self, start_ns: int = 0) -> None:
        self._now_ns = start_ns

    def now_ns(self) -> int:
        return self._now_ns

    def sleep(self, seconds: float) -> None:
        self._now_ns += round(max(0.0, seconds) * NS_PER_S)
