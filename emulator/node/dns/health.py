"""Thresholds: when a checker changes its mind about a region.

A region starts UNKNOWN. The first check decides: good is UP, bad is DOWN. From then on:

  UP -> DOWN  `fall` bad checks, reset by so many good ones in a row as `clear` says. Without
              `clear` one good check resets them, so the bad ones must come in a row. With it this
              is gdnsd's counter (down_thresh, ok_thresh): a region that fails every other check
              goes DOWN too.
  DOWN -> UP  `rise` good checks in a row (gdnsd's up_thresh).

Answers treat UNKNOWN as UP: nothing speaks against the region yet, and naming the nearest is
better than naming none.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from emulator.node.dns.config import HealthCheck
from emulator.node.dns.values import State


@dataclass(frozen=True, slots=True)
class HealthState:
    """What one checker holds about one region of one service. It knows no time."""

    check: HealthCheck
    state: State = "UNKNOWN"
    failures: int = 0  # that count against UP
    good: int = 0  # good checks in a row, the latest among them

    @property
    def is_suspect(self) -> bool:
        """The latest check contradicted UP, though it may not have been enough for DOWN yet."""
        return self.state == "UP" and self.good == 0

    def after(self, *, ok: bool) -> HealthState:
        """The state once one more check has ended; a rise that it completes waits for `risen`."""
        if self.state == "UNKNOWN":
            return replace(self, state="UP" if ok else "DOWN", good=int(ok))
        if ok:
            is_clear = self.good + 1 >= (self.check.clear or 1)
            return replace(self, good=self.good + 1, failures=0 if is_clear else self.failures)
        if self.state == "UP" and self.failures + 1 < self.check.fall:
            return replace(self, good=0, failures=self.failures + 1)
        return replace(self, state="DOWN", good=0, failures=0)

    def risen(self) -> HealthState:
        """The state once nothing holds it DOWN: UP if its latest `rise` checks were good."""
        if self.state == "DOWN" and self.good >= self.check.rise:
            return replace(self, state="UP")
        return self
