"""Both ends of a program in a container, over the connection that the engine hands over.

The engine interleaves stdout and stderr in frames: one byte which (1 stdout, 2 stderr), three
zero bytes, four bytes length, payload (Docker Engine API, "Attach to a container").
"""

from __future__ import annotations

import io
import socket as sockets
import struct
from collections.abc import Callable
from typing import Any

from emulator.errors import EngineError

FRAME = struct.Struct(">BxxxI")
STDOUT, STDERR = 1, 2
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
        self._frame_left = 0
        self._said_something = False
        self._stderr = b""

    def read(self, size: int) -> bytes:
        """Up to `size` bytes of stdout; empty at the end. EngineError if it failed before a word."""
        while not self._frame_left:
            header = self._exactly(FRAME.size)
            if len(header) < FRAME.size:
                return self._ended(header)
            kind, length = FRAME.unpack(header)
            if kind == STDOUT:
                self._frame_left = length
            elif kind == STDERR:
                self._stderr = (self._stderr + self._exactly(length))[-KEPT_STDERR:]
            else:  # the engine could not start it and says so without a frame
                rest = header + self._incoming.read1(KEPT_STDERR)
                raise EngineError(f"cannot {self._what}: {rest.decode(errors='replace').strip()}")
        data = self._incoming.read1(min(size, self._frame_left))
        self._frame_left -= len(data)
        self._said_something = True
        return data

    def write(self, data: bytes) -> None:
        try:
            self._connection.sendall(data)
        except OSError as error:
            raise EngineError(f"cannot write to it after: {self._what}: {error}") from error

    def close(self) -> None:
        """The program sees the end of its stdin; a read in another thread returns."""
        try:
            self._connection.shutdown(sockets.SHUT_RDWR)
        except OSError:
            pass  # the other side was first
        self._incoming.close()
        self._keep_alive.close()
        self._connection.close()

    def _ended(self, fragment: bytes) -> bytes:
        if self._said_something or not self._exit_code():
            return b""
        said = (self._stderr + fragment).decode(errors="replace").strip()
        raise EngineError(f"cannot {self._what}: it ended with {self._exit_code()}: {said}")

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
