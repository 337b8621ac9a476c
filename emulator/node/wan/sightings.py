"""Telling frames seen to enter and to leave, put together: the records of a WAN whose frames
never leave the kernel.

A frame is known again by its own bytes. One that was not seen to leave in time was dropped; why is
what was set on its path when it entered. What netem spoils counts as lost: it left as another.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable
from heapq import heappop, heappush
from itertools import count
from typing import NamedTuple

from emulator.node.wan.flows import Flows, Sight
from emulator.node.wan.records import CAUSES, encode, encode_flow, encode_lost
from emulator.node.wan.segments import VNET

_WAITING_MAX = 1 << 16  # frames; what is under way on a fast path and tells something is far less
_START_NS = 1_000_000_000  # patience with a path of which nothing was said yet


class PathNews(NamedTuple):
    """What the witness must know of a path."""

    patience_ns: int  # after which a frame will not leave any more
    cause: str  # of a drop, one of `records.CAUSES`


class _Waiting:
    """A telling frame that has entered; `is_settled` once its record is written."""

    __slots__ = ("cause", "is_settled", "sight", "source", "t", "target")

    def __init__(self, sight: Sight, t: int, source: int, target: int, cause: int) -> None:
        self.sight = sight
        self.t = t
        self.source = source
        self.target = target
        self.cause = cause
        self.is_settled = False


class Sightings:
    """Fed in the order of time. `tell` gets each record and the instant at which it is written."""

    def __init__(self, tell: Callable[[bytes, int], object]) -> None:
        self.macs: dict[bytes, int] = {}
        self.paths: dict[tuple[int, int], PathNews] = {}
        self._tell = tell
        self._flows = Flows()
        self._waiting: OrderedDict[bytes, deque[_Waiting]] = OrderedDict()
        self._deadlines: list[tuple[int, int, bytes, _Waiting]] = []
        self._numbers = count()

    def enters(self, frame: bytes, t: int, source: int) -> None:
        """By the port of a site."""
        target = self.macs.get(frame[VNET : VNET + 6], source)
        if target == source:
            return
        sight = self._flows.observe(frame, t, (source, target))
        if sight is None:
            return
        news = self.paths.get((source, target), PathNews(_START_NS, "overload"))
        entry = _Waiting(sight, t, source, target, CAUSES.index(news.cause))
        key = frame[VNET:]
        self._waiting.setdefault(key, deque()).append(entry)
        heappush(self._deadlines, (t + news.patience_ns, next(self._numbers), key, entry))
        if len(self._waiting) > _WAITING_MAX:
            self._forget_oldest(t)

    def leaves(self, frame: bytes, t: int) -> None:
        """By any port. Broadcasts, and copies of what left already, tell nothing new."""
        entries = self._waiting.get(frame[VNET:])
        if entries:
            self._settle(frame[VNET:], entries[0], t, (t, t))

    def expire(self, now: int) -> None:
        """Write off what did not leave in time."""
        while self._deadlines and self._deadlines[0][0] <= now:
            _, _, key, entry = heappop(self._deadlines)
            if not entry.is_settled:
                self._settle(key, entry, now, (-entry.cause, -entry.cause))

    def doubt(self, count: int, now: int) -> None:
        """So many frames were not seen for want of time: nothing can be claimed of those that
        wait, for it may have been them."""
        for entries in self._waiting.values():
            count += len(entries)
            for entry in entries:
                entry.is_settled = True
        self._waiting.clear()
        self._tell(encode_lost(count, now), now)

    def tell_flows(self, now: int, *, is_all: bool) -> None:
        for direction in self._flows.to_tell(now, is_all=is_all):
            self._tell(encode_flow(direction, now), now)

    def _settle(self, key: bytes, entry: _Waiting, now: int, fates: tuple[int, int]) -> None:
        entry.is_settled = True
        entries = self._waiting[key]
        entries.remove(entry)
        if not entries:
            del self._waiting[key]
        for record in encode(entry.sight, entry.t, fates, entry.source, entry.target):
            self._tell(record, now)

    def _forget_oldest(self, now: int) -> None:
        _, entries = self._waiting.popitem(last=False)
        for entry in entries:
            entry.is_settled = True
        self._tell(encode_lost(len(entries), now), now)
