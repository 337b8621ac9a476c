"""A captured frame as a real wire would carry it: super-frames as their segments, every checksum
complete, and what became of each in words.

The ring knows of a super-frame what its first and its last segment met, and how many of all were
dropped. So a comment stands on a segment whose fate is known; where only some were dropped, the
first one tells how many.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from emulator.node.wan.capture import CAUSES, Captured
from emulator.node.wan.segments import VNET, Layout, cut, layout

_NEEDS_CSUM = 1
_UDP_FIELD = 6  # where the checksum stands in its header; a sum of 0 is told as 0xFFFF there


class Packet(NamedTuple):
    """One packet; `original` is its length, `frame` what was kept of it."""

    frame: bytes
    original: int
    comment: str = ""


def packets(captured: Captured, *, with_delays: bool = False) -> Iterable[Packet]:
    """The segments of a frame; of one that holds no segments, the frame."""
    if not captured.vnet[1]:
        return (whole_packet(captured, with_delays=with_delays),)
    return _segments(captured, with_delays=with_delays)


def _segments(captured: Captured, *, with_delays: bool) -> Iterator[Packet]:
    whole = captured.vnet + captured.frame.ljust(captured.original, b"\0")
    shape = layout(whole)
    if shape is None or shape.header - VNET > len(captured.frame):
        yield whole_packet(captured, with_delays=with_delays)
        return
    for index in range(shape.segments):
        piece = cut(whole, shape, index, index + 1)
        known = _known(captured, shape, index)
        comment = _of_segment(captured, index, shape.segments)
        frame = _summed(piece) if known == len(piece) - VNET else piece[VNET : VNET + known]
        if with_delays and not comment and index in {0, shape.segments - 1}:
            comment = _delay(captured, captured.first if index == 0 else captured.last)
        yield Packet(frame, len(piece) - VNET, comment)


def whole_packet(captured: Captured, *, with_delays: bool = False) -> Packet:
    """The frame as the sender handed it over, up to 64 KB long."""
    frame = captured.frame
    if len(frame) == captured.original:
        frame = _summed(captured.vnet + frame)
    comment = _of_frame(captured) if captured.dropped else ""
    if with_delays and not comment:
        comment = _delay(captured, captured.last)
    return Packet(frame, captured.original, comment)


def cause(captured: Captured) -> str:
    """Why (some of) the frame was dropped; empty: it was not."""
    if not captured.dropped:
        return ""
    return CAUSES[captured.cause] if captured.cause < len(CAUSES) else "an unknown cause"


def _of_frame(captured: Captured) -> str:
    why = cause(captured)
    if captured.dropped < captured.segments:
        return f"{captured.dropped} of {captured.segments} segments dropped: {why}"
    return f"dropped: {why}"


def _of_segment(captured: Captured, index: int, segments: int) -> str:
    why = cause(captured)
    if not why:
        return ""
    if captured.dropped >= captured.segments:
        return f"dropped: {why}"
    fate = captured.first if index == 0 else captured.last if index == segments - 1 else 0
    own = f"dropped: {why}" if fate < 0 else ""
    if index == 0:
        told = f"{captured.dropped} of these {captured.segments} segments dropped: {why}"
        return f"{told}; this one among them" if own else told
    return own


def _delay(captured: Captured, due: int) -> str:
    return f"arrives after {(due - captured.t) / 1e6:.3f} ms" if due > 0 else ""


def _known(captured: Captured, shape: Layout, index: int) -> int:
    """How many bytes of a segment, from Ethernet on, were captured: headers repeat in each."""
    header = shape.header - VNET
    payload = len(captured.frame) - header - index * shape.size
    return header + max(0, min(payload, shape.size))


def _summed(frame: bytes) -> bytes:
    """From Ethernet on, with the checksum that the sender's kernel left to whoever segments."""
    if not frame[0] & _NEEDS_CSUM:
        return frame[VNET:]
    start, offset = struct.unpack_from("=HH", frame, 6)
    at = VNET + start + offset
    if at + 2 > len(frame):
        return frame[VNET:]
    data = frame[VNET + start :]
    # RFC 1071's sum is the number itself modulo 65535; a whole frame's is never 0 but as 65535.
    total = int.from_bytes(data + bytes(len(data) % 2), "big") % 0xFFFF or 0xFFFF
    checksum = 0xFFFF - total
    if checksum == 0 and offset == _UDP_FIELD:
        checksum = 0xFFFF
    return frame[VNET:at] + struct.pack(">H", checksum) + frame[at + 2 :]
