"""The keeper's end of the wire process: its start, its control socket, its records."""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
from collections import deque
from collections.abc import Callable
from typing import Any

from emulator.node.children import Children
from emulator.node.loop import Future, Loop
from emulator.node.wan.ports import open_port
from emulator.node.wan.table import PathTable

_PACE_S = 0.01  # the wire keeps what the socket does not take
_MESSAGES = 64  # at once, before others have their turn
# The wire answers within a turn of its loop, a few ms; the first time, once Python has started. One
# that stands still is ended long before (`userspace`), so whoever asks gets to know that.
_ANSWER_S = 20.0


class WireEnded(ValueError):
    """The wire process ended before it did what it was asked to."""


class WireProcess:
    """One life of the wire; when it ends, `on_end` is told. `capture`: descriptor of its ring."""

    def __init__(
        self,
        loop: Loop,
        children: Children,
        table: PathTable,
        capture: int | None,
        on_records: Callable[[bytes], object],
        on_end: Callable[[int], object],
    ) -> None:
        self.alive = True
        self._loop = loop
        self._on_records = on_records
        self._on_end = on_end
        self._ports: dict[int, socket.socket] = {}
        self._asked: deque[Future] = deque()
        self._control, control = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._records, records = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        fds = {"control": control.fileno(), "table": table.fd, "records": records.fileno()}
        fds |= {} if capture is None else {"capture": capture}
        options = [text for name, fd in fds.items() for text in (f"--{name}", str(fd))]
        self.pid = children.spawn(
            [sys.executable, "-m", "emulator.node.wan.wire", *options],
            {0: 0, 1: 1, 2: 2} | {fd: fd for fd in fds.values()},
            self._ended,
        )
        control.close()
        records.close()
        for sock in (self._control, self._records):
            os.set_blocking(sock.fileno(), False)
        loop.watch(self._control.fileno(), self._answered)
        self._stop_reading = loop.watch_paced(self._records.fileno(), self._recorded, _PACE_S)

    async def add_port(self, site: int, interface: str) -> None:
        """Give it the port of a site. We hold a duplicate, and close the last copy: that takes
        20 ms, which would be 20 ms of everybody's delay over there."""
        port = open_port(interface)
        old = self._ports.pop(site, None)
        self._ports[site] = port
        await self._ask({"op": "port", "site": site}, [port.fileno()])
        if old is not None:
            old.close()

    async def drop_port(self, site: int) -> None:
        port = self._ports.pop(site, None)
        if port is not None:
            try:
                await self._ask({"op": "unport", "site": site})
            finally:
                port.close()

    async def tell_flows(self) -> None:
        await self._ask({"op": "flows"})

    async def set_macs(self, macs: dict[str, int]) -> None:
        await self._ask({"op": "macs", "macs": macs})

    def _ask(self, request: dict[str, Any], fds: list[int] | None = None) -> Future:
        answer = Future()
        if not self.alive:
            answer.fail(WireEnded("the wire process has ended"))
            return answer
        self._asked.append(answer)
        try:
            socket.send_fds(self._control, [json.dumps(request).encode()], fds or [])
        except ConnectionError:  # it has ended, as we shall be told: `_ended` answers
            pass
        except OSError as error:
            answer.fail(error)
        late = TimeoutError(f"the wire did not answer {request['op']!r} in {_ANSWER_S:g} s")
        return self._loop.within(answer, _ANSWER_S, late)

    def _answered(self, _: int) -> None:
        data = _receive(self._control, 1 << 16)
        if data is None:
            return
        if not data:
            self._loop.forget(self._control.fileno())
            return
        answer = json.loads(data)
        asked = self._asked.popleft()
        if "error" in answer:
            asked.fail(ValueError(f"the wire refused: {answer['error']}"))
        else:
            asked.set()

    def _recorded(self) -> bool:
        for _ in range(_MESSAGES):
            data = _receive(self._records, 1 << 18)
            if not data:
                return data is None
            self._on_records(data)
        return True

    def kill(self) -> None:
        """End it, whatever it is doing; `on_end` follows."""
        if self.alive:
            os.kill(self.pid, signal.SIGKILL)

    def _ended(self, code: int) -> None:
        self.alive = False
        self._stop_reading()
        self._loop.forget(self._control.fileno())
        while data := _receive(self._records, 1 << 18):  # what it had said before it ended
            self._on_records(data)
        for sock in (self._control, self._records, *self._ports.values()):
            sock.close()
        self._ports.clear()
        self._on_end(code)
        for asked in self._asked:  # after `on_end`: they may ask the next one
            asked.fail(WireEnded("the wire process has ended"))
        self._asked.clear()


def _receive(sock: socket.socket, size: int) -> bytes | None:
    """None: nothing there yet; empty: the end."""
    try:
        return sock.recv(size)
    except BlockingIOError:
        return None
    except OSError:
        return b""
