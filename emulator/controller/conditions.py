"""What a `wait_until` step waits for: each condition says what it still lacks."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from emulator.analysis.recovery import settled, standing
from emulator.analysis.steady import problems
from emulator.analysis.timeline import Client, History
from emulator.analysis.words import client_name
from emulator.clock import NS_PER_S
from emulator.controller.lab import Lab
from emulator.controller.ready import missing_generations, missing_proxies
from emulator.controller.traffic import cities
from emulator.errors import NotReady
from emulator.events import Request
from emulator.scenario.model import Condition, Scenario

SERVED_S = 1.0  # of requests that a city must have had from a region, all good
REQUESTS_LEAST = 3  # where it sends fewer in that time, as long as it takes
LOOKUP_FRESH_S = 1.0
_TOLD_S = 1.0  # a host that does not take a line in this time is not waited for


@dataclass(frozen=True, slots=True)
class Scene:
    """What a condition is judged by. Another thread feeds the history: look with `lock` held."""

    lab: Lab
    scenario: Scenario
    history: History
    lock: threading.Lock
    faults: list[str]  # ids of those that were injected so far


def missing(condition: Condition, scene: Scene, since_ns: int) -> tuple[str, ...]:
    """What is missing now, in words; () when the condition is met. `since_ns`: when the wait for
    it began."""
    return _LOOKS[condition.kind](condition, scene, since_ns)


def steady_problems(scene: Scene) -> tuple[str, ...]:
    """What the steady state lacks in its last seconds before now."""
    now = scene.lab.wan.now_ns()
    with scene.lock:
        return problems(scene.history, scene.scenario.steady_state, now)


def _steady(_condition: Condition, scene: Scene, _since_ns: int) -> tuple[str, ...]:
    return steady_problems(scene)


def _ready(_condition: Condition, scene: Scene, since_ns: int) -> tuple[str, ...]:
    plan, wan = scene.lab.plan, scene.lab.wan
    try:
        lacking = missing_proxies(plan, wan) + missing_generations(plan, wan)
    except NotReady as error:
        return (str(error).splitlines()[0],)
    return tuple(lacking) or _unanswered(scene.lab, since_ns)


def _unanswered(lab: Lab, since_ns: int) -> tuple[str, ...]:
    """Ask every resolver, and see what they said last: the answers are for the next look."""
    line = json.dumps({"op": "lookup"})
    telling = ("send", {"daemon": "client", "line": line})
    lab.wan.hosts({f"{city}/client": telling for city in cities(lab)}, _TOLD_S)
    fresh = max(since_ns, lab.wan.now_ns() - round(LOOKUP_FRESH_S * NS_PER_S))
    good = {
        e["city"]
        for e in lab.wan.latest()
        if e["kind"] == "lookup" and e["t"] >= fresh and e["rcode"] == "NOERROR"
    }
    return tuple(f"{city}'s resolver does not answer" for city in cities(lab) if city not in good)


def _recovered(_condition: Condition, scene: Scene, _since_ns: int) -> tuple[str, ...]:
    now = scene.lab.wan.now_ns()
    with scene.lock:
        history = scene.history
        lives = [life for life in history.injected() if not life.failed]
        unseen = set(scene.faults) - {life.id for life in lives if life.inject_ended is not None}
        open_ = [life.name for life in lives if not settled(history, life.id, now)]
        if unseen or open_:
            return tuple(f"not everyone has recovered from {name}" for name in open_) or (
                f"nothing is known yet of {', '.join(sorted(unseen))}",
            )
        stands = [
            (client, *how) for life in lives for client, how in standing(history, life).items()
        ]
    return tuple(
        f"{client_name(client)}: {state.replace('_', ' ')}: {reason}"
        for client, state, reason in stands
        if state not in ("recovered", "unaffected")
    )


def _up(condition: Condition, scene: Scene, _since_ns: int) -> tuple[str, ...]:
    return _not_said(condition, scene, "up")


def _down(condition: Condition, scene: Scene, _since_ns: int) -> tuple[str, ...]:
    return _not_said(condition, scene, "down")


def _not_said(condition: Condition, scene: Scene, state: str) -> tuple[str, ...]:
    """The name servers that live and do not hold the region `state`, by the routing that their
    answers follow, for every service that the region has."""
    lab = scene.lab
    broken = {host for fault in lab.wan.journal() for host in fault.hosts}
    servers = [s.name for s in lab.plan.sites if s.kind == "dns" and not broken & set(s.hosts)]
    live = {(e["server"], e["service"]): e for e in lab.wan.latest() if e["kind"] == "generation"}
    region = condition.subject
    lacking = [
        f"{server} does not hold {region} {state.upper()}"
        for server in servers
        for service in lab.plan.services
        if region in service.addresses
        and region not in live.get((server, service.name), {}).get(state, ())
    ]
    return tuple(lacking) if servers else ("no name server lives",)


def _served(condition: Condition, scene: Scene, _since_ns: int) -> tuple[str, ...]:
    now, city = scene.lab.wan.now_ns(), condition.subject
    lacking = []
    with scene.lock:
        for kind, load in scene.scenario.traffic.of(city).items():
            since = now - round(max(SERVED_S, REQUESTS_LEAST / load.rate) * NS_PER_S)
            ended = list(_ended_since(scene.history.requests.get(Client(city, kind), []), since))
            good = sum(r.outcome == "ok" and r.region == condition.region for r in ended)
            if good < max(1, len(ended)):
                lacking.append(
                    f"{city} over {kind}: {good} of {len(ended)} requests served by"
                    f" {condition.region}"
                )
    return tuple(lacking)


def _ended_since(requests: Sequence[Request], since_ns: int) -> Iterator[Request]:
    """Requests come in the order of their ends, but for a flush's worth of time."""
    for request in reversed(requests):
        if (request.end or request.t) < since_ns - NS_PER_S:
            return
        if (request.end or request.t) >= since_ns:
            yield request


_LOOKS: dict[str, Callable[[Condition, Scene, int], tuple[str, ...]]] = {
    "ready": _ready,
    "recovered": _recovered,
    "steady": _steady,
    "up": _up,
    "down": _down,
    "served": _served,
}
