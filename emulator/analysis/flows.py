"""Flows as the wire tells of them, both directions together: who opened it, what it has come to.

A fold of events, live and afterwards the same: `Flows.feed(event)`. Everything is seen where a
packet enters the WAN, at its sender's site; whether it arrived is told with it.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from emulator.analysis.lookups import Lookups
from emulator.clock import NS_PER_S
from emulator.events import Answer, Event, Flow, Packet, Question

# A direction is told every 5 s in which it moves, and once more after a second without a frame
# (`node/wan/flows`): only then is it known to be silent.
IDLE_NS = NS_PER_S
TOLD_NS = 6 * NS_PER_S
SILENT_NS = 2 * NS_PER_S  # what a stream's message a fifth of a second is far from
REMEMBERED = 20_000  # flows; those that ended longest ago are forgotten first

_PROTOCOL = "tcp"


@dataclass(slots=True)
class Side:
    """One end of a flow, and what it sent. Instants in ns; None: not yet."""

    site: str
    end: str  # "10.3.0.2:41234"
    bytes: int = 0  # of payload, those sent again included
    segments: int = 0
    again: int = 0  # SYN, FIN or segments of payload that were sent again
    first: int | None = None  # first byte
    last: int | None = None  # newest byte
    seen: int = 0  # newest frame
    told: int = 0  # when the wire told of this direction last
    silence_ns: int = 0  # longest between two of its frames
    fin: int | None = None
    repeats: int = 0  # of `again`, those told one by one

    def take(self, flow: Flow) -> None:
        """What the wire says of the direction now."""
        self.bytes, self.segments = flow.bytes, flow.segments
        self.again = max(self.again, flow.again)
        self.first, self.last = flow.first, flow.last
        self.seen = max(self.seen, flow.seen)
        self.told = max(self.told, flow.t)
        self.silence_ns = max(self.silence_ns, flow.silence_ns)


@dataclass(frozen=True, slots=True)
class Reset:
    """A RST: by whom, whether it ever spoke on this connection, whether it arrived."""

    t: int
    site: str
    had: bool
    arrived: bool


@dataclass(slots=True)
class Conversation:
    """Both directions of a flow."""

    protocol: str  # tcp, quic
    client: Side  # who opened it; where that was not seen: whose port is the higher one
    server: Side
    began: int
    accepted: int | None = None  # a SYN-ACK that arrived entered the WAN, or data was seen
    syns: int = 0
    resets: list[Reset] = field(default_factory=list)

    @property
    def sides(self) -> tuple[Side, Side]:
        return self.client, self.server

    @property
    def seen(self) -> int:
        """The newest frame of both directions."""
        return max(self.client.seen, self.server.seen, self.began)

    @property
    def again(self) -> int:
        return self.client.again + self.server.again

    @property
    def reset(self) -> Reset | None:
        """The first RST that arrived."""
        return next((reset for reset in self.resets if reset.arrived), None)

    @property
    def is_over(self) -> bool:
        return self.reset is not None or all(side.fin is not None for side in self.sides)

    @property
    def is_refused(self) -> bool:
        """Whether its SYN was answered by a RST."""
        reset = self.reset
        return reset is not None and reset.site == self.server.site and self.accepted is None

    def silent_ns(self, now: int) -> int:
        """How long neither side has sent anything, as far as that is known; else 0."""
        told = max(side.told for side in self.sides)
        is_known = told - self.seen >= IDLE_NS or now - max(told, self.seen) >= TOLD_NS
        return now - self.seen if is_known else 0

    def state(self, now: int) -> str:
        """opening, unanswered, open, silent, closing, closed, refused or reset."""
        if self.reset:
            return "refused" if self.is_refused else "reset"
        if all(side.fin is not None for side in self.sides):
            return "closed"
        if any(side.fin is not None for side in self.sides):
            return "closing"
        if self.accepted is None:
            return "unanswered" if self._is_given_up(now) else "opening"
        return "silent" if self.silent_ns(now) >= SILENT_NS else "open"

    def _is_given_up(self, now: int) -> bool:
        """Whether the next SYN is overdue. They come 1, 2, 4, ... seconds after the one before
        (RFC 6298, 2.1 and 5.5); an answer may be under way for as long as the first of these."""
        return now - self.seen > NS_PER_S * ((1 << min(self.client.again, 7)) + 1)

    @property
    def mute(self) -> Side | None:
        """The side that has fallen silent while the other one goes on sending; often none."""
        for side, other in (self.sides, self.sides[::-1]):
            late = other.seen - side.seen
            is_known = side.told - side.seen >= IDLE_NS or late >= TOLD_NS
            if side.seen and not self.is_over and late >= SILENT_NS and is_known:
                return side
        return None


_Key = tuple[str, str, str]


class Flows:
    """All flows that the wire told of, oldest first; `lookups` is the same for DNS."""

    def __init__(self, limit: int = REMEMBERED) -> None:
        self.lookups = Lookups()
        self.newest = 0  # t of the newest event
        self._limit = limit
        self._known: OrderedDict[_Key, Conversation] = OrderedDict()

    def __len__(self) -> int:
        return len(self._known)

    def __iter__(self) -> Iterator[Conversation]:
        return iter(self._known.values())

    def feed(self, event: Event) -> None:
        """Take one event; those that tell nothing of flows are passed over."""
        if isinstance(event, Packet):
            self._packet(event)
        elif isinstance(event, Flow):
            self._flow(event)
        elif isinstance(event, Question | Answer):
            self.lookups.feed(event)
        else:
            return
        self.newest = max(self.newest, event.t)

    def _packet(self, packet: Packet) -> None:
        key = _key(_PROTOCOL, packet.src, packet.dst)
        known = self._known.get(key)
        if packet.what == "syn" and not (known and known.began > packet.t):
            known = self._begin(key, _new(packet, _PROTOCOL, packet.t, opener=packet.src))
        elif known is None:
            opener = packet.dst if packet.what.startswith("synack") else _likely_opener(packet)
            known = self._begin(key, _new(packet, _PROTOCOL, packet.t, opener=opener))
        elif packet.t < known.began:
            return  # of the connection that had these ports before
        side = known.client if known.client.end == packet.src else known.server
        side.seen = max(side.seen, packet.t)
        _TELL.get(packet.what, _nothing)(known, side, packet)

    def _flow(self, flow: Flow) -> None:
        key = _key(flow.protocol, flow.src, flow.dst)
        known = self._known.get(key)
        if known is None:
            opener = _likely_opener(flow)
            known = self._begin(key, _new(flow, flow.protocol, flow.began, opener=opener))
        side = known.client if known.client.end == flow.src else known.server
        if flow.began < known.began:
            if known.syns:  # its own SYN was seen: this is told of an earlier connection
                return
            known.began = flow.began
        side.take(flow)
        if flow.first is not None and known.accepted is None:
            known.accepted = flow.first

    def _begin(self, key: _Key, made: Conversation) -> Conversation:
        self._known.pop(key, None)  # the same ports again: a connection of its own
        self._known[key] = made
        if len(self._known) > self._limit:
            self._forget()
        return made

    def _forget(self) -> None:
        """The tenth that was silent longest, of those that are over where these suffice."""
        by_age = sorted(self._known, key=lambda key: self._known[key].seen)
        over = [key for key in by_age if self._known[key].is_over]
        for key in (over or by_age)[: max(1, self._limit // 10)]:
            del self._known[key]


def _new(event: Packet | Flow, protocol: str, began: int, *, opener: str) -> Conversation:
    near, far = Side(event.source, event.src), Side(event.target, event.dst)
    client, server = (near, far) if opener == event.src else (far, near)
    return Conversation(protocol, client, server, began)


def _key(protocol: str, src: str, dst: str) -> _Key:
    return (protocol, src, dst) if src < dst else (protocol, dst, src)


def _likely_opener(event: Packet | Flow) -> str:
    """A service's port is the lower one: clients' begin at 32768."""
    src, dst = (int(end.rpartition(":")[2]) for end in (event.src, event.dst))
    return event.src if src >= dst else event.dst


def _nothing(known: Conversation, side: Side, packet: Packet) -> None:
    pass


def _opened(known: Conversation, side: Side, packet: Packet) -> None:
    known.syns += 1


def _accepted(known: Conversation, side: Side, packet: Packet) -> None:
    if packet.out is not None and known.accepted is None:
        known.accepted = packet.t


def _spoke(known: Conversation, side: Side, packet: Packet) -> None:
    """Data is sent by those who know the connection to be open."""
    side.first = packet.t if side.first is None else side.first
    known.accepted = packet.t if known.accepted is None else known.accepted


def _repeated(known: Conversation, side: Side, packet: Packet) -> None:
    side.repeats += 1
    side.again = max(side.again, side.repeats)
    if packet.what == "synack-again":
        _accepted(known, side, packet)


def _finished(known: Conversation, side: Side, packet: Packet) -> None:
    side.fin = packet.t if side.fin is None else side.fin


def _was_reset(known: Conversation, side: Side, packet: Packet) -> None:
    arrived = packet.out is not None
    known.resets.append(Reset(packet.t, packet.source, packet.had, arrived))


_TELL: dict[str, Callable[[Conversation, Side, Packet], None]] = {
    "syn": _opened,
    "synack": _accepted,
    "data": _spoke,
    "fin": _finished,
    "rst": _was_reset,
    "again": _repeated,
    "syn-again": _repeated,
    "synack-again": _repeated,
}
