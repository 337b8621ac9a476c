"""Why an answer is what it is, in words."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import pytest

from emulator.node.dns.askers import Askers
from emulator.node.dns.config import Site
from emulator.node.dns.explain import Asking, explain, explain_answer
from emulator.node.dns.values import Asker, Choice, RegionState, ServiceState
from emulator.steering import Explanation, Policy
from tests.dns.policies import (
    DOWN,
    DRAINED,
    FORCED_DOWN,
    FORCED_UP,
    PARIS,
    STRANGER,
    UNKNOWN,
    A,
    B,
    C,
    D,
    ramping,
    service,
    state,
    tree,
)

LATENCY = tree("latency", A, B, C, D)
NONE_UP = state(us_east=DOWN, us_west=DOWN, eu_west=DOWN, ap_south=FORCED_DOWN)


def explained(
    policy: Policy, now: ServiceState | None = None, asker: Asker = PARIS, **changes: Any
) -> Choice:
    return explain(service(policy, **changes), now or state(), asker)


def lines(choice: Choice) -> list[str]:
    """A line a candidate, indented by depth."""
    return [
        f"{'  ' * weighing.depth}{weighing.kind}: {c.name}: {c.value}, {c.verdict}"
        for weighing in choice.weighings
        for c in weighing.candidates
    ]


def test_latency_is_told_nearest_first_with_what_speaks_against_each() -> None:
    now = state(eu_west=FORCED_DOWN, us_east=DOWN)
    assert lines(explained(LATENCY, now)) == [
        "latency: eu-west: 7.0 ms, forced down",
        "latency: us-east: 79.0 ms, DOWN",
        "latency: us-west: 140.0 ms, chosen",
        "latency: ap-south: no estimate, farther",
    ]


NESTED = tree("failover", tree("weighted", A, B, D, weights=(3, 1, 0)), C)


def test_nested_policies_are_told_from_the_outside_in() -> None:
    assert lines(explained(NESTED)) == [
        "failover: weighted (us-east, us-west, ap-south): 1st, chosen",
        "failover: eu-west: 2nd, later in order",
        "  weighted: us-east: weight 3 of 4, chosen (by this draw)",
        "  weighted: us-west: weight 1 of 4, not drawn",
        "  weighted: ap-south: weight 0, used only if no other is offered",
    ]


def test_a_nested_policy_without_anything_to_offer_is_passed_over() -> None:
    now = state(us_east=DOWN, us_west=DOWN, ap_south=DRAINED)
    assert lines(explained(NESTED, now)) == [
        "failover: weighted (us-east, us-west, ap-south): 1st, nothing to offer",
        "failover: eu-west: 2nd, chosen",
    ]


@pytest.mark.parametrize(
    ("policy", "asker", "expected"),
    [
        (
            tree("geo", A, C, areas={"paris": (1,), "": (0,)}),
            PARIS,
            [
                "geo: eu-west: 1st for paris, chosen",
                "geo: us-east: not for paris, outside the area",
            ],
        ),
        (
            tree("geo", A, C, areas={"paris": (1,), "": (0, 1)}),
            STRANGER,
            [
                "geo: us-east: 1st for default, chosen",
                "geo: eu-west: 2nd for default, later in order",
            ],
        ),
        (
            tree("geo", A, C),
            PARIS,
            ["geo: eu-west: 780 km, chosen", "geo: us-east: 6200 km, farther"],
        ),
        (
            tree("latency", A, tree("failover", B, C)),
            PARIS,
            [
                "latency: failover (us-west, eu-west): 7.0 ms to eu-west, chosen",
                "latency: us-east: 79.0 ms, farther",
                "  failover: us-west: 1st, chosen",
                "  failover: eu-west: 2nd, later in order",
            ],
        ),
        (
            tree("round-robin", A, B, C),
            PARIS,
            [
                "round-robin: us-east: 1st, chosen (follows)",
                "round-robin: us-west: 2nd, chosen (begins by this draw)",
                "round-robin: eu-west: 3rd, chosen (follows)",
            ],
        ),
        (
            tree("sticky", A, B, weights=(3, 1)),
            PARIS,
            [
                "sticky: us-west: hash 0.95, weight 1, chosen",
                "sticky: us-east: hash 0.14, weight 3, ranks after it",
            ],
        ),
        (
            tree("multivalue", A, B, C, count=2),
            PARIS,
            [
                "multivalue: eu-west: hash 0.97, chosen",
                "multivalue: us-west: hash 0.95, chosen",
                "multivalue: us-east: hash 0.14, beyond 2 regions",
            ],
        ),
    ],
)
def test_every_kind_is_told_in_its_own_terms(
    policy: Policy, asker: Asker, expected: list[str]
) -> None:
    assert lines(explained(policy, asker=asker)) == expected


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        (state(), ()),
        (state(us_east=FORCED_DOWN), ("us-east is forced down (checks: UP)",)),
        (state(us_east=FORCED_UP), ("us-east is forced up (checks: DOWN)",)),
        (state(us_east=RegionState("UNKNOWN", "up")), ("us-east is forced up (not checked yet)",)),
        (
            state(us_east=DRAINED),
            ("us-east is drained: used only if nothing else is offered (checks: UP)",),
        ),
        (state(us_east=UNKNOWN), ("us-east is not checked yet: taken as UP",)),
        (
            state(us_east=ramping(0.25)),
            ("us-east is ramping up: given to 25% of the draws",),
        ),
    ],
)
def test_what_overrides_the_checks_is_told(now: ServiceState, expected: tuple[str, ...]) -> None:
    assert explained(LATENCY, now).overrides == expected


@pytest.mark.parametrize(
    ("share", "verdicts"),
    [
        (0.8, ["chosen (ramping: 80% of the draws)", "farther"]),
        (0.2, ["ramping: 20% of the draws", "chosen"]),
    ],
)
def test_a_ramp_is_told_with_its_share_of_the_draws(share: float, verdicts: list[str]) -> None:
    """The middle of the draws stands for all."""
    told = explained(tree("latency", A, C), state(eu_west=ramping(share)))
    assert [candidate.verdict for candidate in told.weighings[0].candidates] == verdicts


@pytest.mark.parametrize(
    ("all_down", "words"),
    [
        ("all", "all of them are named"),
        ("primary", "what would be chosen if all were UP is named"),
        ("refuse", "the query is refused"),
        ("empty", "the answer is empty"),
    ],
)
def test_failing_open_or_closed_is_told(all_down: str, words: str) -> None:
    told = explained(LATENCY, NONE_UP, all_down=all_down)
    assert told.overrides[-1] == f"no region is UP: {words} (all_down: {all_down})"
    assert len(told.weighings[0].candidates) == 4


@pytest.mark.parametrize(
    ("policy", "now", "asker", "words"),
    [
        (
            tree("failover", A, B),
            state(us_east=DOWN, us_west=DRAINED),
            PARIS,
            "no region is offered but drained ones: they are used",
        ),
        (
            tree("failover", A, B),
            state(us_east=DOWN, us_west=ramping(0.1)),
            PARIS,
            "no region is offered but ramping ones: they take all draws",
        ),
        (
            tree("geo", A, C, areas={"paris": (1,), "": (0,)}),
            state(eu_west=DOWN),
            PARIS,
            "no region for this client is UP: all of them are named (all_down: all)",
        ),
        (
            tree("geo", A, C, areas={"paris": (1,)}),
            state(),
            STRANGER,
            "no area of the policy is for this client: nothing is named",
        ),
    ],
)
def test_why_a_lesser_region_is_used_is_told(
    policy: Policy, now: ServiceState, asker: Asker, words: str
) -> None:
    assert explained(policy, now, asker).overrides[-1] == words


SITE = Site("paris", ("10.4.0.0/24",), PARIS.rtt_ms, PARIS.distance_km)
ASKERS = Askers.of([SITE], [])
NOW = ServiceState(state(us_east=DOWN).regions, 2, "while degraded: us-east is DOWN")


def answer(source: str, subnet: str = "", **changes: Any) -> Explanation:
    asking = Asking("ns1", "www.shop.test", source, subnet)
    return explain_answer(asking, service(LATENCY, **changes), NOW, ASKERS, 7)


def test_an_explanation_names_server_asker_answer_and_ttl() -> None:
    """And comes back whole from its JSON."""
    told = answer("10.4.0.1")
    assert Explanation.from_json(json.loads(json.dumps(asdict(told)))) == told
    expected: Mapping[str, object] = {
        "server": "ns1",
        "name": "www.shop.test",
        "source": "10.4.0.1",
        "by": "resolver",
        "network": "10.4.0.0/24",
        "site": "paris",
        "regions": (C,),
        "addresses": ("198.18.2.1",),
        "ttl_s": 2,
        "ttl_because": "while degraded: us-east is DOWN",
        "rcode": "NOERROR",
        "serial": 7,
    }
    assert {key: getattr(told, key) for key in expected} == expected


@pytest.mark.parametrize(
    ("subnet", "ecs", "by", "site"),
    [
        ("10.4.0.0/24", True, "client subnet", "paris"),
        ("10.4.0.77/24", True, "client subnet", "paris"),
        ("0.0.0.0/0", True, "resolver", ""),
        ("10.4.0.0/24", False, "resolver", ""),
    ],
)
def test_a_client_subnet_counts_where_the_service_takes_it(
    subnet: str, ecs: bool, by: str, site: str
) -> None:
    """A prefix of length 0 says that the client wants no part in it (RFC 7871, 7.1.2)."""
    told = answer("192.0.2.9", subnet, ecs=ecs)
    assert (told.by, told.site) == (by, site)
    assert any("ecs: no" in words for words in told.overrides) != ecs


@pytest.mark.parametrize(("source", "subnet"), [("paris", ""), ("10.4.0.1", "10.4.0.0/33")])
def test_what_is_no_address_cannot_ask(source: str, subnet: str) -> None:
    with pytest.raises(ValueError, match=r"paris|10\.4\.0\.0/33"):
        answer(source, subnet)


def test_a_refusal_is_told() -> None:
    asking = Asking("ns1", "www.shop.test", "10.4.0.1")
    served = service(LATENCY, all_down="refuse")
    told = explain_answer(asking, served, NONE_UP, ASKERS, 7)
    assert (told.rcode, told.addresses) == ("REFUSED", ())
