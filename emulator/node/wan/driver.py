"""The seam between the keeper and whatever moves the packets.

`userspace.py` is our own wire process, for any kernel; `netem.py` the kernel's own, where it has
one. A driver says what it honours and counts; the keeper neither knows nor asks how. Paths are
ordered pairs of site numbers.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Protocol

from emulator.impairment import Impairment, Pair
from emulator.node.wan.table import Counters, WireState


class Driver(Protocol):
    """One lab's packets, from the sites' ports to the sites' ports."""

    @property
    def name(self) -> str:
        """As a topology's `wan: {driver: ...}` says it."""

    @property
    def alive(self) -> bool:
        """False once it has ended: no packet moves any more."""

    @property
    def pid(self) -> int:
        """Of the process that moves the packets; 0: none does."""

    @property
    def trouble(self) -> str:
        """Why packets do not move as they should, in words that follow "the WAN's wire"; empty:
        they do."""

    async def start(self, macs: Mapping[str, int]) -> None:
        """Begin, with no port yet. `macs`: each site's MAC address and number."""

    def host_lines(self, interface: str) -> list[str]:
        """What iproute2 must be told inside a site's host, of its end of the link."""

    def check(self, values: Mapping[str, Any]) -> None:
        """Raises ValueError, naming the value, for what this driver cannot do; `values` are those
        of an Impairment or an Overlay."""

    async def add_port(self, site: int, interface: str) -> None:
        """Join a site by the WAN's end of its link, which is up. Raises OSError, ValueError."""

    async def drop_port(self, site: int) -> None:
        """Forget a site's port, if there is one; its interface may be gone already."""

    async def tell_flows(self) -> None:
        """Have every flow's direction recorded that moved since it was told last."""

    def set_path(self, path: Pair, impairment: Impairment) -> None:
        """Obeyed by the next frame that enters; those under way are not touched. Raises
        ValueError as `check`."""

    def counters(self, paths: Iterable[Pair]) -> Mapping[Pair, Counters]:
        """What happened on these paths since the start."""

    def state(self) -> WireState:
        """Of the driver as a whole."""

    def take_state(self) -> WireState:
        """`state`, and the largest lag begins again."""
