"""Whether requests started as planned, and what a run still says where too many did not.

A processor that was taken away makes requests start late, and whatever else was to happen just
then. That moves figures, and by how much is known: it decides nothing as long as a bound is far
enough away, and makes a verdict inconclusive where it is not.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Sequence

from emulator.analysis.measurements import CitySchedule, Measurements
from emulator.analysis.periods import run_interval
from emulator.analysis.timeline import History
from emulator.clock import NS_PER_MS
from emulator.events import OWN_CLIENT, Request

LATE_NS = 2 * NS_PER_MS
ON_TIME_SHARE = 0.99
# A recovery lies between milestones m0 (the fault) and m6, and each of them may have come as late
# as the latest request did.
_MILESTONES = 7
TOO_BUSY = "this machine was too busy to tell"


def schedule_quality(history: History) -> tuple[CitySchedule, ...]:
    """How well each city kept its plan: from its requests, over all and between fault and heal.
    What the clean-up after the run's end disturbs is no part of it."""
    episodes = _merged(
        (life.began, life.healed if life.healed is not None else history.last_ns)
        for life in history.injected()
    )
    cities: defaultdict[str, list[list[Request]]] = defaultdict(list)
    for client, requests in history.requests.items():
        if client.kind != OWN_CLIENT:  # nobody planned its requests
            cities[client.city].append(requests)
    _, ends = run_interval(history)
    return tuple(_city_schedule(city, cities[city], episodes, ends) for city in sorted(cities))


def late_cities(schedule: Sequence[CitySchedule]) -> tuple[str, ...]:
    """The cities that started more than one in a hundred of their requests late, over all or
    between fault and heal, each in words."""
    return tuple(
        f"{city.city} started only {_worst(city):.1%} of its requests within 2 ms of plan (latest"
        f" {city.late_ms_max:.1f} ms)"
        for city in schedule
        if _worst(city) < ON_TIME_SHARE
    )


def off_by_s(schedule: Sequence[CitySchedule]) -> float:
    """By how much this machine's delays may have moved any time of a run, in seconds: 0 where every
    city kept its plan. That they can also lead a client into another attempt, which is what
    happens at another phase of the fault, is not in it."""
    if not late_cities(schedule):
        return 0.0
    return _MILESTONES * max(city.late_ms_max for city in schedule) / 1e3


def lateness(measured: Measurements) -> str:
    """Who was late, and what that leaves open, in a sentence; empty where nobody was."""
    if not measured.late:
        return ""
    return (
        f"{'; '.join(measured.late)}: this machine was busy. Its delays may have"
        f" moved a time by {measured.off_by_s:.2f} s (by more where a client was led into another"
        " attempt, as at another phase); latencies, resets, relapses, DNS queries and late requests"
        " unlike those around them prove nothing"
    )


def is_late(request: Request) -> bool:
    """Whether it started more than 2 ms after its plan."""
    return request.t - request.planned > LATE_NS


def _worst(city: CitySchedule) -> float:
    return min(city.on_time, 1.0 if city.on_time_in_fault is None else city.on_time_in_fault)


def _merged(spans: Iterable[tuple[int, int]]) -> list[int]:
    """Borders of what lies in any of the spans: in at the first, out at the second, and so on."""
    borders: list[int] = []
    for began, until in sorted(spans):
        if borders and began <= borders[-1]:
            borders[-1] = max(borders[-1], until)
        else:
            borders += [began, until]
    return borders


def _city_schedule(
    city: str, clients: Sequence[Sequence[Request]], episodes: Sequence[int], ends: int
) -> CitySchedule:
    asked = [r for requests in clients for r in requests if r.planned < ends]
    late = [r.t - r.planned for r in asked]
    inside = [r.t - r.planned for r in asked if bisect_right(episodes, r.planned) & 1]
    latest = max(late, default=0)
    return CitySchedule(
        city, len(late), _share(late), _share(inside) if inside else None,
        max(0, latest) / NS_PER_MS,
    )  # fmt: skip


def _share(late: Sequence[int]) -> float:
    return sum(map(LATE_NS.__ge__, late)) / len(late) if late else 1.0
