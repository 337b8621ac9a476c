"""What a client of the user's tells beside its attempts: figures of its own, and how it ended."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median

from emulator.analysis.attempts import KEYS
from emulator.analysis.figures import Value, speaks_of
from emulator.analysis.own import own_cities
from emulator.analysis.periods import Interval, intervals, is_within
from emulator.analysis.timeline import Client, History
from emulator.analysis.windows import is_failed
from emulator.events import OWN_CLIENT, Own
from emulator.scenario.model import Objective, Period

FIGURES_MOST = 20  # names of figures of one client that are shown
OUT_OF_MEMORY = "out of memory"
_KILLED = 137.0  # 128 + SIGKILL, as shells have it


@dataclass(frozen=True, slots=True)
class OwnFigure:
    """A number that its lines told under a name of their own; medians, None: none was told."""

    name: str
    count: int
    before: float | None  # the first fault
    during: float | None  # while any fault lasted
    after: float | None  # the last heal


@dataclass(frozen=True, slots=True)
class OwnSeen:
    """One client of the user's in a run."""

    city: str
    image: str  # "": the header does not say
    end: str  # "exit 0"; "": it still runs
    attempts: int
    failed: int
    figures: tuple[OwnFigure, ...]


def own_seen(history: History) -> tuple[OwnSeen, ...]:
    """Every client of the user's, by city."""
    images = history.run.own_clients if history.run else {}
    ended = own_ends(history)
    spans = [intervals(history, Period(kind)) for kind in ("before", "faults", "after")]
    found = []
    for city in sorted(own_cities(history)):
        asked = history.requests.get(Client(city, OWN_CLIENT), [])
        figures = _figures(history.own.get(city, ()), spans)
        failed = sum(map(is_failed, asked))
        found.append(OwnSeen(city, images.get(city, ""), ended[city], len(asked), failed, figures))
    return tuple(found)


def own_ends(history: History) -> dict[str, str]:
    """City -> how its client of the user's ended; "" while it runs, also again after a heal."""
    ends = dict.fromkeys(own_cities(history), "")
    for event in history.daemons:
        city, _, _ = event.host.partition("/")
        if event.name == "image" and event.host == f"{city}/client" and city in ends:
            ends[city] = event.detail if event.state == "ended" else ""
    return ends


def exit_values(history: History, objective: Objective) -> tuple[Value, ...]:
    """The exit code of each client of the user's that the objective speaks of; unclear for one
    that still runs, or could not be started."""
    return tuple(
        _exit_value(city, end)
        for city, end in sorted(own_ends(history).items())
        if speaks_of(objective, (city, OWN_CLIENT))
    )


def _exit_value(city: str, end: str) -> Value:
    word, _, code = end.partition(" ")
    if word == "exit" and code.isdigit():
        return Value(float(code))
    if end == OUT_OF_MEMORY:
        return Value(_KILLED, f"{city}'s own client ran out of memory")
    return Value(None, f"{city}'s own client " + (f"ended: {end}" if end else "still runs"))


def _figures(lines: Iterable[Own], spans: Sequence[Sequence[Interval]]) -> tuple[OwnFigure, ...]:
    told: defaultdict[str, list[tuple[int, float]]] = defaultdict(list)
    for line in lines:
        for name, value in line.told.items():
            is_number = isinstance(value, int | float) and not isinstance(value, bool)
            if is_number and name not in KEYS and (name in told or len(told) < FIGURES_MOST):
                told[name].append((line.t, value))
    return tuple(
        OwnFigure(name, len(values), *(_median(values, among) for among in spans))
        for name, values in told.items()
    )


def _median(values: Sequence[tuple[int, float]], among: Sequence[Interval]) -> float | None:
    inside = [value for t, value in values if is_within(t, among)]
    return median(inside) if inside else None
