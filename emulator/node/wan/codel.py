"""Controlled delay (RFC 8289): drops early what has waited for too long for too long."""

from __future__ import annotations

import math

from emulator.clock import NS_PER_MS

TARGET_NS = 5 * NS_PER_MS
INTERVAL_NS = 100 * NS_PER_MS


class Codel:
    """The state of RFC 8289, section 5, asked once for each segment in the order of leaving.

    A queue that is a time, as ours, knows when a segment will leave as soon as it enters; so it is
    asked then, with the instant of leaving, and what is dropped never takes its turn.
    """

    __slots__ = ("_above_since", "_count", "_drop_next", "_is_dropping", "_last_count")

    def __init__(self) -> None:
        self._above_since = 0  # first_above_time
        self._is_dropping = False
        self._drop_next = 0
        self._count = self._last_count = 0

    def drops(self, leaves: int, waited: int, *, is_last: bool) -> bool:
        """Whether the segment that would leave at `leaves` (ns) after having waited so long is
        dropped. `is_last`: no more than one full segment waits with it."""
        is_late = self._is_late(leaves, waited, is_last=is_last)
        if self._is_dropping:
            self._is_dropping = is_late
            if not is_late or leaves < self._drop_next:
                return False
            self._count += 1
            self._drop_next = self._law(self._drop_next)
            return True
        if is_late:
            self._begin(leaves)
        return is_late

    def _is_late(self, leaves: int, waited: int, *, is_last: bool) -> bool:
        if waited < TARGET_NS or is_last:
            self._above_since = 0
        elif not self._above_since:
            self._above_since = leaves + INTERVAL_NS
        else:
            return leaves >= self._above_since
        return False

    def _begin(self, leaves: int) -> None:
        """Dropping begins; soon after the last time, at the rate that was needed then."""
        self._is_dropping = True
        before = self._count - self._last_count
        is_soon = leaves - self._drop_next < 16 * INTERVAL_NS
        self._count = before if before > 1 and is_soon else 1
        self._drop_next = self._law(leaves)
        self._last_count = self._count

    def _law(self, since: int) -> int:
        return since + int(INTERVAL_NS / math.sqrt(self._count))
