"""`netemu` as its users start it: in this process where that is enough, else as a program."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from emulator import cli

ROOT = Path(__file__).resolve().parent.parent
MINIMAL = ROOT / "topologies" / "minimal.yaml"
TWO_REGION = ROOT / "topologies" / "two-region.yaml"
PROGRAM = str(Path(sys.executable).parent / "netemu")
NO_ENGINE = "tcp://127.0.0.1:1"  # nothing listens there
PATIENCE_S = 120.0  # two runs of a scenario, one after the other, on a busy machine


@dataclass(frozen=True)
class Said:
    """How a command ended and what it said."""

    code: int
    out: str
    err: str


Netemu = Callable[..., Said]


def caller(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Netemu:
    """Calls the command line in this process: exit code, stdout and stderr as a shell sees them."""

    def call(*words: object) -> Said:
        monkeypatch.setattr(sys, "argv", ["netemu", *map(str, words)])
        capsys.readouterr()
        code = cli._guarded()
        return Said(code, *capsys.readouterr())

    return call


def netemu(
    *words: object,
    stdin: str = "",
    env: Mapping[str, str] | None = None,
    cwd: Path = ROOT,
    patience_s: float = PATIENCE_S,
) -> Said:
    """Runs the program to its end."""
    done = subprocess.run(
        [PROGRAM, *map(str, words)],
        input=stdin,
        capture_output=True,
        text=True,
        timeout=patience_s,
        env={**os.environ, **(env or {})},
        cwd=cwd,
        check=False,
    )
    return Said(done.returncode, done.stdout, done.stderr)


class Running:
    """The program while it runs, read line by line: stdout and stderr together."""

    def __init__(self, *words: object) -> None:
        self.said: list[str] = []
        self._process = subprocess.Popen(
            [PROGRAM, *map(str, words)],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            bufsize=0,  # what is read ahead of a line would be missing from what `end` reads
            cwd=ROOT,
        )

    def until(self, word: str) -> None:
        """Reads until a line holds `word`."""
        assert self._process.stdout
        for raw in self._process.stdout:
            line = raw.decode()
            self.said.append(line)
            if word in line:
                return
        raise AssertionError(f"it ended without {word!r}: {''.join(self.said)}")

    def send(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    def end(self) -> Said:
        """Waits for the end."""
        out, _ = self._process.communicate(timeout=PATIENCE_S)
        return Said(self._process.returncode, "".join(self.said) + out.decode(), "")
