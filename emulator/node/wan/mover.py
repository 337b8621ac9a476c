"""Who moves frames from port to port: the compiled core where there is one, else plain Python.

Both obey the same table, hold frames in lanes by the same rules, write the same records and serve
the same captures; `tests/test_wire_live.py` runs on both.
"""

from __future__ import annotations

import socket
from dataclasses import dataclass
from typing import Protocol

from emulator.node.wan.capture import Capture

MEMORY = 256 << 20  # bytes that may wait on all paths
# What waited for us longer than this, to come in or to go out, is dropped: an overload costs
# frames, not seconds. Both together are the longest queue that a path has by default.
STALE_NS = 500_000_000
LARGEST = 10 + 14 + 4 + 65536  # virtio, Ethernet, VLAN, and the most that GSO puts in one frame


class Mover(Protocol):
    """One of them. A port's socket stays its caller's to close."""

    name: str

    def add_port(self, site: int, port: socket.socket) -> None: ...

    def drop_port(self, site: int) -> None:
        """Before its socket is closed. One that is not there is fine."""

    def set_macs(self, macs: dict[bytes, int]) -> None:
        """Which site has which MAC address; replaces what was known."""

    def tell_flows(self) -> None:
        """Have every direction told that moved since it was told last."""

    def run(self) -> int:
        """Move frames until the control socket has something to read: 0; or until a port's
        interface may be gone: its site."""


@dataclass(frozen=True, slots=True)
class MoverParts:
    """What a mover is made of."""

    words: memoryview[int]  # of the path table
    control: socket.socket
    records: socket.socket
    capture: Capture | None
    seed: int
    has_flow_log: bool
