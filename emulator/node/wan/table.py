"""The path table: what the keeper sets and the wire obeys, in memory that both have mapped.

All of it is 64-bit words at 8-byte bounds. Such a word is read and written by one machine
instruction, so neither side ever sees half a value and no lock is needed. Two words of one path
may be seen one old, one new, for one frame: that is the frame that was on its way just then.
Settings have one writer (keeper), counters have one (wire).
"""

from __future__ import annotations

import mmap
import os
from collections.abc import Iterator
from typing import NamedTuple, Self

from emulator.impairment import AQMS, DISTRIBUTIONS, Impairment

SITES = 64  # numbers 1 to 63 are sites; 0 is nobody
SHARE_SCALE = 1 << 32  # a share of 1.0: above every 32-bit random number

# Words of one path. SPECIAL: more is wanted than a delay or a cut, which is all that the compiled
# mover can do by itself.
(
    DELAY,
    JITTER,
    DISTRIBUTION,
    REORDER,
    LOSS,
    BURST_ENTER,
    BURST_LEAVE,
    BURST_LOSS,
    DUPLICATE,
    CORRUPT,
    RATE,
    QUEUE,
    QUEUE_BYTES,
    AQM,
    MTU,
    CUT,
    SPECIAL,
) = range(17)
(
    PACKETS,
    BYTES,
    CUT_DROPS,
    LOSS_DROPS,
    QUEUE_DROPS,
    OVERLOAD_DROPS,
    SEND_ERRORS,
    MTU_DROPS,
    CORRUPTED,
    DUPLICATED,
    REORDERED,
    FREE_AT,
) = range(24, 36)
PATH_WORDS = 40

# Words of the whole wire
(
    HEARTBEAT,
    LAG_MAX,
    TOTAL_PACKETS,
    TOTAL_OVERLOAD,
    TOTAL_UNKNOWN,
    TOTAL_SEND_ERRORS,
    TOTAL_RECORDS_LOST,
    MOVER,
) = range(8)
WIRE_WORDS = 16
MOVERS = ("", "plain Python", "compiled")

_SIZE = 8 * (WIRE_WORDS + SITES * SITES * PATH_WORDS)


class Counters(NamedTuple):
    """Of one path since the table was made; a super-frame counts as its segments."""

    packets: int  # entered, dropped ones included
    bytes: int  # of Ethernet frames as they would be on a real wire
    cut: int
    loss: int
    queue: int
    overload: int
    send_errors: int  # frames that the target's port refused
    mtu: int = 0
    corrupted: int = 0
    duplicated: int = 0
    reordered: int = 0
    free_at_ns: int = 0  # monotonic; when the rate will have let out all that waits


class WireState(NamedTuple):
    """Of the wire process."""

    heartbeat_ns: int  # monotonic; written at least every 100 ms
    lag_max_ns: int  # longest a frame left after it was due, since the last `take_state`
    packets: int
    overload: int  # dropped for want of memory or of CPU, not by a setting
    unknown: int  # unicast to a MAC that no site has, or unreadable
    send_errors: int
    records_lost: int
    mover: int = 0  # of MOVERS


def path_words(source: int, target: int) -> int:
    """Where the words of a path begin."""
    if not (0 < source < SITES and 0 < target < SITES and source != target):
        raise ValueError(f"{source}->{target} is not a path between two sites of 1..{SITES - 1}")
    return WIRE_WORDS + (source * SITES + target) * PATH_WORDS


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
        for cell in range(WIRE_WORDS, _SIZE // 8, PATH_WORDS):
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
        words = self.words
        if impairment.cut:
            words[cell + CUT] = 1
        if not impairment.is_plain:
            words[cell + SPECIAL] = 1
        for word, value in _settings(impairment):
            words[cell + word] = value
        words[cell + SPECIAL] = int(not impairment.is_plain)
        words[cell + CUT] = int(impairment.cut)

    def cut(self, source: int, target: int) -> None:
        """Drop every frame that enters from now on; the other values stay."""
        self.words[path_words(source, target) + CUT] = 1

    def mend(self, source: int, target: int) -> None:
        """Undo `cut`."""
        self.words[path_words(source, target) + CUT] = 0

    def counters(self, source: int, target: int) -> Counters:
        cell = path_words(source, target)
        return Counters(*self.words[cell + PACKETS : cell + FREE_AT + 1])

    def beat(self, now: int) -> None:
        """As if the wire had beaten: it was just started."""
        self.words[HEARTBEAT] = now

    def state(self) -> WireState:
        return WireState(*self.words[: MOVER + 1])

    def take_state(self) -> WireState:
        """`state`, and the largest lag begins again. (A lag written between the read and the
        reset is lost: one sample of a statistic.)"""
        state = self.state()
        self.words[LAG_MAX] = 0
        return state


def _settings(impairment: Impairment) -> Iterator[tuple[int, int]]:
    yield DELAY, impairment.delay_ns
    yield JITTER, impairment.jitter_ns
    yield DISTRIBUTION, DISTRIBUTIONS.index(impairment.distribution)
    for word, share in (
        (REORDER, impairment.reorder),
        (LOSS, impairment.loss),
        (BURST_ENTER, impairment.burst_enter),
        (BURST_LEAVE, impairment.burst_leave),
        (BURST_LOSS, impairment.burst_loss),
        (DUPLICATE, impairment.duplicate),
        (CORRUPT, impairment.corrupt),
    ):
        yield word, round(share * SHARE_SCALE)
    yield RATE, impairment.rate_bps
    yield QUEUE, impairment.queue_ns
    yield QUEUE_BYTES, impairment.queue_bytes
    yield AQM, AQMS.index(impairment.aqm)
    yield MTU, impairment.mtu
