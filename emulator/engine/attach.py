"""Both ends of a program in a container, over the connection that the engine hands over.

The engine interleaves stdout and stderr in frames: one byte which (1 stdout, 2 stderr), three
zero bytes, four bytes length, payload (Docker Engine API, "Attach to a container").
"""

from __future__ import annotations

import contextlib
import io
import socket as sockets
import struct
from collections.abc import Callable
from typing import Any, NoReturn

from emulator.errors import EngineError

FRAME = struct.Struct(">BxxxI")
STDERR = 2
# What the engine says, on stdout, of a program that it could not start.
NOT_STARTED = b"OCI runtime exec failed"
KEPT_STDERR = 4096


class AttachedProgram:
    """A `Stream` over an upgraded connection. One reader and one writer may use it at a time."""

    def __init__(self, socket: Any, what: str, exit_code: Callable[[], int | None]) -> None:
        self._connection, self._incoming = _ends(socket)
        # The SDK gave the socket its call timeout; a program may be silent for as long as it likes.
        self._connection.settimeout(None)
        self._keep_alive = socket
        self._what = what
        self._exit_code = exit_code
        self._unread = b""
        self._said_something = False
        self._stderr = b""

    def read(self, size: int) -> bytes:
        """Up to `size` bytes of stdout; empty at the end. EngineError if it failed unheard."""
        while not self._unread:
            header = self._exactly(FRAME.size)
            if len(header) < FRAME.size:
                return self._ended()
            kind, length = FRAME.unpack(header)
            payload = self._exactly(length)
            if kind == STDERR:
                self._stderr = (self._stderr + payload)[-KEPT_STDERR:]
                continue
            self._unread = payload
            if not self._said_something and payload.startswith(NOT_STARTED):
                self._fail(payload)
            self._said_something = True
        data, self._unread = self._unread[:size], self._unread[size:]
        return data

    def write(self, data: bytes) -> None:
        try:
            self._connection.sendall(data)
        except OSError as error:
            raise EngineError(f"cannot write to it after: {self._what}: {error}") from error

    def stderr(self) -> str:
        """The last few KB of it."""
        return self._stderr.decode(errors="replace")

    def close(self) -> None:
        """The program sees the end of its stdin; a read in another thread returns."""
        with contextlib.suppress(OSError):  # the other side was first
            self._connection.shutdown(sockets.SHUT_RDWR)
        self._incoming.close()
        self._keep_alive.close()
        self._connection.close()

    def _ended(self) -> bytes:
        if not self._said_something and (code := self._exit_code()):
            self._fail(f"it ended with {code}: ".encode() + self._stderr)
        return b""

    def _fail(self, why: bytes) -> NoReturn:
        self.close()
        raise EngineError(f"cannot {self._what}: {why.decode(errors='replace').strip()}")

    def _exactly(self, size: int) -> bytes:
        parts = b""
        while len(parts) < size:
            part = self._read_some(size - len(parts))
            if not part:
                break
            parts += part
        return parts

    def _read_some(self, size: int) -> bytes:
        try:
            return self._incoming.read1(size)
        except (OSError, ValueError):  # closed by us in another thread
            return b""


def _ends(socket: Any) -> tuple[sockets.socket, io.BufferedReader]:
    """What to write to, and the buffered reader that took the HTTP header off the same socket.

    Reading the socket itself would lose the first output of a program that is quicker than our
    parsing of the header: it is in that reader's buffer.
    """
    reader = socket._response.raw._fp.fp  # noqa: SLF001 (the SDK has no public way to it)
    connection = getattr(socket, "_sock", socket)
    return connection, reader
