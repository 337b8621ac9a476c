"""What a failover did to data: writes that were acknowledged, and are gone.

A client of the user's tells of each write that the service has acknowledged; a step counts what the
service holds afterwards. What was acknowledged before the count began and is not held is lost,
also where it was acknowledged after the fault, by a side that was given up.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from emulator.analysis.figures import Value
from emulator.analysis.measurements import LostWrite, Measurements, WriteCount
from emulator.analysis.timeline import FaultLife, History
from emulator.analysis.words import plural
from emulator.clock import NS_PER_S
from emulator.events import Held
from emulator.scenario.model import Objective
from emulator.units import show_duration


def write_counts(history: History) -> tuple[WriteCount, ...]:
    """One for each count, oldest first."""
    if not history.held:
        return ()
    first: dict[str, LostWrite] = {}
    for write in sorted(_acknowledged(history), key=lambda write: write.t):
        first.setdefault(write.id, write)
    counts = sorted(history.held, key=lambda held: held.t)
    return tuple(_counted(held, first, history.injected()) for held in counts)


def _acknowledged(history: History) -> Iterator[LostWrite]:
    for city, lines in history.own.items():
        for line in lines:
            for name in _ids(line.told.get("wrote")):
                yield LostWrite(name, city, line.t)


def _ids(wrote: Any) -> list[str]:
    """A text or a number, or a list of them; what is neither names no write."""
    several = wrote if isinstance(wrote, list) else [wrote]
    return [
        str(one).strip()
        for one in several
        if isinstance(one, str | int) and not isinstance(one, bool)
    ]


def _counted(held: Held, first: dict[str, LostWrite], lives: list[FaultLife]) -> WriteCount:
    told = [write for write in first.values() if write.t < held.t]
    there = set(held.ids)
    # To force an answer of name servers breaks nothing: no write is lost by it.
    blows = [life for life in lives if life.began < held.t and life.how != "force"]
    blow = blows[-1] if blows else None
    return WriteCount(
        host=held.host,
        t=held.t,
        held=len(there),
        acknowledged=Counter(write.city for write in told),
        lost=tuple(write for write in told if write.id not in there),
        fault=blow.name if blow else "",
        struck=blow.began if blow else None,
    )


def write_values(measured: Measurements, objective: Objective) -> tuple[Value, ...]:
    """The figure of the last count: what was lost for good, where an earlier one came too soon."""
    if not measured.writes:
        return (Value(None, "nothing was counted; a step of the scenario: count"),)
    last = measured.writes[-1].of(objective.city)
    if not last.count:
        where = f" in {objective.city}" if objective.city else ""
        return (Value(None, f"no client of your own{where} told of a write before the count"),)
    if objective.figure == "writes_lost":
        return (Value(float(len(last.lost))),)
    if last.rpo_s is None:
        return (Value(None, "writes are lost, and no fault came before the count"),)
    return (Value(last.rpo_s, off=measured.off_by_s if last.lost else 0.0),)


def last_count(measured: Measurements) -> WriteCount | None:
    """The count that decides, where any writes had been acknowledged before it."""
    last = measured.writes[-1] if measured.writes else None
    return last if last and last.count else None


@dataclass(frozen=True, slots=True)
class WritesOfRuns:
    """What the last counts of many runs found."""

    lost: tuple[int, ...]  # in order of size, one a run that counted
    rpo_s: tuple[float, ...]  # the same; without runs of which nobody can tell


def writes_of_runs(runs: Iterable[Measurements]) -> WritesOfRuns | None:
    """None where no run that proves something has counted."""
    counts = [c for run in runs if not run.inconclusive and (c := last_count(run))]
    if not counts:
        return None
    spans = sorted(count.rpo_s for count in counts if count.rpo_s is not None)
    return WritesOfRuns(tuple(sorted(len(count.lost) for count in counts)), tuple(spans))


def runs_sentence(found: WritesOfRuns) -> str:
    """`acknowledged writes lost in 3 runs: 41 to 52; rpo 0.98 to 1.02 s`."""
    lost, spans = found.lost, found.rpo_s
    many = f"{lost[0]} to {lost[-1]}" if lost[0] != lost[-1] else f"{lost[0]}"
    shown = [f"{spans[at]:.2f}" for at in (0, -1)] if spans else []
    rpo = f"; rpo {' to '.join(dict.fromkeys(shown))} s" if spans else ""
    return f"acknowledged writes lost in {plural(len(lost), 'run')}: {many}{rpo}"


def writes_sentence(count: WriteCount) -> str:
    """`52 of 116 acknowledged writes are lost ...`."""
    asked = f"when {count.host} was counted"
    if not count.count:
        return f"No client had told of an acknowledged write {asked}."
    if not count.lost:
        return f"0 of {count.count} acknowledged writes were lost {asked}."
    said = f"{len(count.lost)} of {count.count} acknowledged writes were lost {asked}"
    if count.struck is None:
        return f"{said}; no fault came before."
    first, last = (_away(count.lost[at].t, count) for at in (0, -1))
    rpo = f"rpo {count.rpo_s:.2f} s"
    if len(count.lost) == 1:
        return f"{said}: it had been acknowledged {first} {count.fault} ({rpo})."
    return (
        f"{said}: the first had been acknowledged {first}, the last {last} {count.fault} ({rpo})."
    )


def lost_s(count: WriteCount) -> tuple[float, float] | None:
    """When the first and the last lost write were acknowledged, in seconds after the fault; None
    without either."""
    if not count.lost or count.struck is None:
        return None
    struck = count.struck
    first, last = ((count.lost[at].t - struck) / NS_PER_S for at in (0, -1))
    return first, last


def _away(t: int, count: WriteCount) -> str:
    seconds = (t - (count.struck or 0)) / NS_PER_S
    return f"{show_duration(abs(seconds))} {'after' if seconds > 0 else 'before'}"
