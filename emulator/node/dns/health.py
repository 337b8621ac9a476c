"""Thresholds: when a name server changes its mind about a region.

A region starts UNKNOWN. The first check decides: good is UP, bad is DOWN. From then on `fall`
bad checks in a row make UP into DOWN and `rise` good ones in a row make DOWN into UP; one check
that agrees with the state starts the count anew. Answers treat UNKNOWN as UP: nothing speaks
against the region yet, and naming the nearest is better than naming none.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from emulator.node.dns.values import State


@dataclass(frozen=True, slots=True)
class HealthState:
    """What one server holds about one region of one service."""

    fall: int
    rise: int
    state: State = "UNKNOWN"
    against: int = 0  # checks in a row that contradict the state

    def after(self, *, ok: bool) -> HealthState:
        """The state once one more check has ended."""
        seen: State = "UP" if ok else "DOWN"
        if self.state == seen:
            return replace(self, against=0)
        needed = {"UNKNOWN": 1, "UP": self.fall, "DOWN": self.rise}[self.state]
        if self.against + 1 < needed:
            return replace(self, against=self.against + 1)
        return replace(self, state=seen, against=0)
