"""A region's health endpoint on 127.0.0.0/8 that turns bad in every way there is."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from typing import Literal

Mode = Literal["good", "bad", "silent", "garbage", "hangup", "lingering"]

ANSWERS: dict[Mode, bytes] = {
    "good": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
    "bad": b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n",
    "garbage": b"220 smtp.example ready\r\n",
    "hangup": b"",
    "lingering": b"HTTP/1.1 204 No Content\r\n\r\n",
}


class Endpoint:
    """`mode` may be set at any time; `requests` are the bytes of those who asked."""

    def __init__(self, address: str = "127.0.0.1", mode: Mode = "good") -> None:
        self.mode: Mode = mode
        self.requests: list[bytes] = []
        self._kept: list[socket.socket] = []  # silent and lingering connections stay open
        self._listener = socket.create_server((address, 0))
        self.at: tuple[str, int] = self._listener.getsockname()
        threading.Thread(target=self._serve, daemon=True).start()

    def refuse(self) -> None:
        """Stop listening: the kernel answers with RST."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for connection in self._kept:
            connection.close()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):  # refuse() ends the accept
            while True:
                self._answer(self._listener.accept()[0])

    def _answer(self, connection: socket.socket) -> None:
        if self.mode == "silent":
            self._kept.append(connection)
            return
        with contextlib.suppress(OSError):
            self.requests.append(connection.recv(4096))
            connection.sendall(ANSWERS[self.mode])
        if self.mode == "lingering":
            self._kept.append(connection)
        else:
            connection.close()


@contextlib.contextmanager
def endpoint(address: str = "127.0.0.1", mode: Mode = "good") -> Iterator[Endpoint]:
    serving = Endpoint(address, mode)
    try:
        yield serving
    finally:
        with contextlib.suppress(OSError):
            serving.refuse()
