"""Frames moved by the compiled core (`core/`), which is built with the node image.

Loaded by ctypes with the interpreter's lock held: nothing else runs in this process, and a call
back into Python is cheap then.
"""

from __future__ import annotations

import ctypes
import os
import socket
from pathlib import Path as FilePath
from typing import Any

from emulator.node.wan import table as words_of
from emulator.node.wan.mover import LARGEST, MEMORY, MoverParts
from emulator.node.wan.paths import CUT, EXPRESS, OVERLOAD, Path
from emulator.node.wan.table import SITES

BUILT = "/usr/lib/netemu/core.so"  # where the node image has it
CHOICE = "NETEMU_CORE"  # environment: another file, or `none` for plain Python
# As `core_layout` in loop.c: what both sides must mean alike.
_LAYOUT = (
    words_of.PATH_WORDS, words_of.WIRE_WORDS, words_of.DELAY, words_of.CUT, words_of.SPECIAL,
    words_of.PACKETS, words_of.SEND_ERRORS, words_of.TOTAL_RECORDS_LOST, CUT, OVERLOAD,
    2 * EXPRESS,
)  # fmt: skip
_Fates = ctypes.c_int64 * 5
_Special = ctypes.PYFUNCTYPE(
    None, ctypes.c_int, ctypes.c_int, ctypes.c_void_p, ctypes.c_int, ctypes.c_int64,
    ctypes.POINTER(_Fates),
)  # fmt: skip


def load_core() -> ctypes.PyDLL | None:
    """The library; None where there is none. Raises OSError for one that cannot be used."""
    path = os.environ.get(CHOICE, BUILT)
    if path == "none" or (path == BUILT and not FilePath(BUILT).exists()):
        return None
    core = ctypes.PyDLL(path)
    layout = (ctypes.c_int32 * len(_LAYOUT)).in_dll(core, "core_layout")
    if tuple(layout) != _LAYOUT:
        raise OSError(f"{path} was built for another version")
    core.core_new.restype = ctypes.c_void_p
    core.core_hold.restype = ctypes.c_int64
    return core


class CompiledMover:
    """The core, and in Python every path that is more than a delay."""

    name = "compiled"

    def __init__(self, core: ctypes.PyDLL, parts: MoverParts) -> None:
        self._core = core
        self._words = parts.words
        self._seed = parts.seed
        self._paths: dict[int, Path] = {}
        self._taken = ctypes.create_string_buffer(LARGEST)
        self._special = _Special(self._admit)  # must live as long as the core
        capture = None if parts.capture is None else ctypes.c_void_p(parts.capture.address)
        self._self = ctypes.c_void_p(
            core.core_new(
                ctypes.c_void_p(ctypes.addressof(ctypes.c_char.from_buffer(parts.words))),
                capture,
                ctypes.c_int64(MEMORY),
                parts.control.fileno(),
                parts.records.fileno(),
                int(parts.has_flow_log),
                self._special,
            )
        )
        if not self._self:
            raise MemoryError("the core found no memory to begin with")

    def add_port(self, site: int, port: socket.socket) -> None:
        if code := self._core.core_add_port(self._self, site, port.fileno()):
            raise OSError(-code, os.strerror(-code), f"port of site {site}")

    def drop_port(self, site: int) -> None:
        self._core.core_drop_port(self._self, site)

    def set_macs(self, macs: dict[bytes, int]) -> None:
        self._core.core_macs(self._self, len(macs), b"".join(macs), bytes(macs.values()))

    def tell_flows(self) -> None:
        self._core.core_tell_flows(self._self)

    def feed(self, source: int, frame: bytes, now: int) -> None:
        """As if the frame had come in at `now`."""
        self._core.core_feed(self._self, source, frame, len(frame), ctypes.c_int64(now))

    def take(self) -> tuple[int, int, bytes] | None:
        """Due, lane and frame of what would leave first; None: nothing waits."""
        due, size, data = ctypes.c_int64(), ctypes.c_int(), self._taken
        lane = self._core.core_take(self._self, ctypes.byref(due), data, ctypes.byref(size))
        return None if lane < 0 else (due.value, lane, ctypes.string_at(data, size.value))

    def tell_at(self, now: int, *, is_all: bool) -> None:
        """Tell flows as at an instant, and hand all records over."""
        self._core.core_tell_at(self._self, ctypes.c_int64(now), int(is_all))

    def run(self) -> int:
        code: int = self._core.core_run(self._self)
        if code < 0:
            raise OSError(-code, os.strerror(-code), "epoll_pwait2")
        return code

    def hold(self, lane: int, due: int, frame: bytes) -> int:
        """As `paths.Lanes`."""
        held: int = self._core.core_hold(self._self, lane, ctypes.c_int64(due), frame, len(frame))
        return held

    def _admit(
        self,
        source: int,
        target: int,
        data: int,
        size: int,
        now: int,
        fates: Any,  # pointer to _Fates
    ) -> None:
        number = source * SITES + target
        path = self._paths.get(number)
        if path is None:
            path = self._paths[number] = Path(self._words, self, source, target, self._seed)
        fates.contents[:] = path.admit(ctypes.string_at(data, size), now)
