"""Reads a query from the wire, strictly.

dnslib writes our records but does not read the queries: its decoder recurses once a compression
pointer, takes reserved label types for long labels, refuses labels that are not UTF-8 and loses
an empty last EDNS option. What a server needs of a query is one question and one OPT record.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

HEADER = struct.Struct("!6H")  # id, flags, and the counts of the four sections
QUESTION = struct.Struct("!HH")  # type and class, behind the name
OPT = 41

_RECORD = struct.Struct("!HHIH")  # type, class, ttl, length of the data
_OPTION = struct.Struct("!HH")


class MalformedError(ValueError):
    """The bytes are no well-formed query; the answer is FORMERR."""


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked. `wire` is the whole question as it came: the answer repeats it, and so keeps
    the case of its letters; `name` is in lower case."""

    wire: bytes
    name: tuple[bytes, ...]
    qtype: int
    qclass: int


@dataclass(frozen=True, slots=True)
class Edns:
    """The query's OPT record (RFC 6891). A version above 0 has options that nobody can read."""

    version: int
    udp_size: int
    dnssec_ok: bool
    options: tuple[tuple[int, bytes], ...]


@dataclass(frozen=True, slots=True)
class Query:
    """All of a query that an answer depends on. Only who wants a server cookie alone may have no
    question (RFC 7873, 5.4)."""

    question: Question | None
    edns: Edns | None


def parse_query(data: bytes) -> Query:
    """The query in `data`, which holds a header at least; MalformedError if it is none."""
    _, _, questions, *counts = HEADER.unpack_from(data)
    if questions > 1:
        raise MalformedError(f"{questions} questions")
    try:
        question = _read_question(data) if questions else None
        start = HEADER.size + (len(question.wire) if question else 0)
        edns = _find_edns(data, start, counts)
    except (struct.error, IndexError) as error:
        raise MalformedError("ends too early") from error
    return Query(question, edns)


def _read_question(data: bytes) -> Question:
    """Its name is not compressed: before the first question there is nothing to point to."""
    labels = []
    offset = HEADER.size
    while length := data[offset]:
        end = offset + 1 + length
        if length > 63 or end - HEADER.size > 254:
            raise MalformedError("a label or the name is too long, or a pointer")
        labels.append(data[offset + 1 : end].lower())
        offset = end
    qtype, qclass = QUESTION.unpack_from(data, offset + 1)
    wire = data[HEADER.size : offset + 1 + QUESTION.size]
    return Question(wire, tuple(labels), qtype, qclass)


def _skip_name(data: bytes, offset: int) -> int:
    while length := data[offset]:
        if length >= 0xC0:
            return offset + 2
        if length > 63:
            raise MalformedError("reserved label type")
        offset += 1 + length
    return offset + 1


def _find_edns(data: bytes, offset: int, counts: list[int]) -> Edns | None:
    """Walks all records: they must be whole, the last thing in the message, and at most one of
    them, in the last section, an OPT."""
    found = None
    for number in range(sum(counts)):
        start = offset
        offset = _skip_name(data, start)
        kind, size, flags, length = _RECORD.unpack_from(data, offset)
        offset += _RECORD.size + length
        if offset > len(data):
            raise MalformedError("a record ends too early")
        if kind == OPT:
            is_additional = number >= counts[0] + counts[1]
            if found or data[start] != 0 or not is_additional:
                raise MalformedError("an OPT record too many or in the wrong place")
            found = _read_edns(size, flags, data[offset - length : offset])
    if offset < len(data):
        raise MalformedError("something follows the last record")
    return found


def _read_edns(size: int, flags: int, data: bytes) -> Edns:
    version = flags >> 16 & 0xFF
    options = () if version else _read_options(data)
    return Edns(version, size, bool(flags & 0x8000), options)


def _read_options(data: bytes) -> tuple[tuple[int, bytes], ...]:
    options = []
    offset = 0
    while offset < len(data):
        code, length = _OPTION.unpack_from(data, offset)
        offset += _OPTION.size + length
        if offset > len(data):
            raise MalformedError("an EDNS option ends too early")
        options.append((code, data[offset - length : offset]))
    return tuple(options)
