"""One path of the wire: what happens to a frame that enters it, and the frames that wait on it."""

from __future__ import annotations

import itertools
import random
from collections import deque
from heapq import heappop, heappush, heapreplace

from emulator.clock import NS_PER_S
from emulator.node.wan import table
from emulator.node.wan.segments import Layout, cut, layout, wire_bytes

# A fate is the instant at which a frame is due at the target (ns, above zero), or one of these.
CUT, LOSS, QUEUE, OVERLOAD = -1, -2, -3, -4

_CHUNK_NS = 1_000_000  # longest burst of one super-frame at a limited rate
_FRAME_COST = 256  # what a waiting frame takes beside its bytes: objects, tuple, queue slot


class Agenda:
    """What waits on all paths: a FIFO a path, under one heap of the paths' first due times."""

    def __init__(self, limit: int) -> None:
        self.limit = limit  # bytes that may wait
        self.held = 0
        self.heap: list[tuple[int, int]] = []  # due, number of the path
        self._queues: dict[int, deque[tuple[int, bytes]]] = {}

    def add(self, number: int, due: int, frame: bytes) -> bool:
        """Let a frame wait behind those of its path. False: there is no room."""
        cost = len(frame) + _FRAME_COST
        if self.held + cost > self.limit:
            return False
        self.held += cost
        queue = self._queues.get(number)
        if queue is None:
            queue = self._queues[number] = deque()
        if not queue:
            heappush(self.heap, (due, number))
        queue.append((due, frame))
        return True

    def next_due(self) -> int | None:
        return self.heap[0][0] if self.heap else None

    def pop(self) -> tuple[int, int, bytes]:
        """Due, path and frame of what is due first."""
        number = self.heap[0][1]
        queue = self._queues[number]
        due, frame = queue.popleft()
        if queue:
            heapreplace(self.heap, (queue[0][0], number))
        else:
            heappop(self.heap)
        self.held -= len(frame) + _FRAME_COST
        return due, number, frame


class Wander:
    """A random delay within +-amplitude that keeps order: straight lines between random knots.

    Independent random delays would let a frame overtake the one before it, and holding it back
    instead makes every frame wait for the slowest. Here the delay never falls faster than time
    runs: at most 2 amplitudes in the 4 between two knots.
    """

    __slots__ = ("_amplitude", "_from", "_random", "_start", "_to")

    def __init__(self, random_: random.Random) -> None:
        self._random = random_
        self._amplitude = 0
        self._start = 0
        self._from = self._to = 0.0

    def at(self, now: int, amplitude: int) -> int:
        """The deviation at an instant (ns)."""
        span = 4 * amplitude
        if amplitude != self._amplitude or now - self._start >= 2 * span:
            self._amplitude, self._start = amplitude, now
            self._from, self._to = self._knot(), self._knot()
        elif now - self._start >= span:
            self._start += span
            self._from, self._to = self._to, self._knot()
        share = max(0, now - self._start) / span  # a rate that was lifted sets instants back
        return int(self._from + (self._to - self._from) * share)

    def _knot(self) -> float:
        return self._random.uniform(-self._amplitude, self._amplitude)


class Path:
    """An ordered pair of sites: obeys its words of the table, counts into them."""

    __slots__ = ("_agenda", "_cell", "_free_at", "_last", "_random", "_wander", "_words", "number")

    def __init__(
        self, words: memoryview[int], agenda: Agenda, source: int, target: int, seed: int
    ) -> None:
        self.number = source * table.SITES + target
        self._words = words
        self._agenda = agenda
        self._cell = table.path_words(source, target)
        self._random = random.Random(seed * table.SITES**2 + self.number)
        self._wander = Wander(self._random)
        self._free_at = 0  # when the rate has let out all that is queued
        self._last = 0  # due time of the newest frame

    def admit(self, frame: bytes, now: int) -> tuple[int, int]:
        """Let a frame enter at `now`. The fates of its first and of its last segment."""
        words, cell = self._words, self._cell
        shape = layout(frame) if frame[1] else None
        segments = shape.segments if shape else 1
        words[cell + table.PACKETS] += segments
        words[cell + table.BYTES] += wire_bytes(frame, shape)
        if words[cell + table.CUT]:
            words[cell + table.CUT_DROPS] += segments
            return CUT, CUT
        if words[cell + table.LOSS] or words[cell + table.RATE]:
            return self._admit_segments(frame, shape, now)
        fate = self._hold(frame, now, segments)
        return fate, fate

    def _admit_segments(self, frame: bytes, shape: Layout | None, now: int) -> tuple[int, int]:
        """As `admit`, for a path that treats the segments of a frame each by itself."""
        count = shape.segments if shape else 1
        runs = self._survivors(count)
        rate = self._words[self._cell + table.RATE]
        if shape and rate:
            most = max(1, rate * _CHUNK_NS // (8 * NS_PER_S * shape.segment_bytes))
            runs = [piece for run in runs for piece in _chunks(run, most)]
        first = last = LOSS
        for start, stop in runs:
            piece = cut(frame, shape, start, stop) if shape else frame
            ready = self._after_rate(piece, now, rate, stop - start) if rate else now
            fate = self._hold(piece, ready, stop - start) if ready >= 0 else ready
            first = fate if start == 0 else first
            last = fate if stop == count else last
        return first, last

    def _survivors(self, count: int) -> list[tuple[int, int]]:
        """Draw each segment's luck; the runs [start, stop) that are left."""
        loss = self._words[self._cell + table.LOSS]
        if not loss:
            return [(0, count)]
        draw = self._random.getrandbits
        lost = [i for i in range(count) if draw(32) < loss]
        self._words[self._cell + table.LOSS_DROPS] += len(lost)
        bounds = [-1, *lost, count]
        pairs = itertools.pairwise(bounds)
        return [(before + 1, after) for before, after in pairs if before + 1 < after]

    def _after_rate(self, frame: bytes, now: int, rate: int, segments: int) -> int:
        """When the frame's last bit has left at the path's rate, or QUEUE."""
        begin = max(now, self._free_at)
        if begin - now > self._words[self._cell + table.QUEUE]:
            self._words[self._cell + table.QUEUE_DROPS] += segments
            return QUEUE
        size = wire_bytes(frame, layout(frame) if frame[1] else None)
        self._free_at = begin + size * 8 * NS_PER_S // rate
        return self._free_at

    def _hold(self, frame: bytes, ready: int, segments: int) -> int:
        """Put the frame on the agenda, never before one that entered earlier."""
        words, cell = self._words, self._cell
        due = ready + words[cell + table.DELAY]
        jitter = words[cell + table.JITTER]
        if jitter:
            due = max(ready, due + self._wander.at(ready, jitter))
        due = max(due, self._last)
        if not self._agenda.add(self.number, due, frame):
            words[cell + table.OVERLOAD_DROPS] += segments
            words[table.TOTAL_OVERLOAD] += segments
            return OVERLOAD
        self._last = due
        return due

    def refused(self) -> None:
        """The target's port did not take a frame that was due."""
        self._words[self._cell + table.SEND_ERRORS] += 1
        self._words[table.TOTAL_SEND_ERRORS] += 1


def _chunks(run: tuple[int, int], most: int) -> list[tuple[int, int]]:
    start, stop = run
    return [(at, min(at + most, stop)) for at in range(start, stop, most)]
