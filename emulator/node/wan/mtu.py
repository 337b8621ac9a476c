"""A packet that is too big for a path: the answer of the router that cannot pass it on, or its
fragments. Frames are as in `segments`."""

from __future__ import annotations

import struct

from emulator.node.wan.segments import VNET, fold, ip_offset, ones_sum, summed

_DF = 0x40
_QUOTED4 = 28  # of the packet: its header and 8 bytes more (RFC 792)
_QUOTED6 = 1232  # as much as fits into the least MTU of IPv6 (RFC 4443, 2.4)
_MTU6_MIN = 1280
_PLAIN = bytes(VNET)
_IP4, _IP6 = b"\x08\x00", b"\x86\xdd"


def packet_bytes(frame: bytes) -> int:
    """Length of the IP packet in a frame of one segment; 0: none, or one whose header lies."""
    ip = ip_offset(frame)
    name, room = frame[ip - 2 : ip], len(frame) - ip
    if name == _IP4 and room >= 20 and frame[ip] >> 4 == 4:
        least, length = (frame[ip] & 15) * 4, int.from_bytes(frame[ip + 2 : ip + 4], "big")
        return length if 20 <= least <= length <= room else 0
    if name == _IP6 and room >= 40 and frame[ip] >> 4 == 6:
        length = 40 + int.from_bytes(frame[ip + 4 : ip + 6], "big")
        return length if length <= room else 0
    return 0


def may_be_split(frame: bytes) -> bool:
    """IPv4 without DF. Nobody on the way splits IPv6 (RFC 8200, 4.5)."""
    ip = ip_offset(frame)
    return frame[ip - 2 : ip] == _IP4 and not frame[ip + 6] & _DF


def fragments(frame: bytes, mtu: int) -> list[bytes]:
    """An IPv4 packet of one segment, as packets of `mtu` bytes at most (RFC 791, 3.2)."""
    frame, ip = summed(frame), ip_offset(frame)
    header = (frame[ip] & 15) * 4
    end = ip + packet_bytes(frame)
    flags = int.from_bytes(frame[ip + 6 : ip + 8], "big")
    size = (mtu - header) & ~7
    pieces = []
    for at in range(ip + header, end, size):
        payload = frame[at : min(at + size, end)]
        head = bytearray(frame[: ip + header])
        offset = (flags & 0x1FFF) + (at - ip - header) // 8
        more = 0x2000 if at + size < end else flags & 0x2000
        struct.pack_into(">HHH", head, ip + 2, header + len(payload),
                         int.from_bytes(head[ip + 4 : ip + 6], "big"), offset | more)  # fmt: skip
        head[ip + 10 : ip + 12] = b"\0\0"
        struct.pack_into(">H", head, ip + 10, fold(ones_sum(head[ip:])) ^ 0xFFFF)
        pieces.append(bytes(head) + payload)
    return pieces


def refusal(frame: bytes, mtu: int) -> bytes | None:
    """The ICMP message that tells the sender which size would pass, as a frame back to where it
    came from; it speaks from the address that the packet was for. `frame` holds an IP packet
    (`packet_bytes`). None for what ICMP must not answer: errors, fragments but the first,
    multicast."""
    if frame[VNET] & 1:
        return None
    ip = ip_offset(frame)
    back = _PLAIN + frame[VNET + 6 : VNET + 12] + frame[VNET : VNET + 6] + frame[VNET + 12 : ip]
    if frame[ip - 2 : ip] == _IP6:
        body = _refusal6(frame[ip:], max(mtu, _MTU6_MIN))
    else:
        body = _refusal4(frame[ip:], mtu)
    return None if body is None else back + body


def _refusal4(packet: bytes, mtu: int) -> bytes | None:
    """RFC 1191: type 3, code 4, with the MTU of the next hop."""
    header = (packet[0] & 15) * 4
    is_error = packet[9] == 1 and packet[header] in (3, 4, 5, 11, 12)
    if is_error or int.from_bytes(packet[6:8], "big") & 0x1FFF:
        return None
    quoted = packet[: max(_QUOTED4, header + 8)]
    message = bytearray(struct.pack(">BBHHH", 3, 4, 0, 0, mtu) + quoted)
    struct.pack_into(">H", message, 2, fold(ones_sum(message)) ^ 0xFFFF)
    head = bytearray(struct.pack(">BBHHHBBH", 0x45, 0xC0, 20 + len(message), 0, 0, 64, 1, 0))
    head += packet[16:20] + packet[12:16]
    struct.pack_into(">H", head, 10, fold(ones_sum(head)) ^ 0xFFFF)
    return bytes(head + message)


def _refusal6(packet: bytes, mtu: int) -> bytes | None:
    """RFC 4443, 3.2: type 2, with the MTU of the next hop."""
    if packet[6] == 58 and packet[40] < 128:
        return None
    quoted = packet[:_QUOTED6]
    message = bytearray(struct.pack(">BBHI", 2, 0, 0, mtu) + quoted)
    addresses = packet[24:40] + packet[8:24]
    pseudo = addresses + struct.pack(">I3xB", len(message), 58)
    padded = message + bytes(len(message) & 1)
    struct.pack_into(">H", message, 2, fold(ones_sum(pseudo) + ones_sum(padded)) ^ 0xFFFF)
    return bytes(struct.pack(">IHBB", 6 << 28, len(message), 58, 64) + addresses + message)
