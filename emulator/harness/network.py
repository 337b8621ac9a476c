"""A test's verbs that act on the network, each written down where a recording runs; and its own
way into that network."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TypeVar

from emulator.controller.inject import host_named, inject
from emulator.controller.lab import Lab
from emulator.controller.paths import change_paths, clear_paths
from emulator.controller.prepare import names_of
from emulator.controller.proxy import Proxy, proxy
from emulator.errors import UsageError
from emulator.harness.paths import Steps, played, values_of
from emulator.harness.recording import MakeStep, Recording
from emulator.harness.words import Quantity, Words, seconds, words_of
from emulator.pathentries import path_text
from emulator.scenario.model import ClearPath, Kill, SetPath
from emulator.scenario.steps import read_rhythm

Read = TypeVar("Read")


class NetworkVerbs:
    """What a test does to paths."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self._names = names_of(lab.plan)
        self._recording: Recording | None = None

    @property
    def root(self) -> str:
        """The root certificate that the lab's https is trusted by, in PEM: for a file, or for
        `ssl.create_default_context(cadata=...)`. Empty where no service is tls."""
        return self.lab.certificates.root

    @contextmanager
    def proxy(self, host: str, port: int = 0) -> Iterator[Proxy]:
        """SOCKS5 and HTTP on 127.0.0.1 for the length of the block: what goes through it looks
        names up and connects in that host; a city means its client. `proxy.address` is its
        host:port, `proxy.environment` what a program needs to go through it."""
        with proxy(self.lab, host_named(self.lab, host), port) as opened:
            yield opened

    def flap(
        self,
        target: Words,
        every: Quantity = 2,
        for_s: Quantity = 30,
        down: Quantity | None = None,
    ) -> None:
        """Cut all paths of a site again and again, each time for `down` (half of `every` unless
        said), for `for_s` in all. Returns at once: the lab keeps the rhythm and heals it."""
        names = self._members(target)
        down_s = None if down is None else seconds(down, "down")
        try:
            settings = read_rhythm(seconds(every, "every"), down_s, seconds(for_s, "for_s"))
        except ValueError as error:
            raise UsageError(str(error)) from error
        with self._step(lambda at_s, is_after: Kill(at_s, names, "flap", (), settings,
                                                    settings["for_s"], is_after)):  # fmt: skip
            fault = inject(self.lab, names, "flap", (), settings)
            if self._recording is not None:
                self._recording.faults.append(fault.id)

    def path(
        self,
        path: str,
        *,
        trace: Steps | None = None,
        repeat: Quantity | None = None,
        **values: Quantity,
    ) -> None:
        """Set values of a path while the lab runs, those that are named: `us-east..paris` (both
        directions), `us-east->paris`, or a site, which means all of its paths.

        `rtt`, `one_way`, `jitter`, `loss`, `reorder`, `duplicate`, `corrupt`, `rate`, `queue`,
        `aqm`, `mtu`: texts as in a step (`200ms`, `2% burst 8`, `none`), or numbers of seconds,
        shares, bits a second. `trace`: `0s 40ms, 10s 200ms`, a list of (when, {word: value}), or
        the name of a file with a table; with `repeat` it begins again.
        """
        wanted = values_of(values)
        name = read(path_text, path)
        plays = played(trace, repeat, is_pair="->" not in name)
        if not wanted and plays is None:
            raise UsageError("sets nothing; name a value, like rtt='200ms'")
        if "rtt" in values and "->" in name:
            raise UsageError(f"rtt speaks of a pair; write one_way, or {name.replace('->', '..')}")
        with self._step(lambda at_s, is_after: SetPath(at_s, name, wanted, plays,
                                                       is_after=is_after)):  # fmt: skip
            change_paths(self.lab, name, wanted, plays)

    def clear_path(self, path: str = "") -> None:
        """As the topology says again: a path, all of a site, or every path."""
        name = read(path_text, path) if path else ""
        with self._step(lambda at_s, is_after: ClearPath(at_s, name, is_after)):
            clear_paths(self.lab, name or None)

    def _members(self, words: Words | None) -> tuple[str, ...]:
        """Sites and hosts by their names and tags. What is neither is told of where it is used."""
        found = (self._names.members(word, {}) or (word,) for word in words_of(words))
        return tuple(dict.fromkeys(name for names in found for name in names))

    def _step(self, make: MakeStep) -> AbstractContextManager[None]:
        """Written down where a recording runs."""
        recording = self._recording
        return recording.step(make) if recording and recording.is_running else nullcontext()


def read(parse: Callable[[str], Read], text: str) -> Read:
    """`text` through `parse`, whose ValueError becomes a UsageError."""
    try:
        return parse(text)
    except ValueError as error:
        raise UsageError(str(error)) from error
