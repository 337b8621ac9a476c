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
    clients = history.clients()
    everything = {client: history.requests[client] for client in clients}
    failed = {client: [r for r in everything[client] if is_failed(r)] for client in clients}
    total, failures = (sum(map(len, of.values())) for of in (everything, failed))
    if total <= budget:
        return Marks(everything, total, failures, failures)
    frame = _Frame.of(history)
    kept = frame.thin(failed, max(budget // 2, 1))
    failed_shown = sum(map(len, kept.values()))
    fine = {client: [r for r in everything[client] if not is_failed(r)] for client in clients}
    rest = frame.thin(fine, max(budget - failed_shown, 1))
    shown = {client: [*rest[client], *kept[client]] for client in clients}
    return Marks(shown, total, failures, failed_shown)


@dataclass(frozen=True, slots=True)
class _Frame:
    """Time cut into columns."""

    start: int
    column_ns: int

    @classmethod
    def of(cls, history: History) -> _Frame:
        start = history.origin_ns
        return cls(start, max(1, (history.last_ns - start) // COLUMNS))

    def thin(
        self, requests: Mapping[Client, Sequence[Request]], budget: int
    ) -> dict[Client, list[Request]]:
        """At most `budget`: every column of every client may have as many as any other."""
        if sum(map(len, requests.values())) <= budget:
            return {client: list(own) for client, own in requests.items()}
        cells = {client: self._cells(own) for client, own in requests.items()}
        sizes = [len(cell) for own in cells.values() for cell in own]
        quota = _quota(sizes, budget)
        step = max(1, math.ceil(len(sizes) / budget))  # more cells than marks: every n-th column
        return {
            client: [request for cell in own[::step] for request in _evenly(cell, quota)]
            for client, own in cells.items()
        }

    def _cells(self, requests: Sequence[Request]) -> list[list[Request]]:
        cells: defaultdict[int, list[Request]] = defaultdict(list)
        start, width = self.start, self.column_ns
        for request in requests:
            cells[(request.t - start) // width].append(request)
        return list(cells.values())


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
    slowest = max(cell, key=lambda r: (r.end or r.t) - r.t)
    chosen = [cell[index * len(cell) // quota] for index in range(quota)]
    return chosen if slowest in chosen else [slowest, *chosen[1:]]
