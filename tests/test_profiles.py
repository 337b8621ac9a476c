"""Timings of known products: valid by themselves, and less than what the file says."""

from __future__ import annotations

import pytest

from emulator.topology.model import DnsPolicy
from emulator.topology.parse import parse_topology
from emulator.topology.profiles import PROFILES

TEXT = """\
netemu: 1
name: lab
regions: {us: {location: aws:us-east-1}}
clients: {paris: {location: city:Paris/FR}}
dns: DNS
services: {www: {dns: WWW}}
"""


def policy(dns: str, www: str = "{}") -> DnsPolicy:
    text = TEXT.replace("DNS", dns).replace("WWW", www)
    return parse_topology(text, "test.yaml").services[0].dns


@pytest.mark.parametrize("name", PROFILES)
def test_a_profile_is_what_a_file_may_say(name: str) -> None:
    """Its checks end within their interval, and its name is kept for whoever reads the plan."""
    read = policy(f"{{profile: {name}}}")
    assert 0 < read.health_check.timeout_s <= read.health_check.interval_s
    assert min(read.health_check.fall, read.health_check.rise, read.ttl_s) >= 1
    assert read.profile == name


@pytest.mark.parametrize(
    ("name", "worst_s"),
    [("route53", 156), ("route53-fast", 96), ("azure", 160), ("azure-fast", 49), ("gdnsd", 110)],
)
def test_a_profiles_slowest_failover_is_its_products(name: str, worst_s: float) -> None:
    """`fall` checks, the last timeout and the TTL: Azure documents 130 s and a TTL of 30."""
    read = policy(f"{{profile: {name}}}")
    check = read.health_check
    assert check.fall * check.interval_s + check.timeout_s + read.ttl_s == worst_s


def test_what_the_file_says_wins() -> None:
    """Key by key; a timeout that is left unsaid follows a shorter interval."""
    read = policy("{profile: route53, ttl: 5s, health_check: {interval: 2s}}")
    assert (read.ttl_s, read.health_check.interval_s, read.health_check.timeout_s) == (5, 2.0, 2.0)
    assert (read.health_check.rise, read.all_down) == (3, "primary")


def test_a_services_profile_comes_before_the_files_defaults() -> None:
    """What is nearer to the service is meant for it; what neither names stays as it was."""
    read = policy("{profile: gdnsd, ttl: 7s, ramp: 3s}", "{profile: azure, ttl: 9s}")
    check = read.health_check
    assert (read.ttl_s, read.ramp_s, read.profile) == (9, 3.0, "azure")
    assert (check.interval_s, check.fall, check.clear) == (30.0, 4, None)
