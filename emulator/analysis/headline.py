"""What happened to a client, and why it took that long, in one line."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from emulator.analysis.measurements import Row
from emulator.analysis.own import kept_its_answer
from emulator.analysis.timeline import History
from emulator.analysis.words import asker_name, own_cache, plural
from emulator.units import show_duration

# A client that had no answer for so much less time than it took to recover was not hit at once:
# a drain's end, a connection used up later.
_WORKED_ON_S = 2.0
# A resolver that held an answer longer than its TTL by this much was in its back-off.
_BACK_OFF_S = 2.0


def headline(row: Row, history: History) -> str:
    """`paris recovered after 31.2 s: DNS TTL 30 s held the old answer for 24.8 s`: the largest
    part of the recovery, in plain words."""
    name = _name(row)
    if row.state == "unaffected":
        return f"{name} unaffected"
    if row.state == "inconclusive":
        return f"{name}: nobody can tell: {row.reason}"
    if row.recovered is None:
        return f"{name} not recovered: {row.reason}"
    said = f"{name} recovered after {show_duration(row.recovery_s or 0.0)}"
    return f"{said}: {_because(row, history)}"


def headline_of(rows: Sequence[Row], history: History) -> str:
    """The headline of the slowest of several clients; one that never recovered is the slowest.
    Empty without a row."""
    slowest = max(rows, key=_slowness, default=None)
    return headline(slowest, history) if slowest else ""


def _slowness(row: Row) -> float:
    if row.state == "not_recovered":
        return math.inf
    # One of which nobody can tell is worth more than one that was not affected.
    return {"unaffected": -1.0, "inconclusive": -0.5}.get(row.state, row.recovery_s or 0.0)


def _name(row: Row) -> str:
    city, kind = row.client
    return city if kind == "http" else f"{city} over {kind}"


def _because(row: Row, history: History) -> str:
    if row.with_heal:
        return f"only once the fault was healed{_relapsed(row)}"
    worked_on_s = (row.recovery_s or 0.0) - row.outage_s
    if worked_on_s > _WORKED_ON_S:
        return (
            f"it went on for {show_duration(worked_on_s)} first, and was without an answer for"
            f" {show_duration(row.outage_s)}{_relapsed(row)}"
        )
    if row.from_region == row.to_region:
        stayed = f"it stayed on {row.to_region}" if row.to_region else "no name server moved it"
        return f"{stayed} and was without an answer for {show_duration(row.outage_s)}"
    parts = row.parts()
    largest = max(parts, key=lambda name: parts[name])
    return _PARTS[largest](row, history, show_duration(parts[largest])) + _relapsed(row)


def _relapsed(row: Row) -> str:
    return f", with {plural(row.relapses, 'relapse')} on the way" if row.relapses else ""


def _detection(row: Row, _: History, span: str) -> str:
    server, checks = row.milestones.server, row.milestones.checks
    if not checks:
        return f"{server} needed {span} to notice"
    return f"{server} needed {plural(checks, 'check')} ({span}) to notice"


def _publish(row: Row, _: History, span: str) -> str:
    return f"{row.milestones.server} needed {span} to answer without {row.from_region}"


def _cache(row: Row, history: History, span: str) -> str:
    held, who = row.milestones.held, asker_name(history.run, row.client.city)
    if held is None:
        return f"{who} was given the new answer only {span} later"
    asked = any(
        held.since < answer.t < held.until for answer in history.answers_to(row.client.city)
    )
    if held.held_s > held.ttl + _BACK_OFF_S and not asked:
        return f"{who} got no answer from any name server for {span}"
    return f"DNS TTL {held.ttl} s held the old answer for {span}"


def _client(row: Row, history: History, span: str) -> str:
    if kept_its_answer(row, history):
        return f"it kept {row.from_region}'s address itself for {span}"
    if cache := own_cache(history.run, row.client):
        return f"{cache} held the old answer for {span}"
    waits = {
        "stream": f"stall and its own attempts to the dead address took {span}",
        "keepalive": f"its open connections to {row.from_region} took {span}",
    }
    return waits.get(row.client.kind, f"its own attempts to the dead address took {span}")


def _connect(row: Row, _: History, span: str) -> str:
    return f"its first handshake with {row.to_region} took {span}"


def _resume(row: Row, _: History, span: str) -> str:
    return f"it took {span} more until every request to {row.to_region} was answered"


_PARTS: dict[str, Callable[[Row, History, str], str]] = {
    "detection_s": _detection,
    "publish_s": _publish,
    "cache_s": _cache,
    "client_s": _client,
    "connect_s": _connect,
    "resume_s": _resume,
}
