"""Where events leave: lines in a bounded backlog, written to a pipe that may never hold us up."""

from __future__ import annotations

import contextlib
import fcntl
import os
import stat
from collections import deque
from time import monotonic_ns

from emulator.events import Event, Lost, encode

BACKLOG_BYTES = 4 << 20  # 40 s of 200 requests/s (about 500 bytes each) if nobody reads
CHUNK_BYTES = 32 << 10  # one write in an idle moment: about 20 us
PIPE_BYTES = 1 << 20  # what an ordinary process may ask for


class Sink:
    """Event lines for the descriptor `fd`; `where` is named when some had to be dropped."""

    def __init__(self, fd: int, where: str) -> None:
        self._fd = fd
        self._where = where
        self._lines: deque[bytes] = deque()
        self._bytes = 0
        self._lost = 0
        mode = os.fstat(fd).st_mode
        if stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode):
            os.set_blocking(fd, False)
        if stat.S_ISFIFO(mode):
            with contextlib.suppress(OSError):  # the user's pipe quota; the default will do
                fcntl.fcntl(fd, fcntl.F_SETPIPE_SZ, PIPE_BYTES)

    def put(self, event: Event) -> None:
        """Take an event, or count it as lost if the reader is too far behind."""
        line = encode(event.to_json())
        if self._bytes + len(line) > BACKLOG_BYTES:
            self._lost += 1
            return
        self._add(line)

    def flush(self) -> None:
        """Write one chunk if the pipe takes it. BrokenPipeError: the reader is gone."""
        if not self._lines:
            return
        chunk = self._take()
        try:
            written = os.write(self._fd, chunk)
        except BlockingIOError:
            written = 0
        if written < len(chunk):
            self._lines.appendleft(chunk[written:])
            self._bytes += len(chunk) - written
        if self._lost and self._bytes < BACKLOG_BYTES // 2:
            self._confess()

    def drain(self) -> None:
        """Write everything, waiting for the reader: for the end of the process."""
        os.set_blocking(self._fd, True)
        if self._lost:
            self._confess()
        while self._lines:
            self.flush()

    def _add(self, line: bytes) -> None:
        self._lines.append(line)
        self._bytes += len(line)

    def _take(self) -> bytes:
        lines = [self._lines.popleft()]
        size = len(lines[0])
        while self._lines and size + len(self._lines[0]) <= CHUNK_BYTES:
            lines.append(self._lines.popleft())
            size += len(lines[-1])
        self._bytes -= size
        return b"".join(lines)

    def _confess(self) -> None:
        self._add(encode(Lost(t=monotonic_ns(), count=self._lost, where=self._where).to_json()))
        self._lost = 0
