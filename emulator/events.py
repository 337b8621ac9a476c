"""The history's words: one JSON object a line, one class a kind.

Every event has `t` (ns, the lab's monotonic clock: when it happened), `kind`, and `seq` once the
keeper took it in. Programs in the lab write them; the recorder stores the lines as they came;
the analysis reads nothing else. Instants are ns; None: did not happen.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, fields
from typing import Any, ClassVar, Self

SCHEMA = 1
PROVES_NOTHING = "inconclusive: "  # how a note begins that says why nothing may be claimed
OWN_CLIENT = "own"  # the client kind of requests that the lines of a client of the user's tell of
CACHES_EMPTIED = "resolvers forget the zone, for the phase of the fault"  # a note


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """What all kinds share."""

    kind: ClassVar[str] = ""
    t: int
    seq: int = -1

    def to_json(self) -> dict[str, Any]:
        return {"kind": self.kind, **asdict(self)}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        known = {f.name for f in fields(cls)}
        return cls(**{key: value for key, value in data.items() if key in known})


@dataclass(frozen=True, slots=True, kw_only=True)
class Run(Event):
    """The header: what the analysis must know of the lab. First line of every history."""

    kind: ClassVar[str] = "run"
    schema: int = SCHEMA
    wall: str  # ISO 8601, the only wall time of a run
    seed: int
    lab: str
    scenario: str
    command: str
    environment: dict[str, str]  # kernel, machine, versions
    sites: list[dict[str, Any]]  # name, kind, prefixes
    services: list[dict[str, Any]]  # name, fqdn, port, addresses, ttl_s, interval_s, timeout_s, ...
    paths: list[dict[str, Any]]  # source, target, one_way_ms, measured_ms, because
    preferred: dict[str, list[str]]  # city -> regions, each once those before it are lost
    bounds: dict[str, list[dict[str, Any]]]  # "power us-east" -> city, client, total_s, ...
    timeouts: dict[str, dict[str, float]]  # city -> lookup_s, connect_s, response_s
    objectives: list[dict[str, Any]]
    rates: dict[str, float]  # planned requests/s by client kind, the most of any city
    loads: dict[str, dict[str, dict[str, Any]]] = field(default_factory=dict)
    # city -> client kind -> rate, connections, cache_s, negative_s (None: for ever), lifetime_s;
    # {}: rates in every city
    steady_state: dict[str, Any] = field(default_factory=dict)  # over_s, hold: objectives
    expect: dict[str, Any] = field(default_factory=dict)  # kind, within_s
    predicted: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    # "power us-east" -> city, client, seconds: recovery at evenly spread phases, in order
    resolvers: dict[str, dict[str, Any]] = field(default_factory=dict)
    # city -> whom its clients ask: site ("": the name servers), ecs, settings of unbound.conf
    phase: dict[str, float] = field(default_factory=dict)
    # of the first fault: "ns1": s after its last check began, "ttl": s after the resolvers asked
    sent_to: dict[str, dict[str, Any]] = field(default_factory=dict)
    # city -> regions: that DNS may name, because: in words, "" where the round trips say it
    own_clients: dict[str, str] = field(default_factory=dict)  # city -> image of the user's


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault(Event):
    """A step of a fault's life. t0 of all measured times is `inject_began`."""

    kind: ClassVar[str] = "fault"
    id: str
    how: str  # power, crash, ...
    phase: str  # inject_began, inject_ended, heal_began, healed, heal_ended, failed
    target: list[str]
    sites: list[str]  # regions and cities that the target covers whole
    hosts: list[str]
    peers: list[str] = field(default_factory=list)
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request(Event):
    """One request, stream message or datagram of a client. `t` is its start."""

    kind: ClassVar[str] = "request"
    city: str
    client: str  # http, keepalive, stream, udp, own
    n: int  # counts from 0 per city and client; 0 in all of own
    planned: int  # when the schedule wanted it; t - planned is lateness
    outcome: str  # ok, error, timeout, unknown
    detail: str = ""  # error: ECONNRESET, ECONNREFUSED, EOF, NXDOMAIN, SERVFAIL, 503, wrong-region,
    # stalled, unconnected, certificate; timeout: lookup, connect, handshake, response
    lookup: int | None = None  # answer of the resolver arrived
    connecting: int | None = None  # SYN handed to the kernel (udp: datagram sent)
    connected: int | None = None  # handshake done
    secured: int | None = None  # that of TLS done
    sent: int | None = None  # request written
    first: int | None = None  # first byte of the answer
    end: int | None = None  # last byte, or the failure
    address: str = ""  # asked
    port: int = 0  # our local port
    region: str = ""  # that answered
    server: str = ""  # that answered
    protocol: str = ""  # that the server saw: HTTP/1.1, tcp, udp
    closed_by: str = ""  # peer-rst, peer-fin, us, ""
    conn: int = 0  # connection's number in this client, 0: udp


@dataclass(frozen=True, slots=True, kw_only=True)
class Own(Event):
    """A JSON object that a client of the user's wrote as a line; `t` is when it did, by its own `t`
    (seconds since 1970) where it says one."""

    kind: ClassVar[str] = "own"
    city: str
    told: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection(Event):
    """A keep-alive connection or stream opened or ended."""

    kind: ClassVar[str] = "connection"
    city: str
    client: str
    conn: int
    phase: str  # attempt, open, close, failed
    address: str = ""
    port: int = 0
    region: str = ""
    closed_by: str = ""  # peer-rst, peer-fin, us
    detail: str = ""  # close: idle, drained (Connection: close), stalled, ECONNRESET, ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule(Event):
    """Every second: how well a city's sender keeps its plan."""

    kind: ClassVar[str] = "schedule"
    city: str
    planned: int  # requests due in this second
    started: int
    late: int  # started more than 2 ms after plan
    late_ms_max: float
    in_flight: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Lookup(Event):
    """The answer to a `lookup` command: what a city's resolver says now."""

    kind: ClassVar[str] = "lookup"
    city: str
    name: str
    rcode: str
    addresses: list[str]
    ttl: int
    ms: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Check(Event):
    """One health check by a name server; `t` is its start."""

    kind: ClassVar[str] = "check"
    server: str  # ns1
    service: str
    region: str
    ok: bool
    end: int
    detail: str = ""
    checker: str = ""  # the vantage site that made it; "": the server itself


@dataclass(frozen=True, slots=True, kw_only=True)
class Health(Event):
    """A name server changed its mind about a region."""

    kind: ClassVar[str] = "health"
    server: str
    service: str
    region: str
    state: str  # UP, DOWN
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Generation(Event):
    """A name server's new routing is live: from here on its answers follow it."""

    kind: ClassVar[str] = "generation"
    server: str
    service: str
    number: int
    up: list[str]  # may be answered, by their health or in spite of it
    down: list[str]  # avoided: DOWN, forced down, or drained
    forced: dict[str, str] = field(default_factory=dict)  # region -> down, up, drain
    real: dict[str, str] = field(default_factory=dict)  # region -> UP, DOWN: what checks say
    ramping: dict[str, float] = field(default_factory=dict)  # region -> share below 1
    ttl: int = 0
    serial: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Forced(Event):
    """A name server was told to hold a region for down, up or drained, whatever its checks say."""

    kind: ClassVar[str] = "forced"
    server: str
    service: str
    region: str
    state: str  # down, up, drain; auto: its checks decide again
    until: int | None = None
    reason: str = ""  # told, expired, restored after a restart


@dataclass(frozen=True, slots=True, kw_only=True)
class Proxy(Event):
    """A balancer changed its mind about a server, or about itself (server == "")."""

    kind: ClassVar[str] = "proxy"
    region: str
    service: str
    server: str  # us-east/www-1
    state: str  # UP, DOWN, DRAIN, MAINT, CLOSING, STOPPING
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Daemon(Event):
    """A daemon of a host started or ended (init says so), or the WAN's wire (host "wan")."""

    kind: ClassVar[str] = "daemon"
    host: str
    name: str
    state: str  # started, listening (servers say so themselves), ended; of the wire also stuck,
    # moving (again), given up (not started any more)
    detail: str = ""  # exit status or signal; of the wire that started: who moves its frames


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer(Event):
    """A DNS answer on the wire, from a name server to a resolver; `t`: its arrival there."""

    kind: ClassVar[str] = "answer"
    source: str  # site of the server
    target: str  # site of the resolver
    name: str
    qtype: str
    rcode: str
    addresses: list[str]
    ttl: int
    subnet: str = ""  # "10.4.0.0/24": the clients that it is for (RFC 7871); "": all


@dataclass(frozen=True, slots=True, kw_only=True)
class Packet(Event):
    """A telling segment on the WAN: SYN, SYN-ACK, FIN, RST, first data, data sent again.

    `t` is when it entered at `source`, `out` when it left at `target` (None: dropped).
    """

    kind: ClassVar[str] = "packet"
    what: str  # syn, synack, fin, rst, data, again (retransmitted data), syn-again, synack-again
    source: str
    target: str
    src: str  # "10.3.0.2:41234"
    dst: str  # "198.18.1.1:80"
    out: int | None = None
    dropped: str = ""  # cut, loss, queue, mtu, overload
    had: bool = True  # rst: whether its sender ever spoke on this connection before


@dataclass(frozen=True, slots=True, kw_only=True)
class Question(Event):
    """A DNS question on the wire; `t`: when it entered at its asker's site."""

    kind: ClassVar[str] = "question"
    source: str  # site of the asker
    target: str  # site of the server
    name: str
    qtype: str
    dropped: str = ""  # as of a packet; "": it arrived


@dataclass(frozen=True, slots=True, kw_only=True)
class Flow(Event):
    """One direction of a TCP or QUIC flow, as it entered the WAN at `source`: told at its end, and
    while it lasts every few seconds in which it moved. `t` is when it was told."""

    kind: ClassVar[str] = "flow"
    protocol: str  # tcp, quic
    source: str
    target: str
    src: str  # "10.3.0.2:41234"
    dst: str  # "198.18.1.1:80"
    began: int  # first frame
    first: int | None  # first byte of payload; None: none yet
    last: int | None  # newest byte of payload
    seen: int  # newest frame
    segments: int
    bytes: int  # of payload, those sent again included
    again: int  # segments of payload, SYN or FIN that were sent again
    silence_ns: int  # longest time between two of its frames
    ended: bool  # by FIN or RST of this side


@dataclass(frozen=True, slots=True, kw_only=True)
class PathChange(Event):
    """Values of a path were set while the lab runs."""

    kind: ClassVar[str] = "path"
    source: str
    target: str
    values: dict[str, Any]  # of an Impairment, those that were named; {}: cleared
    by: str  # hand, trace, clear


@dataclass(frozen=True, slots=True, kw_only=True)
class Lost(Event):
    """Events were lost before they reached the history: nothing may be claimed from this run."""

    kind: ClassVar[str] = "lost"
    count: int
    where: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Wire(Event):
    """Every second: the wire process's own health."""

    kind: ClassVar[str] = "wire"
    packets: int
    dropped: int  # by overload, not by a setting
    lag_ms_max: float  # longest a frame left after it was due
    trouble: str = ""  # why packets do not move; follows "the WAN's wire"


@dataclass(frozen=True, slots=True, kw_only=True)
class Note(Event):
    """A step of the run: traffic, caches emptied, end, or why it proves nothing."""

    kind: ClassVar[str] = "note"
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Wait(Event):
    """A `wait_until` step ended; `t` is then."""

    kind: ClassVar[str] = "wait"
    text: str  # the condition, as written
    began: int
    within_s: float
    met: bool
    detail: str = ""  # what was missing


@dataclass(frozen=True, slots=True, kw_only=True)
class Command(Event):
    """A program that a step ran in a container ended, or was waited for in vain; `t` is then."""

    kind: ClassVar[str] = "command"
    verb: str  # exec, count
    host: str  # "eu-west/db-1:image"
    argv: list[str]
    began: int
    code: int | None  # None: it was not started, or did not end in time
    said: str = ""  # its last lines, or why there is no code


@dataclass(frozen=True, slots=True, kw_only=True)
class Held(Event):
    """What a service held when it was counted; `t` is when the count began."""

    kind: ClassVar[str] = "held"
    host: str  # that was asked
    ids: list[str]


KINDS: dict[str, type[Event]] = {
    cls.kind: cls
    for cls in (
        Run, Fault, Request, Own, Connection, Schedule, Lookup, Check, Health, Generation, Forced,
        Proxy, Daemon, Answer, Question, Packet, Flow, PathChange, Lost, Wire, Note, Wait,
        Command, Held,
    )
}  # fmt: skip


def encode(data: dict[str, Any]) -> bytes:
    """One line of a history."""
    return json.dumps(data, separators=(",", ":")).encode() + b"\n"
