"""The predicted worst recoveries, held against failovers played through at the worst phases."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import product

import pytest

from emulator.plan import make_plan
from emulator.plan.bounds import DRAIN_CLOSE_S, PUBLISH_S, bounds, moved_by_s
from emulator.plan.model import Bound, Plan
from emulator.scenario.model import CACHE_FOR_EVER, TTL_CACHE, Load
from emulator.topology.model import DnsPolicy, HealthCheck, Timeouts
from tests.plan import failover
from tests.plan.failover import JUST, Asked, Direct, Outcome, Resolver, World
from tests.plan.worlds import plan_of, two_region, wide

SLACK_S = 1.0  # the most that a bound may lie above the worst
ATTEMPT_S = 3.5  # of a stream: what a bound may be above, where it lies by a hair on the next

PLAYS: dict[str, Callable[[World, Asked, float, float], list[Outcome]]] = {
    "http": failover.play_each,
    "keepalive": failover.play_keepalive,
    "stream": failover.play_stream,
    "udp": failover.play_each,
}


def patient() -> Plan:
    """Slow checks, a long TTL, and clients with other timeouts than usual. (Chosen so that no
    attempt of a stream can begin within milliseconds of the moment DNS has moved: there the worst
    jumps by a whole attempt, and a bound has to be on the upper side.)"""
    topology = two_region().topology
    check = HealthCheck(interval_s=2.0, timeout_s=0.5, fall=2)
    www = replace(topology.services[0], dns=DnsPolicy(ttl_s=9, health_check=check))
    cities = tuple(
        replace(city, timeouts=Timeouts(connect_s=2.0, response_s=5.0)) for city in topology.cities
    )
    return make_plan(replace(topology, services=(www,), cities=cities), "patient")


def quick() -> Plan:
    """Checks and TTL so short that a stream has not even stalled when DNS has moved."""
    topology = two_region().topology
    check = HealthCheck(interval_s=0.2, timeout_s=0.2, fall=2)
    www = replace(topology.services[0], dns=DnsPolicy(ttl_s=1, health_check=check))
    return make_plan(replace(topology, services=(www,)), "quick")


def far() -> Plan:
    """The wide world with a TTL of 7 s: with 5 s Singapore's streams would attempt just as DNS has
    moved (see `patient`)."""
    topology = wide().topology
    www, *others = topology.services
    www = replace(www, dns=replace(www.dns, ttl_s=7))
    return make_plan(replace(topology, services=(www, *others)), "far")


WORLDS = {
    "two-region": (two_region(), "new-york", "us-east", "eu-west"),
    "patient": (patient(), "paris", "eu-west", "us-east"),
    "quick": (quick(), "new-york", "us-east", "eu-west"),
    "far": (far(), "singapore", "tokyo", "eu-west"),
}


def asked_so(resolver: str) -> Plan:
    """The two regions, New York's clients asking so."""
    text = two_region().topology.source
    city = "new-york: {location: city:New York"
    boston = "  boston: {location: city:Boston/US}\n"
    return plan_of(text.replace(f"  {city}", f"{boston}  {city}, resolver: {resolver}"))


STALE = "{serve_expired: yes, serve_expired_client_timeout: 0s}"
RESOLVERS = {
    "none": World(asked_so("none"), "", "new-york", "us-east", "eu-west", asks="none"),
    "elsewhere": World(
        asked_so("{at: boston}"), "", "new-york", "us-east", "eu-west", asks="boston"
    ),
    "stale": World(asked_so(STALE), "", "new-york", "us-east", "eu-west", is_stale=True),
    "longer": World(asked_so("{cache_min_ttl: 9s}"), "", "new-york", "us-east", "eu-west", ttl_s=9),
}


def bad_phases(world: World) -> Iterator[Asked]:
    """Resolvers that fetched just before the switch, or a little earlier; whose clock's second
    had just begun, or not; at either name server, quick to publish, or slow."""
    ttl_s = world.ttl_s or world.plan.services[0].ttl_s
    name_servers = [site.name for site in world.plan.sites if site.kind == "dns"]
    if world.asks == "none":
        nearest = min(name_servers, key=lambda name: world.rtt_s(world.city, name))
        for publish_s in (0.0, PUBLISH_S):
            switch_s = world.switch_s(nearest, JUST, publish_s)
            yield Direct(switch_s, world.rtt_s(world.city, nearest))
        return
    asked = world.asks or world.city
    for name_server, slow_s, earlier_s in product(name_servers, (0.0, 1.0), (0.0, 0.25, 0.5)):
        rtt_s = world.rtt_s(asked, name_server)
        switch_s = world.switch_s(name_server, JUST, slow_s * PUBLISH_S)
        fetch_s = max(0.0, switch_s - rtt_s / 2 - JUST - earlier_s)
        for into_s in (JUST, 0.5):
            yield Resolver(
                switch_s=switch_s,
                rtt_s=rtt_s,
                ttl_s=ttl_s,
                expires_s=fetch_s,
                second_s=fetch_s + rtt_s - into_s,
                traffic_s=fetch_s,
                ask_s=world.rtt_s(world.city, asked),
                is_stale=world.is_stale,
            )


def worst_s(world: World, client: str, gap_s: float) -> float:
    """Over all bad phases of the checks, the resolver and the schedule."""
    phases = (0.01, 0.25, 0.5, 0.75, 0.99)
    return max(
        failover.recovery_s(PLAYS[client](world, replace(resolver), gap_s, phase))
        for resolver in bad_phases(world)
        for phase in phases
    )


def bound_of(plan: Plan, fault: str, region: str, city: str, client: str) -> Bound:
    found = bounds(plan, fault, region)
    return next(b for b in found if (b.city, b.client) == (city, client))


@pytest.mark.parametrize("client", PLAYS)
@pytest.mark.parametrize("fault", ["power", "crash", "freeze"])
@pytest.mark.parametrize("name", WORLDS)
def test_no_recovery_is_above_its_bound_and_the_worst_is_near_it(
    name: str, fault: str, client: str
) -> None:
    """At the worst phases recovery stays inside the bound, and the bound within 1 s of it."""
    plan, city, old, new = WORLDS[name]
    worst = worst_s(World(plan, fault, city, old, new), client, gap_s=0.2)
    bound = bound_of(plan, fault, old, city, client).total_s
    assert worst <= bound <= worst + SLACK_S


@pytest.mark.parametrize("client", PLAYS)
@pytest.mark.parametrize("fault", ["power", "crash", "freeze"])
@pytest.mark.parametrize("name", RESOLVERS)
def test_whoever_is_asked_the_worst_is_inside_the_bound_and_near_it(
    name: str, fault: str, client: str
) -> None:
    """Nobody; another city's resolver; one that serves stale answers, or holds them longer."""
    world = replace(RESOLVERS[name], fault=fault)
    worst = worst_s(world, client, gap_s=0.2)
    bound = bound_of(world.plan, fault, world.old, world.city, client).total_s
    assert worst <= bound <= worst + (ATTEMPT_S if client == "stream" else SLACK_S)


@pytest.mark.parametrize("fault", ["power", "crash", "freeze", "drain", "partition"])
def test_the_parts_of_a_bound_are_its_total(fault: str) -> None:
    """Detection, publish, cache, client, connect, resume: nothing else, nothing twice."""
    for bound in bounds(two_region(), fault, "us-east"):
        assert list(bound.parts) == [
            "detection_s", "publish_s", "cache_s", "client_s", "connect_s", "resume_s",
        ]  # fmt: skip
        assert bound.total_s == pytest.approx(sum(bound.parts.values()), abs=1e-9)
        assert all(part >= 0 for part in bound.parts.values())


def test_a_bound_is_there_for_every_kind_in_every_city_of_the_region() -> None:
    """Who is sent elsewhere is unaffected, and has none."""
    found = [(bound.city, bound.client) for bound in bounds(wide(), "power", "us-east")]
    kinds = ("http", "keepalive", "stream", "udp")
    assert found == [(city, kind) for city in ("new-york", "paris") for kind in kinds]


def test_a_crash_is_noticed_sooner_than_silence() -> None:
    """A refused check does not wait for its timeout."""
    crash, power = (
        bound_of(two_region(), fault, "us-east", "new-york", "http") for fault in ("crash", "power")
    )
    assert 3.0 < crash.parts["detection_s"] < 3.2
    assert power.parts["detection_s"] == 4.0


def test_a_brown_out_has_no_bound() -> None:
    """Slow is not dead: nobody need move."""
    assert bounds(two_region(), "brownout", "us-east") == ()


def test_the_last_region_has_no_bound() -> None:
    """Where no other region has the service, nothing recovers."""
    text = two_region().topology.source
    alone = plan_of(text.replace("  eu-west: {location: aws:eu-west-1, servers: 2}\n", ""))
    assert bounds(alone, "power", "us-east") == ()


def loaded(load: Load, fault: str = "power") -> Bound:
    """The bound of new-york's clients that do this, and lose us-east."""
    found = bounds(two_region(), fault, "us-east", {"new-york": {load.kind: load}})
    return next(b for b in found if (b.city, b.client) == ("new-york", load.kind))


@pytest.mark.parametrize("kind", ["http", "udp", "keepalive"])
def test_a_cache_of_the_clients_own_adds_its_time(kind: str) -> None:
    """Filled just before the resolver's answer expires. Where it honours the TTL it is told the
    rest in whole seconds: up to 1 s more. All of it is the client's own part."""
    plain = loaded(Load(kind, 5.0))
    for cache_s, adds_s in ((10.0, 10.0), (0.5, 0.5), (TTL_CACHE, 1.0)):
        cached = loaded(Load(kind, 5.0, cache_s=cache_s))
        assert cached.total_s - plain.total_s == pytest.approx(adds_s)
        assert cached.parts["client_s"] - plain.parts["client_s"] == pytest.approx(adds_s)
        assert "own cache" in cached.because


def test_a_stream_attempts_until_its_cache_has_forgotten() -> None:
    """At the first of its attempts, 3.1 s apart, after the cache has let go."""
    plain, cached = (loaded(Load("stream", 5.0, cache_s=cache_s)) for cache_s in (0.0, 10.0))
    assert 10.0 - 3.1 <= cached.total_s - plain.total_s <= 10.0 + 3.1


@pytest.mark.parametrize("kind", ["http", "udp", "keepalive", "stream"])
def test_who_never_asks_again_has_no_bound(kind: str) -> None:
    """The others in its city have theirs."""
    ever = {"new-york": {kind: Load(kind, 5.0, cache_s=CACHE_FOR_EVER)}}
    found = {b.client for b in bounds(two_region(), "power", "us-east", ever)}
    assert found == set(PLAYS) - {kind}


def test_a_warm_pool_is_used_up_one_a_request() -> None:
    """A small one long before DNS has moved; a large one at few requests long after it. A crash
    resets all of it at once; a frozen region's kernel lets it be refilled until DNS has moved."""
    plain = loaded(Load("keepalive", 5.0))
    assert loaded(Load("keepalive", 5.0, connections=20)).total_s == plain.total_s
    large = loaded(Load("keepalive", 5.0, connections=100))
    assert large.total_s == pytest.approx(100 / 5, abs=0.5)
    assert "100 connections" in large.because
    crash = loaded(Load("keepalive", 5.0, connections=100), "crash")
    assert crash.total_s == loaded(Load("keepalive", 5.0), "crash").total_s
    freeze = loaded(Load("keepalive", 5.0, connections=100), "freeze")
    assert freeze.total_s == pytest.approx(plain.total_s + 100 / 5)


def test_more_streams_than_the_rate_needs_notice_later() -> None:
    """20 streams share 5 messages a second: 4 s can pass before one has anything to lose."""
    few, many = (loaded(Load("stream", 5.0, connections=n)) for n in (1, 20))
    assert 2.0 < many.total_s - few.total_s <= 4.0


@pytest.mark.parametrize("name", WORLDS)
def test_a_drain_waits_longer_than_dns_takes_anywhere(name: str) -> None:
    """Before `Connection: close` is said, every city's lookups lead elsewhere."""
    plan = WORLDS[name][0]
    for region in plan.topology.regions:
        for bound in bounds(plan, "drain", region.name):
            moved_s = sum(bound.parts[p] for p in ("detection_s", "publish_s", "cache_s"))
            assert moved_s < moved_by_s(plan, plan.services[0])


def test_streams_of_a_drained_region_stay_until_they_are_cut() -> None:
    """After everybody moved, after `Connection: close`, after the drain timeout."""
    service = two_region().services[0]
    bound = bound_of(two_region(), "drain", "us-east", "new-york", "stream")
    cut_s = moved_by_s(two_region(), service) + DRAIN_CLOSE_S + service.drain_timeout_s
    assert cut_s < bound.total_s < cut_s + SLACK_S
