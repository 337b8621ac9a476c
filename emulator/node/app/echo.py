"""TCP and UDP echo (RFC 862): what came in goes out."""

from __future__ import annotations

import asyncio
from typing import Any


class TcpEcho(asyncio.Protocol):
    """Echo one connection; the peer's end of stream ends it."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: Any = transport

    def data_received(self, data: bytes) -> None:
        self._transport.write(data)


class UdpEcho(asyncio.DatagramProtocol):
    """Echo each datagram to its sender."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: Any = transport

    def datagram_received(self, data: bytes, addr: Any) -> None:
        self._transport.sendto(data, addr)


async def start_echo(port: int) -> None:
    """Listen on TCP and UDP; raises OSError when the port is taken."""
    loop = asyncio.get_running_loop()
    await loop.create_server(TcpEcho, "0.0.0.0", port, backlog=1024)
    await loop.create_datagram_endpoint(UdpEcho, local_addr=("0.0.0.0", port))
