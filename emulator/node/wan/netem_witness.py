"""The keeper's end of the witness: its start, what it is told, its records."""

from __future__ import annotations

import json
import os
import socket
import sys
from collections.abc import Callable
from typing import Any

from emulator.node.children import Children
from emulator.node.lines import Lines
from emulator.node.loop import Loop

_PACE_S = 0.01  # the witness keeps what the socket does not take
_MESSAGES = 64  # at once, before others have their turn


class WitnessProcess:
    """One life of it; when it ends, `on_end` gets its exit code and nothing starts it again."""

    def __init__(
        self,
        loop: Loop,
        children: Children,
        on_records: Callable[[bytes], object],
        on_end: Callable[[int], object],
    ) -> None:
        self.alive = True
        self._on_records = on_records
        self._on_end = on_end
        ours, control = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        self._records, records = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        fds = {"control": control.fileno(), "records": records.fileno()}
        options = [text for name, fd in fds.items() for text in (f"--{name}", str(fd))]
        children.spawn(
            [sys.executable, "-m", "emulator.node.wan.witness", *options],
            {0: 0, 1: 1, 2: 2} | {fd: fd for fd in fds.values()},
            self._ended,
        )
        control.close()
        records.close()
        os.set_blocking(self._records.fileno(), False)
        self._control = Lines(loop, ours, lambda _: None, lambda: None)
        loop.watch_paced(self._records.fileno(), self._recorded, _PACE_S)

    def tell(self, op: str, **more: Any) -> None:
        self._control.write(json.dumps({"op": op, **more}).encode() + b"\n")

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
        self.alive = False
        self._on_end(code)
