"""Figures that a test compares, each with the one line that says what it is made of."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Self

from emulator.analysis.measurements import PARTS, Row
from emulator.analysis.repeated import quantile
from emulator.analysis.timeline import Client
from emulator.analysis.words import client_name
from emulator.errors import Inconclusive

_OPEN = "too many requests started late, or have no known outcome, to tell"


class _Measured:
    """A number that lies between two, which are the same on a punctual machine. A comparison that
    what lies between could turn raises Inconclusive. `story` is its one line."""

    story: str
    between: tuple[float, float]

    def _decided(self, compare: Callable[[float, float], bool], other: float) -> bool:
        theirs = other.between if isinstance(other, _Measured) else (other, other)
        found = {compare(mine, their) for mine in self.between for their in theirs}
        if len(found) > 1:
            low, high = map(self._shown, self.between)
            raise Inconclusive(f"{self!r} may be {low} to {high}: {_OPEN}")
        return found.pop()

    def _shown(self, value: float) -> str:
        return f"{value:g}"

    def __lt__(self, other: float) -> bool:
        return self._decided(operator.lt, other)

    def __le__(self, other: float) -> bool:
        return self._decided(operator.le, other)

    def __gt__(self, other: float) -> bool:
        return self._decided(operator.gt, other)

    def __ge__(self, other: float) -> bool:
        return self._decided(operator.ge, other)


class Seconds(_Measured, float):
    """A time in seconds; infinite if it never came. `off` is by how much it may be wrong."""

    off: float

    def __new__(cls, value: float, story: str, off: float = 0.0) -> Self:
        made = super().__new__(cls, value)
        made.story = story
        made.off = off
        made.between = (max(0.0, value - off), value + off)
        return made

    def _shown(self, value: float) -> str:
        return f"{value:.2f} s" if math.isfinite(value) else "never"

    def __repr__(self) -> str:
        return self._shown(float(self))

    __str__ = __repr__


class Share(_Measured, float):
    """A share between 0 and 1."""

    def __new__(cls, value: float, story: str, between: tuple[float, float] | None = None) -> Self:
        made = super().__new__(cls, value)
        made.story = story
        made.between = between or (value, value)
        return made

    def _shown(self, value: float) -> str:
        return f"{value:.3%}"

    def __repr__(self) -> str:
        return self._shown(float(self))

    __str__ = __repr__


class Count(_Measured, int):
    """How many."""

    def __new__(cls, value: float, story: str, between: tuple[float, float] | None = None) -> Self:
        made = super().__new__(cls, value)
        made.story = story
        made.between = between or (value, value)
        return made

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, int | float):
            return NotImplemented
        low, high = self.between
        is_open = low != high and low <= other <= high
        # Both sides of an equality that is open differ, so that asking for order says why.
        return self._decided(operator.le, other) if is_open else int(self) == other

    def __ne__(self, other: object) -> bool:
        return not self == other

    __hash__ = int.__hash__


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
