"""What was true from when to when: a fault, a name server's opinion, a resolver's answer."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise

from emulator.analysis.timeline import History
from emulator.analysis.words import asker_name

_LANES_MAX = 8  # of name servers; more would be taller than the requests they explain


@dataclass(frozen=True, slots=True)
class Span:
    """Seconds of the report's clock."""

    start_s: float
    end_s: float
    words: str
    kind: str  # up, down, fault, or a region's name


@dataclass(frozen=True, slots=True)
class Lane:
    """One thing with its spans, oldest first."""

    name: str
    spans: tuple[Span, ...]


def end_s(history: History) -> float:
    """Where the picture ends."""
    return max(history.seconds(history.last_ns), 1.0)


def fault_lanes(history: History) -> list[Lane]:
    """Every fault from its injection to its heal."""
    end = end_s(history)
    lanes = []
    for life in history.injected():
        begun = history.seconds(life.began)
        healed = end if life.healed is None else history.seconds(life.healed)
        lanes.append(Lane(f"fault: {life.name}", (Span(begun, healed, life.name, "fault"),)))
    return lanes


def health_lanes(history: History) -> list[Lane]:
    """Every name server's opinion of every region that it changed its mind about."""
    end = end_s(history)
    changes: defaultdict[tuple[str, str, str], list[tuple[float, str, str]]] = defaultdict(list)
    for event in sorted(history.health, key=lambda h: h.t):
        key = (event.region, event.service, event.server)
        changes[key].append((history.seconds(event.t), event.state, event.reason))
    several = len({service for _, service, _ in changes}) > 1
    return [
        Lane(
            f"{region} at {server}" + (f", {service}" if several else ""),
            tuple(_states(told, end)),
        )
        for (region, service, server), told in sorted(changes.items())
    ][:_LANES_MAX]


def answer_lane(history: History, city: str) -> Lane | None:
    """The region that the city's resolver was told last; None where nothing was seen."""
    end = end_s(history)
    spans: list[Span] = []
    who = asker_name(history.run, city)
    for answer in sorted(history.answers_to(city), key=lambda a: a.t):
        named = dict.fromkeys(filter(None, map(history.region_of, answer.addresses)))
        regions = ", ".join(named)
        if not regions or (spans and spans[-1].kind == regions):
            continue
        at = max(0.0, history.seconds(answer.t))
        if spans:
            last = spans.pop()
            spans.append(Span(last.start_s, at, last.words, last.kind))
        told = f"{who} is told {regions} by {answer.source}, TTL {answer.ttl} s"
        spans.append(Span(at, end, told, regions))
    return Lane(f"DNS answer to {city}", tuple(spans)) if spans else None


def _states(told: Iterable[tuple[float, str, str]], end: float) -> list[Span]:
    """Before the first change it was the other way round."""
    changes = list(told)
    first = "DOWN" if changes[0][1] == "UP" else "UP"
    steps = [(0.0, first, "since before"), *changes, (end, "", "")]
    return [
        Span(at, until, f"{state}: {reason}", state.lower())
        for (at, state, reason), (until, _, _) in pairwise(steps)
        if until > at
    ]
