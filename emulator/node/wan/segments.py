"""Cutting GSO super-frames: the kernel hands over up to 64 KB as one frame; loss and rate mean
its segments.

A frame here is what a packet socket with PACKET_VNET_HDR gives: struct virtio_net_hdr (10 bytes,
the machine's byte order), then Ethernet. The transport checksum of a super-frame is partial: its
field holds the folded sum of the pseudo-header only, and whoever segments at last completes it.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

VNET = 10  # bytes before the Ethernet header
_NEEDS_CSUM = 1
_TCP4, _TCP6, _UDP = 1, 4, 5  # VIRTIO_NET_HDR_GSO_*
_ECN = 0x80
_FIN, _PSH, _CWR = 0x01, 0x08, 0x80
_VLAN = (b"\x81\x00", b"\x88\xa8")
_IP_MOST = 65535  # bytes of a packet that its header can tell


class Layout(NamedTuple):
    """Where a super-frame can be cut; offsets count from the virtio header."""

    ip: int
    transport: int
    header: int  # bytes before the payload, the virtio header included
    size: int  # payload of one segment
    segments: int

    @property
    def segment_bytes(self) -> int:
        """One full segment as an Ethernet frame."""
        return self.header - VNET + self.size


def ip_offset(frame: bytes) -> int:
    """Where a frame's IP header would begin, behind any VLAN tags; may be behind its end."""
    ip = VNET + 14
    while frame[ip - 2 : ip] in _VLAN:
        ip += 4
    return ip


def layout(frame: bytes) -> Layout | None:
    """None: one frame, or nothing that we know how to cut. Any bytes are fine; `core/flows.c`
    decides the same."""
    kind = frame[1] & ~_ECN
    if kind not in (_TCP4, _TCP6, _UDP) or not frame[0] & _NEEDS_CSUM:
        return None
    size, start, offset = struct.unpack_from("=HHH", frame, 4)
    ip, transport = ip_offset(frame), VNET + start
    if not size or offset != (6 if kind == _UDP else 16):
        return None
    if not ip + 20 <= transport <= len(frame) - 20 or len(frame) - ip > _IP_MOST:
        return None
    if not _is_whole_ip(frame, ip, transport, kind):
        return None
    words = 2 if kind == _UDP else frame[transport + 12] >> 4
    header = transport + 4 * words
    payload = len(frame) - header
    if payload <= size or (kind != _UDP and words < 5):
        return None
    return Layout(ip, transport, header, size, -(-payload // size))


def _is_whole_ip(frame: bytes, ip: int, transport: int, kind: int) -> bool:
    """Whether the IP header ends where the transport begins, and is what the kind of GSO says."""
    name, version, words = frame[ip - 2 : ip], frame[ip] >> 4, frame[ip] & 15
    if name == b"\x08\x00" and version == 4:
        return kind != _TCP6 and words >= 5 and transport == ip + 4 * words
    if name == b"\x86\xdd" and version == 6:
        return kind != _TCP4 and transport >= ip + 40 and (transport - ip) % 8 == 0
    return False


def wire_bytes(frame: bytes, shape: Layout | None) -> int:
    """Bytes of Ethernet that a real wire would carry: every segment repeats the headers."""
    extra = (shape.segments - 1) * (shape.header - VNET) if shape else 0
    return len(frame) - VNET + extra


def cut(frame: bytes, shape: Layout, start: int, stop: int) -> bytes:
    """The segments `start` up to `stop` as a frame of their own."""
    if start == 0 and stop == shape.segments:
        return frame
    head = bytearray(frame[: shape.header])
    payload = frame[shape.header + start * shape.size : shape.header + stop * shape.size]
    is_udp = head[1] & ~_ECN == _UDP
    if is_udp:
        struct.pack_into(">H", head, shape.transport + 4, 8 + len(payload))
    else:
        _renumber(head, shape, start, stop)
    if stop - start == 1:
        head[1] = 0
        head[4:6] = b"\x00\x00"
    length = shape.header - shape.transport + len(payload)
    addresses = _resize_ip(head, shape, length, start)
    partial = fold(ones_sum(addresses) + (17 if is_udp else 6) + length)
    struct.pack_into(">H", head, shape.transport + (6 if is_udp else 16), partial)
    return bytes(head) + payload


def _renumber(head: bytearray, shape: Layout, start: int, stop: int) -> None:
    """Sequence number and flags of a run: FIN and PSH belong to the last, CWR to the first."""
    at = shape.transport + 4
    sequence = struct.unpack_from(">I", head, at)[0] + start * shape.size
    struct.pack_into(">I", head, at, sequence & 0xFFFFFFFF)
    if stop < shape.segments:
        head[shape.transport + 13] &= ~(_FIN | _PSH)
    if start > 0:
        head[shape.transport + 13] &= ~_CWR
        head[1] &= ~_ECN


def _resize_ip(head: bytearray, shape: Layout, length: int, start: int) -> bytes:
    """Lengths, identification and checksum of the IP header; returns both addresses."""
    ip, transport = shape.ip, shape.transport
    if head[ip] >> 4 == 6:
        struct.pack_into(">H", head, ip + 4, transport - ip - 40 + length)
        return bytes(head[ip + 8 : ip + 40])
    identification = struct.unpack_from(">H", head, ip + 4)[0] + start
    struct.pack_into(">HH", head, ip + 2, transport - ip + length, identification & 0xFFFF)
    head[ip + 10 : ip + 12] = b"\x00\x00"
    checksum = fold(ones_sum(head[ip:transport])) ^ 0xFFFF
    struct.pack_into(">H", head, ip + 10, checksum)
    return bytes(head[ip + 12 : ip + 20])


def summed(frame: bytes) -> bytes:
    """The same frame with its checksum completed, and no longer vouched for by the kernel: so the
    receiver will check it. A frame of one segment; where its checksum would lie outside of it, it
    has none."""
    head = bytearray(frame)
    start, offset = struct.unpack_from("=HH", frame, 6)
    start += VNET
    if frame[0] & _NEEDS_CSUM and start + offset + 2 <= len(frame):
        covered = frame[start:] + bytes((len(frame) - start) & 1)
        total = fold(ones_sum(covered)) ^ 0xFFFF
        struct.pack_into(">H", head, start + offset, total or 0xFFFF)
    head[:VNET] = bytes(VNET)
    return bytes(head)


def corrupted(frame: bytes, draw: int) -> bytes:
    """The same frame of one segment with one bit behind the Ethernet header flipped; which one,
    `draw` (any number) says."""
    head = bytearray(summed(frame))
    first = VNET + 14
    if len(head) > first:
        byte, bit = divmod(draw % (8 * (len(head) - first)), 8)
        head[first + byte] ^= 1 << bit
    return bytes(head)


def ones_sum(data: bytes | bytearray) -> int:
    """The sum of 16-bit words (RFC 1071), not folded; `data` has an even length."""
    return sum(struct.unpack(f">{len(data) // 2}H", data))


def fold(total: int) -> int:
    """A sum's carries added back in, until 16 bits are left."""
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total
