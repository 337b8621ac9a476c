"""Answers byte by byte, read with dnspython: nothing of ours or dnslib's checks itself."""

from __future__ import annotations

import struct
from dataclasses import replace
from typing import Any

import dns.flags
import dns.message
import dns.opcode
import dns.rcode
import dns.rdatatype
import pytest

from emulator.node.dns.authority import Authority
from emulator.node.dns.message import respond
from tests.dns.examples import (
    EU_WEST,
    NEW_YORK,
    PARIS,
    SERIAL,
    US_EAST,
    authority,
    service_json,
)
from tests.dns.messages import (
    STATE,
    addresses,
    answer_to,
    ask,
    flags_of,
    formerr_cases,
    option,
    query,
)

US_EAST6, EU_WEST6 = "2001:db8:1::1", "2001:db8:2::1"
EXISTING_NAMES = ("www.shop.test", "shop.test", "ns1.shop.test", "eu.shop.test")


def region(address: str, address6: str = "") -> dict[str, Any]:
    return {"address": address, "address6": address6, "health": ["198.18.1.254", 9001]}


def two_families(**changes: Any) -> Authority:
    """A service in both families in us-east, by IPv4 alone in eu-west."""
    regions = {"us-east": region(US_EAST, US_EAST6), "eu-west": region(EU_WEST)}
    return authority(service_json(regions=regions, **changes))


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


def test_a_degraded_service_has_the_ttl_of_its_state() -> None:
    """The routing says for how long an answer holds, not the configuration."""
    state = authority()
    www = replace(state.routing.services["www"], ttl_s=2)
    routing = replace(state.routing, services={**state.routing.services, "www": www})
    assert ask(query(), replace(state, routing=routing)).answer[0].ttl == 2


@pytest.mark.parametrize(
    ("all_down", "named"), [("all", [US_EAST, EU_WEST]), ("primary", [US_EAST])]
)
def test_a_service_that_is_all_down_is_answered_as_it_says(all_down: str, named: list[str]) -> None:
    """Fail open: every address in one answer, or the one of better days."""
    down = authority(service_json(all_down=all_down), down=("us-east", "eu-west"))
    assert addresses(ask(query(), down)) == named


def test_all_down_empty_is_nodata() -> None:
    """Like a name without addresses: SOA, kept for the negative TTL."""
    down = authority(service_json(all_down="empty"), down=("us-east", "eu-west"))
    assert_nodata(ask(query(), down))


def test_all_down_refuse_is_refused() -> None:
    """Without a claim of authority, so that nobody caches it as an answer."""
    down = authority(service_json(all_down="refuse"), down=("us-east", "eu-west"))
    answer = ask(query(), down)
    assert answer.rcode() == dns.rcode.REFUSED
    assert not answer.answer
    assert not answer.authority
    assert "AA" not in flags_of(answer)


def test_the_order_of_addresses_is_the_policy_s() -> None:
    """Round robin turns it; the answer does not sort."""
    turning = authority(
        service_json(policy={"kind": "round-robin", "members": ["us-east", "eu-west"]})
    )
    orders = {tuple(addresses(ask(query(), turning))) for _ in range(50)}
    assert orders == {(US_EAST, EU_WEST), (EU_WEST, US_EAST)}


def test_header_says_authoritative_and_nothing_else() -> None:
    """AA set, RA clear; RD and CD as asked; TC, Z and AD never taken from the query."""
    data = bytearray(query())
    data[2:4] = struct.pack("!H", 0x0780 | 0x0070)  # AA, TC, RD, RA, Z, AD, CD
    answer = answer_to(bytes(data)).data
    assert struct.unpack("!H", answer[2:4])[0] == 0x8000 | 0x0400 | 0x0100 | 0x0010
    assert flags_of(ask(query())) == {"QR", "AA", "RD"}
    assert flags_of(ask(query(flags=0))) == {"QR", "AA"}


def assert_nodata(answer: dns.message.Message) -> None:
    assert (answer.rcode(), answer.answer) == (dns.rcode.NOERROR, [])
    assert answer.authority[0].rdtype == dns.rdatatype.SOA
    assert answer.authority[0].name.to_text() == "shop.test."
    assert answer.authority[0].ttl == min(300, answer.authority[0][0].minimum) == 60
    assert "AA" in flags_of(answer)


@pytest.mark.parametrize("qtype", ["AAAA", "TXT", "NS", "SOA", "CNAME", "TYPE666"])
def test_other_types_of_an_existing_name_are_nodata(qtype: str) -> None:
    """NOERROR, no answer, the SOA with the negative TTL of RFC 2308."""
    assert_nodata(ask(query(qtype=qtype)))


@pytest.mark.parametrize("name", EXISTING_NAMES)
def test_every_name_of_the_zone_can_have_no_data(name: str) -> None:
    """The apex, a name server, an empty non-terminal: never NXDOMAIN."""
    assert_nodata(ask(query(name, "MX")))


def test_unknown_name_is_nxdomain_with_the_soa() -> None:
    """The serial is the routing's."""
    answer = ask(query("nope.shop.test"))
    assert answer.rcode() == dns.rcode.NXDOMAIN
    assert answer.authority[0].name.to_text() == "shop.test."
    assert (answer.authority[0].ttl, answer.authority[0][0].serial) == (60, SERIAL)
    assert "AA" in flags_of(answer)


@pytest.mark.parametrize("labels", [1, 2, 30, 100])
def test_the_soa_of_a_name_of_any_length_is_read_alike(labels: int) -> None:
    """Its names are pointers into the question, wherever the zone's name begins there."""
    answer = ask(query("x." * labels + "shop.test"))
    assert answer.authority[0].name.to_text() == "shop.test."
    assert answer.authority[0][0].mname.to_text() == "ns1.shop.test."
    assert answer.authority[0][0].rname.to_text() == "hostmaster.shop.test."


def test_empty_non_terminal_exists() -> None:
    """eu.shop.test has only a name below it: NODATA, not NXDOMAIN (RFC 8020)."""
    assert_nodata(ask(query("eu.shop.test")))
    assert ask(query("x.eu.shop.test")).rcode() == dns.rcode.NXDOMAIN


def test_nothing_exists_below_a_service() -> None:
    """A name is no wildcard."""
    assert ask(query("a.www.shop.test")).rcode() == dns.rcode.NXDOMAIN


@pytest.mark.parametrize("name", ["example.com", "test", ".", "ashop.test"])
def test_names_out_of_zone_are_refused(name: str) -> None:
    """No referral upwards, no recursion, no claim of authority."""
    answer = ask(query(name))
    assert answer.rcode() == dns.rcode.REFUSED
    assert len(answer.question) == 1
    assert not answer.answer
    assert not answer.authority
    assert not flags_of(answer) & {"AA", "RA"}


def test_labels_that_only_look_like_the_zone_are_outside() -> None:
    """One label `x\\004shop\\004test`: its last bytes are those of the zone's name."""
    assert ask(query("x\\004shop\\004test.")).rcode() == dns.rcode.REFUSED


@pytest.mark.parametrize("qtype", ["AXFR", "IXFR"])
def test_transfers_are_refused(qtype: str) -> None:
    """By policy: a zone that follows the asker has no copy to give."""
    assert ask(query("shop.test", qtype), transport="tcp").rcode() == dns.rcode.REFUSED


@pytest.mark.parametrize("rdclass", ["CH", "HS", "ANY", "CLASS7"])
def test_other_classes_are_refused(rdclass: str) -> None:
    """We are authoritative for IN alone."""
    answer = ask(query(rdclass=rdclass))
    assert answer.rcode() == dns.rcode.REFUSED
    assert "AA" not in flags_of(answer)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("id.server", "ns1"),
        ("HOSTNAME.bind", "ns1"),
        ("version.server", "netemu"),
        ("version.bind", "netemu"),
    ],
)
def test_chaos_names_tell_which_server_answers(name: str, text: str) -> None:
    """RFC 4892; never to be kept."""
    answer = ask(query(name, "TXT", rdclass="CH"))
    assert addresses(answer) == [f'"{text}"']
    assert (answer.answer[0].ttl, answer.answer[0].rdclass) == (0, dns.rdataclass.CH)
    assert ask(query(name, "A", rdclass="CH")).rcode() == dns.rcode.REFUSED


def test_apex_has_soa_and_name_servers_with_glue() -> None:
    """The zone is whole: SOA, NS, and the addresses behind NS."""
    soa = ask(query("shop.test", "SOA"))
    assert (soa.answer[0][0].serial, soa.answer[0].ttl) == (SERIAL, 300)
    servers = ask(query("shop.test", "NS"))
    assert sorted(addresses(servers)) == ["ns1.shop.test.", "ns2.shop.test."]
    assert {r.to_text() for s in servers.additional for r in s} == {"198.18.5.53", "198.18.6.53"}
    assert addresses(ask(query("ns2.shop.test"))) == ["198.18.6.53"]


def test_name_servers_have_both_families() -> None:
    """A and AAAA of their names, and as glue; their owners are compressed right."""
    state = authority(name_servers={"ns1": ["198.18.5.53", "2001:db8:5::53"]})
    assert addresses(ask(query("ns1.shop.test", "A"), state)) == ["198.18.5.53"]
    assert addresses(ask(query("ns1.shop.test", "AAAA"), state)) == ["2001:db8:5::53"]
    glue = ask(query("shop.test", "NS"), state).additional
    found = [(s.name.to_text(), r.to_text()) for s in glue for r in s]
    assert found == [("ns1.shop.test.", "198.18.5.53"), ("ns1.shop.test.", "2001:db8:5::53")]


def test_a_service_at_the_apex_stands_beside_soa_and_ns() -> None:
    """Addresses at the zone's own name, without a CNAME's trouble."""
    state = authority(service_json(fqdns=["www.shop.test", "shop.test"]))
    assert addresses(ask(query("shop.test"), state)) == [US_EAST]
    assert addresses(ask(query("shop.test"), state, PARIS)) == [EU_WEST]
    assert len(addresses(ask(query("shop.test", "NS"), state))) == 2
    assert len(addresses(ask(query("shop.test", "SOA"), state))) == 1
    assert_nodata(ask(query("shop.test", "AAAA"), state))


def test_all_names_of_a_service_move_together() -> None:
    """Aliases are answered as its own name is."""
    state = authority(service_json(fqdns=["www.shop.test", "a.b.shop.test"]), down=("us-east",))
    assert addresses(ask(query("a.b.shop.test"), state)) == [EU_WEST]
    assert ask(query("a.b.shop.test"), state).answer[0].name.to_text() == "a.b.shop.test."


def test_both_families_follow_the_same_choice() -> None:
    """AAAA of the region that A names; a region without that family is NODATA, not elsewhere."""
    state = two_families()
    assert addresses(ask(query(), state)) == [US_EAST]
    assert addresses(ask(query(qtype="AAAA"), state)) == [US_EAST6]
    assert addresses(ask(query(), state, PARIS)) == [EU_WEST]
    assert_nodata(ask(query(qtype="AAAA"), state, PARIS))


@pytest.mark.parametrize(
    ("name", "kind"), [("www.shop.test", "A"), ("ns1.shop.test", "A"), ("shop.test", "SOA")]
)
def test_any_gets_one_rrset(name: str, kind: str) -> None:
    """RFC 8482, 4.1: small, and not empty."""
    answer = ask(query(name, "ANY"))
    assert [dns.rdatatype.to_text(rrset.rdtype) for rrset in answer.answer] == [kind]
    assert (answer.authority, answer.additional) == ([], [])


def test_any_of_a_service_by_ipv6_alone_gets_that() -> None:
    """There is no A to choose."""
    state = authority(service_json(regions={"us-east": region("", US_EAST6)}))
    assert addresses(ask(query(qtype="ANY"), state)) == [US_EAST6]
    assert_nodata(ask(query(), state))


def test_any_of_an_empty_name_is_nodata() -> None:
    """There is nothing to choose from."""
    assert_nodata(ask(query("eu.shop.test", "ANY")))


def test_the_case_of_the_question_is_kept() -> None:
    """0x20 resolvers compare it byte by byte; the match itself ignores case."""
    answer = answer_to(query("wWw.ShOp.tEsT")).data
    assert answer.count(b"\x03wWw\x04ShOp\x04tEsT") == 1
    assert dns.message.from_wire(answer).answer[0].name.to_text() == "wWw.ShOp.tEsT."
    assert ask(query("nOpE.sHoP.TEST")).rcode() == dns.rcode.NXDOMAIN


def test_labels_of_any_bytes_are_names() -> None:
    """RFC 2181, 11: not only letters; such a name just does not exist."""
    assert ask(query("\\255\\000.shop.test")).rcode() == dns.rcode.NXDOMAIN


def test_the_longest_name_is_read() -> None:
    """255 bytes; one more is malformed, as its case there says."""
    longest = "x." * 122 + "shop.test."
    assert len(query(longest, use_edns=False)) == 12 + 255 + 4
    assert ask(query(longest)).rcode() == dns.rcode.NXDOMAIN


@pytest.mark.parametrize("opcode", [dns.opcode.STATUS, dns.opcode.NOTIFY, dns.opcode.UPDATE, 15])
def test_other_opcodes_are_not_implemented(opcode: int) -> None:
    """The opcode comes back, the id, the question and EDNS too."""
    data = bytearray(query(use_edns=0))
    data[2] = opcode << 3
    answer = answer_to(bytes(data)).data
    assert answer[:2] == data[:2]
    assert answer[2] >> 3 & 0xF == opcode
    assert answer[3] & 0xF == dns.rcode.NOTIMP
    assert answer[4:12] == struct.pack("!4H", 1, 0, 0, 1)


def test_an_opcode_whose_message_cannot_be_read_is_not_implemented() -> None:
    """What we do not know has no format that we could call broken."""
    answer = answer_to(bytes([0, 7, dns.opcode.Opcode(6) << 3, 0]) + bytes(8)).data
    assert answer == bytes([0, 7, 0x80 | 6 << 3, dns.rcode.NOTIMP]) + bytes(8)


@pytest.mark.parametrize("case", formerr_cases())
def test_malformed_queries_get_formerr(case: str) -> None:
    """With the query's id, and nothing claimed."""
    data = formerr_cases()[case]
    answer = answer_to(data).data
    assert answer[:2] == data[:2]
    assert answer[3] & 0xF == dns.rcode.FORMERR
    assert not answer[2] & 0x04


def test_no_question_is_malformed_but_its_edns_is_answered() -> None:
    """RFC 6891, 7: OPT comes back where it could be read."""
    plain, edns = query(use_edns=False), query(use_edns=0)
    answer = ask(edns[:4] + struct.pack("!4H", 0, 0, 0, 1) + edns[len(plain) :])
    assert (answer.rcode(), answer.question, answer.edns) == (dns.rcode.FORMERR, [], 0)


@pytest.mark.parametrize(
    "data",
    [b"", b"\x00" * 11, query()[:2] + b"\x80" + query()[3:]],
    ids=["nothing", "header cut", "response"],
)
def test_scraps_and_responses_get_silence(data: bytes) -> None:
    """Two servers must not talk to each other for ever."""
    assert respond(data, NEW_YORK, "udp", STATE) is None


def test_opt_is_answered_only_where_asked() -> None:
    """EDNS0 in, EDNS0 out, with our size; none in, none out."""
    assert ask(query(use_edns=False)).edns == -1
    answer = ask(query(use_edns=0, payload=4096))
    assert (answer.edns, answer.payload) == (0, 1232)


@pytest.mark.parametrize("name", ["nope.shop.test", "example.com", "shop.test"])
def test_opt_is_in_every_kind_of_answer(name: str) -> None:
    """RFC 6891, 6.1.1: negative ones and refusals too."""
    assert ask(query(name, use_edns=0)).edns == 0


def test_unknown_edns_options_and_flags_are_ignored() -> None:
    """Flags other than DO come back clear; DO comes back as it was; options are not echoed."""
    options = [option(65001, b"hello"), option(65002, b""), option(100, b"x" * 400)]
    answer = ask(query(use_edns=0, ednsflags=0x80FF, options=options))
    assert addresses(answer) == [US_EAST]
    assert (answer.ednsflags & 0xFFFF, answer.options) == (0x8000, ())
    assert ask(query(use_edns=0, ednsflags=0x7FFF)).ednsflags & 0xFFFF == 0


@pytest.mark.parametrize("version", [1, 255])
def test_unknown_edns_version_is_badvers(version: int) -> None:
    """With our version, 0, and no answer; options of that version are not even read."""
    answer = ask(query(use_edns=version, options=[option(8, b"nonsense")]))
    assert (answer.rcode(), answer.edns, answer.answer) == (dns.rcode.BADVERS, 0, [])
    assert len(answer.question) == 1
    assert "AA" not in flags_of(answer)
