"""The path table: what the keeper sets and the wire obeys, in memory that both have mapped.

All of it is 64-bit words at 8-byte bounds. Such a word is read and written by one machine
instruction, so neither side ever sees half a value and no lock is needed. Two words of one path
may be seen one old, one new, for one frame: that is the frame that was on its way just then.
Settings have one writer (keeper), counters have one (wire).
"""

from __future__ import annotations

import mmap
import os
from typing import NamedTuple, Self

from emulator.impairment import Impairment

SITES = 64  # numbers 1 to 63 are sites; 0 is nobody
LOSS_SCALE = 1 << 32  # a loss of 1.0: above every 32-bit random number

# Words of one path
DELAY, JITTER, LOSS, RATE, QUEUE, CUT, _FLAGS, _SPARE = range(8)
PACKETS, BYTES, CUT_DROPS, LOSS_DROPS, QUEUE_DROPS, OVERLOAD_DROPS, SEND_ERRORS = range(8, 15)
_PATH_WORDS = 16

# Words of the whole wire
(
    HEARTBEAT,
    LAG_MAX,
    TOTAL_PACKETS,
    TOTAL_OVERLOAD,
    TOTAL_UNKNOWN,
    TOTAL_SEND_ERRORS,
    TOTAL_RECORDS_LOST,
) = range(7)
_WIRE_WORDS = 16

_SIZE = 8 * (_WIRE_WORDS + SITES * SITES * _PATH_WORDS)


class Counters(NamedTuple):
    """Of one path since the table was made; a super-frame counts as its segments."""

    packets: int  # entered, dropped ones included
    bytes: int  # of Ethernet frames as they would be on a real wire
    cut: int
    loss: int
    queue: int
    overload: int
    send_errors: int  # frames that the target's port refused


class WireState(NamedTuple):
    """Of the wire process."""

    heartbeat_ns: int  # monotonic; written at least every 100 ms
    lag_max_ns: int  # longest a frame left after it was due, since the last `take_state`
    packets: int
    overload: int  # dropped for want of memory or of CPU, not by a setting
    unknown: int  # unicast to a MAC that no site has, or unreadable
    send_errors: int
    records_lost: int


def path_words(source: int, target: int) -> int:
    """Where the words of a path begin."""
    if not (0 < source < SITES and 0 < target < SITES and source != target):
        raise ValueError(f"{source}->{target} is not a path between two sites of 1..{SITES - 1}")
    return _WIRE_WORDS + (source * SITES + target) * _PATH_WORDS


class PathTable:
    """Both ends of the shared memory. A path that was never set is cut."""

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self._map = mmap.mmap(fd, _SIZE)
        self.words: memoryview[int] = memoryview(self._map).cast("q")

    @classmethod
    def create(cls) -> Self:
        """A new table in a memory file of its own; hand `fd` to the other process."""
        fd = os.memfd_create("netemu-paths")
        os.ftruncate(fd, _SIZE)
        table = cls(fd)
        for cell in range(_WIRE_WORDS, _SIZE // 8, _PATH_WORDS):
            table.words[cell + CUT] = 1
        return table

    @classmethod
    def attach(cls, fd: int) -> Self:
        """The table behind a descriptor that another process made."""
        return cls(fd)

    def close(self) -> None:
        self.words.release()
        self._map.close()
        os.close(self.fd)

    def set(self, source: int, target: int, impairment: Impairment) -> None:
        """Obeyed by the next frame that enters. A cut comes first, a heal last."""
        cell = path_words(source, target)
        if impairment.cut:
            self.words[cell + CUT] = 1
        self.words[cell + DELAY] = impairment.delay_ns
        self.words[cell + JITTER] = impairment.jitter_ns
        self.words[cell + LOSS] = round(impairment.loss * LOSS_SCALE)
        self.words[cell + RATE] = impairment.rate_bps
        self.words[cell + QUEUE] = impairment.queue_ns
        self.words[cell + CUT] = int(impairment.cut)

    def cut(self, source: int, target: int) -> None:
        """Drop every frame that enters from now on; the other values stay."""
        self.words[path_words(source, target) + CUT] = 1

    def mend(self, source: int, target: int) -> None:
        """Undo `cut`."""
        self.words[path_words(source, target) + CUT] = 0

    def counters(self, source: int, target: int) -> Counters:
        cell = path_words(source, target)
        return Counters(*self.words[cell + PACKETS : cell + SEND_ERRORS + 1])

    def state(self) -> WireState:
        return WireState(*self.words[: TOTAL_RECORDS_LOST + 1])

    def take_state(self) -> WireState:
        """`state`, and the largest lag begins again. (A lag written between the read and the
        reset is lost: one sample of a statistic.)"""
        state = self.state()
        self.words[LAG_MAX] = 0
        return state
