"""The wire's records: a binary form that is cheap to write, and the reader for the keeper."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator
from typing import NamedTuple

from emulator.node.wan.flows import (
    DNS,
    FIN,
    FLOW,
    LOST,
    QUESTION,
    RST_STRANGER,
    UDP,
    WHATS,
    Direction,
    Sight,
)

CAUSES = ("", "cut", "loss", "queue", "overload", "mtu")  # by minus the fate, see `paths`

# what, cause, source, target, bytes of both addresses, bytes of payload, t, out or count
_HEAD = struct.Struct("=BBBBHHqq")
# protocol, ended, again, began, first, last, seen, segments, bytes, silence
_FLOW = struct.Struct("=BBHIqqqqQQq")


class FlowRecord(NamedTuple):
    """What a direction has come to; instants in ns, 0: not yet."""

    protocol: str  # tcp, quic
    ended: bool
    again: int
    began: int
    first: int
    last: int
    seen: int
    segments: int
    bytes: int
    silence: int


class Record(NamedTuple):
    """One telling frame, or (`what` "lost") the number of records that could not be handed over."""

    what: str  # as events.Packet.what; "dns", "question": a message in `payload`; "flow"; "lost"
    t: int  # ns, when it entered at `source`
    out: int | None = None  # ns, when it was due at `target`; None: dropped
    dropped: str = ""  # one of CAUSES
    source: int = 0  # site
    target: int = 0  # site
    src: str = ""  # "10.3.0.2:41234"
    dst: str = ""
    payload: bytes = b""
    missing: int = 0  # records, of "lost"
    had: bool = True  # of "rst": its sender spoke on this connection before
    flow: FlowRecord | None = None  # of "flow"


def encode(
    sight: Sight, t: int, fates: tuple[int, int], source: int, target: int
) -> Iterator[bytes]:
    """One record for each thing that a frame tells. `fates`: of its first and last segment."""
    for what in sight.whats:
        fate = fates[1] if what == FIN else fates[0]
        cause = -fate if fate < 0 else 0
        head = _HEAD.pack(
            what, cause, source, target, len(sight.addresses), len(sight.payload), t, max(fate, 0)
        )
        yield head + sight.addresses + sight.ports + sight.payload


def encode_flow(direction: Direction, now: int) -> bytes:
    """One record of what a direction has come to."""
    key = direction.key[1:] if direction.protocol == UDP else direction.key
    size = len(key) - 4
    head = _HEAD.pack(FLOW, 0, direction.source, direction.target, size, _FLOW.size, now, 0)
    again = min(direction.again, (1 << 32) - 1)
    told = _FLOW.pack(
        direction.protocol, direction.ended, 0, again, direction.began, direction.first,
        direction.last, direction.seen, direction.segments, direction.bytes, direction.silence,
    )  # fmt: skip
    return head + key + told


def encode_lost(count: int, t: int) -> bytes:
    """Says that `count` records before this one are missing."""
    return _HEAD.pack(LOST, 0, 0, 0, 0, 0, t, count)


def decode(data: bytes) -> Iterator[Record]:
    """The records of one message. Raises ValueError for what the wire would not write."""
    at = 0
    while at < len(data):
        try:
            record, at = _read(data, at)
        except (struct.error, IndexError, ValueError) as error:
            raise ValueError(f"not a wire record at byte {at}: {error}") from error
        yield record


def _read(data: bytes, at: int) -> tuple[Record, int]:
    """The record at a place, and the place behind it."""
    what, cause, source, target, addresses, size, t, out = _HEAD.unpack_from(data, at)
    at += _HEAD.size
    if what == LOST:
        return Record(WHATS[LOST], t, missing=out), at
    src, dst = _ends(data[at : at + addresses + 4])
    at += addresses + 4
    payload = data[at : at + size]
    if what == FLOW:
        return Record(WHATS[FLOW], t, None, "", source, target, src, dst,
                      flow=_flow(payload)), at + size  # fmt: skip
    dropped = CAUSES[cause]
    due = None if dropped else out
    had = what != RST_STRANGER
    name = WHATS[what] if had else "rst"
    return Record(name, t, due, dropped, source, target, src, dst, payload, had=had), at + size


def _flow(payload: bytes) -> FlowRecord:
    protocol, ended, _, *rest = _FLOW.unpack(payload)
    return FlowRecord("quic" if protocol == UDP else "tcp", bool(ended), *rest)


def is_answer(record: Record) -> bool:
    """Whether the record holds a DNS answer rather than a telling TCP segment."""
    return record.what == WHATS[DNS]


def is_question(record: Record) -> bool:
    return record.what == WHATS[QUESTION]


def _ends(data: bytes) -> tuple[str, str]:
    """`address:port` of both ends, IPv6 in brackets."""
    half = (len(data) - 4) // 2
    ports = struct.unpack_from(">HH", data, len(data) - 4)
    names = (_address(data[:half]), _address(data[half : 2 * half]))
    return f"{names[0]}:{ports[0]}", f"{names[1]}:{ports[1]}"


def _address(data: bytes) -> str:
    if len(data) == 4:
        return socket.inet_ntop(socket.AF_INET, data)
    return f"[{socket.inet_ntop(socket.AF_INET6, data)}]"
