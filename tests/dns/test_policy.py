"""Which regions are named, for whom: one policy at a time, and what overrides them all."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from itertools import pairwise
from random import Random
from typing import Any

import pytest

from emulator.node.dns.policy import choose, is_sticky, is_tailored
from emulator.node.dns.values import Asker, RegionState, ServiceState
from emulator.steering import AllDown, Policy, PolicyKind
from tests.dns.policies import (
    DOWN,
    DRAINED,
    FORCED_DOWN,
    FORCED_UP,
    PARIS,
    REGIONS,
    STRANGER,
    UNKNOWN,
    A,
    B,
    C,
    D,
    even,
    networks,
    no_draw,
    ramping,
    sequence,
    service,
    state,
    tree,
)

LATENCY = tree("latency", A, B, C, D)


def named(
    policy: Policy, asker: Asker = PARIS, now: ServiceState | None = None, **changes: Any
) -> tuple[str, ...]:
    """What a choice without draws names."""
    choice = choose(service(policy, **changes), now or state(), asker, no_draw)
    assert not choice.is_drawn
    return choice.regions


@pytest.mark.parametrize(
    ("now", "nearest"),
    [
        (state(), C),
        (state(eu_west=UNKNOWN), C),
        (state(eu_west=DOWN), A),
        (state(eu_west=DOWN, us_east=DOWN), B),
        (state(eu_west=DOWN, us_east=DOWN, us_west=DOWN), D),
        (state(eu_west=FORCED_DOWN), A),
        (state(eu_west=FORCED_UP), C),
    ],
)
def test_latency_names_the_nearest_region_on_offer(now: ServiceState, nearest: str) -> None:
    """By round-trip time; a region without an estimate is the farthest."""
    assert named(LATENCY, PARIS, now) == (nearest,)


@pytest.mark.parametrize("members", [(A, B, C, D), (D, C, B, A)])
def test_latency_of_a_stranger_goes_by_name(members: tuple[str, ...]) -> None:
    """Where nothing is known, all name servers decide alike, whatever their file's order."""
    assert named(tree("latency", *members), STRANGER) == (D,)


def test_latency_looks_below_a_nested_policy() -> None:
    """A nested policy is as near as the nearest region that it can still offer."""
    policy = tree("latency", A, tree("failover", B, C))
    assert named(policy) == (B,)
    assert named(policy, now=state(eu_west=DOWN)) == (A,)
    assert named(policy, now=state(eu_west=DOWN, us_east=DOWN)) == (B,)


def test_geo_without_areas_goes_by_distance() -> None:
    asker = replace(PARIS, distance_km={A: 6200, B: 100, C: 780})
    assert named(tree("geo", A, B, C), asker) == (B,)
    assert named(tree("geo", A, B, C), asker, state(us_west=DOWN)) == (C,)


@pytest.mark.parametrize(
    ("asker", "now", "expected"),
    [
        (PARIS, state(), C),
        (PARIS, state(eu_west=DOWN), A),
        (STRANGER, state(), A),
        (STRANGER, state(us_east=DOWN), B),
    ],
)
def test_geo_tries_the_members_of_the_askers_area_in_order(
    asker: Asker, now: ServiceState, expected: str
) -> None:
    areas = {"paris": (2, 0), "": (0, 1)}
    assert named(tree("geo", A, B, C, areas=areas), asker, now) == (expected,)


def test_geo_without_an_area_for_the_asker_names_nothing() -> None:
    """A fence is not opened by `all_down`: Route 53 answers NODATA as well."""
    fence = tree("geo", A, C, areas={"paris": (1,)})
    assert named(fence, STRANGER) == ()
    assert named(fence, STRANGER, all_down="refuse") == ()


def test_geo_fails_open_inside_the_askers_area() -> None:
    """With its only region DOWN an area keeps to it: another's stays out of its reach."""
    fence = tree("geo", A, C, areas={"paris": (1,), "": (0,)})
    assert named(fence, PARIS, state(eu_west=DOWN)) == (C,)


@pytest.mark.parametrize(
    ("now", "expected"),
    [(state(), B), (state(us_west=DOWN), A), (state(us_west=DOWN, us_east=DRAINED), D)],
)
def test_failover_goes_down_its_list(now: ServiceState, expected: str) -> None:
    assert named(tree("failover", B, A, D), now=now) == (expected,)


def shares(
    policy: Policy, now: ServiceState | None = None, count: int = 1000, asker: Asker = PARIS
) -> Counter[str]:
    """How often each region comes first, of `count` evenly spaced draws."""
    answers = (choose(service(policy), now or state(), asker, draw) for draw in even(count))
    return Counter(choice.regions[0] for choice in answers)


@pytest.mark.parametrize(
    ("weights", "now", "expected"),
    [
        ((3, 1, 0), state(), {A: 750, B: 250}),
        ((3, 1, 1), state(us_east=DOWN), {B: 500, C: 500}),
        ((3, 0, 0), state(us_east=DOWN), {B: 500, C: 500}),
        ((3, 0, 0), state(us_east=DOWN, us_west=DOWN), {C: 1000}),
        ((0, 0, 0), state(us_west=FORCED_DOWN), {A: 500, C: 500}),
        ((), state(us_west=DOWN), {A: 500, C: 500}),
        ((1, 2, 5), state(), {A: 125, B: 250, C: 625}),
    ],
)
def test_weighted_shares_are_the_weights_of_what_is_on_offer(
    weights: tuple[int, ...], now: ServiceState, expected: dict[str, int]
) -> None:
    """A weight of 0 is drawn only where no other is on offer."""
    assert shares(tree("weighted", A, B, C, weights=weights), now) == expected


def test_weighted_draws_only_where_there_is_a_choice() -> None:
    """One member left: the answer is as fixed as any other's, and may be kept."""
    policy = tree("weighted", A, B, C, weights=(3, 1, 0))
    assert named(policy, now=state(us_east=DOWN)) == (B,)
    assert choose(service(policy), state(), PARIS, lambda: 0.0).is_drawn


@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_round_robin_names_all_and_every_region_first_as_often(count: int) -> None:
    policy = tree("round-robin", *REGIONS[:count])
    answers = [choose(service(policy), state(), PARIS, draw).regions for draw in even(12)]
    assert Counter(answer[0] for answer in answers) == dict.fromkeys(REGIONS[:count], 12 // count)
    turns = {(*REGIONS[n:count], *REGIONS[:n]) for n in range(count)}
    assert set(answers) == turns


def test_round_robin_leaves_out_what_is_down() -> None:
    policy = tree("round-robin", A, B, C)
    assert choose(service(policy), state(us_west=DOWN), PARIS, lambda: 0.9).regions == (C, A)


KNOWN = [A, C, C, C, B, B]  # recorded: another hash would move the clients of every lab


def test_sticky_keeps_a_network_where_it_is() -> None:
    """Same network, same region, without a draw; on every server, in every run."""
    policy = tree("sticky", A, B, C)
    assert named(policy, STRANGER) == named(tree("sticky", C, B, A), STRANGER)
    known = [named(policy, asker)[0] for asker in networks(6)]
    assert known == KNOWN


@pytest.mark.parametrize(("weights", "expected"), [((), (1, 1, 1)), ((5, 3, 2), (5, 3, 2))])
def test_sticky_shares_follow_the_weights(
    weights: tuple[int, ...], expected: tuple[int, ...]
) -> None:
    """Of 2000 networks, within four standard deviations of the binomial distribution."""
    policy = service(tree("sticky", A, B, C, weights=weights))
    count = 2000
    found = Counter(choose(policy, state(), a, no_draw).regions[0] for a in networks(count))
    for region, weight in zip((A, B, C), expected, strict=True):
        share = weight / sum(expected)
        assert abs(found[region] - count * share) < 4 * (count * share * (1 - share)) ** 0.5


def test_sticky_moves_only_the_networks_of_the_region_that_is_lost() -> None:
    """And back again all of them, and nobody else, when it returns."""
    policy = tree("sticky", A, B, C, weights=(2, 1, 1))
    for asker in networks(200):
        before, after = named(policy, asker), named(policy, asker, state(us_west=DOWN))
        assert (before == after) == (before != (B,))


def test_sticky_weight_of_nought_is_used_only_where_no_other_is() -> None:
    policy = tree("sticky", A, B, weights=(1, 0))
    askers = list(networks(20))
    assert {named(policy, asker) for asker in askers} == {(A,)}
    assert {named(policy, asker, state(us_east=DOWN)) for asker in askers} == {(B,)}


def test_multivalue_samples_differ_by_network_and_stay_for_one() -> None:
    """Up to `count` regions; over many networks every region is named as often as any."""
    policy = tree("multivalue", *REGIONS, count=2)
    found = Counter(region for asker in networks(400) for region in named(policy, asker))
    assert sum(found.values()) == 800
    assert all(abs(times - 200) < 4 * (400 * 0.5 * 0.5) ** 0.5 for times in found.values())
    assert named(policy, PARIS) == named(policy, PARIS)


def test_multivalue_fills_up_from_what_is_on_offer() -> None:
    policy = tree("multivalue", A, tree("failover", A, B), C, count=3)
    assert sorted(named(policy)) == sorted({A, C})
    assert sorted(named(policy, now=state(us_east=DOWN))) == sorted({B, C})


def test_a_sample_is_filled_although_members_share_a_region() -> None:
    policy = tree("multivalue", A, tree("failover", A, B), C, count=2)
    assert {frozenset(named(policy, asker)) for asker in networks(50)} == {frozenset({A, C})}


NESTED = tree(
    "geo",
    tree("latency", C, tree("weighted", A, B, weights=(3, 1))),
    tree("failover", tree("round-robin", A, B), D),
    areas={"paris": (0, 1), "": (1,)},
)


@pytest.mark.parametrize(
    ("asker", "now", "expected"),
    [
        (PARIS, state(), {C: 1000}),
        (PARIS, state(eu_west=DOWN), {A: 750, B: 250}),
        (PARIS, state(eu_west=DOWN, us_east=DOWN), {B: 1000}),
        (PARIS, state(eu_west=DOWN, us_east=DOWN, us_west=DOWN), {D: 1000}),
        (STRANGER, state(), {A: 500, B: 500}),
        (STRANGER, state(us_east=DOWN, us_west=DOWN), {D: 1000}),
    ],
)
def test_policies_nest(asker: Asker, now: ServiceState, expected: dict[str, int]) -> None:
    """Three deep: an area's members, in each the nearest, in each what the weights say."""
    assert shares(NESTED, now, asker=asker) == expected


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        (state(eu_west=DRAINED), (A,)),
        (state(eu_west=DRAINED, us_east=DRAINED, us_west=DOWN, ap_south=DOWN), (C,)),
        (state(eu_west=RegionState("DOWN", "drain"), us_east=DRAINED, us_west=DOWN), (D,)),
    ],
)
def test_drained_regions_are_used_only_if_nothing_else_is_offered(
    now: ServiceState, expected: tuple[str, ...]
) -> None:
    """And if they are healthy: like Route 53's weight 0."""
    assert named(LATENCY, now=now) == expected


def test_a_drained_region_goes_before_the_region_of_all_down() -> None:
    now = state(eu_west=DOWN, us_east=DRAINED, us_west=DOWN, ap_south=FORCED_DOWN)
    assert named(LATENCY, now=now, all_down="refuse") == (A,)


ALL_DOWN = state(us_east=DOWN, us_west=DOWN, eu_west=DOWN, ap_south=FORCED_DOWN)


@pytest.mark.parametrize(
    ("all_down", "expected"),
    [("all", (A, B, C, D)), ("primary", (C,)), ("refuse", ()), ("empty", ())],
)
def test_all_down_says_what_is_named_when_nothing_is_offered(
    all_down: AllDown, expected: tuple[str, ...]
) -> None:
    choice = choose(service(LATENCY, all_down=all_down), ALL_DOWN, PARIS, no_draw)
    assert choice.regions == expected
    assert choice.is_refused == (all_down == "refuse")
    assert not choice.is_drawn


def test_all_down_in_policy_order_over_the_whole_tree() -> None:
    """Every region once, as the policy lists them."""
    assert named(tree("failover", D, tree("weighted", C, A), A), now=ALL_DOWN) == (D, C, A)


@pytest.mark.parametrize(("share", "expected"), [(0.0, 0), (0.25, 250), (0.9, 900), (1.0, 1000)])
def test_a_ramping_region_gets_its_share_of_the_draws(share: float, expected: int) -> None:
    now = state(eu_west=ramping(share))
    assert shares(LATENCY, now) == {k: v for k, v in ((C, expected), (A, 1000 - expected)) if v}


def test_a_ramping_region_is_named_where_nothing_else_is_offered() -> None:
    now = state(us_east=DOWN, us_west=DRAINED, eu_west=ramping(0.1), ap_south=DOWN)
    assert shares(LATENCY, now) == {C: 1000}


def test_a_ramp_elsewhere_leaves_an_answer_fixed() -> None:
    """Who would not be sent there anyway needs no draw for it."""
    assert named(LATENCY, now=state(us_east=ramping(0.5))) == (C,)


def test_two_ramping_regions_take_a_draw_each() -> None:
    """Passed over both: the third; never both by one draw."""
    now = state(eu_west=ramping(0.5), us_east=ramping(0.5))
    policy = service(LATENCY)
    pairs = [(0.4, 0.9), (0.6, 0.4), (0.6, 0.6)]
    answers = [choose(policy, now, PARIS, sequence(pair)).regions for pair in pairs]
    assert answers == [(C,), (A,), (B,)]


def test_a_sticky_ramp_moves_each_network_once() -> None:
    """As the share rises networks go over one by one and stay: no draw, no way back."""
    policy = tree("sticky", A, B)
    home = [asker for asker in networks(300) if named(policy, asker) == (A,)]
    moved = [
        {a.network for a in home if named(policy, a, state(us_east=ramping(share))) == (A,)}
        for share in (0.0, 0.2, 0.5, 0.8, 1.0)
    ]
    assert not moved[0]
    assert all(some <= more for some, more in pairwise(moved))
    assert len(moved[-1]) == len(home)
    assert abs(len(moved[2]) - len(home) / 2) < 4 * (len(home) / 4) ** 0.5


def test_forced_up_needs_no_ramp() -> None:
    assert named(LATENCY, now=state(eu_west=RegionState("DOWN", "up", 0.1))) == (C,)


def test_choices_repeat_for_a_recorded_seed() -> None:
    """The sequence of draws decides alone."""

    def run(seed: str) -> list[tuple[str, ...]]:
        draw, policy = Random(seed).random, service(NESTED)
        now = state(eu_west=ramping(0.5))
        return [choose(policy, now, PARIS, draw).regions for _ in range(200)]

    assert run("7 ns1 www") == run("7 ns1 www")
    assert run("7 ns1 www") != run("8 ns1 www")


@pytest.mark.parametrize(
    ("kind", "tailored", "sticky"),
    [
        ("latency", True, False),
        ("geo", True, False),
        ("weighted", False, False),
        ("failover", False, False),
        ("round-robin", False, False),
        ("sticky", True, True),
        ("multivalue", True, True),
    ],
)
def test_whom_an_answer_holds_for_is_told_of_a_policy(
    kind: PolicyKind, tailored: bool, sticky: bool
) -> None:
    """Also of one that is nested in another."""
    for policy in (tree(kind, A, B), tree("failover", tree(kind, A, B), C)):
        assert is_tailored(policy) == tailored
        assert is_sticky(policy) == sticky
