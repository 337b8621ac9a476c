"""Command lines on a descriptor: how init's `send` reaches a daemon of the name servers."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from collections.abc import Callable

log = logging.getLogger(__name__)


def command_descriptor() -> int:
    """Standard input, or one that is empty: the number of a closed one is soon another file's."""
    return sys.__stdin__.fileno() if sys.__stdin__ else os.open(os.devnull, os.O_RDONLY)


def follow_commands(descriptor: int, obey: Callable[[str], None]) -> None:
    """Call `obey` with every line that comes on `descriptor`, until it is closed."""
    loop = asyncio.get_running_loop()
    unread = bytearray()

    def read() -> None:
        data = os.read(descriptor, 65536)
        if not data:
            loop.remove_reader(descriptor)
        unread.extend(data)
        *lines, rest = unread.split(b"\n")
        unread[:] = rest
        for line in lines:
            obey(line.decode(errors="replace"))

    try:
        loop.add_reader(descriptor, read)
    except OSError:
        log.info("standard input takes no commands")  # closed, /dev/null or a file
