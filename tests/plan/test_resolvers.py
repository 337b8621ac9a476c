"""Resolvers of every sort in the plan: who is asked, what is written, what it does to recovery."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from emulator.errors import FileProblems
from emulator.plan.bounds import PUBLISH_S, bounds, moved_by_s
from emulator.plan.lookups import lookups_of
from emulator.plan.model import Bound, Plan
from emulator.plan.paths import round_trips_s
from emulator.plan.predict import predict
from emulator.scenario.model import TTL_CACHE, Load
from tests.plan.worlds import host_of, plan_of

TOPOLOGY = """\
netemu: 1
name: cities
zone: shop.test
regions:
  us-east: {location: aws:us-east-1}
  eu-west: {location: aws:eu-west-1}
clients:
  new-york: {location: city:New York, resolver: RESOLVER}
  boston: {location: city:Boston/US}
dns: {ttl: 5s, DNS}
"""
STALE = "{serve_expired: yes, serve_expired_client_timeout: 0s}"
SORTS = ("none", "{at: boston}", STALE, "{cache_min_ttl: 9s}", "{cache_max_ttl: 2s}", "{ecs: yes}")
QUORUM = "health_check: {checkers: {from: [boston, ns1, eu-west]}}"
LOADS = {
    "light": {kind: Load(kind, 5.0) for kind in ("http", "keepalive", "stream", "udp")},
    "alone": {"stream": Load("stream", 5.0)},
    "cached by ttl": {k: Load(k, 20.0, cache_s=TTL_CACHE) for k in ("http", "keepalive", "stream")},
    "cached for 7 s": {k: Load(k, 20.0, cache_s=7.0) for k in ("udp", "keepalive", "stream")},
    "large pool": {"keepalive": Load("keepalive", 5.0, connections=100)},
    "short lives": {"keepalive": Load("keepalive", 5.0, connections=100, lifetime_s=8.0)},
}


def world(resolver: str = "{}", dns: str = "policy: latency", more: str = "") -> Plan:
    text = TOPOLOGY.replace("RESOLVER", resolver).replace("DNS", dns)
    return plan_of(text.replace("boston:", f"{more}boston:") if more else text)


def bound(plan: Plan, load: Load, fault: str = "power") -> Bound:
    """New York's, which loses us-east, and does nothing else."""
    found = bounds(plan, fault, "us-east", {"new-york": {load.kind: load}})
    return next(b for b in found if (b.city, b.client) == ("new-york", load.kind))


@pytest.mark.parametrize(
    ("resolver", "said"),
    [
        ("{at: paris}", "no city is called 'paris' (cities with one: boston)"),
        ("{at: bostom}", "did you mean boston?"),
        ("{at: new-york}", "new-york cannot be at itself"),
        ("{at: boston, ecs: yes}", "ecs is set where that resolver is, not beside at"),
        ("{cache_mim_ttl: 5s}", "did you mean cache_min_ttl"),
        ("{cache_min_ttl: 1500ms}", "not in whole seconds"),
        ("{cache_min_ttl: 9s, cache_max_ttl: 5s}", "cache_min_ttl is above cache_max_ttl (5.00 s)"),
        ("{serve_expired_ttl: 5s}", "serve_expired_ttl without serve_expired"),
        ("{ecs: yes, prefetch: yes}", "prefetch does nothing beside ecs"),
        ("{kind: bind}", "'bind' is none of unbound"),
        ("nnone", "did you mean none?"),
    ],
)
def test_a_resolver_that_cannot_be_is_told_with_its_mending(resolver: str, said: str) -> None:
    """On the line where it is written."""
    with pytest.raises(FileProblems) as caught:
        world(resolver)
    assert said in str(caught.value)
    assert ":8: clients.new-york.resolver" in str(caught.value)


def test_there_must_be_a_resolver_where_another_city_asks() -> None:
    """Of no chain, and of nobody."""
    for other in ("none", "{at: new-york}"):
        text = TOPOLOGY.replace("RESOLVER", "{at: boston}").replace("DNS", "policy: latency")
        with pytest.raises(FileProblems, match="boston has no resolver of its own"):
            plan_of(text.replace("Boston/US}", f"Boston/US, resolver: {other}}}"))


def test_a_city_asks_its_own_resolver_anothers_or_the_nearest_name_server() -> None:
    """In this order; and only where one is asked one runs."""
    assert world().asks["new-york"] == ("10.3.0.1",)
    assert world("{at: boston}").asks["new-york"] == ("10.4.0.1",)
    plan = world("none")
    assert plan.asks["new-york"] == ("198.18.5.53", "198.18.6.53")
    assert plan.resolvers == {"boston": "10.4.0.1"}
    access = host_of(plan, "new-york/access")
    assert (access.daemons, dict(access.files)) == ((), {})
    client = host_of(plan, "new-york/client")
    assert json.loads(client.files["/etc/netemu/client.json"])["asks"] == [
        ["198.18.5.53", 53],
        ["198.18.6.53", 53],
    ]
    assert client.files["/etc/resolv.conf"] == "nameserver 198.18.5.53\nnameserver 198.18.6.53\n"


def test_a_resolver_lets_those_in_who_ask_it() -> None:
    """Boston's own clients, and New York's where they are sent there."""
    text = host_of(world("{at: boston}"), "boston/access").files["/etc/netemu/unbound.conf"]
    assert "access-control: 10.3.0.0/24 allow\n  access-control: 10.4.0.0/24 allow\n" in text
    alone = host_of(world(), "boston/access").files["/etc/netemu/unbound.conf"]
    assert "10.3.0.0/24" not in alone


def test_what_versions_differ_in_is_written_out() -> None:
    """The whole of stale answers; and ECS for our name servers alone."""
    text = host_of(world(STALE), "new-york/access").files["/etc/netemu/unbound.conf"]
    for line in (
        "serve-expired: yes", "serve-expired-ttl: 86400", "serve-expired-client-timeout: 0",
        "serve-expired-reply-ttl: 30", "qname-minimisation: yes", "use-caps-for-id: no",
    ):  # fmt: skip
        assert f"  {line}\n" in text
    ecs = host_of(world("{ecs: yes}"), "new-york/access").files["/etc/netemu/unbound.conf"]
    assert 'module-config: "subnetcache iterator"' in ecs
    assert "send-client-subnet: 198.18.5.53\n  send-client-subnet: 198.18.6.53\n" in ecs


def test_answers_are_for_where_the_resolver_is_unless_it_tells_more() -> None:
    """Dublin's clients behind New York's resolver."""
    dublin = "dublin: {location: city:Dublin/IE, resolver: {at: new-york}}\n  "
    assert world("{}", more=dublin).preferred["dublin"][0] == "us-east"
    assert world("{ecs: yes}", more=dublin).preferred["dublin"][0] == "eu-west"
    assert world("{ecs: yes}", "ecs: no", dublin).preferred["dublin"][0] == "us-east"


@pytest.mark.parametrize("loads", LOADS)
@pytest.mark.parametrize("fault", ["power", "crash", "freeze", "partition"])
@pytest.mark.parametrize("sort", [*SORTS, "quorum"])
def test_no_prediction_is_above_its_bound(sort: str, fault: str, loads: str) -> None:
    """Whoever is asked, whoever checks; and there is one for every kind that is sent."""
    plan = world(dns=QUORUM) if sort == "quorum" else world(sort)
    sent = {"new-york": LOADS[loads]}
    totals = {
        b.client: b.total_s for b in bounds(plan, fault, "us-east", sent) if b.city == "new-york"
    }
    found = [p for p in predict(plan, fault, "us-east", sent, 25) if p.city == "new-york"]
    assert {p.client for p in found} == totals.keys()
    for prediction in found:
        assert 0 < prediction.seconds[0] <= prediction.seconds[-1] <= totals[prediction.client]


@pytest.mark.parametrize("sort", SORTS)
def test_a_bound_is_near_the_slowest_prediction(sort: str) -> None:
    """Of many phases, for who looks up for every request."""
    load = Load("http", 20.0)
    sent = {"new-york": {"http": load}}
    slowest = next(
        p.seconds[-1] for p in predict(world(sort), "power", "us-east", sent) if p.client == "http"
    )
    assert 0.9 * bound(world(sort), load).total_s < slowest


def test_an_answer_is_held_between_the_least_and_the_most() -> None:
    """Whatever its TTL is."""
    plain = bound(world(), Load("http", 20.0))
    for resolver, more_s in (("{cache_min_ttl: 9s}", 4), ("{cache_max_ttl: 2s}", -3)):
        set_so = bound(world(resolver), Load("http", 20.0))
        assert set_so.parts["cache_s"] - plain.parts["cache_s"] == pytest.approx(more_s)


def test_a_stale_answer_is_told_until_the_fetch_is_back() -> None:
    """One gap between requests more; nothing more where everybody waits for the fetch."""
    plain = bound(world(), Load("http", 5.0))
    stale = bound(world(STALE), Load("http", 5.0))
    assert stale.total_s - plain.total_s == pytest.approx(0.2)
    assert "once more" in stale.because
    waits = bound(world("{serve_expired: yes}"), Load("http", 5.0))
    assert waits.total_s == plain.total_s


def test_a_client_that_honours_ttls_holds_a_stale_answer_anew() -> None:
    """For all of a TTL of 5 s, where it would have been told the rest of one."""
    honours = Load("http", 5.0, cache_s=TTL_CACHE)
    plain, stale = (bound(world(each), honours) for each in ("{}", STALE))
    assert stale.parts["client_s"] - plain.parts["client_s"] == pytest.approx(4.0)


def test_without_a_resolver_recovery_is_detection_and_a_lookup() -> None:
    """By the nearest name server, which alone is asked."""
    plan = world("none")
    found = bound(plan, Load("http", 20.0))
    trips_s = round_trips_s(plan.paths)
    assert found.parts["cache_s"] == pytest.approx(trips_s["new-york", "ns1"], abs=1e-4)
    assert found.total_s < found.parts["detection_s"] + PUBLISH_S + 0.3


def test_vantages_are_as_slow_as_the_slowest_and_its_way() -> None:
    """Their last check begins as any, and then it is told."""
    plan = world(dns=QUORUM)
    trips_s = round_trips_s(plan.paths)
    way_s = max(trips_s[a, b] / 2 for a in ("boston", "ns1", "eu-west") for b in ("ns1", "ns2"))
    found = bound(plan, Load("http", 5.0))
    assert found.parts["detection_s"] == pytest.approx(4.0 + way_s, abs=1e-4)


def test_a_vantage_that_is_lost_with_its_region_has_a_bound_and_no_prediction() -> None:
    """Its last opinion counts for two intervals and a timeout."""
    slow = "interval: 3s, timeout: 1s, fall: 1, checkers: {from: [us-east, boston]}"
    plan = world(dns=f"health_check: {{{slow}}}")
    assert bound(plan, Load("http", 5.0)).parts["detection_s"] > 2 * 3 + 1
    assert predict(plan, "power", "us-east") == ()


@pytest.mark.parametrize(
    ("dns", "fault"),
    [
        ("health_check: {checkers: {from: us-east}}", "power"),  # nobody else can say it
        ("health_check: {type: tcp}", "freeze"),  # the kernel goes on accepting
        ("health_check: {type: tcp}", "drain"),
    ],
)
def test_what_no_check_shows_has_no_bound(dns: str, fault: str) -> None:
    """Rather none than a wrong one."""
    assert bounds(world(dns=dns), fault, "us-east") == ()
    assert predict(world(dns=dns), fault, "us-east") == ()


def test_where_the_region_is_drawn_each_has_a_bound_and_none_a_prediction() -> None:
    """To the farthest other: any may be it."""
    plan = world(dns="policy: {weighted: {us-east: 3, eu-west: 1}}")
    for region in ("us-east", "eu-west"):
        assert {b.city for b in bounds(plan, "power", region)} == {"new-york", "boston"}
        assert predict(plan, "power", region) == ()
    certain = world(dns="policy: {failover: [us-east, eu-west]}")
    assert bounds(certain, "power", "eu-west") == ()
    assert predict(certain, "power", "us-east", samples=2) != ()


def test_an_adaptive_ttl_lengthens_nothing() -> None:
    """It is shorter while something is amiss, which need not be known in time."""
    plain, adaptive = (world(dns=f"policy: latency{more}") for more in ("", ", degraded_ttl: 1s"))
    assert bounds(adaptive, "power", "us-east") == bounds(plain, "power", "us-east")


def test_a_lifetime_ends_a_large_pool_sooner() -> None:
    """100 connections at 5 requests/s last for 20 s, or for as long as they may live."""
    pool = Load("keepalive", 5.0, connections=100)
    assert bound(world(), pool).total_s > 20
    assert bound(world(), replace(pool, lifetime_s=14.0)).total_s == pytest.approx(14.3, abs=0.3)
    frozen = bound(world(), replace(pool, lifetime_s=6.0), "freeze").total_s
    assert frozen < bound(world(), pool, "freeze").total_s - 10


def test_a_drain_waits_for_the_longest_of_all_caches() -> None:
    """Whoever holds answers longer than they say delays the close."""
    plain, longer = world(), world("{cache_min_ttl: 60s}")
    service = plain.services[0]
    more_s = moved_by_s(longer, service) - moved_by_s(plain, service)
    assert more_s == pytest.approx(55)


def test_a_patient_resolver_serves_stale_answers_only_of_what_is_far() -> None:
    """Of less patience than a fetch takes."""
    near = world("{serve_expired: yes, serve_expired_client_timeout: 1s}")
    far = world("{serve_expired: yes, serve_expired_client_timeout: 10ms}")
    assert [lookups_of(p, p.topology.cities[0]).is_stale for p in (near, far)] == [False, True]
