"""What a name server counts, and how monitoring reads it (Prometheus's text)."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from emulator.clock import NS_PER_S, Clock
from emulator.events import Check, Event, Forced, Generation, Health
from emulator.node.dns.values import Facts, RegionState, Routing, Transport

# Values of the label `qtype`; any of the other 65,500 is "other", so that no sender of random
# types makes new time series.
QTYPES = {
    *("A", "AAAA", "ANY", "AXFR", "CAA", "CNAME", "DNSKEY", "DS", "HTTPS", "IXFR", "MX", "NAPTR"),
    *("NS", "PTR", "SOA", "SRV", "SVCB", "TXT"),
}

Series = Mapping[tuple[str, ...], float]  # label values -> how many


class Counts:
    """Plain counters. They hear the server's events and what its answers say of themselves."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._verdicts: dict[str, int] = {}  # service -> a change that no answer has followed yet
        self.queries: Counter[tuple[str, ...]] = Counter()  # transport, qtype, rcode
        self.answers: Counter[tuple[str, ...]] = Counter()  # service, region
        self.subnets = 0
        self.truncated = 0
        self.drops: Counter[tuple[str, ...]] = Counter()  # reason
        self.transitions: Counter[tuple[str, ...]] = Counter()  # service, region, state
        self.checks: Counter[tuple[str, ...]] = Counter()  # service, region, result, checker
        self.unheard: Counter[str] = Counter()  # reports of vantage sites, by why
        self.generations: dict[str, Generation] = {}
        self.last_switch = (0.0, 0.0)  # seconds since 1970; of the lab's clock
        self.switch_over_s: dict[str, float] = {}  # service -> from verdict to answer, latest

    def answered(self, transport: Transport, facts: Facts, count: int = 1) -> None:
        """So many answers were given. The first of a service after a verdict on it tells how long
        that took to reach anybody."""
        qtype = facts.qtype if facts.qtype in QTYPES else "other"
        self.queries[transport, qtype, facts.rcode] += count
        for region in facts.regions:
            self.answers[facts.service, region] += count
        self.subnets += count * facts.has_subnet
        self.truncated += count * facts.is_truncated
        if self._verdicts and facts.service in self._verdicts:
            verdict = self._verdicts.pop(facts.service)
            self.switch_over_s[facts.service] = (self._clock.now_ns() - verdict) / NS_PER_S

    def dropped(self, reason: str) -> None:
        """A query got no answer, or a connection was closed on its peer."""
        self.drops[reason,] += 1

    def take(self, event: Event) -> None:
        """Hear an event of this server's."""
        if isinstance(event, Check):
            result = "good" if event.ok else "failed"
            self.checks[event.service, event.region, result, event.checker] += 1
        elif isinstance(event, Health):
            self.transitions[event.service, event.region, event.state] += 1
            self._verdicts[event.service] = event.t
        elif isinstance(event, Forced):
            self._verdicts[event.service] = event.t
        elif isinstance(event, Generation) and event != self.generations.get(event.service):
            self.generations[event.service] = event
            self.last_switch = (time.time(), event.t / NS_PER_S)


class Families:
    """Prometheus's collector: everything that one scrape shows, read when it is asked for."""

    def __init__(
        self,
        counts: Counts,
        routing: Callable[[], Routing],
        fold: Callable[[], None],
        connections: Callable[[], int],
    ) -> None:
        self._counts = counts
        self._routing = routing
        self._fold = fold
        self._connections = connections

    def collect(self) -> Iterator[Metric]:
        self._fold()
        yield from _counters(self._counts)
        yield from _gauges(self._routing())
        yield from _switches(self._counts)
        open_now = "TCP connections that are open."
        yield GaugeMetricFamily("netemu_dns_tcp_connections", open_now, self._connections())


def make_registry(families: Families) -> CollectorRegistry:
    """A registry of these and of the process's memory and CPU time."""
    registry = CollectorRegistry()
    registry.register(families)
    ProcessCollector(registry=registry)
    return registry


def exposition(registry: CollectorRegistry) -> bytes:
    return generate_latest(registry)


def _counters(counts: Counts) -> Iterator[Metric]:
    subnets: Series = {(): counts.subnets}
    truncated: Series = {(): counts.truncated}
    checked = ["service", "region", "result", "checker"]
    unheard: Series = {(reason,): count for reason, count in counts.unheard.items()}
    yield from (
        _counter("queries", "Queries answered.", ["transport", "qtype", "rcode"], counts.queries),
        _counter("answers", "Answers that name a region.", ["service", "region"], counts.answers),
        _counter("client_subnet", "Queries with a subnet (ECS).", [], subnets),
        _counter("truncated", "Answers cut to fit a datagram.", [], truncated),
        _counter("dropped", "Queries unanswered, connections closed.", ["reason"], counts.drops),
        _counter("health_transitions", "Verdicts on regions that changed.",
                 ["service", "region", "state"], counts.transitions),
        _counter("checks", "Health checks; checker is empty for the server's own.",
                 checked, counts.checks),
        _counter("reports_dropped", "Reports of vantage sites not heard.", ["reason"], unheard),
    )  # fmt: skip


def _gauges(routing: Routing) -> Iterator[Metric]:
    states = [
        ((service, region), state)
        for service, held in routing.services.items()
        for region, state in held.regions.items()
    ]
    labels = ["service", "region"]
    up = [(key, _up(state)) for key, state in states]
    forced = [((*key, state.forced), 1.0) for key, state in states if state.forced]
    share = [(key, state.share) for key, state in states]
    ttls = [((name,), float(held.ttl_s)) for name, held in routing.services.items()]
    yield _gauge("region_up", "1: its checks say UP, 0: DOWN, -1: not known yet.", labels, up)
    yield _gauge("region_forced", "1: held so, whatever checks say.", [*labels, "state"], forced)
    yield _gauge("region_share", "Of the draws it may be given.", labels, share)
    yield _gauge("ttl_seconds", "TTL of the service's answers.", ["service"], ttls)
    yield _gauge("serial", "Of the SOA: of the routing that is live.", [], [((), routing.serial)])


def _switches(counts: Counts) -> Iterator[Metric]:
    wall, monotonic = counts.last_switch
    numbers = [((name,), float(live.number)) for name, live in counts.generations.items()]
    took = [((name,), seconds) for name, seconds in counts.switch_over_s.items()]
    last = "last_switch_timestamp_seconds"
    yield _gauge("generation", "Number of the live routing.", ["service"], numbers)
    yield _gauge(last, "When the routing last changed, since 1970.", [], [((), wall)])
    yield _gauge("last_switch_monotonic_seconds", "The same on the lab's clock.", [],
                 [((), monotonic)])  # fmt: skip
    yield _gauge("switch_over_seconds", "From the latest verdict to the first answer after it.",
                 ["service"], took)  # fmt: skip


def _up(state: RegionState) -> float:
    return {"UP": 1.0, "DOWN": 0.0, "UNKNOWN": -1.0}[state.health]


def _counter(name: str, text: str, labels: list[str], values: Series) -> CounterMetricFamily:
    family = CounterMetricFamily(f"netemu_dns_{name}", text, labels=labels)
    for key, value in values.items():
        family.add_metric(key, value)
    return family


def _gauge(
    name: str, text: str, labels: list[str], values: Iterable[tuple[tuple[str, ...], float]]
) -> GaugeMetricFamily:
    family = GaugeMetricFamily(f"netemu_dns_{name}", text, labels=labels)
    for key, value in values:
        family.add_metric(key, value)
    return family
