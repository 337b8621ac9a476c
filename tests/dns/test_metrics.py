"""What a name server counts is what happened, in the text that monitoring reads."""

from __future__ import annotations

from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from emulator.clock import NS_PER_S, ManualClock
from emulator.events import Check, Forced, Generation, Health
from emulator.node.dns.metrics import Counts, Families, exposition, make_registry
from emulator.node.dns.values import Facts, RegionState, Routing, ServiceState

WWW = Facts("NOERROR", "A", "www", ("us-east",))
WHERE: Any = {"server": "ns1", "service": "www", "region": "us-east"}
Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


def samples(counts: Counts, routing: Routing | None = None, connections: int = 0) -> Samples:
    live = routing or Routing(7, {})
    registry = make_registry(Families(counts, lambda: live, lambda: None, lambda: connections))
    return read(exposition(registry).decode())


def read(text: str) -> Samples:
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def value(found: Samples, name: str, **labels: str) -> float | None:
    return found.get((f"netemu_dns_{name}", frozenset(labels.items())))


def test_answers_are_counted_by_what_they_were() -> None:
    """By transport, type and rcode; by region; subnets and truncations."""
    counts = Counts(ManualClock())
    counts.answered("udp", WWW, 5)
    counts.answered("tcp", Facts("NXDOMAIN", "AAAA"))
    counts.answered("udp", Facts("NOERROR", "A", "www", ("us-east", "eu-west"), has_subnet=True))
    counts.answered("udp", Facts("NOERROR", "A", is_truncated=True), 2)
    counts.dropped("unsent")
    found = samples(counts)
    assert value(found, "queries_total", transport="udp", qtype="A", rcode="NOERROR") == 8
    assert value(found, "queries_total", transport="tcp", qtype="AAAA", rcode="NXDOMAIN") == 1
    assert value(found, "answers_total", service="www", region="us-east") == 6
    assert value(found, "answers_total", service="www", region="eu-west") == 1
    assert value(found, "client_subnet_total") == 1
    assert value(found, "truncated_total") == 2
    assert value(found, "dropped_total", reason="unsent") == 1


def test_random_types_make_no_series() -> None:
    """Whoever asks for all 65,536 types is one row."""
    counts = Counts(ManualClock())
    for number in range(1000, 1500):
        counts.answered("udp", Facts("NOERROR", f"TYPE{number}"))
    found = samples(counts)
    assert value(found, "queries_total", transport="udp", qtype="other", rcode="NOERROR") == 500
    assert sum(name == "netemu_dns_queries_total" for name, _ in found) == 1


def test_events_are_counted() -> None:
    """Checks by who made them, verdicts, and the generation that is live; one that is said again
    is not another switch."""
    clock = ManualClock(0)
    counts = Counts(clock)
    counts.take(Check(t=1, end=2, ok=False, **WHERE))
    counts.take(Check(t=1, end=2, ok=True, checker="paris", **WHERE))
    counts.take(Health(t=3, state="DOWN", **WHERE))
    live = Generation(
        t=4 * NS_PER_S, server="ns1", service="www", number=2, up=["eu-west"], down=["us-east"]
    )
    counts.take(live)
    switched = counts.last_switch
    counts.take(live)
    assert counts.last_switch == switched
    found = samples(counts)
    which = {"service": "www", "region": "us-east"}
    assert value(found, "checks_total", result="failed", checker="", **which) == 1
    assert value(found, "checks_total", result="good", checker="paris", **which) == 1
    assert value(found, "health_transitions_total", state="DOWN", **which) == 1
    assert value(found, "generation", service="www") == 2
    assert value(found, "last_switch_monotonic_seconds") == 4.0


def test_the_first_answer_after_a_verdict_tells_how_long_it_took() -> None:
    """Later answers, and those of another service, tell nothing."""
    clock = ManualClock(0)
    counts = Counts(clock)
    counts.take(Health(t=0, state="DOWN", **WHERE))
    clock.sleep(0.01)
    counts.answered("udp", Facts("NOERROR", "A", "api", ("us-east",)))
    assert counts.switch_over_s == {}
    clock.sleep(0.01)
    counts.answered("udp", WWW)
    clock.sleep(0.98)
    counts.answered("udp", WWW)
    assert counts.switch_over_s == {"www": 0.02}
    counts.take(Forced(t=NS_PER_S, state="drain", **WHERE))
    clock.sleep(1)
    counts.answered("udp", WWW)
    assert value(samples(counts), "switch_over_seconds", service="www") == 1.0


def test_gauges_are_what_is_live() -> None:
    """Health as checks have it, what overrides it, the share of a ramp, the TTL, the serial."""
    regions = {
        "us-east": RegionState("DOWN", "up"),
        "eu-west": RegionState("UP", None, 0.25),
        "ap-south": RegionState(),
    }
    found = samples(Counts(ManualClock()), Routing(42, {"www": ServiceState(regions, 5)}), 3)
    states = {r: value(found, "region_up", service="www", region=r) for r in regions}
    assert states == {"us-east": 0, "eu-west": 1, "ap-south": -1}
    assert value(found, "region_forced", service="www", region="us-east", state="up") == 1
    assert value(found, "region_share", service="www", region="eu-west") == 0.25
    assert value(found, "ttl_seconds", service="www") == 5
    assert value(found, "serial") == 42
    assert value(found, "tcp_connections") == 3
