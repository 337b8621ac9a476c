"""EDNS options: client subnets, server identifiers, cookies."""

from __future__ import annotations

import struct
from dataclasses import replace
from ipaddress import ip_network
from typing import Any

import dns.edns
import dns.message
import dns.rcode
import pytest

from emulator.node.dns.authority import Authority
from tests.dns.examples import (
    EU_WEST,
    NEW_YORK,
    NOW_S,
    PARIS,
    STRANGER,
    US_EAST,
    authority,
    config_json,
    service_json,
)
from tests.dns.messages import STATE, addresses, answer_to, ask, flags_of, option, query

NSID, SUBNET, COOKIE = 3, 8, 10
IN_PARIS, IN_NEW_YORK = "10.4.0.0/24", "10.3.0.0/24"
CLIENT = b"client c"


def subnet(network: str) -> dns.edns.Option:
    parsed = ip_network(network)
    return dns.edns.ECSOption(str(parsed.network_address), parsed.prefixlen, 0)


def with_option(*options: dns.edns.Option, name: str = "www.shop.test", qtype: str = "A") -> bytes:
    return query(name, qtype, use_edns=0, options=list(options))


def subnet_in(answer: dns.message.Message) -> tuple[str, int, int]:
    (found,) = answer.options
    assert isinstance(found, dns.edns.ECSOption)
    return found.address, found.srclen, found.scopelen


def test_a_client_subnet_counts_and_not_its_resolver() -> None:
    """The resolver is in New York, the client in Paris; the answer holds for Paris's prefix."""
    answer = ask(with_option(subnet(IN_PARIS)), source=NEW_YORK)
    assert addresses(answer) == [EU_WEST]
    assert subnet_in(answer) == ("10.4.0.0", 24, 24)


def test_the_scope_is_as_long_as_the_choice_depends_on() -> None:
    """RFC 7871, 7.2.1: longer than the subnet where its parts would get different answers."""
    address, source, scope = subnet_in(ask(with_option(subnet("10.4.0.0/16"))))
    assert (address, source) == ("10.4.0.0", 16)
    assert scope == 24


@pytest.mark.parametrize("network", ["0.0.0.0/0", "::/0"])
def test_a_subnet_of_no_bits_is_not_used(network: str) -> None:
    """The client asks not to be told apart: by the resolver's address, scope 0."""
    answer = ask(with_option(subnet(network)), source=PARIS)
    assert addresses(answer) == [EU_WEST]
    assert subnet_in(answer)[1:] == (0, 0)


def test_a_subnet_without_a_family_is_not_used() -> None:
    """As dig sends it for +subnet=0: nothing but zeros, which come back."""
    answered = answer_to(with_option(option(SUBNET, bytes(4))), source=PARIS)
    assert answered.facts.regions == ("eu-west",)
    assert answered.data.endswith(bytes([0, SUBNET, 0, 4, 0, 0, 0, 0]))


def test_a_service_can_ignore_client_subnets() -> None:
    """`ecs: no`: by the resolver, and the scope says that it holds for all."""
    deaf = authority(service_json(ecs=False))
    answer = ask(with_option(subnet(IN_PARIS)), deaf, NEW_YORK)
    assert addresses(answer) == [US_EAST]
    assert subnet_in(answer) == ("10.4.0.0", 24, 0)


def test_a_policy_that_asks_nobody_s_place_has_scope_0() -> None:
    """The same for all: one entry in a resolver's cache."""
    policy = {"kind": "failover", "members": ["eu-west", "us-east"]}
    answer = ask(with_option(subnet(IN_NEW_YORK)), authority(service_json(policy=policy)))
    assert addresses(answer) == [EU_WEST]
    assert subnet_in(answer)[2] == 0


@pytest.mark.parametrize(
    ("name", "qtype"),
    [("ns1.shop.test", "A"), ("shop.test", "SOA"), ("www.shop.test", "TXT"), ("x.shop.test", "A")],
)
def test_static_data_has_scope_0(name: str, qtype: str) -> None:
    """Names and negative answers that are alike for everybody."""
    data = with_option(subnet(IN_PARIS), name=name, qtype=qtype)
    assert subnet_in(ask(data)) == ("10.4.0.0", 24, 0)


def test_a_client_subnet_is_never_answered_unasked() -> None:
    """RFC 7871, 7.2.2."""
    assert ask(query(use_edns=0)).options == ()
    assert not answer_to(query(use_edns=0)).facts.has_subnet
    assert answer_to(with_option(subnet(IN_PARIS))).facts.has_subnet


def test_a_client_subnet_by_ipv6_is_used() -> None:
    """Family 2; only the bytes that the prefix needs come back."""
    new_york, paris = config_json()["sites"]
    state = authority(sites=[new_york, paris | {"prefixes": ["2001:db8:4::/48"]}])
    data = with_option(subnet("2001:db8:4:8000::/56"))
    answer = ask(data, state)
    assert addresses(answer) == [EU_WEST]
    assert subnet_in(answer) == ("2001:db8:4:8000::", 56, 48)
    option_head = struct.pack("!HHHBB", SUBNET, 4 + 7, 2, 56, 48)
    assert option_head + bytes.fromhex("20010db8000480") in answer_to(data, state).data


BROKEN_SUBNETS = {
    "empty": b"",
    "head cut": b"\x00\x01\x18",
    "family 0 with a prefix": b"\x00\x00\x08\x00\x0a",
    "family 3": b"\x00\x03\x18\x00\x0a\x04\x00",
    "IPv4 prefix over 32": b"\x00\x01\x21\x00\x0a\x04\x00\x01\x00",
    "IPv6 prefix over 128": b"\x00\x02\x81\x00" + bytes(17),
    "scope in a query": b"\x00\x01\x18\x18\x0a\x04\x00",
    "address too short": b"\x00\x01\x18\x00\x0a\x04",
    "address too long": b"\x00\x01\x18\x00\x0a\x04\x00\x00",
    "bits behind the prefix": b"\x00\x01\x14\x00\x0a\x04\x1f",
    "address without a prefix": b"\x00\x01\x00\x00\x0a",
}


@pytest.mark.parametrize("case", BROKEN_SUBNETS)
@pytest.mark.parametrize("name", ["www.shop.test", "x.shop.test", "example.com"])
def test_a_malformed_subnet_gets_formerr(case: str, name: str) -> None:
    """Whatever is asked for: with question and OPT, without the option."""
    answer = ask(with_option(option(SUBNET, BROKEN_SUBNETS[case]), name=name))
    assert answer.rcode() == dns.rcode.FORMERR
    assert (len(answer.question), answer.answer, answer.edns, answer.options) == (1, [], 0, ())
    assert "AA" not in flags_of(answer)


@pytest.mark.parametrize("name", ["www.shop.test", "x.shop.test", "example.com"])
def test_nsid_names_the_server_that_answers(name: str) -> None:
    """In any answer; what the query put into the option is ignored (RFC 5001, 2.1)."""
    for content in (b"", b"noise"):
        (found,) = ask(with_option(option(NSID, content), name=name)).options
        assert found.otype == NSID
        assert found.to_wire() == b"ns1"
    assert ask(query(use_edns=0)).options == ()


def cookie_in(answer: dns.message.Message) -> bytes:
    (found,) = answer.options
    assert found.otype == COOKIE
    return bytes(found.to_wire() or b"")


def test_a_client_cookie_gets_a_server_cookie() -> None:
    """The client's 8 bytes, then RFC 9018's layout: version 1, reserved, time, 8 bytes of hash."""
    cookie = cookie_in(ask(with_option(option(COOKIE, CLIENT))))
    assert cookie[:8] == CLIENT
    assert cookie[8:16] == struct.pack("!B3xI", 1, int(NOW_S))
    assert len(cookie) == 24


def test_a_server_cookie_belongs_to_client_address_time_and_secret() -> None:
    """Whoever changes one of them cannot guess it; who changes none gets the same."""
    data = with_option(option(COOKIE, CLIENT))
    first = cookie_in(ask(data))
    others = [
        cookie_in(ask(with_option(option(COOKIE, b"another1")))),
        cookie_in(ask(data, source=PARIS)),
        cookie_in(ask(data, source="2001:db8::1")),
        cookie_in(ask(data, replace(STATE, secret=b"other"))),
        cookie_in(ask(data, replace(STATE, now_s=lambda: NOW_S + 1))),
    ]
    assert cookie_in(ask(data)) == first
    assert len({cookie[16:] for cookie in (first, *others)}) == 6


@pytest.mark.parametrize("size", [8, 16, 24, 32])
def test_a_stale_or_foreign_server_cookie_gets_a_fresh_one(size: int) -> None:
    """We enforce none: the query is answered, and the next can bring the right one."""
    answer = ask(with_option(option(COOKIE, CLIENT + b"x" * size)))
    assert addresses(answer) == [US_EAST]
    assert cookie_in(answer) == cookie_in(ask(with_option(option(COOKIE, CLIENT))))


@pytest.mark.parametrize("size", [0, 1, 7, 9, 15, 41, 100])
def test_a_cookie_of_a_wrong_length_gets_formerr(size: int) -> None:
    """RFC 7873, 5.2.2: 8, or 16 to 40."""
    answer = ask(with_option(option(COOKIE, b"x" * size)))
    assert answer.rcode() == dns.rcode.FORMERR
    assert (answer.edns, answer.options) == (0, ())


def test_a_query_for_a_cookie_alone_has_no_question() -> None:
    """RFC 7873, 5.4: QDCOUNT 0 and a cookie; NOERROR, no question, our cookie."""
    plain, edns = query(use_edns=False), with_option(option(COOKIE, CLIENT))
    data = edns[:4] + struct.pack("!4H", 0, 0, 0, 1) + edns[len(plain) :]
    answer = ask(data)
    assert (answer.rcode(), answer.question, answer.answer) == (dns.rcode.NOERROR, [], [])
    assert cookie_in(answer)[:8] == CLIENT
    assert "AA" not in flags_of(answer)


def test_the_first_of_two_cookies_counts() -> None:
    """RFC 7873, 5.2."""
    answer = ask(with_option(option(COOKIE, CLIENT), option(COOKIE, b"nonsense!")))
    assert cookie_in(answer)[:8] == CLIENT


@pytest.mark.parametrize("name", ["x.shop.test", "example.com"])
def test_cookies_come_with_negative_answers_too(name: str) -> None:
    """Whoever asks with one can tell our answers from forged ones."""
    assert cookie_in(ask(with_option(option(COOKIE, CLIENT), name=name)))[:8] == CLIENT


def drawn() -> Authority:
    weights = {"kind": "weighted", "members": ["us-east", "eu-west"], "weights": [1, 1]}
    return authority(service_json(policy=weights))


def test_only_answers_that_depend_on_query_asker_and_routing_are_fixed() -> None:
    """A cookie has the time in it, a weighted answer a draw; all others can be kept."""
    assert answer_to(query()).is_fixed
    assert answer_to(with_option(subnet(IN_PARIS), option(NSID, b""))).is_fixed
    assert answer_to(b"\x00" * 12).is_fixed
    assert not answer_to(with_option(option(COOKIE, CLIENT))).is_fixed
    assert not answer_to(query(), drawn()).is_fixed
    assert answer_to(query(qtype="TXT"), drawn()).is_fixed


def test_draws_repeat_for_a_seed() -> None:
    """The same questions get the same answers again; another seed or server has its own."""

    def answers(**changes: Any) -> list[list[str]]:
        weights = {"kind": "weighted", "members": ["us-east", "eu-west"], "weights": [1, 1]}
        state = authority(service_json(policy=weights), **changes)
        return [addresses(ask(query(), state, STRANGER)) for _ in range(40)]

    assert answers() == answers() != answers(seed=1)
    assert answers() != answers(server="ns2")


def test_facts_tell_what_was_answered() -> None:
    """What the metrics count."""
    facts = answer_to(query(qtype="TYPE666")).facts
    assert (facts.rcode, facts.qtype, facts.service, facts.regions) == (
        "NOERROR",
        "TYPE666",
        "www",
        (),
    )
    assert answer_to(query()).facts.regions == ("us-east",)
    assert answer_to(query(use_edns=1)).facts.rcode == "BADVERS"
    assert answer_to(b"\x00" * 12).facts.rcode == "FORMERR"


WIDE = {"name": "wide", "prefixes": ["10.0.0.0/8"], "rtt_ms": {"us-east": 1.0, "eu-west": 2.0}}


@pytest.mark.parametrize("network", ["10.4.0.0/24", "10.5.0.0/24", "10.4.1.0/24", "10.200.0.0/24"])
def test_what_a_cache_keeps_for_a_scope_is_true_of_all_of_it(network: str) -> None:
    """RFC 7871, 7.2.1: around a site inside another's prefix the wide answer is dealt out in
    prefixes that leave it out, in whichever order a resolver asks."""
    sites = [WIDE | {"distance_km": {}}, config_json()["sites"][1]]
    state = authority(sites=sites)
    answer = ask(with_option(subnet(network)), state)
    address, _, scope = subnet_in(answer)
    kept = ip_network((address, scope), strict=False)
    paris = ip_network(IN_PARIS)
    assert kept.overlaps(paris) == (addresses(answer) == [EU_WEST])
    assert kept.overlaps(paris) == (network == IN_PARIS)


@pytest.mark.parametrize(("network", "scope"), [(IN_PARIS, 24), ("192.0.2.0/24", 24)])
def test_a_sticky_answer_holds_for_no_more_than_its_network(network: str, scope: int) -> None:
    """The neighbour may hash elsewhere, whoever both belong to."""
    policy = {"kind": "sticky", "members": ["us-east", "eu-west"]}
    state = authority(service_json(policy=policy))
    assert subnet_in(ask(with_option(subnet(network)), state))[2] == scope
