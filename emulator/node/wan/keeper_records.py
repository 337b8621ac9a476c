"""What the wire saw, as events."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from ipaddress import IPv4Address
from itertools import chain
from typing import TYPE_CHECKING, Any

from emulator.node.wan.records import FlowRecord, Record, decode, is_answer, is_question
from emulator.node.wan.table import WireState

if TYPE_CHECKING:
    from dnslib import DNSRecord

WIRE = "the WAN's wire"
_OPT, _ECS = 41, 8  # IANA's numbers of the record and of the option


def events_of(message: bytes, sites: Mapping[int, str]) -> Iterator[dict[str, Any]]:
    """The events that one message of records tells, with the sites' names."""
    for record in decode(message):
        if record.what == "lost":
            yield {"kind": "lost", "t": record.t, "count": record.missing, "where": WIRE}
        elif record.flow is not None:
            yield _flow(record, record.flow, sites)
        elif is_question(record):
            yield _question(record, sites)
        elif not is_answer(record):
            yield _packet(record, sites)
        elif record.out is not None:  # a dropped answer reaches nobody's cache
            yield _answer(record, sites)


def _packet(record: Record, sites: Mapping[int, str]) -> dict[str, Any]:
    return {
        "kind": "packet",
        "t": record.t,
        "what": record.what,
        "source": sites[record.source],
        "target": sites[record.target],
        "src": record.src,
        "dst": record.dst,
        "out": record.out,
        "dropped": record.dropped,
        **({} if record.had else {"had": False}),
    }


def _flow(record: Record, flow: FlowRecord, sites: Mapping[int, str]) -> dict[str, Any]:
    return {
        "kind": "flow",
        "t": record.t,
        "protocol": flow.protocol,
        "source": sites[record.source],
        "target": sites[record.target],
        "src": record.src,
        "dst": record.dst,
        "began": flow.began,
        "first": flow.first or None,
        "last": flow.last or None,
        "seen": flow.seen,
        "segments": flow.segments,
        "bytes": flow.bytes,
        "again": flow.again,
        "silence_ns": flow.silence,
        "ended": flow.ended,
    }


def _question(record: Record, sites: Mapping[int, str]) -> dict[str, Any]:
    import dnslib  # noqa: PLC0415  (see `_answer`)

    source = sites[record.source]
    try:
        asked = dnslib.DNSRecord.parse(record.payload).q
    except dnslib.DNSError as error:
        where = f"unreadable DNS question from {source}: {error}"
        return {"kind": "lost", "t": record.t, "count": 1, "where": where}
    return {
        "kind": "question",
        "t": record.t,
        "source": source,
        "target": sites[record.target],
        "name": str(asked.qname).rstrip(".").lower(),
        "qtype": str(dnslib.QTYPE[asked.qtype]),
        "dropped": record.dropped,
    }


def _answer(record: Record, sites: Mapping[int, str]) -> dict[str, Any]:
    import dnslib  # noqa: PLC0415  (5 MB and 40 ms that a lab without DNS, or a start, need not pay)

    source = sites[record.source]
    try:
        message = dnslib.DNSRecord.parse(record.payload)
    except dnslib.DNSError as error:
        where = f"unreadable DNS answer from {source}: {error}"
        return {"kind": "lost", "t": record.out, "count": 1, "where": where}
    addresses = [rr for rr in message.rr if rr.rtype in (dnslib.QTYPE.A, dnslib.QTYPE.AAAA)]
    return {
        "kind": "answer",
        "t": record.out,
        "source": source,
        "target": sites[record.target],
        "name": str(message.q.qname).rstrip(".").lower(),
        "qtype": str(dnslib.QTYPE[message.q.qtype]),
        "rcode": dnslib.RCODE.forward.get(message.header.rcode, f"RCODE{message.header.rcode}"),
        "addresses": [str(rr.rdata) for rr in addresses],
        "ttl": min((rr.ttl for rr in message.rr), default=0),
        "subnet": _subnet(message),
    }


def _subnet(message: DNSRecord) -> str:
    """The network in the option of RFC 7871, where the answer is for it alone: its scope is not 0.
    Options that are cut short say nothing."""
    options = chain.from_iterable(rr.rdata for rr in message.ar if rr.rtype == _OPT)
    for option in options:
        data = bytes(option.data)
        if option.code == _ECS and data[:2] == b"\0\1" and len(data) >= 4 and data[3]:
            return f"{IPv4Address(data[4:8].ljust(4, bytes(1)))}/{data[2]}"
    return ""


def second_of(before: WireState, state: WireState, trouble: str = "") -> Iterator[dict[str, Any]]:
    """The event of one second of the wire's life, between two looks at its state. `trouble`: as
    its driver says it."""
    yield {
        "kind": "wire",
        "packets": state.packets - before.packets,
        "dropped": state.overload - before.overload,
        "lag_ms_max": round(state.lag_max_ns / 1e6, 3),
        **({"trouble": trouble} if trouble else {}),
    }
    if state.records_lost > before.records_lost:
        lost = state.records_lost - before.records_lost
        yield {"kind": "lost", "count": lost, "where": WIRE}
