"""Is a difference more than noise? Rank statistics of two samples, and the noise of the phase.

Recovery times are no bell curve (a kill meets health checks and caches at an even phase), and runs
are few, so only their order is used: the rank-sum test of Mann and Whitney (1947) and the shift of
Hodges and Lehmann (1963), with the interval of all shifts that the test would not refuse.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

# Up to here the exact distribution is counted; beyond, the normal curve is as good to 3 digits.
_EXACT_MAX = 50
_Z95 = 1.959964  # 97.5 % of a normal curve lie below


@dataclass(frozen=True, slots=True)
class Shift:
    """How much larger the second sample is; the interval holds the truth 95 times of 100."""

    estimate: float
    low: float
    high: float


def mann_whitney(a: Sequence[float], b: Sequence[float]) -> float:
    """The probability that two samples of one population differ in rank as much as these or more,
    either way. Exact without ties and up to 50 values in all; else by the normal curve, corrected
    for ties and continuity. Infinite values are the largest. ValueError for an empty sample."""
    if not a or not b:
        raise ValueError("both samples need a value")
    u = sum((x < y) + 0.5 * (x == y) for x in a for y in b)
    least = min(u, len(a) * len(b) - u)
    has_ties = len({*a, *b}) < len(a) + len(b)
    if has_ties or len(a) + len(b) > _EXACT_MAX:
        return _normal_p(least, a, b)
    return min(1.0, 2 * _share_at_most(int(least), len(a), len(b)))


def least_p(a: int, b: int) -> float:
    """The smallest probability that samples of these sizes can ever show."""
    return min(1.0, 2 / math.comb(a + b, a))


def shift(a: Sequence[float], b: Sequence[float]) -> Shift | None:
    """The median of all differences `b - a`, with its 95 % interval; None for samples too small
    to have one, or with infinite values."""
    if not a or not b or not all(math.isfinite(value) for value in (*a, *b)):
        return None
    differences = sorted(y - x for x in a for y in b)
    outside = _outside(len(a), len(b))
    if not outside:
        return None
    return Shift(median(differences), differences[outside - 1], differences[-outside])


def phase_range(predicted: Sequence[float], share: float = 0.95) -> tuple[float, float] | None:
    """Between what the difference of two runs lies, `share` of the time, if only the phase
    differs: from the recovery predicted at evenly spread phases. None without a prediction."""
    if not predicted:
        return None
    differences = sorted(abs(y - x) for x in predicted for y in predicted)
    most = differences[math.ceil(share * len(differences)) - 1]
    return -most, most


def median(values: Sequence[float]) -> float:
    """The middle value, or the mean of the two in the middle. ValueError for none."""
    if not values:
        raise ValueError("no values")
    ordered = sorted(values)
    low, high = ordered[(len(ordered) - 1) // 2], ordered[len(ordered) // 2]
    return low if low == high else (low + high) / 2


def _normal_p(least: float, a: Sequence[float], b: Sequence[float]) -> float:
    count = len(a) + len(b)
    ties = sum(t**3 - t for t in Counter([*a, *b]).values())
    variance = len(a) * len(b) / 12 * (count + 1 - ties / (count * (count - 1)))
    if variance <= 0:
        return 1.0
    z = max(0.0, len(a) * len(b) / 2 - least - 0.5) / math.sqrt(variance)
    return math.erfc(z / math.sqrt(2))


def _share_at_most(u: int, a: int, b: int) -> float:
    return sum(_orders(a, b)[: u + 1]) / math.comb(a + b, a)


@lru_cache(maxsize=64)
def _orders(a: int, b: int) -> tuple[int, ...]:
    """In how many orders of a + b values the statistic is 0, 1, 2 ...: the coefficients of the
    Gaussian binomial, a product of (1 - x^(b+i)) / (1 - x^i) for i from 1 to a."""
    counts = [1] + [0] * (a * b)
    for i in range(1, a + 1):
        for power in range(a * b, b + i - 1, -1):
            counts[power] -= counts[power - b - i]
        for power in range(i, a * b + 1):
            counts[power] += counts[power - i]
    return tuple(counts)


def _outside(a: int, b: int) -> int:
    """How many of the ordered differences lie outside the 95 % interval on either side, plus 1;
    0: the samples are too small for one."""
    if a + b > _EXACT_MAX:
        return max(0, math.floor(a * b / 2 - _Z95 * math.sqrt(a * b * (a + b + 1) / 12)))
    allowed = 0.025 * math.comb(a + b, a)
    seen = count = 0
    for orders in _orders(a, b):
        seen += orders
        if seen > allowed:
            break
        count += 1
    return count
