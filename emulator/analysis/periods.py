"""Parts of a run, told by its faults: what `during us-east-down` and `outside faults` mean."""

from __future__ import annotations

from collections.abc import Iterable

from emulator.analysis.timeline import FaultLife, History
from emulator.scenario.model import Period

Interval = tuple[int, int]  # ns, from the first instant to before the second


def intervals(history: History, period: Period) -> list[Interval]:
    """When a period was, in order and without overlaps; [] if there was none. Requests belong to
    the period in which they start."""
    start, end = run_interval(history)
    if period.kind == "before":
        first = min((life.began for life in history.injected()), default=end)
        found = [(start, first)]
    elif period.kind == "faults":
        found = _active(history.injected(), end)
    elif period.kind == "outside":
        found = _between(_active(history.injected(), end), start, end)
    elif period.kind == "down":
        found = _active((x for x in history.injected() if is_on(x, period.target)), end)
    elif period.kind == "after":
        found = [(max(healed), end)] if (healed := _healed(history, end)) else []
    else:
        found = [(start, end)]
    return [(a, b) for a, b in found if a < b]


def run_interval(history: History) -> Interval:
    """The run from its first event to the end of its last step; the clean-up is no part of it."""
    return history.first_ns or 0, min(_ends(history), default=history.last_ns) + 1


def has_ended(history: History) -> bool:
    """Whether a run has come to its end, and all that was asked in it has been told."""
    return bool(_ends(history))


def _ends(history: History) -> list[int]:
    return [note.t for note in history.notes if note.text == "end"]


def is_on(life: FaultLife, target: str) -> bool:
    """Whether a fault is on a site or a host: by name, or because it covers it whole."""
    site = target.partition("/")[0]
    return target in (*life.target, *life.sites, *life.hosts) or site in life.sites


def is_within(t: int, among: Iterable[Interval]) -> bool:
    """Whether an instant lies in one of the intervals."""
    return any(start <= t < end for start, end in among)


def _active(lives: Iterable[FaultLife], end: int) -> list[Interval]:
    """While one of the faults was active; one that the steps did not heal was to the end."""
    spans = sorted((x.began, end if x.healed is None else min(x.healed, end)) for x in lives)
    joined: list[Interval] = []
    for began, healed in spans:
        if joined and began <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(healed, joined[-1][1]))
        else:
            joined.append((began, healed))
    return joined


def _between(spans: list[Interval], start: int, end: int) -> list[Interval]:
    """What lies around the spans, from `start` to `end`."""
    starts = [start, *(span[1] for span in spans)]
    ends = [*(span[0] for span in spans), end]
    return list(zip(starts, ends, strict=True))


def _healed(history: History, end: int) -> list[int]:
    """The instants of the heals that were steps of the run, not its clean-up."""
    return [x.healed for x in history.injected() if x.healed is not None and x.healed < end]
