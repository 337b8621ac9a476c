"""The driver that needs nothing of the kernel: the wire process and the path table it obeys.

A wire that ends is started anew: the table, and with it every setting and counter, outlives it;
what was on its way is lost, as the history says. One that stands still for seconds is ended, and
one that ends again and again is given up, so that nobody waits for it in vain.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from emulator.clock import NS_PER_S
from emulator.impairment import Impairment, Pair
from emulator.node.children import Children
from emulator.node.loop import Future, Loop
from emulator.node.wan.capture import PLACE, Capture
from emulator.node.wan.keeper_wire import WireEnded, WireProcess
from emulator.node.wan.lives import TOO_OFTEN, Lives, end_of
from emulator.node.wan.table import MOVERS, Counters, PathTable, WireState

_LOOK_S = 0.25
_STUCK_NS = NS_PER_S  # it beats every 100 ms; its CPU weight lets nobody keep it off for so long
_KILLED_AFTER = 20  # looks at the same beat: 5 s


def _capture_ring() -> int | None:
    """A descriptor of a fresh ring; None where there is no room for one."""
    place = os.environ.get("NETEMU_CAPTURE", PLACE)
    try:
        Capture.create(place).close()
        return os.open(place, os.O_RDWR)
    except OSError:
        return None


class UserspaceDriver:
    """`Driver` by a process of ours. `on_records` gets its batches, `on_end` its exit code, `tell`
    the other turns of its life: "started", "stuck", "moving" again, "given up", with details."""

    name = "userspace"

    def __init__(
        self,
        loop: Loop,
        children: Children,
        on_records: Callable[[bytes], object],
        on_end: Callable[[int], object],
        tell: Callable[[str, str], object] = lambda *_: None,
    ) -> None:
        self._loop = loop
        self._children = children
        self._on_records = on_records
        self._on_end = on_end
        self._tell = tell
        self._table = PathTable.create()
        self._capture = _capture_ring()
        self._macs: dict[str, int] = {}
        self._interfaces: dict[int, str] = {}  # by site
        self._lives = Lives()
        self._wire: WireProcess | None = None
        self._ready = Future()  # the wire moves packets of every port; failed: none ever will
        self._given_up = ""
        self._beat, self._same = 0, 0  # the newest heartbeat, and at how many looks it was it
        self._is_stuck = False

    @property
    def alive(self) -> bool:
        return self._wire is not None and self._wire.alive

    @property
    def pid(self) -> int:
        """Of the wire process; 0: there is none."""
        return self._wire.pid if self._wire is not None and self._wire.alive else 0

    @property
    def trouble(self) -> str:
        """Why packets do not move as they should, in words that follow "the WAN's wire"; empty:
        they do."""
        if self._given_up:
            return self._given_up
        if not self.alive or not self._ready.done:
            return "is being started"
        still_ns = self._still_ns()
        return f"has stood still for {still_ns / NS_PER_S:.1f} s" if still_ns > _STUCK_NS else ""

    def _still_ns(self) -> int:
        return time.monotonic_ns() - self._table.state().heartbeat_ns

    async def start(self, macs: Mapping[str, int]) -> None:
        self._macs = dict(macs)
        self._loop.after(_LOOK_S, self._look)
        self._loop.start(self._begin())
        await self._ready

    async def _begin(self) -> None:
        """A wire, with every port there is."""
        self._table.beat(time.monotonic_ns())  # it has yet to stand still
        try:
            self._wire = wire = WireProcess(
                self._loop, self._children, self._table, self._capture, self._on_records,
                self._ended,
            )  # fmt: skip
            await self._equip(wire)
        except WireEnded:  # `_ended` sees to it
            return
        except (OSError, ValueError) as error:
            self._give_up(f"cannot be started: {error}")
            return
        self._tell("started", MOVERS[self.state().mover])
        self._ready.set()

    async def _equip(self, wire: WireProcess) -> None:
        await wire.set_macs(self._macs)
        for site, interface in list(self._interfaces.items()):
            if self._interfaces.get(site) == interface:  # else dropped meanwhile
                with contextlib.suppress(OSError):  # its link went; who wires it anew tells us
                    await wire.add_port(site, interface)

    def _ended(self, code: int) -> None:
        self._same, self._is_stuck = 0, False
        if self._ready.done:
            self._ready = Future()
        self._on_end(code)
        if not self._lives.may_begin(time.monotonic_ns()):
            self._give_up(f"ended {TOO_OFTEN}, the last time by {end_of(code)}")
        else:
            self._loop.start(self._begin())

    def _give_up(self, why: str) -> None:
        self._given_up = f"{why}; it is not started again: make the lab anew"
        self._tell("given up", why)
        self._ready.fail(ValueError(f"the WAN's wire {self._given_up}"))

    def _look(self) -> None:
        """Does it still move? One that does not for long is ended, which starts another."""
        self._loop.after(_LOOK_S, self._look)
        if not self.alive:
            return
        beat = self._table.state().heartbeat_ns
        self._same = self._same + 1 if beat == self._beat else 0
        if self._is_stuck and not self._same:
            self._tell("moving", "")
        self._is_stuck = self._is_stuck and bool(self._same)
        self._beat = beat
        if not self._is_stuck and self._still_ns() > _STUCK_NS:
            self._is_stuck = True
            self._tell("stuck", f"no sign of life for {self._still_ns() / NS_PER_S:.1f} s")
        if self._same >= _KILLED_AFTER:
            self._same = 0
            self._need_wire().kill()

    def _need_wire(self) -> WireProcess:
        if self._wire is None:
            raise ValueError("this WAN was never set up")
        return self._wire

    def host_lines(self, interface: str) -> list[str]:
        return []

    def check(self, values: Mapping[str, Any]) -> None:
        """It can do all there is."""

    async def add_port(self, site: int, interface: str) -> None:
        self._need_wire()
        self._interfaces[site] = interface
        while True:
            await self._ready
            with contextlib.suppress(WireEnded):  # then the next one gets it
                return await self._need_wire().add_port(site, interface)

    async def drop_port(self, site: int) -> None:
        self._interfaces.pop(site, None)
        if self._wire is not None:
            with contextlib.suppress(WireEnded):  # and the next one does not get it
                await self._wire.drop_port(site)

    async def tell_flows(self) -> None:
        with contextlib.suppress(WireEnded):  # what it knew went with it
            await self._need_wire().tell_flows()

    def set_path(self, path: Pair, impairment: Impairment) -> None:
        self._table.set(*path, impairment)

    def counters(self, paths: Iterable[Pair]) -> Mapping[Pair, Counters]:
        return {path: self._table.counters(*path) for path in paths}

    def state(self) -> WireState:
        return self._table.state()

    def take_state(self) -> WireState:
        return self._table.take_state()
