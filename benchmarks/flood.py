"""`flood.c`, compiled here and put into the hosts: statically linked, as they have no compiler."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Iterable
from contextlib import closing
from functools import cache
from pathlib import Path

from emulator.controller.lab import WAN
from emulator.engine.base import Engine
from emulator.errors import NetemuError, UsageError

FLOOD = "/usr/local/bin/flood"  # in every host
SOURCE = Path(__file__).with_name("flood.c")


@cache
def compiled() -> bytes:
    """The program. Raises UsageError without a compiler, NetemuError when it complains."""
    compiler = shutil.which("gcc") or shutil.which("cc")
    if not compiler:
        raise UsageError("gcc is missing; install it: compose/setup.sh bench")
    with tempfile.TemporaryDirectory(prefix="netemu-flood-") as directory:
        program = Path(directory) / "flood"
        words = [compiler, "-O2", "-static", "-s", "-o", str(program), str(SOURCE)]
        made = subprocess.run(words, capture_output=True, text=True, check=False)
        if made.returncode:
            raise NetemuError(f"cannot compile {SOURCE.name}: {made.stderr.strip()}")
        return program.read_bytes()


def put_into(engine: Engine, lab: str, pids: Iterable[int]) -> None:
    """Through the WAN container, which may reach into every host: one program start for all."""
    program = compiled()
    copies = "".join(f" && cp /tmp/flood /proc/{pid}/root{FLOOD}" for pid in pids)
    script = f"head -c {len(program)} > /tmp/flood && chmod 755 /tmp/flood{copies} && echo done"
    with closing(engine.stream(lab, WAN, ("sh", "-c", script))) as stream:
        stream.write(program)
        if stream.read(100) != b"done\n":
            raise NetemuError(f"cannot put flood into the hosts of {lab}")
