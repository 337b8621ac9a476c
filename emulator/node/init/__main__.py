"""`python3 -m emulator.node.init [DIRECTORY]`: the directory holds the socket and the logs."""

from __future__ import annotations

import os
import signal
import sys

from emulator.node.init.service import Service
from emulator.node.loop import Loop


def main(directory: str = "/run/netemu") -> None:
    # The kernel ends every other process of the namespace with PID 1: nothing is left to tidy.
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    signal.signal(signal.SIGINT, lambda *_: os._exit(0))
    os.makedirs(directory, exist_ok=True)
    loop = Loop()
    Service(loop, directory, os.environ.get("NETEMU_HOST", "")).listen()
    loop.run()


main(*sys.argv[1:])
