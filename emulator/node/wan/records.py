"""The wire's records: a binary form that is cheap to write, and the reader for the keeper."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator
from typing import NamedTuple

from emulator.node.wan.flows import DNS, FIN, LOST, WHATS, Sight

CAUSES = ("", "cut", "loss", "queue", "overload")  # by minus the fate, see `paths`

# what, cause, source, target, bytes of both addresses, bytes of payload, t, out or count
_HEAD = struct.Struct("=BBBBHHqq")


class Record(NamedTuple):
    """One telling frame, or (`what` "lost") the number of records that could not be handed over."""

    what: str  # as events.Packet.what; "dns": an answer in `payload`; "lost"
    t: int  # ns, when it entered at `source`
    out: int | None = None  # ns, when it was due at `target`; None: dropped
    dropped: str = ""  # cut, loss, queue, overload
    source: int = 0  # site
    target: int = 0  # site
    src: str = ""  # "10.3.0.2:41234"
    dst: str = ""
    payload: bytes = b""
    missing: int = 0  # records, of "lost"


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
    dropped = CAUSES[cause]
    due = None if dropped else out
    return Record(WHATS[what], t, due, dropped, source, target, src, dst, payload), at + size


def is_answer(record: Record) -> bool:
    """Whether the record holds a DNS answer rather than a telling TCP segment."""
    return record.what == WHATS[DNS]


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
