"""What clients tell of their connections, joined to what the wire saw of them by 5-tuple.

Where the two tell different things that is listed, never averaged. A client tells of a thing at
the earliest when it happened, and a busy one late: so whatever it says must have been seen before.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Collection, Iterable, Iterator, Sequence
from functools import cached_property
from itertools import compress
from statistics import quantiles
from typing import NamedTuple

from emulator.analysis.lateness import LATE_NS
from emulator.analysis.measurements import Agreement, Disagreement, Spread
from emulator.analysis.own import own_cities
from emulator.analysis.packets import Packets
from emulator.analysis.periods import has_ended
from emulator.analysis.timeline import Client, FaultLife, History
from emulator.analysis.wire import port_of
from emulator.clock import NS_PER_MS
from emulator.events import OWN_CLIENT, PROVES_NOTHING, Connection, Flow, Request

# A port is used again only after many others, so the same connection is never this far away.
SAME_CONNECTION_NS = 1_000 * NS_PER_MS
# A client whose time is up in the moment in which a RST arrives may look at its clock first, and a
# busy one is tens of ms late to everything.
HEARD_NS = 100 * NS_PER_MS
# What takes a city's own hosts or links away: there, what reached the city may not reach a client.
_DEAFENING = {"power", "crash", "freeze"}
_INSTANT = 64  # bits; a flow's number stands above them
_ANSWERED = "it was answered"
_RST, _FIN, _UNKNOWN = "rst", "fin", "unknown"
_ENDS = {
    _RST: ("it was reset or refused", "saw no RST reach it"),
    _FIN: ("its peer closed it", "saw no FIN reach it"),
}
_NO_SYN = "saw no SYN of it"
_NOTHING = "nothing of such a connection"


class _Told(NamedTuple):
    """A connection as its client tells of it; instants in ns, None: it did not come to that."""

    client: Client
    port: int
    address: str
    began: int  # at the latest when its SYN was handed over
    handed: int | None  # exactly when
    connected: int | None
    shaken: int | None  # exactly when it was connected; None where only the event's own time is
    ended: int | None
    end: str  # how: RST, FIN, UNKNOWN, or in words

    @property
    def last(self) -> int | None:
        """When it was first known what became of the attempt."""
        return self.connected if self.connected is not None else self.ended


class _Flows:
    """A number for every (site, its local port, the address asked)."""

    def __init__(self, packets: Packets) -> None:
        self._packets = packets
        self._names: dict[str, int] = {}
        self._ports = [port_of(text) for text in packets.texts()]
        self._hosts = [self._name(text.rpartition(":")[0]) for text in packets.texts()]
        self._sites = [self._name(text) for text in packets.texts()]

    def of(self, site: str, port: int, address: str) -> int:
        return self._name(site) << 48 | self._name(address) << 16 | port

    def sent(self, *whats: str) -> _Instants:
        """Every such packet that a site sent, by when it entered the WAN."""
        return self._instants(whats, ("source", "src", "dst"), self._packets.t)

    def received(self, *whats: str) -> _Instants:
        """Every such packet that a site was delivered, by when."""
        return self._instants(whats, ("target", "dst", "src"), self._packets.out)

    def mute(self, told: Iterable[Flow]) -> dict[int, list[int]]:
        """When directions towards a site began that ended without a byte of payload."""
        found: dict[int, list[int]] = {}
        for one in told:
            if one.ended and one.first is None and one.protocol == "tcp":
                address = one.src.rpartition(":")[0]
                found.setdefault(self.of(one.target, port_of(one.dst), address), []).append(
                    one.began
                )
        return found

    def name(self, flow: int) -> tuple[str, int, str]:
        """The site, port and address of a flow's number."""
        names = list(self._names)
        return names[flow >> 48], flow & 0xFFFF, names[flow >> 16 & 0xFFFFFFFF]

    def _instants(self, whats: Sequence[str], names: Sequence[str], at: Sequence[int]) -> _Instants:
        """`names` are the columns that the flow is read from: site, its end, the other end."""
        sites, ports, hosts = self._sites, self._ports, self._hosts
        columns = (self._packets.column(name) for name in names)
        rows = compress(zip(*columns, at, strict=False), self._packets.are(*whats))
        found = [
            (sites[s] << 48 | hosts[f] << 16 | ports[n]) << _INSTANT | t
            for s, n, f, t in rows
            if t >= 0
        ]
        found.sort()
        return _Instants(found)

    def _name(self, name: str) -> int:
        return self._names.setdefault(name, len(self._names))


class _Instants:
    """Instants by flow, in order."""

    def __init__(self, ordered: Sequence[int]) -> None:
        self._ordered = ordered

    def flows(self) -> set[int]:
        return {instant >> _INSTANT for instant in self._ordered}

    def beside(self, flows: Collection[int]) -> list[tuple[int, int]]:
        """Every flow and instant but those of some flows."""
        found = [instant for instant in self._ordered if instant >> _INSTANT not in flows]
        return [(instant >> _INSTANT, instant & (1 << _INSTANT) - 1) for instant in found]

    def first(self, flow: int, since: int, until: int) -> int | None:
        """The first from `since` to `until`; None: there is none."""
        base = flow << _INSTANT
        place = bisect_left(self._ordered, base | max(since, 0))
        if place < len(self._ordered) and self._ordered[place] <= base | until:
            return self._ordered[place] - base
        return None

    def apart(self, flow: int, t: int) -> int | None:
        """How far the nearest packet of this flow's connection is; None: there is none."""
        instants, asked = self._ordered, flow << _INSTANT | t
        place = bisect_left(instants, asked)
        off = instants[place] - asked if place < len(instants) else SAME_CONNECTION_NS + 1
        if place and asked - instants[place - 1] < off:
            off = asked - instants[place - 1]
        return off if off <= SAME_CONNECTION_NS else None


def agreement(history: History) -> Agreement:
    """Client events against packets at the city's port: SYN handed over against SYN seen,
    handshake done against SYN-ACK delivered, and all that one side says and the other does not.
    Matched by city, local port and address."""
    flows = _Flows(history.packets)
    join = _Join(history, flows)
    syn_off: list[int] = []
    synack_off: list[int] = []
    told: set[int] = set()
    found: list[Disagreement] = []
    for one in _connections(history):
        flow = flows.of(one.client.city, one.port, one.address)
        told.add(flow)
        off = one.handed and join.syns.apart(flow, one.handed)
        back = one.shaken and join.synacks.apart(flow, one.shaken)
        if one.handed and off is not None:
            syn_off.append(off)
            if one.shaken and back is not None:
                synack_off.append(back)
        if not join.is_plain(one, flow, off, back):
            found += join.disagreements(one, flow)
    untold = join.untold(told)
    unseen = sum(one.seen == _NO_SYN for one in found)
    every = sorted([*found, *untold], key=lambda one: one.t)
    return Agreement(_spread(syn_off), _spread(synack_off), unseen, len(untold), tuple(every))


class _Join:
    """Holds what clients tell against the wire's record."""

    def __init__(self, history: History, flows: _Flows) -> None:
        self._history = history
        self._flows = flows
        self.syns = flows.sent("syn")
        self.synacks = flows.received("synack", "synack-again")
        self._resets = flows.received("rst")
        self._reset = self._resets.flows()
        self._mute = flows.mute(history.flows)
        self._since, self._until = _known_since(history), history.last_ns
        self._is_whole = not _gaps(history)
        self._deaf = [
            life
            for life in history.injected()
            if life.how in _DEAFENING and {c.city for c in history.requests} & {*life.senders}
        ]

    @cached_property
    def _openings(self) -> _Instants:
        return self._flows.sent("syn", "syn-again")

    @cached_property
    def _fins(self) -> _Instants:
        """A FIN that is sent again is told as `again`."""
        return self._flows.received("fin", "again")

    def is_plain(self, one: _Told, flow: int, off: int | None, back: int | None) -> bool:
        """Nearly every connection: its SYN and SYN-ACK stand where they must, and nothing else is
        told of it. One that needs no closer look."""
        return (
            off is not None
            and 0 < off <= LATE_NS
            and (one.connected is None or (back is not None and 0 < back <= LATE_NS))
            and one.end not in _ENDS
            and flow not in self._reset
            and flow not in self._mute
        )

    def disagreements(self, one: _Told, flow: int) -> Iterator[Disagreement]:
        """What the client says of a connection and the wire does not, and the other way round.
        Nothing where one of the two records has gaps."""
        is_judged = self._is_whole and one.end != _UNKNOWN and one.began >= self._since
        if not is_judged or self._is_deaf(one):
            return
        since = one.began - LATE_NS
        if self._openings.first(flow, since, _known(one.last, self._until) + LATE_NS) is None:
            yield _differ(one, one.began, "it began to connect", _NO_SYN)
            return
        connected, ended = one.connected, one.ended
        if connected and self.synacks.first(flow, since, connected + LATE_NS) is None:
            yield _differ(one, connected, "it was connected", "saw no SYN-ACK reach it")
        if ended and one.end in _ENDS:
            seen = self._resets if one.end == _RST else self._fins
            if seen.first(flow, since, ended + LATE_NS) is None:
                yield _differ(one, ended, *_ENDS[one.end])
        if connected and one.end == _ANSWERED and self._was_mute(flow, since, connected):
            yield _differ(one, ended or connected, _ANSWERED, "saw no data come for it")
        if flow in self._reset and one.end != _RST:
            t = self._resets.first(flow, one.began, _known(ended, self._until) - HEARD_NS)
            if t is not None:
                yield _differ(one, t, _ENDS.get(one.end, (one.end,))[0], "saw a RST reach it")

    def _was_mute(self, flow: int, since: int, connected: int) -> bool:
        """Whether the other end's direction of this connection, seen from its SYN-ACK to its end,
        carried no payload."""
        return any(since <= began <= connected for began in self._mute.get(flow, ()))

    def untold(self, told: set[int]) -> list[Disagreement]:
        """First SYNs of cities to a service that no client tells of, as far as it must have. Where
        there is a client of the user's they may be its."""
        cities = {client.city for client in self._history.requests} - own_cities(self._history)
        named = {self._flows.of(city, 0, "") >> 48: city for city in cities}
        found = []
        for flow, t in self.syns.beside(told):
            city = named.get(flow >> 48)
            if city is None or not self._must_be_told(city, t):
                continue
            _, port, address = self._flows.name(flow)
            if self._history.region_of(address):
                client = Client(city, "")
                found.append(Disagreement(t, client, port, address, _NOTHING, "saw its SYN"))
        return found

    def _must_be_told(self, city: str, t: int) -> bool:
        history = self._history
        late = not has_ended(history) and t > history.last_ns - history.patience_ns(city)
        return self._is_whole and t >= self._since and not late

    def _is_deaf(self, one: _Told) -> bool:
        city, until = one.client.city, self._until
        return any(city in life.senders and _overlaps(one, life, until) for life in self._deaf)


def _connections(history: History) -> Iterator[_Told]:
    """Every TCP connection that a client began, or that it had before the history."""
    for client in dict.fromkeys([*history.requests, *history.connections]):
        requests = history.requests.get(client, ())
        if client.kind == "http":  # a connection each
            yield from (_asked(client, r) for r in requests if r.connecting and r.port)
        elif client.kind not in {"udp", OWN_CLIENT}:
            began = [r for r in requests if r.connecting and r.port]
            first = {(r.port, r.connecting): r for r in reversed(began)}
            yield from _lasting(history, client, list(first.values()))


def _asked(client: Client, r: Request) -> _Told:
    end = _end(r.outcome, r.closed_by, r.detail)
    return _Told(
        client, r.port, r.address, r.connecting or r.t, r.connecting, r.connected, r.connected,
        r.end, end,
    )  # fmt: skip


def _end(outcome: str, closed_by: str, detail: str) -> str:
    if outcome == "unknown":
        return _UNKNOWN
    if closed_by == "peer-rst" or detail == "ECONNREFUSED":
        return _RST
    if closed_by == "peer-fin":
        return _FIN
    return {"ok": _ANSWERED, "timeout": "its time was up"}.get(outcome, "it ended otherwise")


def _lasting(history: History, client: Client, first: Sequence[Request]) -> Iterator[_Told]:
    """Connections that tell of their own lives, and those that only their first request tells
    of; `first` are the requests that each began with."""
    lives: dict[int, list[Connection]] = {}
    for event in history.connections.get(client, ()):
        lives.setdefault(event.conn, []).append(event)
    lives = {conn: events for conn, events in lives.items() if any(e.port for e in events)}
    began = {r.conn: r for r in first}
    for conn, events in lives.items():
        yield _life(client, events, began.get(conn), history)
    for r in first:
        if r.conn not in lives:
            end = _UNKNOWN if r.outcome == "unknown" else "it is still connected"
            yield _asked(client, r)._replace(ended=None if r.connected else r.end, end=end)


def _life(
    client: Client, events: Sequence[Connection], request: Request | None, history: History
) -> _Told:
    at = {event.phase: event for event in events}
    last = events[-1]
    attempt, opened = at.get("attempt"), at.get("open")
    closed = at.get("close") or at.get("failed")
    handed = request.connecting if request else None
    opening = attempt.t if attempt else None
    end = _end("", closed.closed_by, closed.detail) if closed else "it is still connected"
    return _Told(
        client, last.port, last.address,
        handed or opening or history.first_ns or 0,
        handed,
        opened.t if opened else None,
        request.connected if request else None,
        closed.t if closed else None,
        end,
    )  # fmt: skip


def _differ(one: _Told, t: int, told: str, seen: str) -> Disagreement:
    return Disagreement(t, one.client, one.port, one.address, told, seen)


def _known_since(history: History) -> int:
    """From here on both records are there: a lab may have traffic before a history begins."""
    begins = history.run.t if history.run else 0
    return max(begins, min(history.packets.t, default=history.last_ns + 1))


def _gaps(history: History) -> bool:
    """Whether events or packets were lost, or nothing may be claimed for another reason."""
    is_void = any(note.text.startswith(PROVES_NOTHING) for note in history.notes)
    return is_void or bool(history.lost) or any(second.dropped for second in history.wire)


def _overlaps(one: _Told, life: FaultLife, last_ns: int) -> bool:
    return one.began <= _known(life.healed, last_ns) and life.began <= _known(one.ended, last_ns)


def _known(t: int | None, otherwise: int) -> int:
    return otherwise if t is None else t


def _spread(instants: Sequence[int]) -> Spread:
    values = [ns / NS_PER_MS for ns in instants]
    if len(values) < 2:
        only = values[0] if values else 0.0
        return Spread(len(values), only, only, only)
    cuts = quantiles(values, n=100, method="inclusive")
    return Spread(len(values), cuts[49], cuts[98], max(values))
