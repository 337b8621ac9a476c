"""One ordered history a run, written before it is analysed.

A thread takes every event from the lab as it comes, writes its line, then hands it to whoever
listens. The history is whole even when this process dies in the next instant.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

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
        self._thread = threading.Thread(target=self._take, name="recorder", daemon=True)

    def __enter__(self) -> Self:
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

    def _take(self) -> None:
        try:
            self._write_all()
        except Exception as error:  # noqa: BLE001 - a listener's mistake ends the recording as well
            self._error = error

    def _write_all(self) -> None:
        with self._path.open("ab", buffering=0) if self._path else _Nowhere() as file:
            for event in self._wan.events(self._since):
                if event is not None:
                    file.write(encode(event))
                    self._listen(event)
                if self._stop.is_set() and (event is None or event["seq"] >= self._last):
                    return


class _Nowhere:
    """A file for a history that nobody asked to keep."""

    def write(self, data: bytes) -> int:
        return len(data)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *details: object) -> None: ...
