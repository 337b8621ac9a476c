"""What clients of the user's say in a run: lines of JSON, and how they end.

The engine keeps what they write. It is read once a second, and once more when the run is over.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

from emulator.analysis.lines import as_object
from emulator.clock import NS_PER_S
from emulator.controller.clocks import wall_offset_ns
from emulator.controller.lab import Lab
from emulator.controller.signals import undisturbed
from emulator.engine.base import LogLine
from emulator.errors import NetemuError
from emulator.events import Daemon, Lost, Own
from emulator.plan.own import IMAGE
from emulator.wan.base import Event

LOOK_S = 1.0
REST = 10  # times as long as a look took: reading 20 MB of log must not starve the lab
LONGEST = 16_384  # characters of a line that is taken
MOST = 2000  # lines of one client between two looks
# A line that says when it was written, longer ago than this, has another clock in mind.
_HELD_BACK_NS = 3600 * NS_PER_S
_AHEAD_NS = NS_PER_S


def own_clients(lab: Lab) -> dict[str, str]:
    """City -> its container of the user's."""
    return {h.site: h.own.name for h in lab.plan.hosts if h.role == "client" and h.own is not None}


def stop_own_clients(lab: Lab) -> None:
    """For a run, which starts them anew: whatever they held of DNS and of connections is gone."""
    lab.each(own_clients(lab).values(), lab.engine.kill)


class OwnLines:
    """Use as a context manager; `take` is called in a thread of its own."""

    def __init__(self, lab: Lab, take: Callable[[Event], None]) -> None:
        self._lab = lab
        self._take = take
        self._clients = own_clients(lab)
        self._over = threading.Event()
        self._error: NetemuError | None = None
        self._ended: dict[str, str] = {}  # how, once it was told; "": it runs
        self._thread = threading.Thread(target=self._follow, name="own lines", daemon=True)

    def __enter__(self) -> Self:
        if self._clients:
            self._offset_ns = wall_offset_ns(self._lab)
            now = self._lab.wan.now_ns() + self._offset_ns
            self._at = dict.fromkeys(self._clients, now)
            self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._clients:
            with undisturbed():
                self._over.set()
                self._thread.join()
                self.look()

    def start(self) -> None:
        """Start them as they were when the lab came up; their ends are told from now on."""
        self._lab.each(self._clients.values(), self._lab.engine.start)
        self._ended = dict.fromkeys(self._clients.values(), "")

    def check(self) -> None:
        """Raises what stopped the reading, if anything did."""
        if self._error is not None:
            raise NetemuError(f"reading what own clients say failed: {self._error}")

    def _follow(self) -> None:
        rest_s = LOOK_S
        while not self._over.wait(rest_s):
            began = self._lab.clock.now_ns()
            self.look()
            rest_s = max(LOOK_S, REST * (self._lab.clock.now_ns() - began) / NS_PER_S)

    def look(self) -> None:
        """Take what was written since the last look, and whose end is news."""
        try:
            for city, container in self._clients.items():
                self._take_lines(city, container)
            self._take_ends()
        except NetemuError as error:
            self._error = error

    def _take_lines(self, city: str, container: str) -> None:
        lines = self._lab.engine.log(self._lab.name, container, self._at[city])
        self._at[city] = max((line.t for line in lines), default=self._at[city])
        told = [(line, found) for line in lines if (found := _object(line.text)) is not None]
        for line, found in told[:MOST]:
            t = _written(line, found) - self._offset_ns
            self._take(Own(t=t, city=city, told=found).to_json())
        if len(told) > MOST:
            now, where = self._lab.wan.now_ns(), f"the client of the user's in {city}"
            self._take(Lost(t=now, count=len(told) - MOST, where=where).to_json())

    def _take_ends(self) -> None:
        containers = self._lab.engine.containers(self._lab.name) if self._ended else ()
        now_ended = {c.host: c.ended for c in containers}
        for city, container in self._clients.items():
            how = now_ended.get(container, "")
            before = self._ended.get(container, how)
            if bool(how) != bool(before):
                t, host = self._lab.wan.now_ns(), f"{city}/client"
                state = "ended" if how else "started"
                event = Daemon(t=t, host=host, name=IMAGE, state=state, detail=how)
                self._take(event.to_json())
            if container in self._ended:
                self._ended[container] = how


def _object(text: str) -> dict[str, Any] | None:
    """What a line says that is a JSON object; None for any other line."""
    if not text.startswith("{") or len(text) > LONGEST:
        return None
    try:
        return as_object(text)
    except ValueError:
        return None


def _written(line: LogLine, told: dict[str, Any]) -> int:
    """When a line was written (ns, wall clock): a program that gathers its output before it writes
    says so itself."""
    said = told.get("t")
    if isinstance(said, int | float) and not isinstance(said, bool):
        t = round(said * NS_PER_S)
        if line.t - _HELD_BACK_NS <= t <= line.t + _AHEAD_NS:
            return t
    return line.t
