"""A history's lines, typed: many at a time where they are alike, one by one where they are not."""

from __future__ import annotations

import gc
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import repeat
from operator import attrgetter
from pathlib import Path
from sys import intern
from typing import Any, NamedTuple

import msgspec

from emulator.analysis.packets import UNTOLD
from emulator.events import KINDS, Event, Packet, Request

_BLOCK = 1 << 18
_KIND = b'"kind":"'
_UNTOLD = b'packet","what":"%s"' % UNTOLD.encode()
_BROKEN = (ValueError, msgspec.DecodeError)
_objects = msgspec.json.Decoder(dict[str, Any])
_requests = msgspec.json.Decoder(Request)
_packets = msgspec.json.Decoder(Packet)
# What thousands of requests have in common; each line brings its own copy.
_SHARED = (
    "city", "client", "outcome", "detail", "address", "region", "server", "protocol", "closed_by",
)  # fmt: skip


class Batch(NamedTuple):
    """Neighbouring lines, by kind."""

    requests: list[Request]
    packets: list[Packet]
    others: list[Event]


def typed(data: dict[str, Any]) -> Event | None:
    """The event; None for a kind that this version does not know. Raises msgspec.ValidationError
    when a field is missing or is not what it should be."""
    cls = KINDS.get(data.get("kind", ""))
    if cls is Request:
        data = data | {"seq": -1}  # as `_shared` has it
    return msgspec.convert(data, cls) if cls else None


def as_object(text: str) -> dict[str, Any]:
    """A JSON object as a history can hold it. ValueError for anything else; Python's own reader
    takes more, NaN for one, which makes a history that nobody can read."""
    try:
        return _objects.decode(text.encode())
    except (msgspec.DecodeError, RecursionError) as error:
        raise ValueError(f"no JSON object: {error}") from error


def read_batches(path: str | Path) -> Iterator[Batch]:
    """The events of a file of JSON lines.

    A torn last line is left out; a line torn anywhere else raises ValueError with its number.
    """
    number = 1
    torn: ValueError | None = None
    with uncollected():
        for lines in _blocks(path):
            if torn:
                raise torn
            try:
                batch = _batch(lines)
            except _BROKEN:
                batch, torn = _one_by_one(path, number, lines)
            yield batch
            number += len(lines)


@contextmanager
def uncollected() -> Iterator[None]:
    """No search for garbage: events refer to nothing, and looking at a million takes 0.3 s."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def _blocks(path: str | Path) -> Iterator[list[bytes]]:
    """Whole lines, some megabytes at a time."""
    with Path(path).open("rb") as file:
        while lines := file.readlines(_BLOCK):
            yield lines


def _batch(lines: Sequence[bytes]) -> Batch:
    """Requests and packets, nearly all of a history, are told from the rest by their text: a
    writer that spaces its JSON differently is read as well, only more slowly."""
    requests: list[bytes] = []
    packets: list[bytes] = []
    others: list[bytes] = []
    for line in lines:
        at = line.find(_KIND) + len(_KIND)
        kind = line[at : at + 8]
        if kind == b'packet",':
            if not line.startswith(_UNTOLD, at):
                packets.append(line)
        elif kind == b'request"':
            requests.append(line)
        else:
            others.append(line)
    known = (typed(_objects.decode(line)) for line in others if not line.isspace())
    return Batch(
        _shared(_requests.decode_lines(b"".join(requests))),
        _packets.decode_lines(b"".join(packets)),
        [event for event in known if event is not None],
    )


def _shared(requests: list[Request]) -> list[Request]:
    """The same requests, with one copy of every text among all that were ever read, and without
    the place in the recording, which is a fresh number each. Frozen ones are changed by their
    slots: nobody has seen them yet."""
    for name in _SHARED:
        _put(name, requests, map(intern, map(attrgetter(name), requests)))
    _put("seq", requests, repeat(-1))
    return requests


def _put(name: str, requests: list[Request], values: Iterable[object]) -> None:
    deque(map(getattr(Request, name).__set__, requests, values), maxlen=0)


def _one_by_one(
    path: str | Path, number: int, lines: Sequence[bytes]
) -> tuple[Batch, ValueError | None]:
    """What can be read of lines of which one is torn, and the error if that was the last."""
    whole = Batch([], [], [])
    torn: ValueError | None = None
    for index, line in enumerate(lines):
        if torn:
            raise torn
        try:
            part = _batch([line])
        except _BROKEN as error:
            torn = ValueError(f"{path}:{number + index}: not an event: {error}")
            continue
        whole.requests.extend(part.requests)
        whole.packets.extend(part.packets)
        whole.others.extend(part.others)
    return whole, torn
