"""One stream to a keeper: requests with deadlines, their answers, and pushed events."""

from __future__ import annotations

import contextlib
import itertools
import json
import queue
import threading
import time
from collections.abc import Callable
from typing import Any

from emulator.engine.base import Stream
from emulator.errors import EngineError, HostSilent, WanError

Event = dict[str, Any]

DOUBT_S = 2.0  # the wire speaks every second, so a silence is worth a question
_READ = 1 << 18
_EVENTS = 4096  # batches a reader may lag behind before the stream, then the ring, holds them back


class Channel:
    """Safe to use from several threads; one of its own reads."""

    def __init__(self, stream: Stream, lab: str, is_running: Callable[[], bool]) -> None:
        self.events: queue.Queue[list[Event]] = queue.Queue(_EVENTS)
        self._stream = stream
        self._lab = lab
        self._is_running = is_running
        self._numbers = itertools.count(1)
        self._asked: dict[int, queue.SimpleQueue[dict[str, Any]]] = {}
        self._guard = threading.Lock()
        self._writing = threading.Lock()
        self._end: str | None = None
        self._closed = False
        threading.Thread(target=self._read, name=f"wan {lab}", daemon=True).start()

    def ask(self, op: str, timeout_s: float, **arguments: Any) -> Any:
        """The answer to one request. Raises WanError; HostSilent if it was a host that was."""
        number = next(self._numbers)
        answers: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        with self._guard:
            self.check()
            self._asked[number] = answers
        try:
            with self._writing:
                self._stream.write(
                    json.dumps({"id": number, "op": op, **arguments}).encode() + b"\n"
                )
            answer = self._wait(answers, op, timeout_s)
        except EngineError as error:
            raise WanError(self._gone(str(error))) from error
        finally:
            with self._guard:
                self._asked.pop(number, None)
        if "error" in answer:
            raise (HostSilent if answer.get("silent") else WanError)(answer["error"])
        return answer["ok"]

    def _wait(
        self, answers: queue.SimpleQueue[dict[str, Any]], op: str, timeout_s: float
    ) -> dict[str, Any]:
        until = time.monotonic() + timeout_s
        while (left := until - time.monotonic()) > 0:
            try:
                return answers.get(timeout=min(left, DOUBT_S))
            except queue.Empty:
                self.doubt()
        raise WanError(f"the WAN of lab {self._lab} did not answer {op!r} within {timeout_s:g} s")

    def doubt(self) -> None:
        """After a silence: raises WanError when the container runs no more. Some engines keep a
        stream open that a dead container will never end (Docker 20.10, with the pids of the host).
        """
        try:
            if not self._is_running():
                self._finish("it does not run")
        except EngineError as error:
            self._finish(str(error))
        self.check()

    def check(self) -> None:
        """Raises WanError when the other end has gone."""
        if self._end is not None:
            raise WanError(self._end)

    def close(self) -> None:
        self._closed = True
        self._stream.close()

    def _gone(self, why: str) -> str:
        return f"the WAN container of lab {self._lab} is gone" + (f": {why}" if why else "")

    def _read(self) -> None:
        why = ""
        try:
            partial = b""
            while data := self._stream.read(_READ):
                *lines, partial = (partial + data).split(b"\n")
                self._take([json.loads(line) for line in lines])
        except (EngineError, OSError, ValueError) as error:
            why = str(error)
        self._finish("" if self._closed else why)

    def _finish(self, why: str) -> None:
        with self._guard:
            self._end = self._end or self._gone(why)
            for answers in self._asked.values():
                answers.put({"error": self._end})

    def _take(self, messages: list[dict[str, Any]]) -> None:
        events = []
        for message in messages:
            if "event" in message:
                events.append(message["event"])
                continue
            with self._guard:
                answers = self._asked.get(message["id"])
            if answers is not None:
                answers.put(message)
        while events and not self._closed:
            with contextlib.suppress(queue.Full):
                self.events.put(events, timeout=1.0)
                return
