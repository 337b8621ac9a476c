"""What is drawn for a path: whom an independent fate meets, bursts, a delay that wanders.

Every path draws from a generator of its own, seeded by the lab's seed and the path's number.
"""

from __future__ import annotations

import math
import random

from emulator.node.wan.table import SHARE_SCALE

UNIFORM, NORMAL, PARETO = range(3)  # as impairment.DISTRIBUTIONS numbers them
_FOR_EVER = 1 << 62


class Luck:
    """Which of the segments to come a fate of some share meets: the gaps between those that it
    meets are geometric, so that a super-frame costs one comparison and not 45 draws."""

    __slots__ = ("_gap", "_random", "_share")

    def __init__(self, random_: random.Random) -> None:
        self._random = random_
        self._share = 0
        self._gap = _FOR_EVER

    def hits(self, count: int, share: int) -> list[int]:
        """Those of the next `count` segments, counted from 0; `share` is of SHARE_SCALE."""
        if share != self._share:
            self._share = share
            self._gap = self._draw()
        found = []
        at = self._gap
        while at < count:
            found.append(at)
            at += 1 + self._draw()
        self._gap = at - count
        return found

    def _draw(self) -> int:
        if not self._share:
            return _FOR_EVER
        if self._share >= SHARE_SCALE:
            return 0
        return int(math.log(1.0 - self._random.random()) / math.log1p(-self._share / SHARE_SCALE))


class Bursts:
    """The two states of Gilbert (1960) and Elliott (1963), one step a segment."""

    __slots__ = ("_is_bad", "_random")

    def __init__(self, random_: random.Random) -> None:
        self._random = random_
        self._is_bad = False

    def hits(self, count: int, enter: int, leave: int, good: int, bad: int) -> list[int]:
        """Those of the next `count` segments that are lost; probabilities are of SHARE_SCALE."""
        draw = self._random.getrandbits
        found = []
        for index in range(count):
            if draw(32) < (leave if self._is_bad else enter):
                self._is_bad = not self._is_bad
            if draw(32) < (bad if self._is_bad else good):
                found.append(index)
        return found


class Wander:
    """A random deviation of the delay that keeps order.

    Independent random delays would let a frame overtake the one before it, and holding it back
    instead makes every frame wait for the slowest. Here the deviation rests on a drawn value for
    4 amplitudes and then goes straight to the next, no faster than half of time: so it never falls
    faster than time runs, and three quarters of the time it is just as it was drawn.
    """

    __slots__ = ("_amplitude", "_from", "_kind", "_next", "_ramp", "_random", "_start", "_to")

    def __init__(self, random_: random.Random) -> None:
        self._random = random_
        self._amplitude = self._kind = -1
        self._start = self._next = 0
        self._ramp = 1.0
        self._from = self._to = 0.0

    def at(self, now: int, amplitude: int, kind: int) -> int:
        """The deviation at an instant (ns); instants may go back a little, by a lifted rate."""
        rest = 4 * amplitude
        if amplitude != self._amplitude or kind != self._kind or now - self._next > 10 * rest:
            self._amplitude, self._kind = amplitude, kind
            self._from = self._to = self._draw()
            self._begin(now)
        while now >= self._next:
            self._from, self._to = self._to, self._draw()
            self._begin(self._next)
        share = min(1.0, max(0, now - self._start) / self._ramp)
        return int(self._from + (self._to - self._from) * share)

    def _begin(self, start: int) -> None:
        self._start = start
        self._ramp = 2.0 * abs(self._to - self._from) + 1.0
        self._next = start + int(self._ramp) + 4 * self._amplitude

    def _draw(self) -> float:
        """Mean 0. Of `normal` and `pareto` the amplitude is the standard deviation, and what is
        out of all proportion is left out: a rest on it would last."""
        if self._kind == UNIFORM:
            return self._random.uniform(-self._amplitude, self._amplitude)
        if self._kind == NORMAL:
            return self._amplitude * max(-3.0, min(3.0, self._random.gauss(0.0, 1.0)))
        # Pareto of shape 3 has the mean 3/2 and the variance 3/4.
        drawn = (self._random.paretovariate(3.0) - 1.5) / math.sqrt(0.75)
        return self._amplitude * min(8.0, drawn)
