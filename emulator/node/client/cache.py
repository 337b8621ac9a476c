"""A client's own DNS cache, between the resolver and one kind of load.

It holds one good answer and gives it out until it expires, counted from the answer's arrival; a
failure (no such name, no answer in time) it believes for a time of its own, usually none. Whoever
finds nothing asks the resolver, each for itself. What is held is forgotten when the setting
changes, so also when the traffic stops.

Who holds both for ever resolves once: it asks when its load begins, whoever comes before the
answer waits for it, and nobody ever asks again, whatever it was.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from time import monotonic_ns
from typing import Protocol

from emulator.clock import NS_PER_S
from emulator.node.client.resolver import Answer, Resolver
from emulator.node.client.schedule import FOREVER

NO_CACHE, TTL_CACHE = 0.0, -1.0  # settings; others are seconds, None: for ever
Done = Callable[[Answer], None]


class Holding(Protocol):
    """How a load holds answers, and whether it is one: a load without a rate asks nothing."""

    @property
    def rate(self) -> float: ...
    @property
    def cache_s(self) -> float | None: ...
    @property
    def negative_s(self) -> float | None: ...


class Cache:
    """Asks as a `Resolver` does, less often."""

    def __init__(self, resolver: Resolver) -> None:
        self._resolver = resolver
        self._good_s: float | None = NO_CACHE
        self._bad_s: float | None = NO_CACHE
        self._held: Answer | None = None
        self._waiting: list[Done] | None = None  # for the only answer there will be

    def keep(self, load: Holding, limit_ns: int) -> None:
        """Answers for so long from now on; who resolves once does it now, within `limit_ns`."""
        if (load.cache_s, load.negative_s) == (self._good_s, self._bad_s):
            return
        self._good_s, self._bad_s, self._held = load.cache_s, load.negative_s, None
        self._waiting = [] if load.rate > 0 and self._is_once() else None
        if self._waiting is not None:
            self._resolver.lookup(limit_ns, partial(self._answered_once, self._waiting))

    def lookup(self, limit_ns: int, done: Done) -> None:
        """Calls `done` exactly once, within `limit_ns` of this call or of the load's begin;
        possibly before this returns."""
        if self._held is not None and monotonic_ns() < self._expires(self._held):
            done(replace(self._held, is_held=True))
        elif self._waiting is not None:
            self._waiting.append(done)
        else:
            self._resolver.lookup(limit_ns, partial(self._answered, done))

    def _is_once(self) -> bool:
        return self._good_s is None and self._bad_s is None

    def _answered(self, done: Done, answer: Answer) -> None:
        if self._seconds(answer) != NO_CACHE:
            self._held = answer
        done(answer)

    def _answered_once(self, waiting: list[Done], answer: Answer) -> None:
        if waiting is self._waiting:  # else the setting has changed since
            self._held, self._waiting = answer, None
        for done in waiting:
            done(answer)

    def _expires(self, answer: Answer) -> int:
        seconds = self._seconds(answer)
        if seconds is None:
            return FOREVER
        return answer.t + round((answer.ttl if seconds == TTL_CACHE else seconds) * NS_PER_S)

    def _seconds(self, answer: Answer) -> float | None:
        return self._good_s if answer.rcode == "NOERROR" else self._bad_s
