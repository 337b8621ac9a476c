"""A site's port: the packet socket on the WAN's end of its veth."""

from __future__ import annotations

import ctypes
import socket
import struct
import time
from collections.abc import Iterable

from emulator.clock import NS_PER_S

# linux/if_packet.h and asm-generic/socket.h; the socket module does not name them.
_SOL_PACKET = 263
_PACKET_STATISTICS = 6
_PACKET_VNET_HDR = 15
_PACKET_IGNORE_OUTGOING = 23
_SO_RCVBUFFORCE = 33
_SO_ATTACH_FILTER = 26
_SO_TIMESTAMPNS = 35
_ETH_P_ALL = 3

# A window of bulk TCP arrives in one burst of super-frames, each of which counts as 66 KB here. Of
# a stream of 40 ms each way, ten times 6 s: with 64 MB 1.2 % of the frames were lost at its start
# and 17 Gbit/s moved, with 128 MB 0.1 % and 22, with 160 MB none and 24. The kernel takes it only
# while frames wait, and what waits too long the mover drops.
_RECEIVE_BUFFER = 160 << 20


def _program(lines: Iterable[tuple[int, int, int, int]]) -> bytes:
    """A classic BPF program (linux/filter.h): operation, jumps if true and if false, operand."""
    return b"".join(struct.pack("HBBI", *line) for line in lines)


# Operations: 0x28 and 0x30 load 16 and 8 bits at a place, 0x48 at a place behind X, 0xb1 puts the
# length of the IPv4 header in X, 0x15 compares, 0x06 returns how many bytes are kept.
_HEADERS_AND_DNS = _program(
    [
        (0x28, 0, 0, 12),  # type of the frame
        (0x15, 0, 8, 0x0800),  # IPv4
        (0x30, 0, 0, 23),
        (0x15, 15, 0, 6),  # TCP
        (0x15, 0, 15, 17),  # UDP
        (0xB1, 0, 0, 14),
        (0x48, 0, 0, 14),  # its source's port
        (0x15, 10, 0, 53),
        (0x48, 0, 0, 16),  # its target's
        (0x15, 8, 9, 53),
        (0x15, 0, 9, 0x86DD),  # IPv6
        (0x30, 0, 0, 20),
        (0x15, 6, 0, 6),
        (0x15, 0, 6, 17),
        (0x28, 0, 0, 54),
        (0x15, 2, 0, 53),
        (0x28, 0, 0, 56),
        (0x15, 0, 1, 53),
        (0x06, 0, 0, 2048),  # DNS
        (0x06, 0, 0, 128),  # the headers
        (0x06, 0, 0, 0),
    ]
)


def open_port(interface: str) -> socket.socket:
    """A bound packet socket in the caller's network namespace. Raises OSError."""
    port = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)  # 0: nothing is queued before bind
    try:
        port.setsockopt(_SOL_PACKET, _PACKET_VNET_HDR, 1)
        port.setsockopt(_SOL_PACKET, _PACKET_IGNORE_OUTGOING, 1)
        port.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _RECEIVE_BUFFER)
        port.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
        port.bind((interface, _ETH_P_ALL))
        port.settimeout(0)
    except OSError:
        port.close()
        raise
    return port


def receive_stamped(port: socket.socket, size: int) -> tuple[bytes, int]:
    """A frame, and for how long (ns) it has waited in the port's buffer. Raises OSError."""
    frame, told, _, _ = port.recvmsg(size, 64)
    for level, kind, data in told:
        if (level, kind) == (socket.SOL_SOCKET, _SO_TIMESTAMPNS):
            seconds, ns = struct.unpack("=qq", data)
            return frame, time.time_ns() - (seconds * NS_PER_S + ns)
    return frame, 0


def open_witness_port(interface: str) -> socket.socket:
    """As `open_port`, to see frames in both directions and send none: each with the instant at
    which the kernel saw it (ns of the real-time clock, as ancillary data), TCP and UDP alone, and
    of these no more than headers unless they are DNS. Raises OSError."""
    port = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    try:
        port.setsockopt(_SOL_PACKET, _PACKET_VNET_HDR, 1)
        port.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
        port.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _RECEIVE_BUFFER)
        program = ctypes.create_string_buffer(_HEADERS_AND_DNS)
        told = struct.pack("HL", len(_HEADERS_AND_DNS) // 8, ctypes.addressof(program))
        port.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, told)
        port.bind((interface, _ETH_P_ALL))
        port.settimeout(0)
    except OSError:
        port.close()
        raise
    return port


def dropped(port: socket.socket) -> int:
    """Frames that found the port's receive buffer full since the last call."""
    seen = port.getsockopt(_SOL_PACKET, _PACKET_STATISTICS, 8)
    return int(struct.unpack("II", seen)[1])


def is_gone(port: socket.socket) -> bool:
    """Whether the interface was removed. Also clears the socket's pending error."""
    port.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    return not port.getsockname()[0]
