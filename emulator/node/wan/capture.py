"""The capture ring: frames as they entered the WAN, in memory that the wire and the readers share.

    0     u64  until: capture is on while CLOCK_MONOTONIC (ns) is before it. A reader renews it;
               one that dies costs nothing for longer than `_RENEWED_NS`
    8     u64  written: bytes since the ring was made; the next record's place is this % RING
    16    u64  snap: most bytes of a frame, from Ethernet on, that are kept
    64    4096 bytes, one a path by number (source * 64 + target): nonzero is wanted, a bit a reader
    8192  the ring: RING bytes of records

All in the machine's byte order. A record begins at an 8-byte bound and never wraps: where it does
not fit before the end, a filler stands (its size, then 0xFFFFFFFF) and the record begins at the
ring's start. A record is `HEADER`, 10 bytes of virtio header, the captured bytes, and padding. The
writer writes the record, then `written`, and never waits: a reader that it overruns notices by
`written`, and how much it lost by the records' numbers.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import mmap
import os
import struct
from collections.abc import Iterable, Iterator
from typing import NamedTuple, Self

from emulator.node.wan.segments import VNET
from emulator.node.wan.table import SITES

RING = 32 << 20
START = 8192
SIZE = START + RING
LARGEST = 1 << 18  # what a reader may ask to keep of a frame: all of any
PLACE = "/dev/shm/netemu-capture"  # in the WAN container  # noqa: S108

# size, seq, t, first fate, last fate, path, segments, dropped, cause, original, captured
HEADER = struct.Struct("=IIqqqHHHHII")
CAUSES = ("", "cut", "loss", "queue", "overload", "mtu")  # by minus the fate

_UNTIL, _WRITTEN, _SNAP = range(3)
_WANTED = 64
_PATHS = SITES * SITES
_FILLER = 0xFFFFFFFF
_FILLER_HEAD = struct.Struct("=II")
_NUMBERS = 0xFFFFFFFF  # 0..0xFFFFFFFE are records
# The writer may be busy with a record that `written` does not count yet; it is at most 64 KB long.
_MARGIN = 256 << 10
_RENEWED_NS = 2_000_000_000
_CHUNK = 1 << 20  # copied at once
_READERS = 8  # bits of a byte
_CHANGING = 63  # the byte whose lock is held while readers' wishes change; 0..7: each reader's own


class Captured(NamedTuple):
    """A frame that entered the WAN, and what became of it. Instants in ns, CLOCK_MONOTONIC."""

    seq: int
    t: int  # entered
    first: int  # first segment due at the target; negative: dropped
    last: int
    number: int  # path: source * SITES + target
    segments: int
    dropped: int  # of them
    cause: int  # index in `CAUSES`, of the dropped ones
    original: int  # bytes of Ethernet
    vnet: bytes
    frame: bytes  # the captured bytes, Ethernet on


class Capture:
    """The ring as the wire has it: is anybody listening, to which paths, and a frame for them."""

    def __init__(self, fd: int) -> None:
        self._map = mmap.mmap(fd, SIZE)
        os.close(fd)
        self._all = memoryview(self._map)
        self._words = self._all[:_WANTED].cast("Q")
        self._wanted = self._all[_WANTED : _WANTED + _PATHS]
        self._seq = 0

    @classmethod
    def create(cls, path: str) -> Self:
        """A new ring in place of what an earlier life left there. Its memory is taken as it is
        first written. Raises OSError."""
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)  # noqa: PTH108  (the wire does not need pathlib)
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        os.ftruncate(fd, SIZE)
        return cls(fd)

    @classmethod
    def attach(cls, place: int | str) -> Self:
        """The ring that another process made: its path, or a descriptor, which stays open.
        Raises OSError."""
        return cls(os.dup(place) if isinstance(place, int) else os.open(place, os.O_RDWR))

    def close(self) -> None:
        for view in (self._words, self._wanted, self._all):
            view.release()
        self._map.close()

    @property
    def address(self) -> int:
        """Where it is mapped, for the compiled core."""
        return ctypes.addressof(ctypes.c_char.from_buffer(self._map))

    def is_on(self, now: int) -> bool:
        """Whether anybody listens."""
        return self._words[_UNTIL] > now

    def wants(self, number: int) -> bool:
        """Whether somebody listens to this path."""
        return bool(self._wanted[number])

    def add(  # noqa: PLR0913, PLR0917  (the fields of a record; a value to carry them would cost more)
        self,
        frame: bytes,
        t: int,
        first: int,
        last: int,
        number: int,
        segments: int,
        dropped: int,
        cause: int,
    ) -> None:
        """Write one frame, virtio header first, with what `Captured` says of it."""
        words = self._words
        original = len(frame) - VNET
        captured = min(original, words[_SNAP])
        size = (HEADER.size + VNET + captured + 7) & ~7
        written = words[_WRITTEN]
        at = written % RING
        if at + size > RING:
            _FILLER_HEAD.pack_into(self._all, START + at, RING - at, _FILLER)
            written += RING - at
            at = 0
        place = START + at
        told = (t, first, last, number, segments, dropped, cause, original, captured)
        HEADER.pack_into(self._all, place, size, self._seq, *told)
        place += HEADER.size
        self._all[place : place + VNET + captured] = frame[: VNET + captured]
        words[_WRITTEN] = written + size
        self._seq = (self._seq + 1) % _NUMBERS


class Reader:
    """A reader's end: listens to some paths while it renews its wish. Raises OSError where there
    is no ring, or no room for one more reader."""

    def __init__(self, path: str, numbers: Iterable[int], snap: int, now: int) -> None:
        self._fd = os.open(path, os.O_RDWR)
        self._map = mmap.mmap(self._fd, SIZE)
        self._words = memoryview(self._map)[:_WANTED].cast("Q")
        self._bit = 1 << self._own_number()
        self._numbers = frozenset(numbers)
        self._snap = snap
        self.next: int | None = None  # number of the record that comes next
        self.lost = 0  # records that were overwritten before they were read
        with self._changing():
            for number in range(_PATHS):  # also what a dead reader with this bit left
                self._wish(number, wanted=number in self._numbers)
            others = self._words[_SNAP] if self._words[_UNTIL] > now else 0
            self._words[_SNAP] = max(others, snap)
        self._position = self._words[_WRITTEN]
        self.renew(now)

    def close(self) -> None:
        """Stop listening."""
        with self._changing():
            for number in self._numbers:
                self._wish(number, wanted=False)
            if not any(self._map[_WANTED : _WANTED + _PATHS]):
                self._words[_UNTIL] = 0
                # Nobody will read what is there: its memory goes back to the machine.
                self._map.madvise(mmap.MADV_REMOVE, START, RING)
        self._words.release()
        self._map.close()
        os.close(self._fd)

    def renew(self, now: int) -> None:
        """Go on listening; to be called every half second."""
        self._words[_UNTIL] = max(self._words[_UNTIL], now + _RENEWED_NS)

    @property
    def behind(self) -> int:
        """Bytes of the ring that wait to be read."""
        return self._words[_WRITTEN] - self._position

    def read(self) -> list[Captured]:
        """What came since, about a megabyte of it at once; empty when there is nothing."""
        data, at, found = self.chunk(), 0, []
        while at < len(data):
            record, size = self.one(data, at)
            if not size:
                break
            at += size
            if record is not None:
                found.append(record)
        return found

    def chunk(self) -> bytes:
        """Records as they stand in the ring, about a megabyte of what came since; empty when there
        is nothing. To be taken by `one` or `passed`, in order."""
        written = self._words[_WRITTEN]
        at = self._position % RING
        size = min(written - self._position, RING - at, _CHUNK)
        data = self._map[START + at : START + at + size]
        if self._words[_WRITTEN] - self._position > RING - _MARGIN:
            self._position = self._words[_WRITTEN]  # the only sure beginning of a record
            return b""
        return data

    def one(self, data: bytes, at: int) -> tuple[Captured | None, int]:
        """The record at a place of a chunk, None for one that is not wanted, and its size; 0: it
        goes on in the next chunk."""
        record, size = _record_at(data, at)
        self._position += size
        if record is None:
            return None, size
        self._count_lost(record.seq)
        return (self._as_wanted(record) if record.number in self._numbers else None), size

    def passed(self, size: int, following: int, lost: int) -> None:
        """Somebody else took so many bytes of a chunk; the number that comes next, and how many
        were missing among them."""
        self._position += size
        self.next = following
        if lost < _NUMBERS // 2:
            self.lost += lost

    def _as_wanted(self, record: Captured) -> Captured:
        """Another reader may keep more of a frame than we want."""
        if len(record.frame) <= self._snap:
            return record
        return record._replace(frame=record.frame[: self._snap])

    def _count_lost(self, seq: int) -> None:
        missing = 0 if self.next is None else (seq - self.next) % _NUMBERS
        if missing < _NUMBERS // 2:  # else it is not we who lost: the wire was started anew
            self.lost += missing
        self.next = (seq + 1) % _NUMBERS

    def _own_number(self) -> int:
        """Locks end with their owner, so a number is free again however its reader ended."""
        for number in range(_READERS):
            with contextlib.suppress(BlockingIOError):
                _lock(self._fd, fcntl.F_OFD_SETLK, fcntl.F_WRLCK, number)
                return number
        os.close(self._fd)
        raise OSError(f"{_READERS} captures run already; end one of them")

    @contextlib.contextmanager
    def _changing(self) -> Iterator[None]:
        _lock(self._fd, fcntl.F_OFD_SETLKW, fcntl.F_WRLCK, _CHANGING)
        try:
            yield
        finally:
            _lock(self._fd, fcntl.F_OFD_SETLKW, fcntl.F_UNLCK, _CHANGING)

    def _wish(self, number: int, *, wanted: bool) -> None:
        others = self._map[_WANTED + number] & ~self._bit
        self._map[_WANTED + number] = others | (self._bit if wanted else 0)


def _lock(fd: int, how: int, kind: int, byte: int) -> None:
    """Lock or unlock one byte for an open file, not for a process as `fcntl.lockf` does."""
    fcntl.fcntl(fd, how, struct.pack("hhqqi4x", kind, os.SEEK_SET, byte, 1, 0))


def _record_at(data: bytes, at: int) -> tuple[Captured | None, int]:
    """A whole record, or None for a filler, with its size; 0: the rest of it is not here. What no
    writer writes ends the data: a machine without order among its stores may show `written`
    early."""
    size, seq = _FILLER_HEAD.unpack_from(data, at)
    if seq == _FILLER:
        return None, size
    if size % 8 or not HEADER.size + VNET < size < _MARGIN:
        return None, len(data) - at
    if at + size > len(data):
        return None, 0
    return _record(data, at), size


def _record(data: bytes, at: int) -> Captured:
    told = HEADER.unpack_from(data, at)
    at += HEADER.size + VNET
    return Captured._make((*told[1:10], data[at - VNET : at], data[at : at + told[10]]))
