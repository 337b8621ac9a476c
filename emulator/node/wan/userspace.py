"""The driver that needs nothing of the kernel: the wire process and the path table it obeys."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from emulator.impairment import Impairment, Pair
from emulator.node.children import Children
from emulator.node.loop import Loop
from emulator.node.wan.keeper_wire import WireProcess
from emulator.node.wan.table import Counters, PathTable, WireState


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
        self._wire: WireProcess | None = None

    @property
    def alive(self) -> bool:
        return self._wire is not None and self._wire.alive

    async def start(self, macs: Mapping[str, int]) -> None:
        self._wire = WireProcess(
            self._loop, self._children, self._table, self._on_records, self._on_end
        )
        await self._wire.set_macs(dict(macs))

    def _need_wire(self) -> WireProcess:
        if self._wire is None:
            raise ValueError("this WAN was never set up")
        return self._wire

    def host_lines(self, interface: str) -> list[str]:
        return []

    def check(self, values: Mapping[str, Any]) -> None:
        """It can do all there is."""

    async def add_port(self, site: int, interface: str) -> None:
        await self._need_wire().add_port(site, interface)

    async def drop_port(self, site: int) -> None:
        if self.alive:
            await self._need_wire().drop_port(site)

    def set_path(self, path: Pair, impairment: Impairment) -> None:
        self._table.set(*path, impairment)

    def counters(self, paths: Iterable[Pair]) -> Mapping[Pair, Counters]:
        return {path: self._table.counters(*path) for path in paths}

    def state(self) -> WireState:
        return self._table.state()

    def take_state(self) -> WireState:
        return self._table.take_state()
