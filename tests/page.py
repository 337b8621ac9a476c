"""A page of documentation as something to follow: the files it has one write, the commands."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_BLOCK = re.compile(r"^```(\w+)([^\n]*)\n(.*?)^```$", re.M | re.S)
_NAMED = re.compile(r"`([\w./-]+\.\w+)`:?\s*\Z")
_EXITS = re.compile(r"exits (\d+)")


@dataclass(frozen=True)
class Write:
    """A file to make, named in the last words before its block."""

    name: str
    text: str


@dataclass(frozen=True)
class Run:
    """A block of shell commands, and the exit code it ends with."""

    script: str
    code: int


def steps(page: Path) -> Iterator[Write | Run]:
    """What a reader does, in order."""
    text = page.read_text(encoding="utf-8")
    for block in _BLOCK.finditer(text):
        language, info, body = block.groups()
        if language == "sh":
            exits = _EXITS.search(info)
            yield Run(body, int(exits[1]) if exits else 0)
        elif named := _NAMED.search(text[: block.start()]):
            yield Write(named[1], body)
