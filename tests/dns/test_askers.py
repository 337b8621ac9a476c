"""Who asks: which site an address or a client subnet belongs to, and for whom the answer holds."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, IPv6Network, ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator.node.dns.askers import FOUND_MAX, Askers
from emulator.node.dns.config import Site
from emulator.node.dns.values import Asker
from tests.dns.policies import A, B, repeatable, service, tree

PARIS = Site("paris", ("10.4.0.0/24", "100.64.0.4/32", "2001:db8:4::/48"), {A: 79.0}, {A: 6200})
NEW_YORK = Site("new-york", ("10.3.0.0/24", "100.64.0.3/32", "2001:db8:3::/48"), {A: 9.0}, {})
LATENCY, STICKY = service(tree("latency", A, B)), service(tree("sticky", A, B))
ASKERS = Askers.of([PARIS, NEW_YORK], [LATENCY])


@pytest.mark.parametrize(
    ("source", "site", "network"),
    [
        ("10.4.0.1", "paris", "10.4.0.0/24"),
        ("10.4.0.255", "paris", "10.4.0.0/24"),
        ("10.3.0.1", "new-york", "10.3.0.0/24"),
        ("10.5.0.0", "", "10.5.0.0/24"),
        ("10.3.255.255", "", "10.3.255.0/24"),
        ("0.0.0.0", "", "0.0.0.0/24"),
        ("255.255.255.255", "", "255.255.255.0/24"),
        ("100.64.0.4", "paris", "100.64.0.4/32"),
        ("100.64.0.5", "", "100.64.0.0/24"),
        ("2001:db8:4:1234::7", "paris", "2001:db8:4:1200::/56"),
        ("2001:DB8:3::7", "new-york", "2001:db8:3::/56"),
        ("fe80::1%eth0", "", "fe80::/56"),
        ("::ffff:10.4.0.9", "paris", "10.4.0.0/24"),
    ],
)
def test_an_address_belongs_to_the_site_whose_prefix_holds_it(
    source: str, site: str, network: str
) -> None:
    """Its network is a /24 or /56, or a site's own prefix where that is longer: routers that share
    one /24 of the WAN are not one client."""
    asker = ASKERS.find(source)
    assert (asker.site, asker.network) == (site, network)


def test_an_asker_brings_its_sites_estimates() -> None:
    assert ASKERS.find("10.4.0.1").rtt_ms == {A: 79.0}
    assert ASKERS.find("10.4.0.1").distance_km == {A: 6200}
    assert ASKERS.find("192.0.2.1").rtt_ms == {}


@pytest.mark.parametrize("text", ["", "10.4.0", "10.4.0.256", "paris", "2001:::1", "10.4.0.0/24"])
def test_what_is_no_address_is_no_asker(text: str) -> None:
    with pytest.raises(ValueError, match="is no address"):
        ASKERS.find(text)


@pytest.mark.parametrize(
    ("network", "site", "told"),
    [
        ("10.4.0.0/24", "paris", "10.4.0.0/24"),
        ("10.4.0.128/25", "paris", "10.4.0.0/24"),
        ("10.4.0.7/32", "paris", "10.4.0.0/24"),
        ("10.4.0.0/16", "paris", "10.4.0.0/16"),
        ("10.0.0.0/8", "", "10.0.0.0/8"),
        ("100.64.0.0/24", "", "100.64.0.0/24"),
        ("192.0.2.0/24", "", "192.0.2.0/24"),
        ("0.0.0.0/0", "", "0.0.0.0/0"),
        ("2001:db8:4:1200::/56", "paris", "2001:db8:4:1200::/56"),
        ("2001:db8::/32", "", "2001:db8::/32"),
    ],
)
def test_a_subnet_belongs_to_the_one_site_in_it(network: str, site: str, told: str) -> None:
    """A wide one with prefixes of one site inside is that site's; of several, a stranger's."""
    asker = ASKERS.find_network(ip_network(network))
    assert (asker.site, asker.network) == (site, told)


WIDE = Site("wide", ("10.0.0.0/8",), {B: 1.0}, {})


@pytest.mark.parametrize(
    ("network", "site", "scope"),
    [
        ("10.4.0.0/24", "paris", 24),
        ("10.4.0.0/16", "wide", 24),
        ("10.4.1.0/24", "wide", 24),
        ("10.200.0.0/24", "wide", 9),
        ("10.0.0.0/8", "wide", 24),
    ],
)
def test_the_longest_prefix_that_holds_the_whole_subnet_wins(
    network: str, site: str, scope: int
) -> None:
    """And a subnet with another site's prefix inside is told to ask for less at once."""
    asker = Askers.of([WIDE, PARIS], [LATENCY]).find_network(ip_network(network))
    assert (asker.site, asker.scope) == (site, scope)


@pytest.mark.parametrize(
    ("source", "scope"),
    [
        ("10.4.0.1", 24),  # 10.4.1.0 is a stranger's
        ("192.0.2.9", 1),  # all of 128.0.0.0/1 is
        ("10.4.1.9", 24),  # 10.4.0.0 is Paris
        ("10.5.0.9", 16),
        ("100.64.0.4", 32),
        ("100.64.0.2", 32),
        ("2001:db8:4::1", 48),
        ("2001:db8:9::1", 45),
    ],
)
def test_scope_is_the_shortest_prefix_with_one_answer(source: str, scope: int) -> None:
    """RFC 7871, 7.2.1: no wider than holds, no narrower than caches need."""
    assert ASKERS.find(source).scope == scope


@pytest.mark.parametrize(
    ("source", "scope"),
    [("10.4.0.1", 24), ("192.0.2.9", 24), ("100.64.0.4", 32), ("2001:db8:4::1", 56)],
)
def test_scope_of_a_sticky_policy_is_the_network(source: str, scope: int) -> None:
    """Its answers differ from network to network, whoever they belong to."""
    assert Askers.of([PARIS, NEW_YORK], [LATENCY, STICKY]).find(source).scope == scope


def test_a_wide_subnet_keeps_its_own_length_for_a_sticky_policy() -> None:
    asker = Askers.of([PARIS], [STICKY]).find_network(ip_network("192.0.0.0/16"))
    assert (asker.network, asker.scope) == ("192.0.0.0/16", 16)


def test_the_site_named_first_keeps_a_prefix_that_two_claim() -> None:
    twice = Site("twice", PARIS.prefixes, {}, {})
    assert Askers.of([PARIS, twice], []).find("10.4.0.1").site == "paris"


def test_sites_side_by_side_or_over_the_whole_range_leave_no_gap() -> None:
    """The first and the last address included."""
    low = Site("low", ("0.0.0.0/1", "::/1"), {}, {})
    high = Site("high", ("128.0.0.0/1", "8000::/1"), {}, {})
    askers = Askers.of([low, high], [])
    found = [askers.find(a) for a in ("0.0.0.0", "127.255.255.255", "128.0.0.0", "ffff::")]
    assert [(asker.site, asker.scope) for asker in found] == [
        ("low", 1),
        ("low", 1),
        ("high", 1),
        ("high", 1),
    ]


def test_without_sites_everybody_is_one_stranger() -> None:
    asker = Askers.of([], [LATENCY]).find("192.0.2.9")
    assert asker == Asker("", "192.0.2.0/24", 0, {}, {})


def test_a_flood_of_sources_is_not_remembered_for_ever() -> None:
    """And whoever comes after it is still found."""
    askers = Askers.of([PARIS], [LATENCY])
    for number in range(FOUND_MAX + 500):
        askers.find(f"172.16.{number >> 8}.{number & 255}")
    assert askers.find.cache_info().currsize == FOUND_MAX  # type: ignore[attr-defined]
    assert askers.find("10.4.0.1").site == "paris"


# Few upper bits, so that prefixes nest, touch and repeat.
PREFIXES = st.builds(
    lambda upper, length: IPv4Network((upper << 27 >> (32 - length) << (32 - length), length)),
    st.integers(0, 31),
    st.integers(0, 8),
)
SITES = st.lists(st.lists(PREFIXES, max_size=3), max_size=4)


def sites_of(prefixes: list[list[IPv4Network]]) -> list[Site]:
    return [
        Site(f"site-{number}", tuple(map(str, some)), {}, {})
        for number, some in enumerate(prefixes)
    ]


@repeatable
@given(SITES, st.integers(0, 2**32 - 1))
def test_an_address_is_found_as_by_looking_at_every_prefix(
    prefixes: list[list[IPv4Network]], number: int
) -> None:
    address = ip_address(number)
    holders = [
        (-network.prefixlen, index)
        for index, some in enumerate(prefixes)
        for network in some
        if address in network
    ]
    expected = f"site-{min(holders)[1]}" if holders else ""
    assert Askers.of(sites_of(prefixes), []).find(str(address)).site == expected


@repeatable
@given(SITES, st.integers(0, 2**32 - 1), st.integers(0, 31))
def test_whoever_an_answer_is_kept_for_would_get_the_same(
    prefixes: list[list[IPv4Network]], number: int, bit: int
) -> None:
    """Any other address of the network that the scope names has the same site, and one bit wider
    there is an address that has another."""
    askers = Askers.of(sites_of(prefixes), [])
    asker = askers.find(str(ip_address(number)))
    other = number ^ (1 << bit)
    if bit < 32 - asker.scope:
        assert askers.find(str(ip_address(other))).site == asker.site
    if asker.scope:
        wider = IPv4Network((number, asker.scope - 1), strict=False)
        slash_8s = range(int(wider[0]), int(wider[-1]) + 1, 1 << 24)
        assert {askers.find(str(IPv4Address(n))).site for n in slash_8s} > {asker.site}


@repeatable
@given(SITES, st.integers(0, 2**32 - 1), st.integers(0, 32))
def test_a_subnets_scope_ends_no_wider_than_one_site(
    prefixes: list[list[IPv4Network]], number: int, length: int
) -> None:
    """Where a subnet spans several answers its scope is longer than itself; else all of the scope
    is one site's."""
    askers = Askers.of(sites_of(prefixes), [])
    network = ip_network((number, length), strict=False)
    asker = askers.find_network(network)
    ends = {askers.find(str(end)).site for end in (network[0], network[-1])}
    if len(ends) > 1:
        assert asker.scope > length
    if asker.scope <= length:
        kept = network.supernet(new_prefix=asker.scope)
        assert {askers.find(str(end)).site for end in (kept[0], kept[-1])} == {asker.site}


@repeatable
@given(st.integers(2**64, 2**128 - 1))
def test_ipv6_clients_are_told_apart_by_56_bits(number: int) -> None:
    network = IPv6Network(ASKERS.find(str(ip_address(number))).network)
    assert network.prefixlen == 56
    assert ip_address(number) in network
