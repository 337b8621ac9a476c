"""Reads a query from the wire, strictly.

dnslib writes our answers but does not read the queries: its decoder recurses once a compression
pointer, takes reserved label types for long labels, refuses labels that are not UTF-8 and loses
an empty last EDNS option. What a server needs of a query is one question and one OPT record.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

HEADER = struct.Struct("!6H")  # id, flags, and the counts of the four sections
_QUESTION = struct.Struct("!HH")
_RECORD = struct.Struct("!HHIH")  # type, class, ttl, length of the data
_OPTION = struct.Struct("!HH")
_OPT = 41


class MalformedError(ValueError):
    """The bytes are no well-formed query; the answer is FORMERR."""


@dataclass(frozen=True, slots=True)
class Question:
    """`labels` in the case they were asked in, which the answer keeps."""

    labels: tuple[bytes, ...]
    qtype: int
    qclass: int

    @property
    def name(self) -> tuple[bytes, ...]:
        return tuple(label.lower() for label in self.labels)


@dataclass(frozen=True, slots=True)
class Edns:
    """The query's OPT record (RFC 6891)."""

    version: int
    udp_size: int
    dnssec_ok: bool
    options: tuple[tuple[int, bytes], ...]


@dataclass(frozen=True, slots=True)
class Query:
    """All of a query that an answer depends on."""

    question: Question
    edns: Edns | None


def parse_query(data: bytes) -> Query:
    """The query in `data`, which holds a header at least; MalformedError if it is none."""
    _, _, questions, *records = HEADER.unpack_from(data)
    if questions != 1:
        raise MalformedError(f"{questions} questions")
    try:
        labels, offset = _read_name(data, HEADER.size)
        question = Question(labels, *_QUESTION.unpack_from(data, offset))
        edns = _find_edns(data, offset + _QUESTION.size, records)
    except (struct.error, IndexError) as error:
        raise MalformedError("ends too early") from error
    return Query(question, edns)


def _read_name(data: bytes, offset: int) -> tuple[tuple[bytes, ...], int]:
    """An uncompressed name: before the first question there is nothing to point to."""
    labels = []
    start = offset
    while length := data[offset]:
        label = data[offset + 1 : offset + 1 + length]
        offset += 1 + length
        if length > 63 or offset - start > 254:
            raise MalformedError("a label or the name is too long, or a pointer")
        labels.append(label)
    return tuple(labels), offset + 1


def _skip_name(data: bytes, offset: int) -> int:
    while length := data[offset]:
        if length >= 0xC0:
            return offset + 2
        if length > 63:
            raise MalformedError("reserved label type")
        offset += 1 + length
    return offset + 1


def _find_edns(data: bytes, offset: int, counts: list[int]) -> Edns | None:
    """Walks all records: they must be whole, and at most one, in the last section, is an OPT."""
    found = None
    for number in range(sum(counts)):
        start = offset
        offset = _skip_name(data, start)
        kind, size, flags, length = _RECORD.unpack_from(data, offset)
        offset += _RECORD.size + length
        if offset > len(data):
            raise MalformedError("a record ends too early")
        if kind == _OPT:
            is_additional = number >= counts[0] + counts[1]
            if found or data[start] != 0 or not is_additional:
                raise MalformedError("an OPT record too many or in the wrong place")
            options = _read_options(data[offset - length : offset])
            found = Edns(flags >> 16 & 0xFF, size, bool(flags & 0x8000), options)
    return found


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
