"""Lines over a non-blocking stream: JSON objects between keeper, init and their clients."""

from __future__ import annotations

import os
import select

TYPE_CHECKING = False
if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

    from emulator.node.loop import Loop

_READ = 1 << 18
MAX_LINE = 64 << 20  # longer than any plan: whoever sends this is broken


class Output:
    """Bytes written to a descriptor as it takes them. The writer looks at `pending` for itself."""

    def __init__(self, loop: Loop, fd: int, on_broken: Callable[[], object]) -> None:
        self._loop = loop
        self._fd = fd
        self._on_broken = on_broken
        self._buffer = bytearray()
        self.closed = False
        self.on_drained: Callable[[], object] | None = None
        os.set_blocking(fd, False)

    @property
    def pending(self) -> int:
        return len(self._buffer)

    def write(self, data: bytes) -> None:
        if self.closed:
            return
        waiting = bool(self._buffer)
        self._buffer += data
        if not waiting:
            self._flush()

    def close(self) -> None:
        """What is pending is dropped. Safe to call twice."""
        if not self.closed:
            self.closed = True
            self._loop.forget(self._fd)
            os.close(self._fd)

    def _flush(self) -> bool:
        """Whether everything is out."""
        try:
            while self._buffer:
                del self._buffer[: os.write(self._fd, self._buffer)]
        except BlockingIOError:
            self._wait_for_room()
            return False
        except OSError:
            self._buffer.clear()
            self._on_broken()
            return False
        return True

    def _wait_for_room(self) -> None:
        self._loop.watch(self._fd, lambda _: self.flushed(), select.EPOLLOUT)

    def flushed(self) -> None:
        """There may be room again."""
        if self._flush():
            self._loop.forget(self._fd)
            if self.on_drained is not None:
                self.on_drained()


class Lines(Output):
    """Both directions of a stream socket; `on_line` gets each line without its end."""

    def __init__(
        self,
        loop: Loop,
        sock: socket.socket,
        on_line: Callable[[bytes], object],
        on_end: Callable[[], object],
    ) -> None:
        self._socket = sock
        self._on_line = on_line
        self._on_end = on_end
        self._partial = bytearray()
        super().__init__(loop, sock.fileno(), self._ended)
        loop.watch(self._fd, self._ready)

    def _wait_for_room(self) -> None:
        self._loop.watch(self._fd, self._ready, select.EPOLLIN | select.EPOLLOUT)

    def flushed(self) -> None:
        if self._flush():
            self._loop.watch(self._fd, self._ready)
            if self.on_drained is not None:
                self.on_drained()

    def _ready(self, events: int) -> None:
        if events & ~select.EPOLLOUT:
            self._receive()
        if events & select.EPOLLOUT and not self.closed:
            self.flushed()

    def _receive(self) -> None:
        try:
            data = self._socket.recv(_READ)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data or len(self._partial) > MAX_LINE:
            self._ended()
            return
        self._partial += data
        if b"\n" not in data:
            return
        *lines, rest = self._partial.split(b"\n")
        self._partial = rest
        for line in lines:
            if self.closed:
                return
            self._on_line(bytes(line))

    def _ended(self) -> None:
        if not self.closed:
            self.close()
            self._on_end()

    def close(self) -> None:
        """Safe to call twice; `on_end` is not called."""
        if not self.closed:
            self.closed = True
            self._loop.forget(self._fd)
            self._socket.close()
