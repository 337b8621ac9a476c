"""Requests as marks of a picture: what each shows, and which are left out when there are many."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from emulator.analysis.timeline import Client, History
from emulator.analysis.windows import is_failed
from emulator.clock import NS_PER_S
from emulator.events import Request

BUDGET = 20_000  # a browser draws and moves that many without a wait
COLUMNS = 1_000  # about the width of a picture in pixels

_FAILURES = {
    "EOF": "closed",
    "ECONNRESET": "reset",
    "EPIPE": "reset",
    "ECONNREFUSED": "refused",
    "EHOSTUNREACH": "refused",
    "NXDOMAIN": "name",
    "SERVFAIL": "name",
    "lookup": "name",
    "stalled": "stream",
    "unconnected": "stream",
}


@dataclass(frozen=True, slots=True)
class Marks:
    """The requests that a picture shows, and how many there are."""

    shown: Mapping[Client, Sequence[Request]]
    total: int
    failed: int
    failed_shown: int

    @property
    def count(self) -> int:
        """How many are shown."""
        return sum(map(len, self.shown.values()))

    def caption(self) -> str:
        """How many of how many, and which."""
        if self.count == self.total:
            return f"All {self.total:,} requests are shown."
        failures = (
            f"all {self.failed:,} that failed"
            if self.failed_shown == self.failed
            else f"{self.failed_shown:,} of {self.failed:,} that failed"
        )
        return (
            f"{self.count:,} of {self.total:,} requests are shown: {failures}, and of the rest"
            " evenly many in each of 1,000 columns, the slowest of each always among them."
        )


def failure_of(request: Request) -> str:
    """The kind of failure, a key of palette.FAILURES; empty for a request that did not fail."""
    if not is_failed(request):
        return ""
    if request.closed_by == "peer-rst":
        return "reset"
    fallback = "silence" if request.outcome == "timeout" else "status"
    return _FAILURES.get(request.detail, fallback)


def took_s(request: Request) -> float | None:
    """From the start of a request to its end."""
    return None if request.end is None else (request.end - request.t) / NS_PER_S


def choose(history: History, budget: int = BUDGET) -> Marks:
    """All requests, or `budget` of them: failures first, of which never more than half."""
    everything = {client: history.requests[client] for client in history.clients()}
    total = sum(map(len, everything.values()))
    start = history.origin_ns
    column_ns = max(1, (history.last_ns - start) // COLUMNS + 1)
    fine, failed = {}, {}
    for client, requests in everything.items():
        fine[client], failed[client] = _cells(requests, start, column_ns)
    failures = sum(len(cell) for own in failed.values() for cell in own)
    if total <= budget:
        return Marks(everything, total, failures, failures)
    kept = _thin(failed, max(budget // 2, 1))
    failed_shown = sum(map(len, kept.values()))
    rest = _thin(fine, max(budget - failed_shown, 1))
    shown = {client: [*rest[client], *kept[client]] for client in everything}
    return Marks(shown, total, failures, failed_shown)


_Cell = list[Request]


def _cells(
    requests: Sequence[Request], start: int, column_ns: int
) -> tuple[list[_Cell], list[_Cell]]:
    """Requests by column: those that did not fail, those that did."""
    fine: defaultdict[int, _Cell] = defaultdict(list)
    failed: defaultdict[int, _Cell] = defaultdict(list)
    for request in requests:
        cells = failed if request.outcome in ("error", "timeout") else fine
        cells[(request.t - start) // column_ns].append(request)
    return list(fine.values()), list(failed.values())


def _thin(cells: Mapping[Client, Sequence[_Cell]], budget: int) -> dict[Client, list[Request]]:
    """About `budget` at most: every column of every client may have as many as any other."""
    sizes = [len(cell) for own in cells.values() for cell in own]
    quota = _quota(sizes, budget)
    step = max(1, math.ceil(len(sizes) / budget))  # more cells than marks: every n-th column
    return {
        client: [request for cell in own[::step] for request in _evenly(cell, quota)]
        for client, own in cells.items()
    }


def _quota(sizes: Sequence[int], budget: int) -> int:
    """The most that every cell may have so that all together keep to the budget; 1 at least."""
    low, high = 1, max(sizes, default=1)
    while low < high:
        middle = (low + high + 1) // 2
        if sum(min(size, middle) for size in sizes) <= budget:
            low = middle
        else:
            high = middle - 1
    return low


def _evenly(cell: Sequence[Request], quota: int) -> list[Request]:
    """`quota` of a cell, the slowest among them."""
    if len(cell) <= quota:
        return list(cell)
    took = [(r.end or r.t) - r.t for r in cell]
    slowest = took.index(max(took))
    chosen = {index * len(cell) // quota for index in range(quota)}
    if slowest not in chosen:
        chosen = chosen - {0} | {slowest}
    return [cell[index] for index in sorted(chosen)]
