"""Both ends of a program in a container, over the connection that the engine hands over.

The engine interleaves stdout and stderr in frames: one byte which (1 stdout, 2 stderr), three
zero bytes, four bytes length, payload (Docker Engine API, "Attach to a container").
"""

from __future__ import annotations

import contextlib
import select
import socket as sockets
import ssl
import struct
from collections.abc import Callable
from typing import Any, NoReturn

from emulator.errors import EngineError

FRAME = struct.Struct(">BxxxI")
STDERR = 2
# What the engine says, on stdout, of a program that it could not start.
NOT_STARTED = b"OCI runtime exec failed"
KEPT_STDERR = 4096
_CHUNK = 1 << 18


class AttachedProgram:
    """A `Stream` over an upgraded connection. One reader and one writer may use it at a time."""

    def __init__(self, socket: Any, what: str, exit_code: Callable[[], int | None]) -> None:
        self._connection, begun = _ends(socket)
        # The SDK gave the socket its call timeout; a program may be silent for as long as it likes.
        self._connection.settimeout(None)
        self._keep_alive = socket
        self._what = what
        self._exit_code = exit_code
        self._frames = bytearray(begun)
        self._unread = b""
        self._said_something = False
        self._stderr = b""

    def read(self, size: int) -> bytes:
        """Up to `size` bytes of stdout; empty at the end. EngineError if it failed unheard."""
        while not self._unread:
            self._unread = self._unframed()
            if not self._unread and not self._receive():
                return self._ended()
        data, self._unread = self._unread[:size], self._unread[size:]
        return data

    def take(self) -> bytes | None:
        """What stdout has now, without waiting; None at the end. EngineError as in `read`."""
        is_open = self._receive() if self._is_readable() else True
        data, self._unread = self._unread + self._unframed(), b""
        if data or is_open:
            return data
        self._ended()
        return None

    def fileno(self) -> int:
        """Readable when `take` has something to say."""
        return self._connection.fileno()

    def write(self, data: bytes) -> None:
        try:
            self._connection.sendall(data)
        except OSError as error:
            raise EngineError(f"cannot write to it after: {self._what}: {error}") from error

    def finish(self) -> None:
        """The program sees the end of its stdin; what it says still comes."""
        if isinstance(self._connection, ssl.SSLSocket):  # half of one cannot be closed
            return
        with contextlib.suppress(OSError):  # it has ended already
            self._connection.shutdown(sockets.SHUT_WR)

    def exit_code(self) -> int | None:
        """None: it runs, or the engine has not heard of its end, which may come after that of its
        output."""
        return self._exit_code()

    def stderr(self) -> str:
        """The last few KB of it."""
        return self._stderr.decode(errors="replace")

    def close(self) -> None:
        """The program sees the end of its stdin; a read in another thread returns."""
        with contextlib.suppress(OSError):  # the other side was first
            self._connection.shutdown(sockets.SHUT_RDWR)
        self._keep_alive.close()
        self._connection.close()

    def _ended(self) -> bytes:
        if not self._said_something and (code := self._exit_code()):
            self._fail(f"it ended with {code}: ".encode() + self._stderr)
        return b""

    def _fail(self, why: bytes) -> NoReturn:
        self.close()
        raise EngineError(f"cannot {self._what}: {why.decode(errors='replace').strip()}")

    def _receive(self) -> bool:
        """Waits for more; whether there is any."""
        try:
            data = self._connection.recv(_CHUNK)
        except OSError:  # closed by us in another thread
            return False
        self._frames += data
        return bool(data)

    def _is_readable(self) -> bool:
        poll = select.poll()
        poll.register(self._connection, select.POLLIN)
        return bool(poll.poll(0))

    def _unframed(self) -> bytes:
        """The stdout of all frames that are complete."""
        parts, at, frames = [], 0, self._frames
        while len(frames) - at >= FRAME.size:
            kind, length = FRAME.unpack_from(frames, at)
            begin, end = at + FRAME.size, at + FRAME.size + length
            if len(frames) < end:
                break
            at = end
            payload = bytes(memoryview(frames)[begin:end])
            if kind == STDERR:
                self._stderr = (self._stderr + payload)[-KEPT_STDERR:]
            else:
                parts.append(payload)
        self._frames = frames[at:]
        data = b"".join(parts)
        if data and not self._said_something and data.startswith(NOT_STARTED):
            self._fail(data)
        self._said_something = self._said_something or bool(data)
        return data


def _ends(socket: Any) -> tuple[sockets.socket, bytes]:
    """The connection, and what came over it with the HTTP header: the first output of a program
    that is quicker than our parsing is in the SDK's buffer."""
    reader = socket._response.raw._fp.fp  # noqa: SLF001 (the SDK has no public way to it)
    connection = getattr(socket, "_sock", socket)
    connection.settimeout(0)  # to see the buffer and no more
    with contextlib.suppress(OSError):
        return connection, reader.read1(len(reader.peek()))
    return connection, b""
