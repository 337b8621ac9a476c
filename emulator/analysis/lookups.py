"""DNS on the wire: which questions were answered.

A question or an answer tells no number of its own. So an answer belongs to the newest question
that asks the same of the same server and is still open: what was asked again because the first
question or its answer was lost is two questions and one answer.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

from emulator.clock import NS_PER_S
from emulator.events import Answer, Question

# Resolvers give a question up after less (Unbound: 376 ms, doubling up to 12 s in all).
PATIENCE_NS = 5 * NS_PER_S
_Asking = tuple[str, str, str, str]  # asker, server, name, type


@dataclass(slots=True)
class Asked:
    """One question; instants in ns."""

    t: int
    asker: str
    server: str
    name: str
    qtype: str
    dropped: str = ""  # why it did not arrive
    answered: int | None = None  # the answer's arrival

    def is_lost(self, now: int) -> bool:
        """Whether no answer is to be expected any more."""
        return self.answered is None and (bool(self.dropped) or now - self.t > PATIENCE_NS)


class Lookups:
    """Questions with their answers, in the order of their being told."""

    def __init__(self, limit: int = 100_000) -> None:
        self.asked: list[Asked] = []
        self._limit = limit
        self._open: defaultdict[_Asking, list[Asked]] = defaultdict(list)

    def feed(self, event: Question | Answer) -> None:
        """Take one in."""
        if isinstance(event, Question):
            self._question(event)
            return
        waiting = self._open[event.target, event.source, event.name, event.qtype]
        for index in reversed(range(len(waiting))):
            if 0 <= event.t - waiting[index].t <= PATIENCE_NS:
                waiting.pop(index).answered = event.t
                return

    def _question(self, event: Question) -> None:
        asked = Asked(event.t, event.source, event.target, event.name, event.qtype, event.dropped)
        self.asked.append(asked)
        if len(self.asked) > self._limit:
            del self.asked[: self._limit // 10]
        if not event.dropped:
            waiting = self._open[event.source, event.target, event.name, event.qtype]
            if waiting and event.t - waiting[-1].t > PATIENCE_NS:
                waiting.clear()
            waiting.append(asked)

    def between(self, began: int, until: int) -> list[Asked]:
        """Those asked in a span of time."""
        return [asked for asked in self.asked if began <= asked.t < until]
