"""What the machine's host took: the processors of a virtual machine are lent."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from benchmarks.table import Line, median_at_most

# Of the processors' time, within seconds. A frame waits for two ends of sleeps on its way there and
# back; where the host takes a processor for 5 ms at a time, as here, 0.3 % of the time make one
# round trip in a hundred late by that.
CALM = 0.003


class Ticks(NamedTuple):
    """Of all processors since the machine started; those that the host gave to others
    (proc_stat(5))."""

    all: int
    stolen: int


def ticks() -> Ticks:
    fields = [int(word) for word in Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]
    return Ticks(sum(fields), fields[7])


def taken_since(before: Ticks) -> float:
    """Share of the processors' time."""
    now = ticks()
    return (now.stolen - before.stolen) / max(1, now.all - before.all)


def median_in_calm(what: str, values: Sequence[float], bound: float, unit: str) -> Line:
    """The median of those that were measured in calm must be at most `bound`. Where there is none,
    the bound was not seen kept."""
    if values:
        return median_at_most(what, values, bound, unit)
    return Line(what, f"≤ {bound:g} {unit}", "never calm", "", 0, kept=False)
