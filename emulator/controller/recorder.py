"""One ordered history a run, written before it is analysed.

A thread takes every event from the lab as it comes, writes its line, then hands it to whoever
listens. The history is whole even when this process dies in the next instant.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

from emulator.errors import NetemuError
from emulator.events import encode
from emulator.wan.base import Event, Wan

Listener = Callable[[Event], None]
CATCH_UP_S = 10.0  # for what came before the stop; the newest event is known by then


class Recorder:
    """Use as a context manager; `listen` is called in the recorder's thread."""

    def __init__(self, wan: Wan, path: Path | None, listen: Listener, since: int) -> None:
        self._wan = wan
        self._path = path
        self._listen = listen
        self._since = since
        self._stop = threading.Event()
        self._last = -1  # once stopping: the newest event there was, so that none is missed
        self._error: BaseException | None = None
        self._file: BinaryIO | None = None
        self._one_at_a_time = threading.Lock()
        self._thread = threading.Thread(target=self._take_all, name="recorder", daemon=True)

    def __enter__(self) -> Self:
        self._file = self._path.open("ab", buffering=0) if self._path else None
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            self._last = int(self._wan.stats()["seq"])
        except NetemuError as failure:
            self._error = self._error or failure
        self._stop.set()
        self._thread.join(timeout=CATCH_UP_S)
        if self._thread.is_alive():
            self._error = self._error or TimeoutError(f"not caught up after {CATCH_UP_S:g} s")

    def check(self) -> None:
        """Raises what stopped the recording, if anything did."""
        if self._error is not None:
            raise NetemuError(f"recording the history failed: {self._error}") from self._error

    def take(self, event: Event) -> None:
        """One more event, which the lab does not know of. From any thread, while it records."""
        with self._one_at_a_time:
            if self._file is not None:
                self._file.write(encode(event))
            self._listen(event)

    def _take_all(self) -> None:
        try:
            self._follow()
        except Exception as error:  # noqa: BLE001 - a listener's mistake ends the recording as well
            self._error = error
        finally:
            with self._one_at_a_time:
                if self._file is not None:
                    self._file.close()
                self._file = None

    def _follow(self) -> None:
        for event in self._wan.events(self._since):
            if event is not None:
                self.take(event)
            if self._stop.is_set() and (event is None or event["seq"] >= self._last):
                return
