"""How often name servers are asked: what a TTL costs, beside the recovery that it allows.

Read off the answers on the wire that a name server sent for the service's name. A resolver that
asks anew whenever a TTL is over is a periodic process: N answers in a row span N - 1 of its cycles,
whatever part of a cycle lies before the first and behind the last. A run with a planned phase
empties the resolvers' caches once, which cuts one cycle short: it is left out.
"""

from __future__ import annotations

from bisect import bisect
from collections.abc import Iterable
from itertools import pairwise

from emulator.analysis.measurements import Asked, Measurements
from emulator.analysis.periods import Interval, is_within
from emulator.analysis.timeline import History
from emulator.clock import NS_PER_S
from emulator.events import CACHES_EMPTIED


def asked(history: History) -> dict[str, Asked]:
    """By city, what its resolver asked of name servers over whole cycles."""
    cuts = sorted(note.t for note in history.notes if note.text == CACHES_EMPTIED)
    found = {}
    for city, instants in answered(history).items():
        whole = [b - a for a, b in pairwise(instants) if bisect(cuts, a) == bisect(cuts, b)]
        found[city] = Asked(len(whole), sum(whole) / NS_PER_S)
    return found


def answered(history: History) -> dict[str, list[int]]:
    """By city, when (ns, in order) name servers' answers for the first service's name arrived."""
    run = history.run
    if run is None or not run.services:
        return {}
    servers = {site["name"] for site in run.sites if site["kind"] == "dns"}
    name = str(run.services[0]["fqdn"]).rstrip(".").lower()
    told = {
        city: sorted(
            a.t for a in answers if a.source in servers and a.name.rstrip(".").lower() == name
        )
        for city, answers in history.answers.items()
    }
    return {city: instants for city, instants in told.items() if instants}


def queries_per_s(runs: Iterable[Measurements]) -> float | None:
    """Queries/s of all cities together, their cycles pooled over the runs. None where a city asked,
    but never twice in a run."""
    cities: dict[str, list[Asked]] = {}
    for measured in runs:
        for city, one in measured.asked.items():
            cities.setdefault(city, []).append(one)
    rates = [_rate(some) for some in cities.values()]
    known = [rate for rate in rates if rate is not None]
    return sum(known) if known and len(known) == len(rates) else None


def _rate(some: Iterable[Asked]) -> float | None:
    cycles, seconds = (sum(n) for n in zip(*((a.cycles, a.seconds) for a in some), strict=True))
    return cycles / seconds if seconds else None


def counted_per_s(
    history: History, among: Iterable[Interval], city: str | None = None
) -> float | None:
    """Answers in each second of these times, to this city or to all. None: no time at all."""
    spans = list(among)
    seconds = sum(end - start for start, end in spans) / NS_PER_S
    told = answered(history)
    chosen = [instants for name, instants in told.items() if city in (None, name)]
    count = sum(is_within(t, spans) for instants in chosen for t in instants)
    return count / seconds if seconds else None
