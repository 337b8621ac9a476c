"""Which frames tell something: the ends of connections, what is sent again, DNS answers.

Frames are as in `segments`: 10 bytes of virtio header, then Ethernet. All that is known of a
sender is what it sent, seen where it entered the WAN, dropped or not.
"""

from __future__ import annotations

import struct
from collections import OrderedDict
from typing import NamedTuple

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
)  # fmt: skip
SYN, SYNACK, FIN, RST, DATA, AGAIN, SYN_AGAIN, SYNACK_AGAIN, DNS, LOST = range(len(WHATS))

_FIN, _SYN, _RST, _ACK = 0x01, 0x02, 0x04, 0x10
_TCP, _UDP = 6, 17
_DNS_PORT = b"\x00\x35"
_IP = 24  # offset of the IP header
_HALF, _MASK = 1 << 31, (1 << 32) - 1  # sequence numbers wrap around (RFC 9293, 3.4)
_SEQUENCE = struct.Struct(">I4xBB")
_FLOWS = 1 << 16  # directions remembered: about 20 MB


class Sight(NamedTuple):
    """A frame that tells something, by addresses in network order."""

    whats: tuple[int, ...]
    addresses: bytes  # source, target: 8 bytes of IPv4 or 32 of IPv6
    ports: bytes  # source, target: 4 bytes
    payload: bytes  # of a DNS answer


class _Direction:
    """What one end of a connection has sent: its first sequence number, the one after its
    highest, and whether its first payload is still to come."""

    __slots__ = ("fresh", "high", "start")

    def __init__(self, start: int, high: int, *, fresh: bool) -> None:
        self.start = start
        self.high = high
        self.fresh = fresh


class Flows:
    """The directions seen lately; the one that was silent longest is forgotten first."""

    def __init__(self, limit: int = _FLOWS) -> None:
        self._limit = limit
        self._directions: OrderedDict[bytes, _Direction] = OrderedDict()

    def __len__(self) -> int:
        return len(self._directions)

    def observe(self, frame: bytes) -> Sight | None:
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
        if protocol == _TCP and len(frame) >= transport + 20:
            return self._tcp(frame, key, transport, end)
        if protocol == _UDP and key[-4:-2] == _DNS_PORT:
            return Sight((DNS,), key[:-4], key[-4:], frame[transport + 8 : end])
        return None

    def _tcp(self, frame: bytes, key: bytes, transport: int, end: int) -> Sight | None:
        sequence, offset, flags = _SEQUENCE.unpack_from(frame, transport + 4)
        payload = max(0, end - transport - (offset >> 4) * 4)
        if flags & (_SYN | _RST):
            whats = self._opening_or_reset(key, sequence, flags)
        else:
            whats = self._sent(key, sequence, payload, flags & _FIN)
        return Sight(whats, key[:-4], key[-4:], b"") if whats else None

    def _opening_or_reset(self, key: bytes, sequence: int, flags: int) -> tuple[int, ...]:
        if flags & _RST:
            return (RST,)
        direction = self._directions.get(key)
        is_again = direction is not None and direction.start == sequence
        if not is_again:
            self._remember(key, _Direction(sequence, (sequence + 1) & _MASK, fresh=True))
        if flags & _ACK:
            return (SYNACK_AGAIN if is_again else SYNACK,)
        return (SYN_AGAIN if is_again else SYN,)

    def _sent(self, key: bytes, sequence: int, payload: int, fin: int) -> tuple[int, ...]:
        """A segment of an open connection; `fin` (0 or 1) takes one of the sequence space."""
        if not payload + fin:
            return ()
        end = (sequence + payload + fin) & _MASK
        direction = self._directions.get(key)
        if direction is None:
            self._remember(key, _Direction(sequence, end, fresh=False))
            return (FIN,) if fin else ()
        self._directions.move_to_end(key)
        if not 0 < (end - direction.high) & _MASK < _HALF:
            # One byte sent again is how a keep-alive or a window probe looks.
            return (AGAIN,) if fin or payload > 1 else ()
        direction.high = end
        is_first = direction.fresh and payload > 0
        if is_first:
            direction.fresh = False
        return ((DATA,) if is_first else ()) + ((FIN,) if fin else ())

    def _remember(self, key: bytes, direction: _Direction) -> None:
        self._directions[key] = direction
        self._directions.move_to_end(key)
        if len(self._directions) > self._limit:
            self._directions.popitem(last=False)
