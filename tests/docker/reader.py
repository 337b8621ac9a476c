"""Somebody who follows a page of documentation, on a lab of their own."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tests.cli import PROGRAM, netemu
from tests.page import Run, Write, steps

# What the page's reader types as `netemu`: the program, told which lab is meant.
_NETEMU = """\
#!/bin/sh
command=$1; shift
case $command in
    up) set -- up "$@" --name {lab};;
    down) set -- down {lab};;
    status) set -- status {lab};;
    exec|kill|heal|path|partition|flap) set -- $command --lab {lab} "$@";;
    dns) [ "$1" = top ] && set -- dns "$@" {lab} || set -- dns "$@" --lab {lab};;
    *) set -- $command "$@";;
esac
exec {program} "$@"
"""


@dataclass
class Reader:
    """Somebody who does what the page says."""

    work: Path
    said: dict[str, str] = field(default_factory=dict)  # by block of commands

    def do(self, step: Write | Run) -> None:
        if isinstance(step, Write):
            (self.work / step.name).write_text(step.text)
            return
        path = f"{self.work}:{os.environ['PATH']}"
        done = subprocess.run(
            ["bash", "-e", "-o", "pipefail", "-c", step.script], cwd=self.work, timeout=120,
            env={**os.environ, "PATH": path}, capture_output=True, text=True, check=False,
        )  # fmt: skip
        self.said[step.script] = done.stdout + done.stderr
        assert done.returncode == step.code, f"{step.script}\n{self.said[step.script]}"

    def read(self, word: str) -> str:
        """What the first block with this word in it said."""
        return next(said for script, said in self.said.items() if word in script)


def followed(page: Path, lab: str, work: Path) -> Iterator[Reader]:
    """Has followed the page up to the block with its `netemu down`; the rest is done at the end."""
    reader = Reader(work)
    program = work / "netemu"
    program.write_text(_NETEMU.format(lab=lab, program=PROGRAM))
    program.chmod(0o755)
    all_steps = list(steps(page))
    down = next(
        i for i, s in enumerate(all_steps) if isinstance(s, Run) and "netemu down" in s.script
    )
    try:
        for step in all_steps[:down]:
            reader.do(step)
        yield reader
        for step in all_steps[down:]:
            reader.do(step)
    finally:
        netemu("down", lab)
