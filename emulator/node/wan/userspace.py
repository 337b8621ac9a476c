"""The driver that needs nothing of the kernel: the wire process and the path table it obeys.

A wire that ends is started anew: the table, and with it every setting and counter, outlives it;
what was on its way is lost, as the history says.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping

from emulator.clock import NS_PER_S
from emulator.impairment import Impairment, Pair
from emulator.node.children import Children
from emulator.node.loop import Loop
from emulator.node.wan.capture import PLACE, Capture
from emulator.node.wan.keeper_wire import WireProcess
from emulator.node.wan.table import Counters, PathTable, WireState

_ENDS_MOST = 5  # of so many ends
_ENDS_WITHIN_NS = 10 * NS_PER_S  # in this time, the last is final


def _capture_ring() -> int | None:
    """A descriptor of a fresh ring; None where there is no room for one."""
    place = os.environ.get("NETEMU_CAPTURE", PLACE)
    try:
        Capture.create(place).close()
        return os.open(place, os.O_RDWR)
    except OSError:
        return None


class UserspaceDriver:
    """`Driver` by a process of ours. `on_records` gets its batches, `on_end` its exit code."""

    name = "userspace"

    def __init__(
        self,
        loop: Loop,
        children: Children,
        on_records: Callable[[bytes], object],
        on_end: Callable[[int], object],
    ) -> None:
        self._loop = loop
        self._children = children
        self._on_records = on_records
        self._on_end = on_end
        self._table = PathTable.create()
        self._capture = _capture_ring()
        self._macs: dict[str, int] = {}
        self._interfaces: dict[int, str] = {}  # by site
        self._ends: deque[int] = deque(maxlen=_ENDS_MOST)  # when the last wires ended
        self._wire: WireProcess | None = None

    @property
    def alive(self) -> bool:
        return self._wire is not None and self._wire.alive

    @property
    def pid(self) -> int:
        """Of the wire process; 0: there is none."""
        return self._wire.pid if self._wire is not None and self._wire.alive else 0

    async def start(self, macs: Mapping[str, int]) -> None:
        self._macs = dict(macs)
        await self._begin()

    async def _begin(self) -> None:
        """A wire, with every port there is."""
        self._wire = wire = WireProcess(
            self._loop, self._children, self._table, self._capture, self._on_records, self._ended
        )
        await wire.set_macs(self._macs)
        for site, interface in list(self._interfaces.items()):
            with contextlib.suppress(OSError):  # the link went; whoever wires it anew tells us
                await wire.add_port(site, interface)

    def _ended(self, code: int) -> None:
        now = time.monotonic_ns()
        is_hopeless = len(self._ends) == _ENDS_MOST and now - self._ends[0] < _ENDS_WITHIN_NS
        self._ends.append(now)
        self._on_end(code)
        if not is_hopeless:
            self._loop.start(self._begin())

    def _need_wire(self) -> WireProcess:
        if self._wire is None:
            raise ValueError("this WAN was never set up")
        return self._wire

    async def add_port(self, site: int, interface: str) -> None:
        self._interfaces[site] = interface
        await self._need_wire().add_port(site, interface)

    async def drop_port(self, site: int) -> None:
        self._interfaces.pop(site, None)
        if self.alive:
            await self._need_wire().drop_port(site)

    async def tell_flows(self) -> None:
        await self._need_wire().tell_flows()

    def set_path(self, path: Pair, impairment: Impairment) -> None:
        self._table.set(*path, impairment)

    def counters(self, paths: Iterable[Pair]) -> Mapping[Pair, Counters]:
        return {path: self._table.counters(*path) for path in paths}

    def state(self) -> WireState:
        return self._table.state()

    def take_state(self) -> WireState:
        return self._table.take_state()
