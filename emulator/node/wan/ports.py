"""A site's port: the packet socket on the WAN's end of its veth."""

from __future__ import annotations

import socket
import struct
import time

from emulator.clock import NS_PER_S

# linux/if_packet.h and asm-generic/socket.h; the socket module does not name them.
_SOL_PACKET = 263
_PACKET_STATISTICS = 6
_PACKET_VNET_HDR = 15
_PACKET_IGNORE_OUTGOING = 23
_SO_RCVBUFFORCE = 33
_SO_TIMESTAMPNS = 35
_ETH_P_ALL = 3

# Larger buffers hide an overload as seconds of delay; this is about 0.1 s at full speed.
_RECEIVE_BUFFER = 16 << 20


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


def dropped(port: socket.socket) -> int:
    """Frames that found the port's receive buffer full since the last call."""
    seen = port.getsockopt(_SOL_PACKET, _PACKET_STATISTICS, 8)
    return int(struct.unpack("II", seen)[1])


def is_gone(port: socket.socket) -> bool:
    """Whether the interface was removed. Also clears the socket's pending error."""
    port.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    return not port.getsockname()[0]
