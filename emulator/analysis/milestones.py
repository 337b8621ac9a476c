"""The way from a fault to a client's recovery: who noticed when, who told whom."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from itertools import chain, islice
from operator import attrgetter

from emulator.analysis.measurements import Held, Milestones, ServerView
from emulator.analysis.own import unclaimed
from emulator.analysis.timeline import Client, History
from emulator.analysis.windows import Evidence
from emulator.clock import NS_PER_MS
from emulator.events import OWN_CLIENT, Answer, Generation, Health, Request

# Name servers are said to disagree when they marked a region further apart than this.
DISAGREE_NS = 100 * NS_PER_MS


@dataclass(frozen=True, slots=True)
class Move:
    """A client that was served by one region before a fault and by another after it."""

    client: Client
    began: int
    recovered: int
    from_region: str
    to_region: str


def milestones(history: History, seen: Evidence, move: Move) -> Milestones:
    """m1 to m5 of a client that moved; none of them for one that did not.

    m1 to m3 apply when DNS moved it: the city's resolver was given the old region before.
    """
    if not move.to_region or move.from_region == move.to_region:
        return Milestones()
    lookup = _first_lookup(history, seen, move)
    connected = _first_handshake(history, seen, move)
    answer = _new_answer(history, move)
    if answer is None:
        return Milestones(lookup=lookup, connected=connected)
    service = service_of(history, answer.name)
    view = server_view(history, answer.source, service, move)
    if view.down is not None and view.down > answer.t:
        view = ServerView(answer.source, None, None)
    return Milestones(
        down=view.down,
        live=view.live,
        answer=answer.t,
        lookup=lookup,
        connected=connected,
        server=answer.source,
        checks=view.checks,
        held=_held(history, move, answer),
        others=_disagreeing(history, move, answer, view),
    )


def service_of(history: History, name: str) -> str:
    """The service that a DNS name stands for; empty when the header has none of it."""
    asked = name.rstrip(".").lower()
    for service in history.run.services if history.run else []:
        if str(service.get("fqdn", "")).rstrip(".").lower() == asked:
            return str(service["name"])
    return ""


def server_view(history: History, server: str, service: str, move: Move) -> ServerView:
    """When a name server marked the old region DOWN and routed without it, after the fault."""

    def ours(event: Health | Generation) -> bool:
        known = not service or event.service == service
        return event.server == server and known and event.t >= move.began

    downs = [
        h.t
        for h in history.health
        if ours(h) and h.region == move.from_region and h.state == "DOWN"
    ]
    down = min(downs, default=None)
    if down is None:
        return ServerView(server, None, None)
    lives = [
        g.t for g in history.generations if ours(g) and g.t >= down and move.from_region in g.down
    ]
    checks = Counter(
        c.checker
        for c in history.checks
        if not c.ok
        and (c.server, c.region) == (server, move.from_region)
        and (not service or c.service == service)
        and move.began <= c.end <= down
    )  # of the vantage site that made the most, where several check side by side
    return ServerView(server, down, min(lives, default=None), max(checks.values(), default=0))


def _named(history: History, answer: Answer) -> set[str]:
    return {history.region_of(address) for address in answer.addresses} - {""}


def _new_answer(history: History, move: Move) -> Answer | None:
    """The first answer after the fault that names another region, if the ones before named it."""
    answers = sorted(history.answers_to(move.client.city), key=lambda a: a.t)
    before = [named for a in answers if a.t < move.began and (named := _named(history, a))]
    if before and move.from_region not in before[-1]:
        return None
    for answer in answers:
        named = _named(history, answer)
        if answer.t >= move.began and named and move.from_region not in named:
            return answer
    return None


def _held(history: History, move: Move, answer: Answer) -> Held | None:
    old = [
        a
        for a in history.answers_to(move.client.city)
        if a.t < answer.t and a.name == answer.name and move.from_region in _named(history, a)
    ]
    last = max(old, key=lambda a: a.t, default=None)
    if last is None:
        return None
    return Held(last.t, history.held_ttl(move.client.city, last.ttl), answer.t)


def _disagreeing(
    history: History, move: Move, answer: Answer, view: ServerView
) -> tuple[ServerView, ...]:
    """Other name servers that were later or earlier by more than 100 ms, or went on to give the
    old answer."""
    service = service_of(history, answer.name)
    others = []
    for server in sorted({h.server for h in history.health} - {answer.source}):
        other = server_view(history, server, service, move)
        old_answers = [
            a.t
            for a in history.answers_to(move.client.city)
            if a.source == server
            and answer.t < a.t <= move.recovered
            and move.from_region in _named(history, a)
        ]
        old = max(old_answers, default=None)
        apart = other.down is not None and view.down is not None
        if old or (apart and abs((other.down or 0) - (view.down or 0)) > DISAGREE_NS):
            others.append(ServerView(server, other.down, other.live, other.checks, old))
    return tuple(others)


def _first_lookup(history: History, seen: Evidence, move: Move) -> int | None:
    """When this client was first told another region's address.

    A stream says nothing of its lookup, nor does a pool that opens connections before there is a
    need: the attempt that came to that address stands for it, as for a client of the user's.
    """
    if move.client.kind == OWN_CLIENT:
        return _first_attempt(history, seen, move)
    told = _first(history, seen, move, attrgetter("lookup"))
    if told is not None and not _is_kept_warm(history, move.client):
        return told
    connections = history.connections[move.client]
    there = {c.conn for c in connections if _elsewhere(history, c.address, move)}
    attempts = (c.t for c in connections if c.phase == "attempt" and c.conn in there)
    instants = chain(attempts, () if told is None else (told,))
    return min((t for t in instants if t >= move.began), default=None)


def _first_attempt(history: History, seen: Evidence, move: Move) -> int | None:
    """By the addresses in its lines; where they tell none, by its first SYN."""
    if any(request.address for request in seen.requests):
        return _first(history, seen, move, attrgetter("t"))
    return _first_on_the_wire(history, move, "syn")


def _first_on_the_wire(history: History, move: Move, what: str) -> int | None:
    """Of an own client, to another region."""
    there = (
        t
        for t, region in unclaimed(history, move.client.city, what)
        if move.began <= t <= move.recovered + history.patience_ns(move.client.city)
        and region != move.from_region
    )
    return min(there, default=None)


def _is_kept_warm(history: History, client: Client) -> bool:
    loads = history.run.loads.get(client.city, {}) if history.run else {}
    return bool(loads.get(client.kind, {}).get("connections"))


def _first_handshake(history: History, seen: Evidence, move: Move) -> int | None:
    if move.client.kind == OWN_CLIENT:
        return _first_on_the_wire(history, move, "synack")
    opens = (
        c.t
        for c in history.connections[move.client]
        if c.phase == "open" and c.t >= move.began and _elsewhere(history, c.address, move)
    )
    of_request = _first(history, seen, move, attrgetter("connected"))
    return min(chain(opens, () if of_request is None else (of_request,)), default=None)


def _first(
    history: History, seen: Evidence, move: Move, instant: Callable[[Request], int | None]
) -> int | None:
    """The earliest such instant after the fault, of requests to another region. By the time that
    the one which proves the recovery must have ended, one was told."""
    best: int | None = None
    until = move.recovered + history.patience_ns(move.client.city)
    for request in islice(seen.requests, seen.open_at(move.began), seen.place(until)):
        if best is not None and request.t >= best:
            break
        t = instant(request)
        is_first = t is not None and t >= move.began and (best is None or t < best)
        if is_first and _elsewhere(history, request.address, move):
            best = t
    return best


def _elsewhere(history: History, address: str, move: Move) -> bool:
    region = history.region_of(address)
    return bool(region) and region != move.from_region
