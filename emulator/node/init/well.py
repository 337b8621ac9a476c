"""Is a server of this host well? Asked what its balancer's check asks, more often than it does."""

from __future__ import annotations

import errno
import select
import socket
import time

from emulator.node.loop import Future

TYPE_CHECKING = False
if TYPE_CHECKING:
    from emulator.node.loop import Loop

_TIMEOUT_S = 1.0  # HAProxy's `timeout check`
_REFUSED_S = 0.05  # costs nobody anything
_ANSWERED_S = 0.2  # costs the server an answer, and perhaps a line of its log
_LONGEST_LINE = 4096


class Check:
    """What to ask: for a path, or only for a connection; `good`: the statuses that are well."""

    def __init__(
        self, address: str, port: int, path: str, host_header: str, good: list[int]
    ) -> None:
        self._where = (address, port)
        self._good = range(good[0], good[1] + 1)
        request = f"GET {path} HTTP/1.1\r\nHost: {host_header}\r\nConnection: close\r\n\r\n"
        self._request = request.encode() if path else b""

    async def passes_within(self, loop: Loop, seconds: float) -> bool:
        """Ask until it is well; False when that took too long."""
        until = time.monotonic() + seconds
        while True:
            with socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_NONBLOCK) as sock:
                is_connected = await self._connects(loop, sock)
                if is_connected and (not self._request or await self._is_answered(loop, sock)):
                    return True
            pause = _ANSWERED_S if is_connected else _REFUSED_S
            if time.monotonic() + pause > until:
                return False
            await loop.sleep(pause)

    async def _connects(self, loop: Loop, sock: socket.socket) -> bool:
        error = sock.connect_ex(self._where)
        if error == errno.EINPROGRESS and await _ready(loop, sock, select.EPOLLOUT):
            error = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        return error == 0

    async def _is_answered(self, loop: Loop, sock: socket.socket) -> bool:
        said = b""
        try:
            sock.send(self._request)
            while b"\n" not in said and len(said) < _LONGEST_LINE:
                if not await _ready(loop, sock, select.EPOLLIN) or not (part := sock.recv(4096)):
                    return False
                said += part
        except OSError:
            return False
        version, _, rest = said.partition(b" ")
        return version.startswith(b"HTTP/1.") and rest[:3].isdigit() and int(rest[:3]) in self._good


def _ready(loop: Loop, sock: socket.socket, events: int) -> Future:
    """Whether it is, within the time of a check."""
    ready = Future()
    loop.watch(sock.fileno(), lambda _: ready.set(value=True), events)
    timer = loop.after(_TIMEOUT_S, lambda: ready.set(value=False))

    def done(_: Future) -> None:
        loop.forget(sock.fileno())
        timer.cancel()

    ready.then(done)
    return ready
