"""The keeper's end of the witness: its start, what it is told, its records."""

from __future__ import annotations

import json
import os
import socket
import sys
import time
from collections.abc import Callable
from typing import Any

from emulator.node.children import Children
from emulator.node.lines import Lines
from emulator.node.loop import Loop
from emulator.node.wan.lives import Lives

_PACE_S = 0.01  # the witness keeps what the socket does not take
_MESSAGES = 64  # at once, before others have their turn


class WitnessProcess:
    """One life after the other. Each is told all that holds: ports, addresses, paths. `on_end` is
    told of every end, with the exit code; what was seen meanwhile is lost."""

    def __init__(
        self,
        loop: Loop,
        children: Children,
        on_records: Callable[[bytes], object],
        on_end: Callable[[int], object],
    ) -> None:
        self.pid = 0  # of the one that lives; 0: none does
        self._loop = loop
        self._children = children
        self._on_records = on_records
        self._on_end = on_end
        self._lives = Lives()
        self._holds: dict[tuple[object, ...], dict[str, Any]] = {}
        self._begin()

    def _begin(self) -> None:
        ours, control = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        self._records, records = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        fds = {"control": control.fileno(), "records": records.fileno()}
        options = [text for name, fd in fds.items() for text in (f"--{name}", str(fd))]
        self.pid = self._children.spawn(
            [sys.executable, "-m", "emulator.node.wan.witness", *options],
            {0: 0, 1: 1, 2: 2} | {fd: fd for fd in fds.values()},
            self._ended,
        )
        control.close()
        records.close()
        os.set_blocking(self._records.fileno(), False)
        self._control = Lines(self._loop, ours, lambda _: None, lambda: None)
        self._loop.watch_paced(self._records.fileno(), self._recorded, _PACE_S)
        for message in self._holds.values():
            self._send(message)

    def hold(self, *key: object, **message: Any) -> None:
        """Tell it, and every one after it, what holds until `drop` of the same key."""
        self._holds[key] = message
        self._send(message)

    def drop(self, *key: object, **message: Any) -> None:
        """Tell it that something holds no more."""
        if self._holds.pop(key, None) is not None:
            self._send(message)

    def tell_flows(self) -> None:
        self._send({"op": "flows"})

    def _send(self, message: dict[str, Any]) -> None:
        self._control.write(json.dumps(message).encode() + b"\n")

    def _recorded(self) -> bool:
        for _ in range(_MESSAGES):
            try:
                data = self._records.recv(1 << 18)
            except BlockingIOError:
                return True
            except OSError:
                return False
            if not data:
                return False
            self._on_records(data)
        return True

    def _ended(self, code: int) -> None:
        self.pid = 0
        self._recorded()  # what it had said before
        self._control.close()
        self._loop.forget(self._records.fileno())
        self._records.close()
        self._on_end(code)
        if self._lives.may_begin(time.monotonic_ns()):
            self._begin()
