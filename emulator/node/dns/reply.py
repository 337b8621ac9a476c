"""What to answer: a question to the records of its answer, before they are bytes."""

from __future__ import annotations

from dataclasses import dataclass, replace

from dnslib import RCODE

from emulator.node.dns.askers import Askers
from emulator.node.dns.authority import Authority
from emulator.node.dns.config import Service
from emulator.node.dns.options import ClientSubnet
from emulator.node.dns.policy import choose, is_tailored
from emulator.node.dns.records import (
    ASKED,
    CLASS_CH,
    CLASS_IN,
    TYPE_A,
    TYPE_AAAA,
    TYPE_ANY,
    TYPE_AXFR,
    TYPE_IXFR,
    TYPE_NS,
    TYPE_TXT,
    Record,
)
from emulator.node.dns.values import Asker
from emulator.node.dns.wire import Question
from emulator.node.dns.zone import address_records

NOERROR, FORMERR, NXDOMAIN = int(RCODE.NOERROR), int(RCODE.FORMERR), int(RCODE.NXDOMAIN)
NOTIMP, REFUSED = int(RCODE.NOTIMP), int(RCODE.REFUSED)
BADVERS = 16  # dnslib has no name for it: it needs the OPT's upper bits

_IDENTITY = {(b"id", b"server"), (b"hostname", b"bind")}
_SOFTWARE = {(b"version", b"server"), (b"version", b"bind")}


@dataclass(frozen=True, slots=True)
class Reply:
    """The sections of an answer, and what was decided on the way. Who only repeats the question
    with an rcode claims no authority."""

    rcode: int
    is_authoritative: bool = False
    answer: tuple[Record, ...] = ()
    authority: tuple[Record, ...] = ()
    additional: tuple[Record, ...] = ()
    service: str = ""
    regions: tuple[str, ...] = ()
    scope: int = 0  # prefix length of the client subnet that it holds for
    is_drawn: bool = False


def make_reply(
    question: Question, subnet: ClientSubnet | None, source: str, state: Authority
) -> Reply:
    """The reply to a question. Other zones, other classes and transfers are refused: we are
    authoritative for IN alone, and a zone that follows the asker has no copy to give."""
    if question.qclass == CLASS_CH:
        return _chaos(question, state.server)
    is_transfer = question.qtype in (TYPE_AXFR, TYPE_IXFR)
    if question.qclass != CLASS_IN or is_transfer or not state.zone.holds(question.name):
        return Reply(REFUSED)
    service = state.zone.services.get(question.name)
    if service is None:
        return _look_up(question, state)
    if question.qtype in (TYPE_A, TYPE_AAAA, TYPE_ANY):
        return _steer(service, question.qtype, (subnet, source), state)
    return replace(_look_up(question, state), service=service.name)


def _chaos(question: Question, server: str) -> Reply:
    """Who answers, and with what: TXT of class CHAOS (RFC 4892). The software has no version."""
    if question.name in _IDENTITY:
        text = server
    elif question.name in _SOFTWARE:
        text = "netemu"
    else:
        return Reply(REFUSED)
    if question.qtype not in (TYPE_TXT, TYPE_ANY):
        return Reply(REFUSED)
    record = Record(ASKED, TYPE_TXT, 0, (text.encode(),), CLASS_CH)
    return Reply(NOERROR, is_authoritative=True, answer=(record,))


def _look_up(question: Question, state: Authority) -> Reply:
    """What no policy moves: the zone's own records, or the SOA that says there are none."""
    zone, serial = state.zone, state.routing.serial
    records = zone.static(question.name, question.qtype, serial)
    if records:
        glue = zone.glue() if records[0].rtype == TYPE_NS else ()
        return Reply(NOERROR, is_authoritative=True, answer=records, additional=glue)
    rcode = NOERROR if question.name in zone.names else NXDOMAIN
    return Reply(rcode, is_authoritative=True, authority=(zone.negative_soa(serial),))


def _steer(
    service: Service, qtype: int, sender: tuple[ClientSubnet | None, str], state: Authority
) -> Reply:
    """A service's addresses, of the regions that its policy names for whoever asks. Both families
    follow the same choice. ANY gets one kind of them, A where there is one (RFC 8482, 4.1)."""
    asker, scope = _find_asker(service, sender, state.askers)
    condition = state.routing.services[service.name]
    choice = choose(service, condition, asker, state.draws[service.name])
    if choice.is_refused:
        return Reply(REFUSED, service=service.name, scope=scope, is_drawn=choice.is_drawn)
    regions = [service.regions[name] for name in choice.regions]
    if qtype == TYPE_ANY:
        qtype = TYPE_A if any(region.address for region in regions) else TYPE_AAAA
    addresses = [r.address6 if qtype == TYPE_AAAA else r.address for r in regions]
    records = address_records(addresses, qtype, condition.ttl_s)
    return Reply(
        NOERROR,
        is_authoritative=True,
        answer=records,
        authority=() if records else (state.zone.negative_soa(state.routing.serial),),
        service=service.name,
        regions=choice.regions if records else (),
        scope=scope,
        is_drawn=choice.is_drawn,
    )


def _find_asker(
    service: Service, sender: tuple[ClientSubnet | None, str], askers: Askers
) -> tuple[Asker, int]:
    """Whom the answer is for, and how long a prefix of the client subnet it holds for: all of them
    (0) where the subnet is not used, or nobody's place matters (RFC 7871, 7.2.1)."""
    subnet, source = sender
    if not (service.ecs and subnet and subnet.prefix):
        return askers.find(source), 0
    asker = askers.find_network(subnet.network)
    return asker, asker.scope if is_tailored(service.policy) else 0
