"""What waits on all paths: a FIFO a lane, under one heap of the lanes' first due times."""

from __future__ import annotations

from collections import deque
from heapq import heappop, heappush, heapreplace

from emulator.node.wan.paths import OVERLOAD

FRAME_COST = 256  # what a waiting frame takes beside its bytes: objects, tuple, queue slot


class Agenda:
    """`Lanes` in plain Python. Frames of one lane never overtake each other."""

    def __init__(self, limit: int) -> None:
        self.limit = limit  # bytes that may wait
        self.held = 0
        self.heap: list[tuple[int, int]] = []  # due, lane
        self._queues: dict[int, deque[tuple[int, bytes]]] = {}
        self._last: dict[int, int] = {}  # due time of each lane's newest frame

    def hold(self, lane: int, due: int, frame: bytes) -> int:
        """When it is due: never before one that entered its lane earlier. OVERLOAD: no room."""
        cost = len(frame) + FRAME_COST
        if self.held + cost > self.limit:
            return OVERLOAD
        self.held += cost
        due = self._last[lane] = max(due, self._last.get(lane, 0))
        queue = self._queues.get(lane)
        if queue is None:
            queue = self._queues[lane] = deque()
        if not queue:
            heappush(self.heap, (due, lane))
        queue.append((due, frame))
        return due

    def next_due(self) -> int | None:
        return self.heap[0][0] if self.heap else None

    def pop(self) -> tuple[int, int, bytes]:
        """Due, lane and frame of what is due first."""
        lane = self.heap[0][1]
        queue = self._queues[lane]
        due, frame = queue.popleft()
        if queue:
            heapreplace(self.heap, (queue[0][0], lane))
        else:
            heappop(self.heap)
        self.held -= len(frame) + FRAME_COST
        return due, lane, frame
