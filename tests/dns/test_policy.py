"""Which regions are named, for whom."""

from itertools import chain, combinations, permutations

import pytest

from emulator.node.dns.config import Site
from emulator.node.dns.policy import LatencyPolicy, choose
from tests.dns.examples import NEW_YORK, PARIS, STRANGER, authority

REGIONS = ("us-east", "eu-west", "ap-south")
EVERY_SET = list(chain.from_iterable(combinations(REGIONS, n) for n in range(4)))


@pytest.mark.parametrize("up", EVERY_SET)
@pytest.mark.parametrize("order", list(permutations(REGIONS)))
def test_choice_is_the_nearest_region_up_or_all(
    order: tuple[str, ...], up: tuple[str, ...]
) -> None:
    """A DOWN region is never named while another is up; when none is, all are, nearest first."""
    chosen = choose(order, frozenset(up))
    assert chosen == ((min(up, key=order.index),) if up else order)


@pytest.mark.parametrize(
    ("source", "nearest"),
    [(NEW_YORK, "us-east"), ("100.64.0.3", "us-east"), (PARIS, "eu-west"), (STRANGER, "us-east")],
)
def test_order_follows_the_site_of_the_source(source: str, nearest: str) -> None:
    """By round-trip time whatever the file's order; a stranger gets the default order."""
    assert authority().policy.order(source)[0] == nearest


def test_the_longest_prefix_wins() -> None:
    """A site inside another site's prefix is found."""
    wide = Site("wide", ("10.0.0.0/8",), {"us-east": 1.0}, {})
    narrow = Site("narrow", ("10.9.0.0/24",), {"eu-west": 1.0}, {})
    policy = LatencyPolicy.of([wide, narrow], ())
    assert policy.order("10.9.0.5") == ("eu-west",)
    assert policy.order("10.8.0.5") == ("us-east",)
