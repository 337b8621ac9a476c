"""The keeper's connection to the init of one host."""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Callable
from typing import Any

from emulator.errors import HostSilent, WanError
from emulator.node.lines import Lines
from emulator.node.loop import Future, Loop

_RETRY_S = 0.01
LISTEN_S = 5.0  # a container's init listens some 50 ms after its start; on a loaded machine later


class InitLink:
    """Requests to one init, its answers, its events."""

    def __init__(
        self,
        loop: Loop,
        host: str,
        on_event: Callable[[bytes], object],
        on_end: Callable[[], object],
    ) -> None:
        self.host = host
        self._loop = loop
        self._on_event = on_event
        self._on_end = on_end
        self._lines: Lines | None = None
        self._asked: dict[int, Future] = {}
        self._number = 0

    @property
    def connected(self) -> bool:
        return self._lines is not None

    async def connect(self, pid: int, socket_path: str = "run/netemu/init.sock") -> None:
        """Wait until the init of process `pid`'s container listens. Raises WanError, HostSilent."""
        until = time.monotonic() + LISTEN_S
        while self._lines is None:
            sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
            if sock.connect_ex(f"/proc/{pid}/root/{socket_path}") == 0:
                self._lines = Lines(self._loop, sock, self._line, self._ended)
                return
            sock.close()
            if not os.path.exists(f"/proc/{pid}/ns/net"):  # noqa: PTH110  (Path resolves nothing here)
                raise WanError(f"{self.host} has ended (process {pid})")
            if time.monotonic() > until:
                raise HostSilent(f"the init of {self.host} did not listen for {LISTEN_S:g} s")
            await self._loop.sleep(_RETRY_S)

    def ask(self, op: str, arguments: dict[str, Any], timeout_s: float) -> Future:
        """Its answer to one operation; fails with HostSilent, WanError or ValueError."""
        answer = Future()
        if self._lines is None:
            answer.fail(WanError(f"{self.host} is gone: its init is not connected"))
            return answer
        self._number += 1
        number = self._number
        self._asked[number] = answer

        def answered(_: Future) -> None:
            del self._asked[number]

        answer.then(answered)
        request = {"id": number, "op": op, **arguments}
        self._lines.write(json.dumps(request).encode() + b"\n")
        silent = HostSilent(f"{self.host} did not answer {op!r} within {timeout_s:g} s")
        return self._loop.within(answer, timeout_s, silent)

    def _line(self, line: bytes) -> None:
        if line.startswith(b'{"event":'):
            self._on_event(line[len(b'{"event":') : -1])
            return
        answer = json.loads(line)
        asked = self._asked.get(answer["id"])
        if asked is None:
            return  # it came after its deadline
        if "error" in answer:
            asked.fail(ValueError(f"{self.host}: {answer['error']}"))
        else:
            asked.set(answer["ok"])

    def _ended(self) -> None:
        self._forget()
        self._on_end()

    def _forget(self) -> None:
        self._lines = None
        for asked in list(self._asked.values()):
            asked.fail(WanError(f"{self.host} is gone: its init ended"))

    def close(self) -> None:
        """Drop the connection; `on_end` is not called."""
        if self._lines is not None:
            self._lines.close()
            self._forget()
