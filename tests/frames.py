"""Frames as a packet socket with PACKET_VNET_HDR gives them, made by hand, and a second
implementation of what a receiver's kernel does with them: segment, complete and check sums."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from ipaddress import ip_address
from typing import NamedTuple

FIN, SYN, RST, PSH, ACK, CWR = 0x01, 0x02, 0x04, 0x08, 0x10, 0x80
PARIS = "02:00:00:00:03:01"
_GSO = {(4, 6): 1, (6, 6): 4, (4, 17): 5, (6, 17): 5}


def ethernet(kind: int, payload: bytes, target: str = PARIS) -> bytes:
    """No offload at all: an empty virtio header."""
    macs = bytes.fromhex(target.replace(":", "")) + bytes.fromhex("020000000101")
    return bytes(10) + macs + struct.pack(">H", kind) + payload


class Ends(NamedTuple):
    """Who sends to whom."""

    src: str = "10.3.0.2"
    sport: int = 41234
    dst: str = "198.18.1.1"
    dport: int = 80

    def back(self) -> Ends:
        return Ends(self.dst, self.dport, self.src, self.sport)


CLIENT = Ends()
CLIENT6 = Ends("2001:db8:1::2", 41234, "2001:db8:2::1", 80)
NAME_SERVER = Ends("198.18.9.53", 53, "10.3.0.1", 5353)


def tcp(
    flags: int,
    payload: bytes = b"",
    *,
    seq: int = 1000,
    ends: Ends = CLIENT,
    options: bytes = b"",
    gso: int = 0,
) -> bytes:
    """A TCP frame whose checksum is left partial, as a local sender's is."""
    words = 5 + len(options) // 4
    ports = struct.pack(">HH", ends.sport, ends.dport)
    head = ports + struct.pack(">IIBBHHH", seq, 77, words << 4, flags, 512, 0, 0)
    return _offloaded(ends, 6, head + options, payload, gso)


def udp(payload: bytes, *, ends: Ends = NAME_SERVER, gso: int = 0) -> bytes:
    head = struct.pack(">HHHH", ends.sport, ends.dport, 8 + len(payload), 0)
    return _offloaded(ends, 17, head, payload, gso)


def _offloaded(between: Ends, protocol: int, head: bytes, payload: bytes, gso: int) -> bytes:
    ends = ip_address(between.src).packed + ip_address(between.dst).packed
    length = len(head) + len(payload)
    at = 16 if protocol == 6 else 6
    partial = _folded(ends + struct.pack(">HH", protocol, length))
    head = head[:at] + struct.pack(">H", partial) + head[at + 2 :]
    version = 4 if len(ends) == 8 else 6
    ip = _ipv4(ends, protocol, length) if version == 4 else _ipv6(ends, protocol, length)
    start = 14 + len(ip)
    kind = _GSO[version, protocol] if gso else 0
    vnet = struct.pack("=BBHHHH", 1, kind, start + len(head), gso, start, at)
    frame = ethernet(0x0800 if version == 4 else 0x86DD, ip + head + payload)
    return vnet + frame[10:]


def _ipv4(ends: bytes, protocol: int, length: int) -> bytes:
    head = struct.pack(">BBHHHBBH", 0x45, 0, 20 + length, 65534, 0x4000, 64, protocol, 0) + ends
    return head[:10] + struct.pack(">H", _folded(head) ^ 0xFFFF) + head[12:]


def _ipv6(ends: bytes, protocol: int, length: int) -> bytes:
    return struct.pack(">IHBB", 6 << 28, length, protocol, 64) + ends


def _folded(data: bytes) -> int:
    """RFC 1071 by the book: the number itself modulo 65535 (0 and 65535 are one)."""
    data += bytes(len(data) % 2)
    return int.from_bytes(data, "big") % 65535


@dataclass(frozen=True)
class Segment:
    """One packet as the application behind the receiving kernel would get it."""

    identification: int
    seq: int
    flags: int
    payload: bytes


def receive(frame: bytes) -> list[Segment]:
    """Segment a frame as the kernel does and check every checksum and length on the way."""
    needs, kind, _, size, start, offset = struct.unpack_from("=BBHHHH", frame)
    ip, transport = 24, 10 + start
    assert needs == 1
    version = frame[ip] >> 4
    ends = frame[ip + 12 : ip + 20] if version == 4 else frame[ip + 8 : ip + 40]
    if version == 4:
        assert _folded(frame[ip:transport]) == 0, "IP header checksum"
        assert struct.unpack_from(">H", frame, ip + 2)[0] == len(frame) - ip
    else:
        assert struct.unpack_from(">H", frame, ip + 4)[0] == len(frame) - transport
    protocol = 6 if offset == 16 else 17
    partial = struct.unpack_from(">H", frame, transport + offset)[0]
    pseudo = ends + struct.pack(">HH", protocol, len(frame) - transport)
    assert partial % 65535 == _folded(pseudo), "pseudo-header sum"
    header = transport + ((frame[transport + 12] >> 4) * 4 if protocol == 6 else 8)
    assert bool(size) == bool(kind)
    assert not size or len(frame) - header > size, "a GSO frame has more than one segment"
    return _segments(frame, header, transport, size or max(1, len(frame) - header))


def _segments(frame: bytes, header: int, transport: int, size: int) -> list[Segment]:
    is_tcp = struct.unpack_from("=H", frame, 8)[0] == 16
    identification = struct.unpack_from(">H", frame, 28)[0]
    seq, flags = struct.unpack_from(">I5xB", frame, transport + 4) if is_tcp else (0, 0)
    if not is_tcp:
        assert struct.unpack_from(">H", frame, transport + 4)[0] == len(frame) - transport
    starts = range(header, len(frame), size) or [header]
    found = []
    for index, at in enumerate(starts):
        not_last = 0 if at == starts[-1] else FIN | PSH
        not_first = CWR if index else 0
        number = (seq + at - header) % 2**32 if is_tcp else 0
        kept = flags & ~(not_last | not_first)
        found.append(Segment((identification + index) % 65536, number, kept, frame[at : at + size]))
    return found
