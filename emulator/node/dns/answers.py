"""Encoded answers, kept for as long as they are true.

An answer that is fixed depends on the query's bytes after the id, on the asker and on the routing.
So it is looked up before it is made: a table an asker, from those bytes to the answer's. The
tables belong to one Authority; with its successor they are all dropped, before anything is looked
up in them. What they hold is bounded, whatever is asked by whomever: beyond the bound everything
is dropped, and what is asked often is back at once.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from emulator.node.dns.authority import Authority
from emulator.node.dns.values import Answered, Asker, Facts, Transport

# Bytes held by the tables of one transport: names by the ten thousand, and random ones, spoofed
# sources or 0x20's letters stay far below the server's 60 MB.
KEPT_MAX = 8 << 20
_ENTRY, _SOURCE, _TABLE = 300, 250, 500  # bytes of Python's objects around each, measured upwards

Respond = Callable[[bytes, str, Transport, Authority], Answered | None]


class Counting(Protocol):
    """Whom the answers are counted by."""

    def answered(self, transport: Transport, facts: Facts, count: int = 1) -> None: ...

    def dropped(self, reason: str) -> None: ...


class Tally:
    """How often answers with these facts were given from the tables."""

    __slots__ = ("count", "facts")

    def __init__(self, facts: Facts) -> None:
        self.facts = facts
        self.count = 0


Table = dict[bytes, tuple[bytes, Tally]]  # a query after its id -> the same of its answer


class Answers:
    """The answers over one transport. `authority` gives what they follow now: the same object
    until something changes."""

    def __init__(
        self,
        transport: Transport,
        authority: Callable[[], Authority],
        asker_of: Callable[[str], Asker],
        counting: Counting,
        respond: Respond,
    ) -> None:
        self._transport = transport
        self._current = authority
        self._authority = authority()
        self._asker_of = asker_of
        self._counting = counting
        self._respond = respond
        self._sources: dict[str, Table] = {}
        self._tables: dict[Asker, Table] = {}
        self._tallies: dict[Facts, Tally] = {}
        self._kept = 0

    def tables(self) -> dict[str, Table]:
        """Tables by source address, true as long as nothing else runs on this thread. Whoever
        gives an answer out of one adds 1 to its tally."""
        authority = self._current()
        if authority is not self._authority or self._kept > KEPT_MAX:
            self._drop()
            self._authority = authority
        return self._sources

    def answer(self, data: bytes, source: str) -> bytes | None:
        """The answer to a message from `source`, looked up or made; None: silence."""
        table = self.tables().get(source)
        if table is None:
            table = self._table_of(source)
        key = data[2:]
        found = table.get(key)
        if found is None:
            return self._make(data, source, table)
        tail, tally = found
        tally.count += 1
        return data[:2] + tail

    def fold(self) -> None:
        """Hand what was counted in the tables to the metrics."""
        for tally in self._tallies.values():
            self._counting.answered(self._transport, tally.facts, tally.count)
            tally.count = 0

    @property
    def kept(self) -> int:
        """Bytes held, at most KEPT_MAX and one answer."""
        return self._kept

    def _make(self, data: bytes, source: str, table: Table) -> bytes | None:
        answered = self._respond(data, source, self._transport, self._authority)
        if answered is None:
            self._counting.dropped("no query")
            return None
        self._counting.answered(self._transport, answered.facts)
        if answered.is_fixed:
            tally = self._tallies.setdefault(answered.facts, Tally(answered.facts))
            key, tail = data[2:], answered.data[2:]
            table[key] = (tail, tally)
            self._kept += len(key) + len(tail) + _ENTRY
        return answered.data

    def _table_of(self, source: str) -> Table:
        asker = self._asker_of(source)
        table = self._tables.get(asker)
        if table is None:
            table = self._tables[asker] = {}
            self._kept += _TABLE
        self._sources[source] = table
        self._kept += _SOURCE
        return table

    def _drop(self) -> None:
        self.fold()
        for kept in (self._sources, self._tables, self._tallies):
            kept.clear()
        self._kept = 0
