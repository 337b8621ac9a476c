"""Time to recovery is repeatable: one region loses power 10 times at one phase, ttl 2 s."""

from __future__ import annotations

import tempfile
import uuid
from collections import defaultdict
from pathlib import Path
from statistics import median

from benchmarks.labs import lab_of
from benchmarks.table import Line, Say, at_most, information
from emulator.analysis.repeated import RunResult
from emulator.analysis.words import client_name
from emulator.controller.phase import Phase
from emulator.controller.repeat import run_at_phases
from emulator.errors import Inconclusive
from emulator.plan import make_plan
from emulator.scenario.model import Condition, Kill, Load, Scenario, Traffic, WaitUntil
from emulator.topology.parse import parse_topology

RUNS = 10
WITHIN_S = 0.15
TOPOLOGY = """\
netemu: 1
name: repeatable
zone: shop.test
regions:
  us-east: {location: aws:us-east-1, servers: 2}
  eu-west: {location: aws:eu-west-1, servers: 2}
clients:
  new-york: {location: city:New York}
  paris: {location: city:Paris/FR}
dns: {ttl: 2s, policy: latency, health_check: {interval: 500ms, timeout: 500ms, fall: 3, rise: 2}}
services:
  www: {port: 80, balance: l7}
"""
REGION = "us-east"
SCENARIO = Scenario(
    name="repeatable",
    topology_file="",
    traffic=Traffic(
        (Load("http", 80.0), Load("keepalive", 80.0), Load("stream", 20.0), Load("udp", 20.0))
    ),
    steps=(
        Kill(6.0, (REGION,)),
        WaitUntil(0.0, Condition("recovered", "recovered"), within_s=30.0),
    ),
    end_s=0.5,
    end_is_after=True,
)
# The name servers mark the region DOWN 1.65 s and 1.9 s after the fault, the resolver asks at
# 2.5 s, the first streams stall at 3 s: no two are so near that chance decides which is first.
PHASE = Phase({"ns1": 0.1, "ns2": 0.35}, ttl_s=1.5)


def measure(say: Say) -> list[Line]:
    """Ten losses of power on one lab, each at the same instant of every cycle."""
    plan = make_plan(parse_topology(TOPOLOGY, "repeatable"), f"bench-{uuid.uuid4().hex[:8]}")
    seen: defaultdict[str, list[float]] = defaultdict(list)

    def take(result: RunResult) -> None:
        told = []
        for row in result.measured.rows():
            if row.state == "unaffected":
                continue
            if row.recovery_s is None:
                raise Inconclusive(f"{client_name(row.client)}: {row.state} {row.reason}")
            seen[client_name(row.client)].append(row.recovery_s)
            told.append(f"{row.client.kind} {row.recovery_s:.3f} s")
        say(f"{Path(result.directory).name}: {', '.join(told)}")
        if result.measured.inconclusive:
            say("doubtful: " + "; ".join(result.measured.inconclusive))

    with lab_of(plan) as lab, tempfile.TemporaryDirectory() as directory:
        run_at_phases(SCENARIO, lab, Path(directory), 0, [PHASE] * RUNS, lambda _: None, take)
    return [line for name, values in seen.items() for line in _lines(name, values)]


def _lines(name: str, values: list[float]) -> list[Line]:
    middle = median(values)
    apart = [abs(value - middle) for value in values]
    return [
        information(f"{name}: recovery", values, "s"),
        at_most("  from the median", apart, WITHIN_S, "s"),
    ]
