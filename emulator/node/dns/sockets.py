"""The addresses that a name server answers at."""

from __future__ import annotations

import socket
from collections.abc import Sequence

from emulator.errors import NotReady


def bind(addresses: Sequence[str], port: int) -> tuple[list[socket.socket], list[socket.socket]]:
    """A UDP and a TCP socket on every address; NotReady names the one that fails."""
    return (
        [_bound(address, port, socket.SOCK_DGRAM) for address in addresses],
        [_bound(address, port, socket.SOCK_STREAM) for address in addresses],
    )


def _bound(address: str, port: int, kind: socket.SocketKind) -> socket.socket:
    bound = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, kind)
    try:
        if bound.family == socket.AF_INET6:  # IPv4 has sockets of its own
            bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        if kind == socket.SOCK_STREAM:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((address, port))
    except OSError as error:
        transport = "tcp" if kind == socket.SOCK_STREAM else "udp"
        raise NotReady(
            f"cannot listen on {address} port {port}/{transport}: {error.strerror};"
            " the host must be wired before its name server starts"
        ) from error
    bound.setblocking(False)  # noqa: FBT003
    return bound
