"""The wire's telling segments in columns: a long run has millions, a dozen machine words each."""

from __future__ import annotations

from array import array
from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import compress
from operator import attrgetter
from typing import Any

from emulator.events import Packet

# Every connection begins with data; nothing is measured by it, and 3 of 10 packets are such.
UNTOLD = "data"
_TEXTS = ("what", "source", "target", "src", "dst", "dropped")
_NEVER = -1  # `out` of a dropped packet


class _Numbers(dict[str, int]):
    """Each text's number, given when it is first asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []

    def __missing__(self, text: str) -> int:
        number = self[text] = len(self.texts)
        self.texts.append(text)
        return number


class Packets:
    """Packets in the order of their feeding, without first data.

    `len` and iteration are those of a list of Packet, made anew each time; `of` makes only the
    few that are asked for. Analyses of all of them use the columns: `t`, `out` (-1: dropped), `had`
    (0 or 1) and `column(name)`, numbers whose text is `text(number)`.
    """

    def __init__(self) -> None:
        self.t = array("q")
        self.out = array("q")
        self.had = array("b")
        self._numbers = _Numbers()
        self._columns = {name: array("I") for name in _TEXTS}

    def __len__(self) -> int:
        return len(self.out)

    def __iter__(self) -> Iterator[Packet]:
        return self._rows(range(len(self)))

    def of(self, *whats: str) -> list[Packet]:
        """Those of these kinds, in order."""
        return list(self._rows(compress(range(len(self)), self.are(*whats))))

    def append(self, packet: Packet) -> None:
        """Add one, if it may be of use."""
        if packet.what == UNTOLD:
            return
        self.t.append(packet.t)
        for name, column in self._columns.items():
            column.append(self._numbers[getattr(packet, name)])
        self.had.append(packet.had)
        self.out.append(_NEVER if packet.out is None else packet.out)

    def extend(self, packets: Iterable[Packet]) -> None:
        """Add those that may be of use."""
        told = [p for p in packets if p.what != UNTOLD]
        self.t.extend([p.t for p in told])
        for name, column in self._columns.items():
            column.extend(map(self._numbers.__getitem__, map(attrgetter(name), told)))
        self.had.extend([p.had for p in told])
        # Last, since it is the length: another thread may be reading.
        self.out.extend([_NEVER if p.out is None else p.out for p in told])

    def column(self, name: str) -> Sequence[int]:
        """The numbers of `what`, `source`, `target`, `src`, `dst` or `dropped`."""
        return self._columns[name]

    def text(self, number: int) -> str:
        return self._numbers.texts[number]

    def texts(self) -> Sequence[str]:
        """All texts, by number: the names of kinds and sites, and every end of a connection."""
        return self._numbers.texts

    def number(self, text: str) -> int | None:
        """None for a text that no packet has."""
        return self._numbers.get(text)

    def are(self, *whats: str) -> Iterator[bool]:
        """For every packet, whether it is of one of these kinds."""
        wanted: Collection[int | None] = {self.number(what) for what in whats}
        return map(wanted.__contains__, self._columns["what"])

    def _rows(self, indices: Iterable[int]) -> Iterator[Packet]:
        texts = self._numbers.texts
        for index in indices:
            out = self.out[index]
            named: dict[str, Any] = {
                name: texts[column[index]] for name, column in self._columns.items()
            }
            had = bool(self.had[index])
            yield Packet(t=self.t[index], out=None if out == _NEVER else out, had=had, **named)
