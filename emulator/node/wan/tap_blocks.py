"""Captured frames to pcapng by the compiled core: those of one segment that were not dropped,
which in a flood are nearly all; whatever else comes is left to Python."""

from __future__ import annotations

import ctypes
from collections.abc import Iterable

from emulator.node.wan.capture import Reader
from emulator.node.wan.compiled import load_core
from emulator.node.wan.table import SITES

_PATHS = SITES * SITES
_ROOM = 4 << 20  # a chunk of the ring is 1 MB, and blocks are smaller than records


class _Wish(ctypes.Structure):
    """As `struct wish` in core/blocks.c."""

    _fields_ = tuple(
        (name, ctypes.c_int64)
        for name in ("offset", "until", "snap", "site", "next", "lost", "consumed", "packets")
    )


class Blocks:
    """One capture's."""

    def __init__(
        self, core: ctypes.PyDLL, numbers: Iterable[int], snap: int, site: int, offset: int
    ) -> None:
        self._core = core
        self._wish = _Wish(offset=offset, until=(1 << 63) - 1, snap=snap, site=site, next=-1)
        self._interfaces = (ctypes.c_int32 * _PATHS)(*[-1] * _PATHS)
        for index, number in enumerate(numbers):
            self._interfaces[number] = index
        self._received = (ctypes.c_int64 * _PATHS)()
        self._out = ctypes.create_string_buffer(_ROOM)

    @property
    def packets(self) -> int:
        return int(self._wish.packets)

    def received(self, number: int) -> int:
        """Packets of one path."""
        return self._received[number]

    def end_at(self, until: int) -> None:
        """What entered later (ns) is not wanted."""
        self._wish.until = until

    def convert(self, reader: Reader, data: bytes, at: int) -> tuple[bytes, int]:
        """The blocks of the records from a place on, up to one that is Python's; and how many
        bytes of records that were."""
        self._wish.next = -1 if reader.next is None else reader.next
        before = self._wish.lost
        rest = ctypes.c_void_p(_address(data) + at)
        put = self._core.core_blocks(
            rest, len(data) - at, self._interfaces, self._received, ctypes.byref(self._wish),
            self._out, _ROOM,
        )  # fmt: skip
        consumed = int(self._wish.consumed)
        if consumed:
            reader.passed(consumed, int(self._wish.next), int(self._wish.lost - before))
        return ctypes.string_at(self._out, put), consumed


def _address(data: bytes) -> int:
    address = ctypes.cast(ctypes.c_char_p(data), ctypes.c_void_p).value
    return address or 0


def blocks_of(numbers: Iterable[int], snap: int, site: int, offset: int) -> Blocks | None:
    """None where there is no core."""
    try:
        core = load_core()
    except OSError:
        return None
    return None if core is None else Blocks(core, numbers, snap, site, offset)
