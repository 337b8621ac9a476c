"""Records as values, and written by dnslib behind a question."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple

from dnslib import AAAA, CLASS, NS, QTYPE, RR, SOA, TXT, A
from dnslib.label import DNSBuffer

from emulator.node.dns.wire import QUESTION

Name = tuple[bytes, ...]  # labels in lower case, so that DNS's case-insensitive match is `==`

# dnslib looks names up through __getattr__: fine once, slow in every answer
TYPE_A, TYPE_NS, TYPE_SOA, TYPE_TXT = int(QTYPE.A), int(QTYPE.NS), int(QTYPE.SOA), int(QTYPE.TXT)
TYPE_AAAA, TYPE_ANY = int(QTYPE.AAAA), int(QTYPE.ANY)
TYPE_AXFR, TYPE_IXFR = int(QTYPE.AXFR), int(QTYPE.IXFR)
CLASS_IN, CLASS_CH = int(CLASS.IN), int(CLASS.CH)

# The owner of records that name nobody else: one pointer to the question, whatever it is, so that
# all names of a service share the bytes.
ASKED: Name = (b"@",)

_DATA = {TYPE_A: A, TYPE_AAAA: AAAA, TYPE_NS: NS, TYPE_SOA: SOA, TYPE_TXT: TXT}


class Record(NamedTuple):
    """`data` are the arguments of dnslib's class for that type."""

    owner: Name
    rtype: int
    ttl_s: int
    data: tuple[Any, ...]
    rclass: int = CLASS_IN


@lru_cache(maxsize=8192)
def encode_records(records: tuple[Record, ...], name: Name, offset: int) -> bytes:
    """The bytes of `records` right behind a question that ends in `name`, which begins at `offset`
    of the message: names that end alike are pointers to it, and take its case.

    dnslib writes some 5,000 answers a second, but few differ. So an answer's bytes are kept by
    what they depend on: its records, and how long the question is.
    """
    buffer = DNSBuffer()
    buffer.append(bytes(offset + sum(len(label) + 1 for label in name) + 1 + QUESTION.size))
    for cut, label in enumerate(name):
        buffer.names[name[cut:]] = offset
        offset += 1 + len(label)
    start = len(buffer.data)
    for record in records:
        data = _DATA[record.rtype](*record.data)
        RR(record.owner, record.rtype, record.rclass, record.ttl_s, data).pack(buffer)
    return bytes(buffer.data[start:])
