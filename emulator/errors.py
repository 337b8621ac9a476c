"""Every error a user can meet, with the exit code it ends in.

A message says what was attempted, what went wrong and what to do about it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from enum import IntEnum


class Exit(IntEnum):
    """What the process says to the shell; the table of the design."""

    PASSED = 0
    MISSED = 1
    USAGE = 2
    INCONCLUSIVE = 3
    ENVIRONMENT = 4
    INTERRUPTED = 130
    TERMINATED = 143


class NetemuError(Exception):
    """An expected failure: shown as one message, never as a traceback."""

    exit_code: Exit = Exit.ENVIRONMENT


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One thing wrong with a file: where it is, what it is, what to do."""

    line: int
    path: str
    what: str
    hint: str = ""

    def __str__(self) -> str:
        where = f"{self.path}: " if self.path else ""
        return f"{where}{self.what}" + (f" ({self.hint})" if self.hint else "")


class FileProblems(NetemuError):
    """All problems of one file, reported together."""

    exit_code = Exit.USAGE

    def __init__(self, file: str, problems: Iterable[Problem]) -> None:
        self.file = file
        self.problems = tuple(sorted(problems))
        super().__init__("\n".join(f"{file}:{p.line}: {p}" for p in self.problems))


class UsageError(NetemuError):
    """A command was asked for something that does not exist or does not fit."""

    exit_code = Exit.USAGE


class EngineError(NetemuError):
    """The container engine refused, failed or did not answer."""


class WanError(NetemuError):
    """The WAN container refused, failed or did not answer."""


class HostSilent(WanError):
    """A host did not answer within its deadline; it may be frozen or dead."""


class NotReady(NetemuError):
    """The lab did not become ready; the message names what is missing."""


class Inconclusive(NetemuError):
    """A measurement failed, so nothing may be claimed from it."""

    exit_code = Exit.INCONCLUSIVE


def suggest(word: str, known: Iterable[str]) -> str:
    """`did you mean us-east?`, or nothing where no known name is near."""
    names = {name.casefold(): name for name in known}
    near = get_close_matches(word.casefold(), names, n=2, cutoff=0.6)
    return f"did you mean {' or '.join(names[name] for name in near)}?" if near else ""
