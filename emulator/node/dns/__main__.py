"""`python -m emulator.node.dns CONFIG`: the name server of one dns site.

Events go to the file descriptor named in NETEMU_EVENTS, or to standard output; commands come as
JSON lines on standard input:

    {"op": "state"}     say every live generation again
    {"op": "force", "region": R, "service": NAME or null, "state": "down|up|drain|auto",
     "until": NS or null}           hold a region for that, whatever its checks say, in one service
                                    or in all that have it, until then or until told otherwise
    {"op": "seed", "seed": N}       begin the draws of every service anew
    {"op": "phase", "t": NS, "region": NAME}    the checks of NAME begin at NS + n * interval from
                        now on; those of the other regions keep their distance to them
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import sys
from pathlib import Path

from emulator.clock import MonotonicClock
from emulator.errors import Exit, NetemuError, UsageError
from emulator.node.dns.commands import command_descriptor
from emulator.node.dns.config import load_config
from emulator.node.dns.pipe import EventPipe
from emulator.node.dns.server import NameServer

_STDOUT = 1


def main(arguments: list[str]) -> int:
    """Serve until killed; the exit code otherwise, with the reason on standard error."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    try:
        if len(arguments) != 1:
            raise UsageError("usage: python -m emulator.node.dns CONFIG")
        _serve(Path(arguments[0]))
    except NetemuError as error:
        logging.getLogger(__name__).error("%s", error)
        return error.exit_code
    return Exit.INTERRUPTED


def _serve(path: Path) -> None:
    config = load_config(path)
    clock = MonotonicClock()
    pipe = EventPipe(_event_descriptor(), config.server, clock)
    try:
        server = NameServer(config, clock, pipe.emit)
    except ValueError as error:
        raise UsageError(f"the configuration {path} is not valid: {error}") from error
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(server.run(command_descriptor()))


def _event_descriptor() -> int:
    """The pipe of our own that init made may not block; a terminal is shared and left alone."""
    if "NETEMU_EVENTS" not in os.environ:
        return _STDOUT
    descriptor = int(os.environ["NETEMU_EVENTS"])
    os.set_blocking(descriptor, False)
    return descriptor


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
