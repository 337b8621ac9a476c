"""What a policy means here: its regions, its areas, and where clients go as regions die."""

from __future__ import annotations

import pytest

from emulator.plan.model import Plan, ServiceSpec
from emulator.plan.paths import near_to, round_trips_s
from emulator.plan.policies import is_certain, order
from emulator.plan.sent import sent_cities, sent_to
from emulator.steering import Policy
from tests.plan.worlds import plan_of

WORLD = """\
netemu: 1
name: steered
zone: shop.test
regions:
  us-east: {location: aws:us-east-1, tags: americas}
  us-west: {location: aws:us-west-2, services: {api: {servers: 0}}}
  eu-west: {location: aws:eu-west-1}
clients:
  new-york: {location: city:New York, tags: americas}
  paris: {location: city:Paris/FR}
paths:
  paris..us-east: {rtt: 4ms}  # by the map Paris is nearest to eu-west
dns: {policy: POLICY}
services: {www: {port: 80}, api: {port: 81}}
"""


def planned(policy: str) -> Plan:
    return plan_of(WORLD.replace("POLICY", policy))


def service(plan: Plan, name: str) -> ServiceSpec:
    return next(service for service in plan.services if service.name == name)


def orders(policy: str) -> dict[str, list[str]]:
    return {city: list(regions) for city, regions in planned(policy).preferred.items()}


def test_a_plain_policy_is_over_all_regions_that_have_the_service() -> None:
    """us-west has no servers of api, so no policy of api names it."""
    plan = planned("failover")
    assert service(plan, "www").policy == Policy("failover", ("us-east", "us-west", "eu-west"))
    assert service(plan, "api").policy.members == ("us-east", "eu-west")


def test_a_default_policy_loses_what_a_service_does_not_have() -> None:
    """Weights stay with their regions; a nested policy without any region goes."""
    plan = planned("{weighted: [{to: us-west, weight: 5}, {to: eu-west, weight: 3}, us-east]}")
    api = service(plan, "api").policy
    assert (api.members, api.weights) == (("eu-west", "us-east"), (3, 1))
    nested = planned("{failover: [{latency: [us-west]}, us-east]}")
    assert service(nested, "api").policy.members == ("us-east",)


def test_an_area_is_of_the_site_before_its_tags_before_the_default() -> None:
    """And each is tried when those before it have nothing to offer."""
    plan = planned("{geo: {'tag:americas': us-west, new-york: us-east, default: eu-west}}")
    www = service(plan, "www").policy
    assert www.members == ("us-west", "us-east", "eu-west")
    assert www.areas == {"": (2,), "us-east": (0, 2), "new-york": (1, 0, 2)}
    assert orders("{geo: {'tag:americas': us-west, new-york: us-east, default: eu-west}}") == {
        "new-york": ["us-east", "us-west", "eu-west"],
        "paris": ["eu-west"],
    }


def test_a_default_area_without_the_service_gives_way_to_what_has_it() -> None:
    """Nobody is left without an answer by a default that was written for other services."""
    api = service(planned("{geo: {paris: eu-west, default: us-west}}"), "api").policy
    assert (api.members, api.areas[""]) == (("eu-west",), (0,))


@pytest.mark.parametrize(
    ("policy", "paris"),
    [
        ("latency", ["us-east", "eu-west", "us-west"]),
        ("geo", ["eu-west", "us-east", "us-west"]),
        ("failover", ["us-east", "us-west", "eu-west"]),
        ("{failover: [us-west, eu-west]}", ["us-west", "eu-west"]),
        ("{failover: [{geo: [us-west, eu-west]}, us-east]}", ["eu-west", "us-west", "us-east"]),
        ("{latency: [{failover: [us-west, us-east]}, eu-west]}", ["us-west", "us-east", "eu-west"]),
        ("{latency: [us-west, {failover: [eu-west]}]}", ["eu-west", "us-west"]),
    ],
)
def test_a_certain_policy_says_where_clients_go_as_regions_are_lost(
    policy: str, paris: list[str]
) -> None:
    """Each region is the one that is given when all before it are DOWN."""
    plan = planned(policy)
    assert is_certain(plan.services[0].policy)
    assert list(plan.preferred["paris"]) == paris


@pytest.mark.parametrize(
    "policy",
    ["{weighted: {us-west: 3, eu-west: 1}}", "{sticky: [eu-west, us-west]}",
     "{multivalue: [us-west, eu-west]}", "{round-robin: [us-west, eu-west]}",
     "{failover: [{weighted: {us-west: 3, eu-west: 1}}]}"],
)  # fmt: skip
def test_where_a_draw_decides_nothing_is_certain_and_the_nearest_come_first(policy: str) -> None:
    """Only the regions that the policy names, whatever it is."""
    plan = planned(policy)
    assert not is_certain(plan.services[0].policy)
    assert plan.preferred["paris"] == ("eu-west", "us-west")


def test_one_region_is_certain_under_every_policy() -> None:
    """There is nothing to draw."""
    assert is_certain(planned("{round-robin: [us-east]}").services[0].policy)


@pytest.mark.parametrize(
    ("policy", "regions", "because"),
    [
        ("latency", ("us-east",), ""),  # the round trips say it
        ("geo", ("eu-west",), "nearest by distance"),
        ("failover", ("us-east",), "first"),
        ("{weighted: {us-west: 3, eu-west: 1, us-east: 0}}", ("us-west", "eu-west"),
         "by weight 3 of 4 and 1 of 4"),
        ("{sticky: [us-west, eu-west]}", ("us-west", "eu-west"), "by hash, 1 of 2 and 1 of 2"),
        ("{multivalue: [us-west, eu-west], count: 2}", ("us-west", "eu-west"),
         "spread, up to 2 at once"),
        ("{round-robin: [us-west, eu-west]}", ("us-west", "eu-west"), "in turn"),
        ("{geo: {paris: {weighted: {us-west: 1, eu-west: 1}}, default: us-east}}",
         ("us-west", "eu-west"), "by area, then by weight 1 of 2 and 1 of 2"),
    ],
)  # fmt: skip
def test_where_a_city_goes_is_said_in_the_words_of_its_policy(
    policy: str, regions: tuple[str, ...], because: str
) -> None:
    """Every region that DNS may name while all are UP, and why."""
    sent = sent_cities(planned(policy))["paris"]
    assert (sent.regions, sent.because) == (regions, because)


def test_a_strangers_way_is_that_of_the_default_area() -> None:
    """A site of no area of its own is everybody else."""
    plan = planned("{geo: {paris: eu-west, default: us-west}}")
    near = near_to(plan.sites, round_trips_s(plan.paths), "ns1")
    assert order(plan.services[0].policy, near) == ("us-west",)
    assert sent_to(plan.services[0].policy, near).regions == ("us-west",)
