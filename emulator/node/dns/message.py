"""Bytes in, bytes out: the answer to one DNS message, decided from values alone."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from dnslib import CLASS, EDNS0, OPCODE, QTYPE, RCODE, RD, RR, A, DNSHeader, DNSQuestion, DNSRecord

from emulator.node.dns.policy import LatencyPolicy, choose
from emulator.node.dns.values import Routing, Transport
from emulator.node.dns.wire import HEADER, Edns, MalformedError, Query, Question, parse_query
from emulator.node.dns.zone import NEGATIVE_TTL_S, NS_TTL_S, SOA_TTL_S, Zone

UDP_SIZE = 1232  # bytes: fits IPv6's smallest MTU unfragmented (DNS flag day 2020)
UDP_SIZE_PLAIN = 512  # RFC 1035, without EDNS
TCP_SIZE = 65535

_QR = 0x8000
_KEPT_FLAGS = 0x7910  # opcode, RD, CD; a reply's Z, AD, RA, TC are never a query's
_BADVERS = 16  # dnslib has no name for it: it needs the OPT's upper bits


@dataclass(frozen=True, slots=True)
class Authority:
    """All that an answer depends on besides the query and its sender."""

    zone: Zone
    policy: LatencyPolicy
    routing: Routing


@dataclass(frozen=True, slots=True)
class Reply:
    """The sections of an answer, before they are written."""

    rcode: int
    authoritative: bool = True
    answer: list[RR] = field(default_factory=list)
    authority: list[RR] = field(default_factory=list)
    additional: list[RR] = field(default_factory=list)
    truncated: bool = False


def respond(data: bytes, source: str, transport: Transport, state: Authority) -> bytes | None:
    """The answer to `data` from the address `source`; None where silence is right.

    Silence answers what is shorter than a header and what is itself a response: two servers
    must not answer each other for ever.
    """
    if len(data) < HEADER.size or data[2] & 0x80:
        return None
    identity, flags = HEADER.unpack_from(data)[:2]
    header = DNSHeader(id=identity, bitmap=flags & _KEPT_FLAGS | _QR)
    if header.opcode != OPCODE.QUERY:
        return _bare(header, RCODE.NOTIMP)
    try:
        query = parse_query(data)
    except MalformedError:
        return _bare(header, RCODE.FORMERR)
    if query.edns and query.edns.version > 0:
        reply = Reply(_BADVERS, authoritative=False)
    else:
        reply = _answer(query.question, source, state)
    return _fit(header, query, reply, _size_limit(query.edns, transport))


def _answer(question: Question, source: str, state: Authority) -> Reply:
    name, zone = question.name, state.zone
    transfer = question.qtype in (QTYPE.AXFR, QTYPE.IXFR)
    if question.qclass != CLASS.IN or not zone.holds(name) or transfer:
        return Reply(RCODE.REFUSED, authoritative=False)
    if name not in zone.names:
        return Reply(RCODE.NXDOMAIN, authority=[_negative_soa(state)])
    records = _rrset(question, source, state)
    if not records:
        return Reply(RCODE.NOERROR, authority=[_negative_soa(state)])
    is_referral = any(record.rtype == QTYPE.NS for record in records)
    return Reply(RCODE.NOERROR, answer=records, additional=_glue(zone) if is_referral else [])


def _rrset(question: Question, source: str, state: Authority) -> list[RR]:
    """The records asked for. ANY gets one RRset of those there are (RFC 8482, 4.1)."""
    if question.qtype == QTYPE.ANY:
        wanted = (replace(question, qtype=qtype) for qtype in (QTYPE.A, QTYPE.SOA, QTYPE.NS))
        return next(filter(None, (_rrset(one, source, state) for one in wanted)), [])
    service = state.zone.services.get(question.name)
    if service and question.qtype == QTYPE.A:
        order = state.policy.order(source)
        known = tuple(region for region in order if region in service.regions)
        strange = tuple(region for region in service.regions if region not in order)
        regions = choose(known + strange, _up(state, service.name))
        datas: list[RD] = [A(service.regions[region].address) for region in regions]
        ttl_s = service.ttl_s
    else:
        datas, ttl_s = state.zone.static(question.name, question.qtype, state.routing.serial)
    return [RR(question.labels, question.qtype, ttl=ttl_s, rdata=data) for data in datas]


def _up(state: Authority, service: str) -> frozenset[str]:
    regions = state.routing.services[service].regions
    return frozenset(name for name, region in regions.items() if region.is_offered)


def _negative_soa(state: Authority) -> RR:
    soa = state.zone.soa(state.routing.serial)
    return RR(state.zone.origin, QTYPE.SOA, ttl=min(SOA_TTL_S, NEGATIVE_TTL_S), rdata=soa)


def _glue(zone: Zone) -> list[RR]:
    return [
        RR(name, QTYPE.A, ttl=NS_TTL_S, rdata=A(address))
        for name, addresses in zone.name_servers.items()
        for address in addresses
        if ":" not in address
    ]


def _size_limit(edns: Edns | None, transport: Transport) -> int:
    if transport == "tcp":
        return TCP_SIZE
    return max(UDP_SIZE_PLAIN, min(edns.udp_size, UDP_SIZE)) if edns else UDP_SIZE_PLAIN


def _fit(header: DNSHeader, query: Query, reply: Reply, limit: int) -> bytes:
    """The reply as bytes: whole; without glue, which nobody misses; or truncated."""
    lean = replace(reply, additional=[])
    cut = Reply(reply.rcode, reply.authoritative, truncated=True)
    for candidate in (reply, lean):
        packed = _pack(header, query, candidate)
        if len(packed) <= limit:
            return packed
    return _pack(header, query, cut)


def _pack(header: DNSHeader, query: Query, reply: Reply) -> bytes:
    question = query.question
    flags = DNSHeader(id=header.id, bitmap=header.bitmap)
    flags.aa, flags.tc, flags.rcode = reply.authoritative, reply.truncated, reply.rcode & 0xF
    record = DNSRecord(
        flags,
        [DNSQuestion(question.labels, question.qtype, question.qclass)],
        reply.answer,
        auth=reply.authority,
        ar=[*reply.additional, *_opt(query.edns, reply.rcode)],
    )
    return bytes(record.pack())


def _opt(edns: Edns | None, rcode: int) -> list[RR]:
    """Our OPT where the query had one. DO comes back as it was (RFC 3225), other flags clear."""
    if not edns:
        return []
    flags = "do" if edns.dnssec_ok else ""
    return [EDNS0(".", ext_rcode=rcode >> 4, flags=flags, udp_len=UDP_SIZE)]


def _bare(header: DNSHeader, rcode: int) -> bytes:
    header.rcode = rcode
    return bytes(DNSRecord(header).pack())
