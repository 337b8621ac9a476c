"""The history of a run, folded event by event: the same live and from a file."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

from emulator.analysis.attempts import attempt
from emulator.analysis.lines import read_batches, typed
from emulator.analysis.packets import Packets
from emulator.clock import NS_PER_S
from emulator.events import (
    Answer,
    Check,
    Command,
    Connection,
    Daemon,
    Event,
    Fault,
    Flow,
    Forced,
    Generation,
    Health,
    Held,
    Lookup,
    Lost,
    Note,
    Own,
    Packet,
    PathChange,
    Proxy,
    Question,
    Request,
    Run,
    Schedule,
    Wait,
    Wire,
)

# The patience of a client when the header does not say: lookup 2 s, connect 3 s, response 3 s.
_PATIENCE_S = 8.0


class Client(NamedTuple):
    """One client kind in one city: what every figure is measured for."""

    city: str
    kind: str


@dataclass(slots=True)
class FaultLife:
    """One fault from injection to heal; instants in ns, None: not yet, or never."""

    id: str
    how: str
    target: tuple[str, ...]
    sites: tuple[str, ...]
    hosts: tuple[str, ...]
    peers: tuple[str, ...] = ()
    inject_began: int | None = None
    inject_ended: int | None = None
    heal_began: int | None = None
    healed: int | None = None
    heal_ended: int | None = None
    failed: str = ""

    @property
    def began(self) -> int:
        """t0 of everything measured for this fault; ask only for one that was injected."""
        assert self.inject_began is not None  # noqa: S101 - History.injected() guards it
        return self.inject_began

    @property
    def senders(self) -> tuple[str, ...]:
        """The sites whose packets the target's are: a host speaks through its site's edge."""
        return self.sites or tuple(dict.fromkeys(host.split("/")[0] for host in self.hosts))

    @property
    def name(self) -> str:
        """`power us-east`."""
        return f"{self.how} {', '.join(self.target)}"


class History:
    """Everything that the analysis knows. Events may come in any order."""

    def __init__(self) -> None:
        self.run: Run | None = None
        self.faults: dict[str, FaultLife] = {}
        self.requests: defaultdict[Client, list[Request]] = defaultdict(list)
        self.connections: defaultdict[Client, list[Connection]] = defaultdict(list)
        self.answers: defaultdict[str, list[Answer]] = defaultdict(list)  # by the resolver's site
        self.schedule: defaultdict[str, list[Schedule]] = defaultdict(list)  # by city
        self.checks: list[Check] = []
        self.health: list[Health] = []
        self.generations: list[Generation] = []
        self.forced: list[Forced] = []
        self.proxies: list[Proxy] = []
        self.daemons: list[Daemon] = []
        self.lookups: list[Lookup] = []
        self.packets = Packets()
        self.questions: list[Question] = []
        self.flows: list[Flow] = []
        self.path_changes: list[PathChange] = []
        self.wire: list[Wire] = []
        self.own: defaultdict[str, list[Own]] = defaultdict(list)  # by city
        self.lost: list[Lost] = []
        self.notes: list[Note] = []
        self.waits: list[Wait] = []
        self.commands: list[Command] = []
        self.held: list[Held] = []
        self.first_ns: int | None = None
        self.last_ns = 0
        self._regions: dict[str, str] = {}

    def feed(self, event: dict[str, Any] | Event) -> None:
        """Take one event in; a kind that this version does not know is skipped.

        Raises msgspec.ValidationError for one that lacks a field or has a wrong one.
        """
        known = event if isinstance(event, Event) else typed(event)
        if known is None:
            return
        _STORE[type(known)](self, known)
        if not isinstance(known, Run):
            self._span(known.t, getattr(known, "end", None) or known.t)

    def answers_to(self, city: str) -> list[Answer]:
        """What whoever the city's clients ask was told, as far as it was meant for them."""
        asked = self._asked(city)
        sites = self.run.sites if self.run else []
        own = {p for site in sites if site["name"] == city for p in site["prefixes"]}
        return [a for a in self.answers[asked.get("site") or city] if a.subnet in {"", *own}]

    def held_ttl(self, city: str, ttl: int) -> int:
        """How long the city's resolver holds an answer of this TTL (s)."""
        settings = self._asked(city).get("settings", {})
        at_least = max(ttl, int(settings.get("cache-min-ttl", 0)))
        return min(at_least, int(settings.get("cache-max-ttl", at_least)))

    def _asked(self, city: str) -> dict[str, Any]:
        return self.run.resolvers.get(city, {}) if self.run else {}

    def feed_requests(self, requests: Sequence[Request]) -> None:
        """Take many in at once."""
        told: defaultdict[str, defaultdict[str, list[Request]]]
        told = defaultdict(lambda: defaultdict(list))
        for request in requests:
            told[request.city][request.client].append(request)
        for city, kinds in told.items():
            for kind, some in kinds.items():
                self.requests[Client(city, kind)].extend(some)
                self._span(min(r.t for r in some), max(r.end or r.t for r in some))

    def feed_packets(self, packets: Sequence[Packet]) -> None:
        """Take many in at once; those that nothing is measured by are left out."""
        self.packets.extend(packets)
        if packets:
            self._span(min(p.t for p in packets), max(p.t for p in packets))

    def _span(self, first: int, last: int) -> None:
        self.first_ns = first if self.first_ns is None else min(self.first_ns, first)
        self.last_ns = max(self.last_ns, first, last)

    @property
    def origin_ns(self) -> int:
        """Second 0 of a report: when the first request was planned, else the first event."""
        planned = [r.planned for requests in self.requests.values() for r in requests[:50]]
        return min(planned, default=self.first_ns or 0)

    def seconds(self, t: int) -> float:
        """An instant as seconds since `origin_ns`."""
        return (t - self.origin_ns) / NS_PER_S

    def clients(self) -> list[Client]:
        """Every (city, kind) that sent a request, in the header's order of cities."""
        cities = list(self.run.preferred) if self.run else []
        kinds = list(self.run.rates) if self.run else []

        def place(client: Client) -> tuple[int, str, int, str]:
            city, kind = client
            return (_index(cities, city), city, _index(kinds, kind), kind)

        return sorted(self.requests, key=place)

    def injected(self) -> list[FaultLife]:
        """The faults that took effect, oldest first."""
        lives = [life for life in self.faults.values() if life.inject_began is not None]
        return sorted(lives, key=lambda life: life.began)

    def region_of(self, address: str) -> str:
        """The region that owns a service address; empty for any other address."""
        return self._regions.get(address, "")

    def patience_ns(self, city: str) -> int:
        """The longest a request of this city can stay undecided."""
        timeouts = self.run.timeouts.get(city, {}) if self.run else {}
        return round(sum(timeouts.values() or [_PATIENCE_S]) * NS_PER_S)

    def _take_run(self, event: Run) -> None:
        if self.run is None:
            self.run = event
            for service in event.services:
                for region, address in service.get("addresses", {}).items():
                    self._regions[address] = region
            for line in chain.from_iterable(self.own.values()):
                self._take_attempt(line)

    def _take_own(self, event: Own) -> None:
        self.own[event.city].append(event)
        if self.run is not None:  # else nobody knows yet whose address is whose
            self._take_attempt(event)

    def _take_attempt(self, line: Own) -> None:
        request = attempt(line, self._regions)
        if request is not None:
            self.feed_requests([request])

    def _take_fault(self, event: Fault) -> None:
        life = self.faults.setdefault(
            event.id,
            FaultLife(
                event.id,
                event.how,
                tuple(event.target),
                tuple(event.sites),
                tuple(event.hosts),
                tuple(event.peers),
            ),
        )
        if event.phase == "failed":
            life.failed = event.detail or "failed"
        elif getattr(life, event.phase, event.t) is None:
            setattr(life, event.phase, event.t)


def read_history(path: str | Path) -> History:
    """The history of a run from its JSON lines.

    A torn last line (the recorder died while it wrote) is left out; a line torn anywhere else
    raises ValueError with its number. OSError when the file cannot be read.
    """
    history = History()
    for batch in read_batches(path):
        for event in batch.others:
            history.feed(event)
        history.feed_requests(batch.requests)
        history.feed_packets(batch.packets)
    return history


def _index(names: list[str], name: str) -> int:
    return names.index(name) if name in names else len(names)


def _row(name: str) -> Any:
    def store(history: History, event: Any) -> None:
        getattr(history, name)[Client(event.city, event.client)].append(event)

    return store


def _keyed(name: str, key: str) -> Any:
    def store(history: History, event: Any) -> None:
        getattr(history, name)[getattr(event, key)].append(event)

    return store


def _listed(name: str) -> Any:
    def store(history: History, event: Any) -> None:
        getattr(history, name).append(event)

    return store


_STORE: dict[type[Event], Any] = {
    Run: History._take_run,  # noqa: SLF001
    Fault: History._take_fault,  # noqa: SLF001
    Request: _row("requests"),
    Connection: _row("connections"),
    Answer: _keyed("answers", "target"),
    Own: History._take_own,  # noqa: SLF001
    Schedule: _keyed("schedule", "city"),
    Check: _listed("checks"),
    Health: _listed("health"),
    Generation: _listed("generations"),
    Forced: _listed("forced"),
    Proxy: _listed("proxies"),
    Daemon: _listed("daemons"),
    Lookup: _listed("lookups"),
    Packet: _listed("packets"),
    Question: _listed("questions"),
    Flow: _listed("flows"),
    PathChange: _listed("path_changes"),
    Wire: _listed("wire"),
    Lost: _listed("lost"),
    Note: _listed("notes"),
    Wait: _listed("waits"),
    Command: _listed("commands"),
    Held: _listed("held"),
}
