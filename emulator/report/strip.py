"""A row of letters: who served a client, second by second."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from emulator.analysis.timeline import Client, History
from emulator.analysis.windows import is_failed
from emulator.analysis.words import kind_name
from emulator.clock import NS_PER_S
from emulator.events import Request

FAILING = "."
NOTHING = "-"
_NAME = 28  # columns before the letters


@dataclass(frozen=True, slots=True)
class Scale:
    """How time is spread over columns."""

    origin_ns: int
    seconds: int  # a letter
    columns: int

    @classmethod
    def fit(cls, history: History, width: int) -> Scale:
        """The finest scale of whole seconds a letter that fits."""
        last = max(
            (max([r.t for r in own]) for own in history.requests.values() if own), default=None
        )
        length = 0 if last is None else (last - history.origin_ns) // NS_PER_S + 1
        seconds = max(1, math.ceil(length / max(1, width - _NAME)))
        return cls(history.origin_ns, seconds, math.ceil(length / seconds))

    def axis(self) -> str:
        """`0 s       10 s      20 s`."""
        step = 10
        marks = (f"{column * self.seconds} s" for column in range(0, self.columns, step))
        return "".join(mark.ljust(step) for mark in marks).rstrip()

    def letters(self, requests: Iterable[Request], initials: Mapping[str, str]) -> str:
        """One letter a column: the region of most answers, `.` where most failed, `-` nothing."""
        columns: list[Counter[str]] = [Counter() for _ in range(self.columns)]
        for request in requests:
            column = (request.t - self.origin_ns) // (self.seconds * NS_PER_S)
            if 0 <= column < self.columns and request.outcome != "unknown":
                mark = FAILING if is_failed(request) else initials.get(request.region, "?")
                columns[column][mark] += 1
        return "".join(_letter(column) for column in columns)


def initials(regions: Sequence[str]) -> dict[str, str]:
    """A letter of its own for every region: of its name if one is free, else a digit or capital."""
    chosen: dict[str, str] = {}
    for region in regions:
        spare = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
        own = [c for c in region.lower() if c.isalpha()]
        free = (c for c in [*own, *spare] if c not in chosen.values())
        chosen[region] = next(free, "?")
    return chosen


def strip_lines(history: History, affected: Sequence[Client], width: int) -> list[tuple[str, str]]:
    """(name, letters) of every row; an unaffected city is one line."""
    scale = Scale.fit(history, width)
    letters = initials(regions_of(history))
    lines: list[tuple[str, str]] = []
    cities: dict[str, list[Client]] = {}
    for client in history.clients():
        cities.setdefault(client.city, []).append(client)
    for city, clients in cities.items():
        if not any(client in affected for client in clients):
            lines.append((city, "unaffected"))
            continue
        lines.append((city, scale.axis()))
        lines += [
            (f"  {kind_name(c.kind)}", scale.letters(history.requests[c], letters)) for c in clients
        ]
    return lines


def legend(history: History, width: int) -> str:
    """What the letters mean."""
    seconds = Scale.fit(history, width).seconds
    letters = initials(regions_of(history))
    named = ", ".join(f"{letter} {region}" for region, letter in letters.items())
    unit = "second" if seconds == 1 else f"{seconds} seconds"
    return f"one letter a {unit}: served by {named}; {FAILING} failing, {NOTHING} no request"


def regions_of(history: History) -> list[str]:
    """The regions in the header's order, and any other that answered."""
    sites = history.run.sites if history.run else []
    named = [str(site["name"]) for site in sites if site.get("kind") == "region"]
    answered = set().union(*({r.region for r in own} for own in history.requests.values()))
    return [*named, *sorted(answered - {"", *named})]


def _letter(column: Counter[str]) -> str:
    served = Counter({mark: n for mark, n in column.items() if mark != FAILING})
    if not column:
        return NOTHING
    if column[FAILING] > served.total():
        return FAILING
    return served.most_common(1)[0][0]
