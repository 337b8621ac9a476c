"""Answers byte by byte, read with dnspython: nothing of ours or dnslib's checks itself."""

from __future__ import annotations

import random
import struct
from dataclasses import replace
from typing import Any

import dns.edns
import dns.flags
import dns.message
import dns.opcode
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import pytest

from emulator.node.dns.message import Authority, respond
from emulator.node.dns.values import Transport
from emulator.node.dns.zone import Name
from tests.dns.examples import (
    EU_WEST,
    NEW_YORK,
    PARIS,
    SERIAL,
    US_EAST,
    authority,
    service_json,
)

STATE = authority()


def query(name: str = "www.shop.test", qtype: str = "A", **options: Any) -> bytes:
    return dns.message.make_query(name, qtype, **options).to_wire()


def ask(
    data: bytes, state: Authority = STATE, source: str = NEW_YORK, transport: Transport = "udp"
) -> dns.message.Message:
    answer = respond(data, source, transport, state)
    assert answer is not None
    return dns.message.from_wire(answer)


def addresses(message: dns.message.Message) -> list[str]:
    return [record.to_text() for rrset in message.answer for record in rrset]


def flags_of(message: dns.message.Message) -> set[str]:
    return set(dns.flags.to_text(message.flags).split())


@pytest.mark.parametrize(("source", "address"), [(NEW_YORK, US_EAST), (PARIS, EU_WEST)])
def test_answer_names_the_region_nearest_to_the_source(source: str, address: str) -> None:
    """One address, with the service's TTL."""
    answer = ask(query(), source=source)
    assert addresses(answer) == [address]
    assert answer.answer[0].ttl == 5


def test_answer_keeps_id_and_question() -> None:
    """What resolvers match answers by."""
    asked = dns.message.make_query("www.shop.test", "A")
    assert asked.is_response(ask(asked.to_wire()))


def test_a_down_region_is_not_named_while_another_is_up() -> None:
    """New York is sent to Europe when its own region is DOWN."""
    assert addresses(ask(query(), authority(down=("us-east",)))) == [EU_WEST]


def test_all_regions_are_named_when_all_are_down() -> None:
    """Fail open: every address, in one answer."""
    answer = ask(query(), authority(down=("us-east", "eu-west")))
    assert sorted(addresses(answer)) == [US_EAST, EU_WEST]


def test_a_region_without_a_known_distance_is_still_named() -> None:
    """A service may have a region that a site's order does not list."""
    region = {"far": {"address": "198.18.9.1", "health": ["198.18.9.254", 9001]}}
    assert addresses(ask(query(), authority(service_json(regions=region)))) == ["198.18.9.1"]


def test_header_says_authoritative_and_nothing_else() -> None:
    """AA set, RA clear; RD and CD as asked; TC, Z and AD never taken from the query."""
    data = bytearray(query())
    data[2:4] = struct.pack("!H", 0x0380 | 0x0070)  # TC, RD, RA, Z, AD, CD
    answer = respond(bytes(data), NEW_YORK, "udp", STATE)
    assert answer is not None
    assert struct.unpack("!H", answer[2:4])[0] == 0x8000 | 0x0400 | 0x0100 | 0x0010
    assert flags_of(ask(query())) == {"QR", "AA", "RD"}


@pytest.mark.parametrize("qtype", ["AAAA", "TXT", "NS", "TYPE666"])
def test_other_types_of_an_existing_name_are_nodata(qtype: str) -> None:
    """NOERROR, no answer, the SOA with the negative TTL of RFC 2308."""
    answer = ask(query(qtype=qtype))
    assert (answer.rcode(), answer.answer) == (dns.rcode.NOERROR, [])
    assert answer.authority[0].rdtype == dns.rdatatype.SOA
    assert answer.authority[0].ttl == min(300, answer.authority[0][0].minimum) == 60
    assert "AA" in flags_of(answer)


def test_unknown_name_is_nxdomain_with_the_soa() -> None:
    """The serial is the routing's."""
    answer = ask(query("nope.shop.test"))
    assert answer.rcode() == dns.rcode.NXDOMAIN
    assert answer.authority[0].name.to_text() == "shop.test."
    assert (answer.authority[0].ttl, answer.authority[0][0].serial) == (60, SERIAL)


def test_empty_non_terminal_exists() -> None:
    """eu.shop.test has only a name below it: NODATA, not NXDOMAIN (RFC 8020)."""
    answer = ask(query("eu.shop.test"))
    assert (answer.rcode(), answer.answer) == (dns.rcode.NOERROR, [])
    assert ask(query("x.eu.shop.test")).rcode() == dns.rcode.NXDOMAIN


@pytest.mark.parametrize("name", ["example.com", "test", ".", "ashop.test"])
def test_names_out_of_zone_are_refused(name: str) -> None:
    """No referral upwards, no recursion, no claim of authority."""
    answer = ask(query(name))
    assert answer.rcode() == dns.rcode.REFUSED
    assert not answer.answer
    assert not answer.authority
    assert not flags_of(answer) & {"AA", "RA"}


@pytest.mark.parametrize("qtype", ["AXFR", "IXFR"])
def test_transfers_are_refused(qtype: str) -> None:
    """By policy: a zone that follows the asker has no copy to give."""
    assert ask(query("shop.test", qtype), transport="tcp").rcode() == dns.rcode.REFUSED


def test_other_classes_are_refused() -> None:
    """We are authoritative for IN alone."""
    assert ask(query(rdclass=dns.rdataclass.CH)).rcode() == dns.rcode.REFUSED


def test_apex_has_soa_and_name_servers_with_glue() -> None:
    """The zone is whole: SOA, NS, and the addresses behind NS."""
    soa = ask(query("shop.test", "SOA"))
    assert soa.answer[0][0].serial == SERIAL
    servers = ask(query("shop.test", "NS"))
    assert sorted(addresses(servers)) == ["ns1.shop.test.", "ns2.shop.test."]
    assert {r.to_text() for s in servers.additional for r in s} == {"198.18.5.53", "198.18.6.53"}
    assert addresses(ask(query("ns2.shop.test"))) == ["198.18.6.53"]


@pytest.mark.parametrize(("name", "kind"), [("www.shop.test", "A"), ("shop.test", "SOA")])
def test_any_gets_one_rrset(name: str, kind: str) -> None:
    """RFC 8482: small, and not empty."""
    answer = ask(query(name, "ANY"))
    assert [dns.rdatatype.to_text(rrset.rdtype) for rrset in answer.answer] == [kind]


def test_the_case_of_the_question_is_kept() -> None:
    """0x20 resolvers compare it byte by byte; the match itself ignores case."""
    answer = respond(query("wWw.ShOp.tEsT"), NEW_YORK, "udp", STATE)
    assert answer is not None
    assert answer.count(b"\x03wWw\x04ShOp\x04tEsT") == 1
    assert dns.message.from_wire(answer).answer[0].name.to_text() == "wWw.ShOp.tEsT."


def test_labels_of_any_bytes_are_names() -> None:
    """RFC 2181, 11: not only letters; such a name just does not exist."""
    assert ask(query("\\255\\000.shop.test")).rcode() == dns.rcode.NXDOMAIN


@pytest.mark.parametrize("opcode", [dns.opcode.NOTIFY, dns.opcode.UPDATE, 15])
def test_other_opcodes_are_not_implemented(opcode: int) -> None:
    """The opcode comes back, the id too."""
    data = bytearray(query())
    data[2] = opcode << 3
    answer = respond(bytes(data), NEW_YORK, "udp", STATE)
    assert answer is not None
    assert answer[:2] == data[:2]
    assert answer[2] >> 3 & 0xF == opcode
    assert answer[3] & 0xF == dns.rcode.NOTIMP


def formerr_cases() -> dict[str, bytes]:
    plain, edns = query(use_edns=False), query(use_edns=0)
    opt = edns[len(plain) :]
    counts = "!HHHH"
    return {
        "no question": plain[:4] + bytes(8),
        "two questions": plain[:4] + struct.pack(counts, 2, 0, 0, 0) + plain[12:] * 2,
        "question cut": plain[:-3],
        "name cut": plain[:18],
        "pointer for a name": plain[:12] + b"\xc0\x0c" + plain[-4:],
        "reserved label type": plain[:12] + b"\x43www\x00" + plain[-4:],
        "name over 255": plain[:12] + b"\x3f" * 320 + b"\x00" + plain[-4:],
        "record promised": plain[:10] + b"\x00\x01" + plain[12:],
        "two OPT": edns[:10] + b"\x00\x02" + edns[12:] + opt,
        "OPT among answers": edns[:6] + b"\x00\x01\x00\x00\x00\x00" + edns[12:],
        "OPT not at the root": edns[:-11] + b"\x01x\x00" + opt[1:],
        "option cut": edns[:-2] + b"\x00\x03\x00\x0a\x00",
        "OPT data cut": edns[:-2] + b"\x00\x09",
    }


@pytest.mark.parametrize("case", formerr_cases())
def test_malformed_queries_get_formerr(case: str) -> None:
    """With the query's id, and nothing claimed."""
    data = formerr_cases()[case]
    answer = respond(data, NEW_YORK, "udp", STATE)
    assert answer is not None
    assert answer[:2] == data[:2]
    assert answer[3] & 0xF == dns.rcode.FORMERR
    assert not answer[2] & 0x04


@pytest.mark.parametrize("data", [b"", b"\x00" * 11, query()[:2] + b"\x80" + query()[3:]])
def test_scraps_and_responses_get_silence(data: bytes) -> None:
    """Two servers must not talk to each other for ever."""
    assert respond(data, NEW_YORK, "udp", STATE) is None


def test_opt_is_answered_only_where_asked() -> None:
    """EDNS0 in, EDNS0 out, with our size; none in, none out."""
    assert ask(query(use_edns=False)).edns == -1
    answer = ask(query(use_edns=0, payload=4096))
    assert (answer.edns, answer.payload) == (0, 1232)


def test_unknown_edns_options_and_flags_are_ignored() -> None:
    """Flags other than DO come back clear; DO comes back as it was; options are not echoed."""
    options = [
        dns.edns.GenericOption(dns.edns.OptionType.make(code), data)
        for code, data in ((65001, b"hello"), (65002, b""))
    ]
    answer = ask(query(use_edns=0, ednsflags=0x80FF, options=options))
    assert addresses(answer) == [US_EAST]
    assert (answer.ednsflags & 0xFFFF, answer.options) == (0x8000, ())


def test_unknown_edns_version_is_badvers() -> None:
    """With our version, 0, and no answer."""
    answer = ask(query(use_edns=1))
    assert (answer.rcode(), answer.edns, answer.answer) == (dns.rcode.BADVERS, 0, [])
    assert len(answer.question) == 1


def many_regions(count: int) -> Authority:
    regions = {
        f"r{n}": {"address": f"198.18.{n}.1", "health": [f"198.18.{n}.254", 9001]}
        for n in range(count)
    }
    return authority(service_json(regions=regions), down=tuple(regions))


@pytest.mark.parametrize(
    ("options", "limit"),
    [
        ({"use_edns": False}, 512),
        ({"use_edns": 0, "payload": 100}, 512),
        ({"use_edns": 0, "payload": 700}, 700),
        ({"use_edns": 0, "payload": 4096}, 1232),
    ],
)
def test_answers_over_the_limit_are_truncated_with_their_question(
    options: dict[str, Any], limit: int
) -> None:
    """The asker's size, at least 512 and at most 1232; 16 bytes a region fill it exactly."""
    overhead = len(respond(query(**options), NEW_YORK, "udp", STATE) or b"") - 16
    fits = (limit - overhead) // 16
    whole = ask(query(**options), many_regions(fits))
    assert len(addresses(whole)) == fits
    assert "TC" not in flags_of(whole)
    answer = ask(query(**options), many_regions(fits + 1))
    assert {"TC", "AA"} <= flags_of(answer)
    assert (len(answer.question), answer.answer) == (1, [])
    assert answer.edns == whole.edns


def test_tcp_answers_are_never_cut() -> None:
    """What TC promised is there over TCP."""
    assert len(addresses(ask(query(), many_regions(200), transport="tcp"))) == 200


def test_glue_is_left_out_before_anything_is_truncated() -> None:
    """Additional records are a courtesy: no TC for their sake (RFC 2181, 9)."""
    servers: dict[Name, tuple[str, ...]] = {
        (b"ns%d" % n, b"shop", b"test"): (f"198.18.{n}.53",) for n in range(20)
    }
    state = replace(STATE, zone=replace(STATE.zone, name_servers=servers))
    answer = ask(query("shop.test", "NS", use_edns=False), state)
    assert len(addresses(answer)) == 20
    assert not answer.additional
    assert "TC" not in flags_of(answer)


def test_mutated_queries_never_raise_and_answers_always_parse() -> None:
    """2000 seeded mutations: silence, or a well-formed response with the same id."""
    dice = random.Random(53)
    seeds = [
        query(),
        query("a.b.c.shop.test", use_edns=0, ednsflags=0x8000),
        *formerr_cases().values(),
    ]
    for _ in range(2000):
        data = mutate(dice.choice(seeds), dice)
        answer = respond(data, NEW_YORK, dice.choice(("udp", "tcp")), STATE)
        if answer is not None:
            assert answer[:2] == data[:2]
            dns.message.from_wire(answer)


def mutate(data: bytes, dice: random.Random) -> bytes:
    """A few bytes changed, and perhaps the end lost or a piece doubled."""
    changed = bytearray(data)
    for _ in range(dice.randint(1, 4)):
        changed[dice.randrange(len(changed))] = dice.randrange(256)
    if dice.random() < 0.3:
        del changed[dice.randrange(len(changed)) :]
    elif dice.random() < 0.3:
        start = dice.randrange(len(changed))
        changed += changed[start:]
    return bytes(changed)
