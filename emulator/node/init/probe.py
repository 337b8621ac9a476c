"""One-way delay between hosts, on the clock they share: the least of a few datagrams counts."""

from __future__ import annotations

import os
import socket
import struct
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from emulator.node.loop import Loop

PORT = 4790
_STAMP = struct.Struct("!Q")
_SPACING_S = (0.005, 0.010)  # uneven, so that the probes do not beat with anybody's timer


class Probe:
    """One UDP socket for both roles."""

    def __init__(self, loop: Loop) -> None:
        self._loop = loop
        self._socket: socket.socket | None = None
        self._minimum: dict[str, int] = {}
        self._count: dict[str, int] = {}

    def listen(self) -> None:
        """Take datagrams from now on; what was heard before is forgotten."""
        self._open()
        self._minimum.clear()
        self._count.clear()

    def _open(self) -> socket.socket:
        if self._socket is None:
            self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
            self._socket.bind(("", PORT))
            self._loop.watch(self._socket.fileno(), self._receive)
        return self._socket

    def _receive(self, _: int) -> None:
        sock = self._open()
        while True:
            try:
                data, (source, _port) = sock.recvfrom(64)
            except OSError:
                return
            now = time.monotonic_ns()
            if len(data) == _STAMP.size:
                delay = now - _STAMP.unpack(data)[0]
                self._minimum[source] = min(delay, self._minimum.get(source, delay))
                self._count[source] = self._count.get(source, 0) + 1

    async def send(self, targets: list[str], count: int) -> int:
        """`count` datagrams to every target; how many the kernel took."""
        sock = self._open()
        sent = 0
        shortest, longest = _SPACING_S
        for _ in range(count):
            for target in targets:
                try:
                    sent += bool(sock.sendto(_STAMP.pack(time.monotonic_ns()), (target, PORT)))
                except OSError:
                    continue  # no route yet, or its ICMP error: the report will miss it
            await self._loop.sleep(shortest + (longest - shortest) * os.urandom(1)[0] / 255)
        return sent

    def report(self) -> dict[str, Any]:
        return {"minimum_ns": dict(self._minimum), "count": dict(self._count)}
