"""Bytes in, bytes out: the answer to one DNS message, decided from values alone.

A query is read (`wire`, `options`), answered by records (`reply`, from `zone` and `policy`), and
written behind its own question, which is repeated byte for byte.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from dnslib import QTYPE, RCODE

from emulator.node.dns.authority import Authority
from emulator.node.dns.options import (
    NSID,
    UDP_SIZE,
    Asked,
    encode_cookie,
    encode_opt,
    encode_subnet,
    parse_options,
)
from emulator.node.dns.records import ASKED, Name, Record, encode_records
from emulator.node.dns.reply import BADVERS, FORMERR, NOERROR, NOTIMP, Reply, make_reply
from emulator.node.dns.values import Answered, Facts, Transport
from emulator.node.dns.wire import HEADER, QUESTION, Edns, MalformedError, Query, parse_query

UDP_SIZE_PLAIN = 512  # RFC 1035, without EDNS
TCP_SIZE = 65535

_QR, _AA, _TC = 0x8000, 0x0400, 0x0200
_KEPT_FLAGS = 0x7910  # opcode, RD, CD; a reply's Z, AD, RA, TC are never a query's
_RCODES = {**RCODE.forward, BADVERS: "BADVERS"}


@dataclass(frozen=True, slots=True)
class Sender:
    """Who asked, and over what."""

    address: str
    transport: Transport


def respond(data: bytes, source: str, transport: Transport, state: Authority) -> Answered | None:
    """The answer to `data` from the address `source`; None where silence is right.

    Silence answers what is shorter than a header and what is itself a response: two servers
    must not answer each other for ever.
    """
    if len(data) < HEADER.size or data[2] & 0x80:
        return None
    is_query = not data[2] & 0x78  # the opcode
    try:
        query = parse_query(data)
    except MalformedError:
        return _answer_bare(data, FORMERR if is_query else NOTIMP)
    sender = Sender(source, transport)
    if not is_query:
        return _write(data, query, sender, Asked(), Reply(NOTIMP), state)
    if query.edns and query.edns.version:
        return _write(data, query, sender, Asked(), Reply(BADVERS), state)
    try:
        asked = parse_options(query.edns.options) if query.edns else Asked()
    except MalformedError:
        return _write(data, query, sender, Asked(), Reply(FORMERR), state)
    if query.question:
        reply = make_reply(query.question, asked.subnet, source, state)
    else:
        reply = Reply(NOERROR if asked.client_cookie else FORMERR)
    return _write(data, query, sender, asked, reply, state)


def _answer_bare(data: bytes, rcode: int) -> Answered:
    """A header alone, for what could not be read: there is no question to repeat."""
    identity, flags = HEADER.unpack_from(data)[:2]
    header = HEADER.pack(identity, flags & _KEPT_FLAGS | _QR | rcode, 0, 0, 0, 0)
    return Answered(header, Facts(_RCODES[rcode], ""), is_fixed=True)


def _write(
    data: bytes, query: Query, sender: Sender, asked: Asked, reply: Reply, state: Authority
) -> Answered:
    opt = b""
    if query.edns:
        opt = encode_opt(query.edns, reply.rcode, _options(asked, reply, sender, state))
    question = query.question.wire if query.question else b""
    room = _size_limit(query.edns, sender.transport) - HEADER.size - len(question) - len(opt)
    truncation, counts, body = _fit(reply, len(question), state.zone.origin, room)
    identity, flags = HEADER.unpack_from(data)[:2]
    flags = flags & _KEPT_FLAGS | _QR | truncation | reply.rcode & 0xF
    if reply.is_authoritative:
        flags |= _AA
    answers, authorities, additionals = counts
    sections = (len(question) > 0, answers, authorities, additionals + (len(opt) > 0))
    header = HEADER.pack(identity, flags, *sections)
    facts = Facts(
        _RCODES[reply.rcode],
        _type_text(query),
        reply.service,
        reply.regions,
        has_subnet=asked.subnet is not None,
        is_truncated=truncation > 0,
    )
    is_fixed = not (reply.is_drawn or asked.client_cookie)
    return Answered(header + question + body + opt, facts, is_fixed)


def _options(
    asked: Asked, reply: Reply, sender: Sender, state: Authority
) -> Iterator[tuple[int, bytes]]:
    """Ours, each only where the query had it."""
    if asked.has_nsid:
        yield NSID, state.server.encode()
    if asked.subnet:
        yield encode_subnet(asked.subnet, reply.scope)
    if asked.client_cookie:
        yield encode_cookie(asked.client_cookie, sender.address, state.secret, state.now_s())


def _size_limit(edns: Edns | None, transport: Transport) -> int:
    if transport == "tcp":
        return TCP_SIZE
    return max(UDP_SIZE_PLAIN, min(edns.udp_size, UDP_SIZE)) if edns else UDP_SIZE_PLAIN


def _fit(
    reply: Reply, question_size: int, origin: Name, room: int
) -> tuple[int, tuple[int, int, int], bytes]:
    """As much as fits: TC or 0, the sections' counts, their bytes. It is all of them; those without
    the additional ones, which nobody misses (RFC 2181, 9); or none, with TC."""
    needed = (*reply.answer, *reply.authority)
    for records in ((*needed, *reply.additional), needed):
        body = _encode(records, question_size, origin)
        if len(body) <= room:
            counts = (len(reply.answer), len(reply.authority), len(records) - len(needed))
            return 0, counts, body
    return _TC, (0, 0, 0), b""


def _encode(records: tuple[Record, ...], question_size: int, origin: Name) -> bytes:
    """A question that gets records is ASKED itself, or else ends in the zone's name."""
    if not records or records[0].owner == ASKED:
        return encode_records(records, ASKED, HEADER.size)
    origin_size = sum(len(label) + 1 for label in origin) + 1
    start = HEADER.size + question_size - QUESTION.size - origin_size
    return encode_records(records, origin, start)


def _type_text(query: Query) -> str:
    if not query.question:
        return ""
    qtype = query.question.qtype
    return str(QTYPE.forward.get(qtype, f"TYPE{qtype}"))
