"""When which kind of request is due. Pure: instants in, instants out.

All kinds share one grid of evenly spaced slots, so that two requests are never due at once. A
slot goes to the kind that is furthest behind its rate, so each kind is spread evenly too: with
rates whose ratios are whole, every kind has a constant period.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from emulator.clock import NS_PER_S

KINDS = ("http", "keepalive", "stream", "udp")
FOREVER = 1 << 62


class Schedule:
    """Slots from `origin` (ns) on, at `rates` (requests a second by kind).

    `due` is the next slot's instant, FOREVER without rates; `kind` is whose turn it is.
    """

    def __init__(self, rates: Mapping[str, float], origin: int) -> None:
        self._rates = {kind: rates[kind] for kind in KINDS if rates.get(kind, 0) > 0}
        self._total = sum(self._rates.values())
        self._given = dict.fromkeys(self._rates, 0)
        self._origin = origin
        self._slot = -1
        self.due = FOREVER
        self.kind = ""
        self.advance()

    def advance(self) -> None:
        """On to the next slot."""
        if not self._rates:
            return
        self._slot += 1
        self.due = self._origin + round((self._slot + 0.5) * NS_PER_S / self._total)
        self.kind = min(self._rates, key=self._wanted_at)
        self._given[self.kind] += 1

    def _wanted_at(self, kind: str) -> float:
        """When this kind's next request would be due if it were alone, in seconds."""
        return (self._given[kind] + 0.5) / self._rates[kind]


def aligned(rates: Mapping[str, float], origin: int, now: int) -> Schedule:
    """A schedule on the grid that begins at `origin`, from the first whole slot after `now` on."""
    gap = NS_PER_S / max(1e-9, sum(rates.values()))
    missed = math.ceil(max(0, now - origin) / gap)
    return Schedule(rates, origin + round(missed * gap))
