"""One path of the wire: what happens to a frame that enters it.

What can happen, in this order: cut; too big; lost; waits for the rate, or finds its queue full;
corrupted; duplicated; delayed, with jitter or, reordered, not at all. All of it is done to single
segments, also of super-frames, which are cut into runs of those that share a fate.
"""

from __future__ import annotations

import random
import sys
import traceback
from collections.abc import Iterator
from typing import NamedTuple, Protocol

from emulator.clock import NS_PER_S
from emulator.node.wan import table
from emulator.node.wan.chance import Bursts, Luck, Wander
from emulator.node.wan.codel import Codel
from emulator.node.wan.mtu import fragments, may_be_split, packet_bytes, refusal
from emulator.node.wan.segments import Layout, corrupted, cut, layout, wire_bytes

# A fate is the instant at which a frame is due at the target (ns, above zero), or one of these.
CUT, LOSS, QUEUE, OVERLOAD, TOO_BIG = -1, -2, -3, -4, -5
EXPRESS = table.SITES * table.SITES  # added to a path's number: the lane of those that overtake

_CHUNK_NS = 1_000_000  # longest burst of one super-frame at a limited rate
_FULL_SEGMENT = 1514  # RFC 8289's maxpacket
_CORRUPT, _TWICE, _AT_ONCE = 1, 2, 4
_COUNTERS = {CUT: table.CUT_DROPS, LOSS: table.LOSS_DROPS, QUEUE: table.QUEUE_DROPS,
             OVERLOAD: table.OVERLOAD_DROPS, TOO_BIG: table.MTU_DROPS}  # fmt: skip


class Lanes(Protocol):
    """Where frames wait until they are due."""

    def hold(self, lane: int, due: int, frame: bytes) -> int:
        """Let a frame wait, behind those of its lane. When it is due, or OVERLOAD."""


class Fates(NamedTuple):
    """What became of a frame."""

    first: int  # of its first segment
    last: int  # of its last
    segments: int = 1
    dropped: int = 0  # of them
    cause: int = 0  # of those that were dropped; 0: none was


class Path:
    """An ordered pair of sites: obeys its words of the table, counts into them."""

    __slots__ = ("_back", "_bursts", "_cell", "_codel", "_free_at", "_is_broken", "_lanes", "_luck",
                 "_random", "_wander", "_words", "number")  # fmt: skip

    def __init__(
        self, words: memoryview[int], lanes: Lanes, source: int, target: int, seed: int
    ) -> None:
        self.number = source * table.SITES + target
        self._words = words
        self._lanes = lanes
        self._cell = table.path_words(source, target)
        self._back = (target * table.SITES + source, table.path_words(target, source))
        self._random = random.Random(seed * table.SITES**2 + self.number)
        self._wander = Wander(self._random)
        self._bursts = Bursts(self._random)
        self._luck = {word: Luck(self._random) for word in
                      (table.LOSS, table.CORRUPT, table.DUPLICATE, table.REORDER)}  # fmt: skip
        self._codel = Codel()
        self._is_broken = False  # a frame found a fault in us
        self._free_at = 0  # when the rate has let out all that is queued

    def admit(self, frame: bytes, now: int) -> Fates:
        """Let a frame enter at `now`. Any bytes are fine; should one be our undoing all the same,
        then it is dropped and counted as what we could not carry, and said once."""
        try:
            return self._admit(frame, now)
        except Exception:  # noqa: BLE001  (all other paths would end with this one)
            if not self._is_broken:
                self._is_broken = True
                print(f"wire: frame {frame[:128].hex()}: {traceback.format_exc()}",  # noqa: T201
                      file=sys.stderr)  # fmt: skip
            self._words[table.TOTAL_OVERLOAD] += 1
            return self._drop_all(OVERLOAD, 1)

    def _admit(self, frame: bytes, now: int) -> Fates:
        words, cell = self._words, self._cell
        shape = layout(frame) if frame[1] else None
        segments = shape.segments if shape else 1
        words[cell + table.PACKETS] += segments
        words[cell + table.BYTES] += wire_bytes(frame, shape)
        if words[cell + table.CUT]:
            return self._drop_all(CUT, segments)
        if not words[cell + table.SPECIAL]:
            fate = self._hold(frame, now, segments, marks=0)
            return Fates(fate, fate, segments, *((segments, fate) if fate < 0 else ()))
        mtu = words[cell + table.MTU]
        if mtu and self._packet_bytes(frame, shape) > mtu:
            return self._too_big(frame, shape, now, mtu)
        return self._admit_segments(frame, shape, now)

    def _drop_all(self, cause: int, segments: int) -> Fates:
        self._words[self._cell + _COUNTERS[cause]] += segments
        return Fates(cause, cause, segments, segments, cause)

    def _packet_bytes(self, frame: bytes, shape: Layout | None) -> int:
        return shape.header - shape.ip + shape.size if shape else packet_bytes(frame)

    def _too_big(self, frame: bytes, shape: Layout | None, now: int, mtu: int) -> Fates:
        """Split where that is allowed; else tell the sender, over the path back."""
        count = shape.segments if shape else 1
        if may_be_split(frame):
            whole = [cut(frame, shape, i, i + 1) for i in range(count)] if shape else [frame]
            small = [piece for one in whole for piece in fragments(one, mtu)]
            fates = [self._admit_segments(piece, None, now) for piece in small]
            dropped = min(count, sum(fate.dropped for fate in fates))
            cause = min(fate.cause for fate in fates)
            return Fates(fates[0].first, fates[-1].last, count, dropped, cause)
        answer = refusal(cut(frame, shape, 0, 1) if shape else frame, mtu)
        lane, cell = self._back
        if answer and not self._words[cell + table.CUT]:
            self._lanes.hold(lane, now + self._words[cell + table.DELAY], answer)
        return self._drop_all(TOO_BIG, count)

    def _admit_segments(self, frame: bytes, shape: Layout | None, now: int) -> Fates:
        """As `admit`, for a path that treats the segments of a frame each by itself."""
        count = shape.segments if shape else 1
        lost = self._lost(count)
        if lost:
            self._words[self._cell + table.LOSS_DROPS] += len(lost)
        first = last = LOSS
        dropped, cause = len(lost), LOSS if lost else 0
        for start, stop, marks in self._pieces(shape, count, lost):
            piece = cut(frame, shape, start, stop) if shape else frame
            fate = self._pass(piece, now, stop - start, marks)
            if fate < 0:
                dropped, cause = dropped + stop - start, fate
            first = fate if start == 0 else first
            last = fate if stop == count else last
        return Fates(first, last, count, dropped, cause)

    def _lost(self, count: int) -> list[int]:
        words, cell = self._words, self._cell
        enter = words[cell + table.BURST_ENTER]
        if not enter:
            return self._luck[table.LOSS].hits(count, words[cell + table.LOSS])
        leave, bad = words[cell + table.BURST_LEAVE], words[cell + table.BURST_LOSS]
        return self._bursts.hits(count, enter, leave, words[cell + table.LOSS], bad)

    def _pieces(
        self, shape: Layout | None, count: int, lost: list[int]
    ) -> Iterator[tuple[int, int, int]]:
        """Runs [start, stop) of segments that go on together, and what happens to each."""
        marks = self._marks(count)
        borders = {*lost, *(i + 1 for i in lost), *marks, *(i + 1 for i in marks), 0, count}
        most = self._most(shape) if shape else 1
        start = 0
        gone = set(lost)
        for stop in sorted(borders)[1:]:
            if start not in gone:
                for at in range(start, stop, most):
                    yield at, min(at + most, stop), marks.get(start, 0)
            start = stop

    def _marks(self, count: int) -> dict[int, int]:
        words, cell = self._words, self._cell
        marks: dict[int, int] = {}
        for word, mark, counter in (
            (table.CORRUPT, _CORRUPT, table.CORRUPTED),
            (table.DUPLICATE, _TWICE, table.DUPLICATED),
            (table.REORDER, _AT_ONCE, table.REORDERED),
        ):
            if share := words[cell + word]:
                hits = self._luck[word].hits(count, share)
                words[cell + counter] += len(hits)
                for index in hits:
                    marks[index] = marks.get(index, 0) | mark
        return marks

    def _most(self, shape: Layout) -> int:
        """Segments that may leave, or be dropped, as one."""
        words, cell = self._words, self._cell
        rate = words[cell + table.RATE]
        if not rate:
            return shape.segments
        if words[cell + table.AQM]:
            return 1
        most = rate * _CHUNK_NS // (8 * NS_PER_S)
        if room := words[cell + table.QUEUE_BYTES]:
            most = min(most, room // 8)
        return max(1, most // shape.segment_bytes)

    def _pass(self, piece: bytes, now: int, segments: int, marks: int) -> int:
        """Rate, corruption, duplication, delay of segments that go on together: their fate."""
        ready = now
        if rate := self._words[self._cell + table.RATE]:
            ready = self._after_rate(piece, now, rate)
            if ready < 0:
                self._words[self._cell + _COUNTERS[ready]] += segments
                return ready
        if marks & _CORRUPT:
            piece = corrupted(piece, self._random.getrandbits(32))
        fate = self._hold(piece, ready, segments, marks)
        if marks & _TWICE and fate >= 0:
            self._hold(piece, ready, segments, marks)
        return fate

    def _after_rate(self, frame: bytes, now: int, rate: int) -> int:
        """When the frame's last bit has left at the path's rate, or QUEUE."""
        words, cell = self._words, self._cell
        begin = max(now, self._free_at)
        waits = begin - now
        size = wire_bytes(frame, layout(frame) if frame[1] else None)
        ahead = waits * rate // (8 * NS_PER_S)
        room = words[cell + table.QUEUE_BYTES]
        if waits > words[cell + table.QUEUE] or (room and ahead and ahead + size > room):
            return QUEUE
        if words[cell + table.AQM] and self._codel.drops(
            begin, waits, is_last=ahead <= _FULL_SEGMENT
        ):
            return QUEUE
        self._free_at = begin + size * 8 * NS_PER_S // rate
        words[cell + table.FREE_AT] = self._free_at
        return self._free_at

    def _hold(self, frame: bytes, ready: int, segments: int, marks: int) -> int:
        words, cell = self._words, self._cell
        if marks & _AT_ONCE:
            fate = self._lanes.hold(self.number + EXPRESS, ready, frame)
        else:
            due = ready + words[cell + table.DELAY]
            if jitter := words[cell + table.JITTER]:
                wandered = self._wander.at(ready, jitter, words[cell + table.DISTRIBUTION])
                due = max(ready, due + wandered)
            fate = self._lanes.hold(self.number, due, frame)
        if fate < 0:
            words[cell + table.OVERLOAD_DROPS] += segments
            words[table.TOTAL_OVERLOAD] += segments
        return fate
