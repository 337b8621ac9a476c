"""A client's own DNS cache, between the resolver and one kind of load.

It holds one good answer and gives it out until it expires, counted from the answer's arrival.
Whoever finds nothing asks the resolver, each for itself. Negative answers are not held. What is
held is forgotten when the setting changes, so also when the traffic stops.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from time import monotonic_ns

from emulator.clock import NS_PER_S
from emulator.node.client.resolver import Answer, Resolver
from emulator.node.client.schedule import FOREVER

NO_CACHE, TTL_CACHE = 0.0, -1.0  # settings; others are seconds, None: for ever


class Cache:
    """Asks as a `Resolver` does, less often."""

    def __init__(self, resolver: Resolver) -> None:
        self._resolver = resolver
        self._setting: float | None = NO_CACHE
        self._held: Answer | None = None

    def keep(self, cache_s: float | None) -> None:
        """Answers for so long from now on."""
        if cache_s != self._setting:
            self._setting, self._held = cache_s, None

    def lookup(self, limit_ns: int, done: Callable[[Answer], None]) -> None:
        """Calls `done` exactly once, within `limit_ns`; possibly before this returns."""
        if self._held is not None and monotonic_ns() < self._expires(self._held):
            done(replace(self._held, is_held=True))
        else:
            self._resolver.lookup(limit_ns, partial(self._answered, done))

    def _answered(self, done: Callable[[Answer], None], answer: Answer) -> None:
        if answer.rcode == "NOERROR" and self._setting != NO_CACHE:
            self._held = answer
        done(answer)

    def _expires(self, answer: Answer) -> int:
        if self._setting is None:
            return FOREVER
        seconds = answer.ttl if self._setting == TTL_CACHE else self._setting
        return answer.t + round(seconds * NS_PER_S)
