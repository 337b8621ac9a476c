"""What daemons, and containers of the user's, write to stdout and stderr, of several hosts at once,
as it comes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from emulator.controller.lab import Lab
from emulator.plan.own import IMAGE

_SIZE = 200_000  # bytes of a log at one look
_LINES = 2000  # of an image, at the first
_FROM_THE_END = -1


class Source(NamedTuple):
    """One daemon of one host."""

    host: str
    daemon: str


class Written(NamedTuple):
    """A whole line of a daemon; or what is the matter with a host, where `daemon` is empty."""

    source: Source
    line: str


class LogReader:
    """Every call of `new` tells what was written since the one before; the first call, the end of
    what there is."""

    def __init__(self, lab: Lab, sources: Sequence[Source]) -> None:
        self._lab = lab
        self._at = dict.fromkeys(sources, _FROM_THE_END)
        self._silent: set[str] = set()

    def new(self) -> Iterator[Written]:
        """Lines by source, in the sources' order. A host that does not answer is told once, and
        once more when it answers again."""
        wanted: dict[str, dict[str, int]] = {}
        for source, at in self._at.items():
            if source.daemon == IMAGE:
                yield from self._of_image(source, at)
            else:
                wanted.setdefault(source.host, {})[source.daemon] = at
        requests = {host: ("new_logs", {"at": at, "bytes": _SIZE}) for host, at in wanted.items()}
        for host, answer in self._lab.wan.hosts(requests).items():
            yield from self._mood(host, answer)
            for daemon, found in answer.items():
                if isinstance(found, dict):
                    source = Source(host, daemon)
                    self._at[source] = found["end"]
                    yield from (Written(source, line) for line in found["text"].splitlines())

    def _of_image(self, source: Source, at: int) -> Iterator[Written]:
        """The engine keeps what the user's container wrote, also of one that is dead."""
        is_first = at == _FROM_THE_END
        since, last = (0, _LINES) if is_first else (at, None)
        lines = self._lab.engine.log(self._lab.name, f"{source.host}:{IMAGE}", since, last)
        self._at[source] = max((line.t for line in lines), default=max(at, 0))
        yield from (Written(source, line.text) for line in lines)

    def _mood(self, host: str, answer: dict[str, object]) -> Iterator[Written]:
        is_silent = "silent" in answer or "error" in answer
        if is_silent == (host in self._silent):
            return
        self._silent ^= {host}
        yield Written(Source(host, ""), "does not answer" if is_silent else "answers again")
