"""The lines on stdin: JSON objects with an `op`. Nonsense is logged, not fatal."""

from __future__ import annotations

import json
import os
import select
import sys
from collections.abc import Callable
from typing import Any

from emulator.node.client.loop import Loop


class Commands:
    """Hands every command that arrives at `fd` to `obey`; the end of the lines ends nothing."""

    def __init__(self, loop: Loop, fd: int, obey: Callable[[dict[str, Any]], None]) -> None:
        self._loop = loop
        self._fd = fd
        self._obey = obey
        self._rest = b""
        try:
            loop.watch(fd, select.EPOLLIN, self._readable)
        except PermissionError:  # a plain file or /dev/null: never waits, so read it at once
            while self._read():
                pass

    def _readable(self, _mask: int) -> None:
        if not self._read():
            self._loop.forget(self._fd)

    def _read(self) -> bool:
        data = os.read(self._fd, 65536)
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in filter(None, lines):
            try:
                self._obey(json.loads(line))
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                sys.stderr.write(f"client: {line!r} is not a command: {error!r}\n")
        return bool(data)
