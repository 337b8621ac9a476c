"""How long each client took to recover from each fault, in parts, and what it lost."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from operator import attrgetter
from weakref import WeakKeyDictionary

from emulator.analysis.agreement import agreement
from emulator.analysis.connections import fates, losses, reversion
from emulator.analysis.flowlog import flow_logs
from emulator.analysis.lateness import late_cities, off_by_s, schedule_quality
from emulator.analysis.lines import uncollected
from emulator.analysis.measurements import FaultMeasured, Measurements, Milestones, Row, State
from emulator.analysis.milestones import Move, milestones
from emulator.analysis.queries import asked
from emulator.analysis.timeline import Client, FaultLife, History
from emulator.analysis.windows import (
    WINDOW_NS,
    Course,
    Evidence,
    follow,
    is_failed,
    judge,
)
from emulator.analysis.wire import Senders, doubts, wire_records
from emulator.analysis.writes import write_counts
from emulator.clock import NS_PER_S
from emulator.events import Request

# The region that serves a client is the one of most of this many answers: one stray does not count.
_MAJORITY_OF = 10
# A client that has not recovered after twice its bound (or this long, without one) has given up.
_GIVE_UP_S = 60.0


@dataclass(frozen=True, slots=True)
class _Scene:
    """One fault seen from one client."""

    history: History
    life: FaultLife
    client: Client
    seen: Evidence
    from_region: str
    bound_s: float | None


# What is known of the clients of a history that is asked about again and again.
_known: WeakKeyDictionary[History, dict[Client, Evidence]] = WeakKeyDictionary()


def measure(history: History) -> Measurements:
    """Every figure that the history supports now; live and afterwards the same code."""
    with uncollected():
        return _measure(history)


def _measure(history: History) -> Measurements:
    lives = history.injected()
    seen = _evidence(history)
    senders = Senders(history)
    schedule = schedule_quality(history)
    ends = [life.healed if life.healed is not None else history.last_ns for life in lives]
    episodes = list(zip(lives, ends, strict=True))
    records = wire_records(history.packets, episodes)
    logs = flow_logs(history, episodes)
    return Measurements(
        faults=tuple(
            FaultMeasured(life, end, _rows(history, life, seen, senders), record, log)
            for life, end, record, log in zip(lives, ends, records, logs, strict=True)
        ),
        schedule=schedule,
        agreement=agreement(history),
        availability={client: _availability(e.requests) for client, e in seen.items()},
        inconclusive=doubts(history),
        asked=asked(history),
        late=late_cities(schedule),
        writes=write_counts(history),
        off_by_s=off_by_s(schedule),
    )


def settled(history: History, fault_id: str, now_ns: int) -> bool:
    """True once nothing more is to be expected of a fault's clients: each has recovered, proved
    unaffected, or had twice its bound. An unknown or failed fault is settled.

    Asked again it looks only at what was told since.
    """
    life = history.faults.get(fault_id)
    if life is None or life.failed:
        return True
    if life.inject_began is None or life.inject_ended is None:
        return False
    for client, seen in _evidence(history).items():
        scene = _scene(history, life, client, seen)
        if not _was_there(scene):
            continue
        patience_ns = 2 * (scene.bound_s or _GIVE_UP_S / 2) * NS_PER_S
        if now_ns >= life.began + patience_ns + history.patience_ns(client.city):
            continue
        state, _ = judge(_course(scene)[0], scene.bound_s)
        followed = seen.end >= life.inject_ended + WINDOW_NS
        if state not in ("recovered", "unaffected") or not followed:
            return False
    return True


def standing(history: History, life: FaultLife) -> dict[Client, tuple[State, str]]:
    """Where each client stands with a fault that was injected, and why: the states of its rows in
    `measure`. Asked again it looks only at what was told since."""
    scenes = [_scene(history, life, client, seen) for client, seen in _evidence(history).items()]
    return {
        scene.client: judge(_course(scene)[0], scene.bound_s)
        for scene in scenes
        if _was_there(scene)
    }


def _evidence(history: History) -> dict[Client, Evidence]:
    """What may be judged of every client now."""
    known = _known.setdefault(history, {})
    last_ns = history.last_ns
    for client in history.clients():
        seen = known.get(client) or Evidence(history.requests[client])
        known[client] = seen.advanced(last_ns, history.patience_ns(client.city))
    return known


def _rows(
    history: History, life: FaultLife, seen: Mapping[Client, Evidence], senders: Senders
) -> tuple[Row, ...]:
    scenes = [_scene(history, life, client, known) for client, known in seen.items()]
    return tuple(_row(scene, senders) for scene in scenes if _was_there(scene))


def _was_there(scene: _Scene) -> bool:
    """False for traffic that had been stopped before the fault."""
    patience_ns = scene.history.patience_ns(scene.client.city)
    return scene.seen.end + patience_ns >= scene.life.began


def _scene(history: History, life: FaultLife, client: Client, seen: Evidence) -> _Scene:
    from_region = _majority(_last_answered(seen.requests, seen.place(life.began)))
    bound = None
    # Of a region that is lost to everybody, and alone; its edge is its only way in and out.
    is_alone = life.target in {(from_region,), (f"{from_region}/edge",)} and not life.peers
    if history.run and is_alone:
        for entry in history.run.bounds.get(life.name, []):
            if (entry["city"], entry["client"]) == (client.city, client.kind):
                bound = float(entry["total_s"])
    return _Scene(history, life, client, seen, from_region, bound)


def _row(scene: _Scene, senders: Senders) -> Row:
    history, life, client = scene.history, scene.life, scene.client
    course, horizon, notes = _course(scene)
    state, reason = judge(course, scene.bound_s)
    window = course.window if state == "recovered" else None
    until = min(t for t in (life.healed, horizon, history.last_ns + 1) if t is not None)
    to_region = _served(scene, window, until) if state in ("recovered", "unaffected") else ""
    path = Milestones()
    if window is not None:
        move = Move(client, life.began, window.t, scene.from_region, to_region)
        path = milestones(history, scene.seen, move)
    became, reset = fates(history, client, life.began, until)
    return Row(
        client=client,
        state=state,
        reason=reason,
        began=life.began,
        recovered=window.t if window else None,
        milestones=path,
        relapses=course.relapses,
        with_heal=course.with_heal,
        outage_s=(course.failed[-1].t - course.failed[0].t) / NS_PER_S if course.failed else 0.0,
        requests=course.requests,
        unknown=course.unknown,
        requests_lost=len(course.failed),
        lost_after_heal=len(course.failed_after_heal),
        losses=losses(senders, client.city, course.failed),
        fates=became,
        reset=reset + _reset_requests(client, course.failed),
        from_region=scene.from_region,
        to_region=to_region,
        baseline=_baseline(scene),
        reversion=reversion(history, life, client, scene.seen, _next_fault(scene, life.healed)),
        bound_s=scene.bound_s,
        notes=notes,
    )


def _course(scene: _Scene) -> tuple[Course, int | None, tuple[str, ...]]:
    """What the client went through, up to which instant, and a note when faults overlap.

    Another fault ends the episode, unless the client was not through with this one by then.
    """
    life, seen = scene.life, scene.seen
    for other in scene.history.injected():
        if other.began - life.began < WINDOW_NS:
            continue
        course = follow(seen, life.began, life.healed, other.began)
        if judge(course, scene.bound_s)[0] in ("recovered", "unaffected"):
            return course, other.began, ()
        if life.healed is None or other.began < life.healed:
            continue
        return course, other.began, ()
    notes = tuple(
        f"{other.name} began {(other.began - life.began) / NS_PER_S:.1f} s after it;"
        " what failed from then on may be its doing"
        for other in scene.history.injected()
        if other is not life and other.began >= life.began
    )
    return follow(seen, life.began, life.healed, None), None, notes


def _next_fault(scene: _Scene, after: int | None) -> int | None:
    later = (o.began for o in scene.history.injected() if after is not None and o.began > after)
    return min(later, default=None)


def _baseline(scene: _Scene) -> float | None:
    """Availability from the step before the fault to the fault; requests in flight left out."""
    steps = [
        t
        for other in scene.history.injected()
        if other is not scene.life
        for t in (other.inject_began, other.healed)
        if t is not None and t < scene.life.began
    ]
    began = scene.life.began
    ok, failed = _availability(
        [
            r
            for r in scene.seen.between(max(steps, default=0), began)
            if not (is_failed(r) and (r.end or r.t) >= began)
        ]
    )
    return ok / (ok + failed) if ok + failed else None


def _availability(requests: Sequence[Request]) -> tuple[int, int]:
    ends = Counter(map(attrgetter("outcome"), requests))
    return ends["ok"], ends["error"] + ends["timeout"]


def _served(scene: _Scene, window: Request | None, until: int) -> str:
    """The region that served a window's first requests; without one, the episode's last."""
    seen, began = scene.seen, scene.life.began
    if window is not None:
        answered = (r for r in seen.between(window.t, None) if r.outcome == "ok")
        return _majority(islice(answered, _MAJORITY_OF))
    return _majority(_last_answered(seen.requests, seen.place(until), seen.place(began)))


def _last_answered(requests: Sequence[Request], end: int, start: int = 0) -> list[Request]:
    """The last few before a place that were answered."""
    places = range(end - 1, start - 1, -1)
    answered = (requests[place] for place in places if requests[place].outcome == "ok")
    return list(islice(answered, _MAJORITY_OF))


def _majority(requests: Iterable[Request]) -> str:
    regions = Counter(r.region for r in requests if r.region)
    return regions.most_common(1)[0][0] if regions else ""


def _reset_requests(client: Client, failed: Sequence[Request]) -> int:
    """Resets of clients whose every request is a connection; lasting ones tell of their own."""
    return sum(r.closed_by == "peer-rst" for r in failed) if client.kind == "http" else 0
