"""A packet that is too big for a path: the answer of the router that cannot pass it on, or its
fragments. Frames are as in `segments`."""

from __future__ import annotations

import struct

from emulator.node.wan.segments import VNET, fold, ones_sum, summed

_IP = VNET + 14
_DF = 0x40
_QUOTED4 = 28  # of the packet: its header and 8 bytes more (RFC 792)
_QUOTED6 = 1232  # as much as fits into the least MTU of IPv6 (RFC 4443, 2.4)
_MTU6_MIN = 1280
_PLAIN = bytes(VNET)


def packet_bytes(frame: bytes) -> int:
    """Length of the IP packet in a frame of one segment; 0: none."""
    kind = frame[_IP - 2 : _IP]
    if kind == b"\x08\x00" and len(frame) >= _IP + 20:
        return int.from_bytes(frame[_IP + 2 : _IP + 4], "big")
    if kind == b"\x86\xdd" and len(frame) >= _IP + 40:
        return 40 + int.from_bytes(frame[_IP + 4 : _IP + 6], "big")
    return 0


def may_be_split(frame: bytes) -> bool:
    """IPv4 without DF. Nobody on the way splits IPv6 (RFC 8200, 4.5)."""
    return frame[_IP - 2 : _IP] == b"\x08\x00" and not frame[_IP + 6] & _DF


def fragments(frame: bytes, mtu: int) -> list[bytes]:
    """An IPv4 packet of one segment, as packets of `mtu` bytes at most (RFC 791, 3.2)."""
    frame = summed(frame)
    header = (frame[_IP] & 15) * 4
    end = _IP + packet_bytes(frame)
    flags = int.from_bytes(frame[_IP + 6 : _IP + 8], "big")
    size = (mtu - header) & ~7
    pieces = []
    for at in range(_IP + header, end, size):
        payload = frame[at : min(at + size, end)]
        head = bytearray(frame[: _IP + header])
        offset = (flags & 0x1FFF) + (at - _IP - header) // 8
        more = 0x2000 if at + size < end else flags & 0x2000
        struct.pack_into(">HHHBB", head, _IP + 2, header + len(payload),
                         int.from_bytes(head[_IP + 4 : _IP + 6], "big"),
                         offset | more, head[_IP + 8], head[_IP + 9])  # fmt: skip
        head[_IP + 10 : _IP + 12] = b"\0\0"
        struct.pack_into(">H", head, _IP + 10, fold(ones_sum(head[_IP:])) ^ 0xFFFF)
        pieces.append(bytes(head) + payload)
    return pieces


def refusal(frame: bytes, mtu: int) -> bytes | None:
    """The ICMP message that tells the sender which size would pass, as a frame back to where it
    came from; it speaks from the address that the packet was for. None for what ICMP must not
    answer: errors, fragments but the first, multicast."""
    if frame[VNET] & 1:
        return None
    back = _PLAIN + frame[VNET + 6 : VNET + 12] + frame[VNET : VNET + 6] + frame[_IP - 2 : _IP]
    if frame[_IP - 2 : _IP] == b"\x86\xdd":
        body = _refusal6(frame, max(mtu, _MTU6_MIN))
    else:
        body = _refusal4(frame, mtu)
    return None if body is None else back + body


def _refusal4(frame: bytes, mtu: int) -> bytes | None:
    """RFC 1191: type 3, code 4, with the MTU of the next hop."""
    header = (frame[_IP] & 15) * 4
    is_error = frame[_IP + 9] == 1 and frame[_IP + header] in (3, 4, 5, 11, 12)
    if is_error or int.from_bytes(frame[_IP + 6 : _IP + 8], "big") & 0x1FFF:
        return None
    quoted = frame[_IP : _IP + max(_QUOTED4, header + 8)]
    message = bytearray(struct.pack(">BBHHH", 3, 4, 0, 0, mtu) + quoted)
    struct.pack_into(">H", message, 2, fold(ones_sum(message)) ^ 0xFFFF)
    to, source = frame[_IP + 12 : _IP + 16], frame[_IP + 16 : _IP + 20]
    ip = bytearray(struct.pack(">BBHHHBBH", 0x45, 0xC0, 20 + len(message), 0, 0, 64, 1, 0))
    ip += source + to
    struct.pack_into(">H", ip, 10, fold(ones_sum(ip)) ^ 0xFFFF)
    return bytes(ip + message)


def _refusal6(frame: bytes, mtu: int) -> bytes | None:
    """RFC 4443, 3.2: type 2, with the MTU of the next hop."""
    if frame[_IP + 6] == 58 and frame[_IP + 40] < 128:
        return None
    quoted = frame[_IP : _IP + _QUOTED6]
    message = bytearray(struct.pack(">BBHI", 2, 0, 0, mtu) + quoted)
    addresses = frame[_IP + 24 : _IP + 40] + frame[_IP + 8 : _IP + 24]
    pseudo = addresses + struct.pack(">I3xB", len(message), 58)
    padded = message + bytes(len(message) & 1)
    struct.pack_into(">H", message, 2, fold(ones_sum(pseudo) + ones_sum(padded)) ^ 0xFFFF)
    return bytes(struct.pack(">IHBB", 6 << 28, len(message), 58, 64) + addresses + message)
