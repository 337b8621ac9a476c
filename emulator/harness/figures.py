"""Figures that a test compares, each with the one line that says what it is made of."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Self

from emulator.analysis.lateness import TOO_BUSY
from emulator.analysis.measurements import PARTS, Row
from emulator.analysis.repeated import quantile
from emulator.analysis.timeline import Client
from emulator.analysis.words import client_name
from emulator.errors import Inconclusive


class Seconds(float):
    """A time in seconds; infinite if it never came. `story` is its one line; `off` is by how much
    it may be wrong: a comparison that this could turn raises Inconclusive."""

    story: str
    off: float

    def __new__(cls, value: float, story: str, off: float = 0.0) -> Self:
        made = super().__new__(cls, value)
        made.story = story
        made.off = off
        return made

    def __lt__(self, other: float) -> bool:
        return self._decided(operator.lt, other)

    def __le__(self, other: float) -> bool:
        return self._decided(operator.le, other)

    def __gt__(self, other: float) -> bool:
        return self._decided(operator.gt, other)

    def __ge__(self, other: float) -> bool:
        return self._decided(operator.ge, other)

    def _decided(self, compare: Callable[[float, float], bool], other: float) -> bool:
        off = self.off + (other.off if isinstance(other, Seconds) else 0.0)
        low, high = (compare(float(self) + change, float(other)) for change in (-off, off))
        if low != high:
            raise Inconclusive(f"{self!r} may be {off:.2f} s more or less: {TOO_BUSY}")
        return low

    def __repr__(self) -> str:
        return f"{float(self):.2f} s" if math.isfinite(self) else "never"

    __str__ = __repr__


class Share(float):
    """A share between 0 and 1. `story` is its one line."""

    story: str

    def __new__(cls, value: float, story: str) -> Self:
        made = super().__new__(cls, value)
        made.story = story
        return made

    def __repr__(self) -> str:
        return f"{float(self):.3%}"

    __str__ = __repr__


class Count(int):
    """How many. `story` is its one line."""

    story: str

    def __new__(cls, value: int, story: str) -> Self:
        made = super().__new__(cls, value)
        made.story = story
        return made


@dataclass(frozen=True, repr=False)
class Recovery:
    """How long the clients that were asked for took to recover, from every fault of the recording.

    A client that was not affected took 0.0 s, one that did not recover took for ever. The
    percentiles are over clients and faults: `p100` is the slowest. Its repr is the one line that
    says what happened to that one.
    """

    rows: tuple[Row, ...]
    story: str
    off: float = 0.0  # by how much each may be wrong

    def __repr__(self) -> str:
        return self.story

    @property
    def p50(self) -> Seconds:
        return self.percentile(50)

    @property
    def p90(self) -> Seconds:
        return self.percentile(90)

    @property
    def p99(self) -> Seconds:
        return self.percentile(99)

    @property
    def p100(self) -> Seconds:
        return self.percentile(100)

    def percentile(self, percent: float) -> Seconds:
        """The time that `percent` of the recoveries did not exceed; infinite as soon as one client
        did not recover, as with objectives."""
        ordered = tuple(sorted(seconds_of(row) for row in self.rows))
        found = ordered[-1] if math.isinf(ordered[-1]) else quantile(ordered, percent / 100)
        story = self.story
        if found != ordered[-1]:
            shown = Seconds(found, "")
            story = f"p{percent:g} of {len(ordered)} recoveries is {shown}; the slowest: {story}"
        return Seconds(found, story, self.off)

    @property
    def clients(self) -> Mapping[Client, Seconds]:
        """Each client (`city`, `kind`) and its slowest recovery."""
        worst: dict[Client, float] = {}
        for row in self.rows:
            worst[row.client] = max(seconds_of(row), worst.get(row.client, 0.0))
        return {
            client: Seconds(took, f"{client_name(client)}: {self.story}", self.off)
            for client, took in worst.items()
        }

    @property
    def parts(self) -> Mapping[str, float]:
        """What the slowest recovery is made of: `detection_s`, `publish_s`, `cache_s`, `client_s`,
        `connect_s`, `resume_s`, which sum to it; all 0.0 where nothing had to recover."""
        recovered = [row for row in self.rows if row.recovery_s is not None]
        slowest = max(recovered, key=seconds_of, default=None)
        return dict.fromkeys(PARTS, 0.0) if slowest is None else slowest.parts()


def seconds_of(row: Row) -> float:
    """0 for unaffected, infinite for not recovered. Raises Inconclusive where nobody can tell."""
    if row.state == "inconclusive":
        raise Inconclusive(f"{client_name(row.client)}: {row.reason}")
    if row.state == "unaffected":
        return 0.0
    return math.inf if row.recovery_s is None else row.recovery_s
