"""README.md as its readers use it: the code blocks and the commands in them."""

from __future__ import annotations

import re
import shlex

from tests.cli import ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    """The text of every code block of one language."""
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.MULTILINE | re.DOTALL)


def commands() -> list[list[str]]:
    """Every command of the shell blocks, in order, as words; comments are left out."""
    lines = [
        line.partition("#")[0].strip() for block in blocks("sh") for line in block.splitlines()
    ]
    return [shlex.split(line) for line in lines if line]
