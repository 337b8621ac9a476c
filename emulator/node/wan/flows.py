"""Which frames tell something, and what each direction of a flow has come to: the ends of
connections, what is sent again, DNS, the first and the last of QUIC.

Frames are as in `segments`: 10 bytes of virtio header, then Ethernet. All that is known of a
sender is what it sent, seen where it entered the WAN, dropped or not. `core/flows.c` does the
same; `tests/test_wire_flows.py` holds both to it.
"""

from __future__ import annotations

import struct
from collections import OrderedDict
from collections.abc import Iterator
from copy import copy
from typing import NamedTuple

from emulator.clock import NS_PER_S

# What a frame tells; the order of `WHATS` and of the numbers is one.
WHATS = (
    "syn",
    "synack",
    "fin",
    "rst",
    "data",
    "again",
    "syn-again",
    "synack-again",
    "dns",
    "lost",
    "question",
    "rst-stranger",
    "flow",
)  # fmt: skip
(SYN, SYNACK, FIN, RST, DATA, AGAIN, SYN_AGAIN, SYNACK_AGAIN, DNS, LOST, QUESTION, RST_STRANGER,
 FLOW) = range(len(WHATS))  # fmt: skip

_FIN, _SYN, _RST, _ACK = 0x01, 0x02, 0x04, 0x10
TCP, UDP = 6, 17
_DNS_PORT = b"\x00\x35"
_QUIC = frozenset((b"\x00\x00\x00\x01", b"\x6b\x33\x43\xcf"))  # RFC 9000 and RFC 9369
_IP = 24  # offset of the IP header
_HALF, _MASK = 1 << 31, (1 << 32) - 1  # sequence numbers wrap around (RFC 9293, 3.4)
_SEQUENCE = struct.Struct(">I4xBB")
_FLOWS = 1 << 16  # directions remembered: about 20 MB
_ASIDE = 1 << 13  # that ended since the last telling; more have to wait for their turn
TELL_NS = 5 * NS_PER_S  # how often a direction that goes on is told
IDLE_NS = NS_PER_S  # after so long without a frame it is told once more


class Sight(NamedTuple):
    """A frame that tells something, by addresses in network order."""

    whats: tuple[int, ...]
    addresses: bytes  # source, target: 8 bytes of IPv4 or 32 of IPv6
    ports: bytes  # source, target: 4 bytes
    payload: bytes  # of a DNS message


class Direction:
    """What one end of a flow has sent. `start`, `high`: its first sequence number and the one
    after its highest; `fresh`: its first payload is yet to come; instants in ns, 0: not yet."""

    __slots__ = (
        "again", "began", "bytes", "ended", "first", "fresh", "high", "key", "last", "protocol",
        "seen", "segments", "silence", "source", "start", "target", "told",
    )  # fmt: skip

    def __init__(self, key: bytes, protocol: int, sites: tuple[int, int], now: int) -> None:
        self.key = key
        self.protocol = protocol
        self.source, self.target = sites
        self.start = self.high = 0
        self.began = self.seen = now
        self.first = self.last = 0
        self.segments = self.bytes = self.again = self.silence = 0
        self.ended = self.fresh = False
        self.told = 0  # when it was told last

    def saw(self, now: int, segments: int, payload: int) -> None:
        """A frame of it."""
        self.silence = max(self.silence, now - self.seen)
        self.seen = now
        self.segments += segments
        if payload:
            self.bytes += payload
            self.last = now
            if not self.first:
                self.first = now


class Flows:
    """The directions seen lately; the one that was silent longest is forgotten first."""

    def __init__(self, limit: int = _FLOWS) -> None:
        self._limit = limit
        self._directions: OrderedDict[bytes, Direction] = OrderedDict()
        self._ended: list[Direction] = []

    def __len__(self) -> int:
        return len(self._directions)

    def observe(self, frame: bytes, now: int = 0, sites: tuple[int, int] = (0, 0)) -> Sight | None:
        """Take note of a frame; a Sight if it tells something. Any bytes are fine."""
        kind = frame[22:24]
        if kind == b"\x08\x00" and len(frame) >= _IP + 28:
            transport = _IP + (frame[_IP] & 15) * 4
            is_fragment = frame[_IP + 6] & 0x3F or frame[_IP + 7]
            protocol = 0 if is_fragment else frame[_IP + 9]
            end = _IP + (frame[_IP + 2] << 8) + frame[_IP + 3]
            key = frame[_IP + 12 : _IP + 20] + frame[transport : transport + 4]
        elif kind == b"\x86\xdd" and len(frame) >= _IP + 48:
            transport = _IP + 40
            protocol = frame[_IP + 6]
            end = transport + (frame[_IP + 4] << 8) + frame[_IP + 5]
            key = frame[_IP + 8 : _IP + 44]
        else:
            return None
        if protocol == TCP and len(frame) >= transport + 20:
            return self._tcp(frame, key, transport, end, now, sites)
        if protocol == UDP and len(frame) >= transport + 8:
            return self._udp(frame, key, transport, end, now, sites)
        return None

    def ended(self) -> Iterator[Direction]:
        """Those that ended since the last call."""
        yield from self._ended
        self._ended.clear()

    def to_tell(self, now: int, *, is_all: bool = False) -> Iterator[Direction]:
        """Directions that ended, and of those that moved since they were told the ones that are
        due: silent for a second, or not told for 5; with `is_all` every one."""
        yield from self.ended()
        for direction in reversed(self._directions.values()):
            if now - direction.seen > TELL_NS + 2 * IDLE_NS:
                return
            is_due = now - direction.told >= TELL_NS or now - direction.seen >= IDLE_NS
            if direction.seen > direction.told and (is_all or is_due):
                direction.told = now
                yield direction

    def forget_site(self, site: int) -> None:
        """Its link went: what speaks there next is another life of it, which had none of these."""
        gone = [key for key, direction in self._directions.items() if direction.source == site]
        for key in gone:
            direction = self._directions.pop(key)
            if direction.seen > direction.told:
                self._set_aside(direction)

    def _udp(
        self, frame: bytes, key: bytes, transport: int, end: int, now: int, sites: tuple[int, int]
    ) -> Sight | None:
        if key[-4:-2] == _DNS_PORT or key[-2:] == _DNS_PORT:
            what = DNS if key[-4:-2] == _DNS_PORT else QUESTION
            return Sight((what,), key[:-4], key[-4:], frame[transport + 8 : end])
        direction = self._directions.get(b"q" + key)
        if direction is None:
            is_long = len(frame) > transport + 12 and frame[transport + 8] & 0xC0 == 0xC0
            if not is_long or frame[transport + 9 : transport + 13] not in _QUIC:
                return None
            direction = self._remember(Direction(b"q" + key, UDP, sites, now))
        self._directions.move_to_end(direction.key)
        payload = max(0, end - transport - 8)
        direction.saw(now, _segments(frame, payload), payload)
        return None

    def _tcp(
        self, frame: bytes, key: bytes, transport: int, end: int, now: int, sites: tuple[int, int]
    ) -> Sight | None:
        sequence, offset, flags = _SEQUENCE.unpack_from(frame, transport + 4)
        payload = max(0, end - transport - (offset >> 4) * 4)
        direction = self._directions.get(key)
        whats: tuple[int, ...]
        if flags & _SYN and not flags & _RST:
            is_again = direction is not None and direction.start == sequence
            if direction is None or not is_again:
                direction = self._remember(Direction(key, TCP, sites, now))
                direction.start, direction.high = sequence, (sequence + 1) & _MASK
                direction.fresh = True
            whats = (_opening(flags, is_again=is_again),)
            direction.again += is_again
        elif flags & _RST:
            whats = (RST if direction is not None else RST_STRANGER,)
            if direction is None:
                return Sight(whats, key[:-4], key[-4:], b"")
        elif direction is None:
            direction = self._remember(Direction(key, TCP, sites, now))
            direction.start = sequence
            direction.high = (sequence + payload + (flags & _FIN)) & _MASK
            whats = (FIN,) if flags & _FIN else ()
        else:
            whats = _sent(direction, sequence, payload, flags & _FIN)
        self._directions.move_to_end(key)
        is_all_told = direction.told == direction.seen
        direction.saw(now, _segments(frame, payload), payload)
        if flags & (_FIN | _RST) and not direction.ended:
            direction.ended = True
            self._set_aside(direction)
        elif direction.ended and is_all_told and not payload and not flags & (_FIN | _SYN):
            direction.told = now  # it acknowledges the other's end: no news
        return Sight(whats, key[:-4], key[-4:], b"") if whats else None

    def _remember(self, direction: Direction) -> Direction:
        """Remembered, in place of one of the same key, or of the one that was silent longest."""
        before = self._directions.pop(direction.key, None)
        if before is None and len(self._directions) >= self._limit:
            before = self._directions.popitem(last=False)[1]
        if before is not None and before.seen > before.told:
            self._set_aside(before)
        self._directions[direction.key] = direction
        return direction

    def _set_aside(self, direction: Direction) -> None:
        """As it is now, to be told with the next ones."""
        if len(self._ended) < _ASIDE:
            self._ended.append(copy(direction))
            direction.told = direction.seen


def _opening(flags: int, *, is_again: bool) -> int:
    if flags & _ACK:
        return SYNACK_AGAIN if is_again else SYNACK
    return SYN_AGAIN if is_again else SYN


def _sent(direction: Direction, sequence: int, payload: int, fin: int) -> tuple[int, ...]:
    """A segment of an open connection; `fin` (0 or 1) takes one of the sequence space."""
    if not payload + fin:
        return ()
    end = (sequence + payload + fin) & _MASK
    if not 0 < (end - direction.high) & _MASK < _HALF:
        # One byte sent again is how a keep-alive or a window probe looks.
        is_again = bool(fin) or payload > 1
        direction.again += is_again
        return (AGAIN,) if is_again else ()
    direction.high = end
    is_first = payload > 0 and direction.fresh
    direction.fresh = direction.fresh and not is_first
    return ((DATA,) if is_first else ()) + ((FIN,) if fin else ())


def _segments(frame: bytes, payload: int) -> int:
    size: int = frame[4] | frame[5] << 8 if _IS_LITTLE else frame[4] << 8 | frame[5]
    return -(-payload // size) if frame[1] and size and payload else 1


_IS_LITTLE = struct.pack("=H", 1) == b"\x01\x00"
