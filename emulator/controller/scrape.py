"""What a name server counted, between two readings of its metrics (Prometheus' text)."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from emulator.clock import NS_PER_S
from emulator.controller.dns import metrics
from emulator.controller.lab import Lab

_PREFIX = "netemu_dns_"
_CONDITIONS = {-1.0: "not known yet", 0.0: "DOWN"}

Labels = frozenset[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Scrape:
    """One reading; `values` by sample name without the prefix, then by labels."""

    values: dict[str, dict[Labels, float]]

    def total(self, name: str) -> float:
        """Of a counter or gauge, over all of its labels; 0 where there is none."""
        return sum(self.values.get(name, {}).values())

    def by(self, name: str, label: str) -> dict[str, float]:
        """The same, apart for each value of one label."""
        found: dict[str, float] = {}
        for labels, value in self.values.get(name, {}).items():
            key = dict(labels).get(label, "")
            found[key] = found.get(key, 0.0) + value
        return found


def read_scrape(text: str) -> Scrape:
    """Raises ValueError for what is not Prometheus' text."""
    values: dict[str, dict[Labels, float]] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            name = sample.name.removeprefix(_PREFIX)
            values.setdefault(name, {})[frozenset(sample.labels.items())] = sample.value
    return Scrape(values)


def totals(scrape: Scrape) -> dict[str, Any]:
    """All that was asked since the server's start: queries, answers that named each region,
    truncated, dropped."""
    return {
        "queries": round(scrape.total("queries_total")),
        "regions": {r: round(n) for r, n in scrape.by("answers_total", "region").items()},
        "rcodes": {r: round(n) for r, n in scrape.by("queries_total", "rcode").items()},
        "truncated": round(scrape.total("truncated_total")),
        "dropped": round(scrape.total("dropped_total")),
    }


def between(before: Scrape, after: Scrape, seconds: float) -> dict[str, Any]:
    """What happened from one reading to the next: times a second, and counts by kind.

    A server that was started anew in between began at 0: its later counts are all there is.
    """
    if after.total("queries_total") < before.total("queries_total"):
        before = Scrape({})

    def gained(name: str, label: str) -> dict[str, float]:
        old = before.by(name, label)
        grown = {key: n - old.get(key, 0.0) for key, n in after.by(name, label).items()}
        return {key: more for key, more in grown.items() if more > 0}

    def rate(name: str) -> float:
        return (after.total(name) - before.total(name)) / seconds

    queries = rate("queries_total")
    return {
        "queries": queries,
        "rcodes": gained("queries_total", "rcode"),
        "types": gained("queries_total", "qtype"),
        "transports": gained("queries_total", "transport"),
        "regions": gained("answers_total", "region"),
        "subnet_share": rate("client_subnet_total") / queries if queries else 0.0,
        "truncated": rate("truncated_total"),
        "dropped": rate("dropped_total"),
        "failing": _failing(before, after),
        "overrides": _overrides(after),
        "generations": after.by("generation", "service"),
        "serial": after.total("serial"),
    }


def _failing(before: Scrape, after: Scrape) -> list[str]:
    """`us-east: 2 of 2 checks (DOWN)` for each region that failed a check, or is not UP."""
    checks: dict[tuple[str, str], Counter[str]] = {}
    old = before.values.get("checks_total", {})
    for labels, value in after.values.get("checks_total", {}).items():
        told = dict(labels)
        made = checks.setdefault((told["service"], told["region"]), Counter())
        made[told["result"]] += round(value - old.get(labels, 0.0))
    said = []
    for labels, up in sorted(after.values.get("region_up", {}).items(), key=lambda i: sorted(i[0])):
        service, region = dict(labels)["service"], dict(labels)["region"]
        made = checks.get((service, region), Counter())
        if made["failed"] or up < 1:
            state = f" ({_CONDITIONS[up]})" if up < 1 else ""
            said.append(f"{service} in {region}: {made['failed']} of {made.total()}{state}")
    return said


def _overrides(scrape: Scrape) -> list[str]:
    """`www in us-east: drain` for each region that is held so by hand."""
    told = [dict(labels) for labels in scrape.values.get("region_forced", {})]
    return sorted(f"{each['service']} in {each['region']}: {each['state']}" for each in told)


class Meter:
    """Reads every name server's metrics again and again."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self._before = self._read()

    def wait(self, seconds: float) -> dict[str, dict[str, Any]]:
        """What happened at each name server since the reading before, after so long; or
        {"error": why} of one that is mute."""
        self.lab.clock.sleep(seconds)
        now = self._read()
        rows = {server: _row(self._before.get(server), reading) for server, reading in now.items()}
        self._before = now
        return rows

    def _read(self) -> dict[str, Reading]:
        answers = metrics(self.lab)
        now_ns = self.lab.clock.now_ns()
        return {server: _reading(answer, now_ns) for server, answer in answers.items()}


Reading = tuple[int, Scrape] | str  # when it was read, or why it was not


def _reading(answer: dict[str, Any], now_ns: int) -> Reading:
    if "error" in answer:
        return str(answer["error"])
    try:
        return now_ns, read_scrape(answer["text"])
    except ValueError as error:
        return f"its metrics cannot be read: {error}"


def _row(before: Reading | None, after: Reading) -> dict[str, Any]:
    if isinstance(after, str):
        return {"error": after}
    if before is None or isinstance(before, str):
        return {"error": "it is back; counting"}
    return between(before[1], after[1], (after[0] - before[0]) / NS_PER_S)
