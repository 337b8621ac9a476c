"""The event pipe: lines that never wait for their reader."""

from __future__ import annotations

import os

from emulator.clock import Clock
from emulator.events import Event, Lost, encode


class EventPipe:
    """Writes event lines to a file descriptor and never waits for its reader.

    A reader that stands still (a frozen host) must not stop the answers: what does not fit is
    counted, and the count is the next line that gets through.
    """

    def __init__(self, descriptor: int, server: str, clock: Clock) -> None:
        self._descriptor = descriptor
        self._server = server
        self._clock = clock
        self._lost = 0

    def emit(self, event: Event) -> None:
        if self._lost:
            loss = Lost(t=self._clock.now_ns(), count=self._lost, where=f"{self._server} dns")
            if not self._write(loss):
                self._lost += 1
                return
            self._lost = 0
        if not self._write(event):
            self._lost += 1

    def _write(self, event: Event) -> bool:
        try:
            os.write(self._descriptor, encode(event.to_json()))  # below PIPE_BUF: whole or not
        except OSError:
            return False
        return True
