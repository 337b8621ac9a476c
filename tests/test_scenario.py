"""Objectives are read with their units, and a scenario's names must be in the lab."""

from __future__ import annotations

import pytest

from emulator.scenario.model import Objective, Traffic
from emulator.scenario.objectives import CLIENTS, parse_objective
from emulator.scenario.parse import parse_scenario
from emulator.scenario.traffic import SHARES
from emulator.topology.model import CLIENT_KINDS

HEAD = "netemu: 1\nname: x\ntopology: sub/lab.yaml\nend: 60s\n"


def test_the_clients_are_those_of_the_topology() -> None:
    """Two floors that may not import each other say the same."""
    assert CLIENTS == CLIENT_KINDS == tuple(SHARES)
    assert sum(SHARES.values()) == pytest.approx(1)


@pytest.mark.parametrize(
    ("text", "figure", "statistic", "comparison", "bound", "city", "client"),
    [
        ("recovery_s.p100 <= 15 s", "recovery_s", "p100", "<=", 15.0, None, None),
        ("recovery_s<=1500ms", "recovery_s", "p100", "<=", 1.5, None, None),
        ("outage_s.p50 < 2m from paris", "outage_s", "p50", "<", 120.0, "paris", None),
        ("reversion_s.p99 > 1s over udp from x", "reversion_s", "p99", ">", 1.0, "x", "udp"),
        ("requests_lost <= 50 over http", "requests_lost", "", "<=", 50.0, None, "http"),
        ("  resets   ==  0 ", "resets", "", "==", 0.0, None, None),
        ("availability >= 99.9 %", "availability", "", ">=", 0.999, None, None),
    ],
)
def test_an_objective_is_read_as_it_is_said(
    text: str,
    figure: str,
    statistic: str,
    comparison: str,
    bound: float,
    city: str | None,
    client: str | None,
) -> None:
    """Times become seconds, percent becomes a share, blanks do not matter."""
    read = parse_objective(text)
    said = (figure, statistic, comparison, bound, city, client)
    assert read == Objective(" ".join(text.split()), *said)  # type: ignore[arg-type]


def rates_of(traffic: Traffic) -> dict[str, float]:
    """Requests/s by kind."""
    return {load.kind: load.rate for load in traffic.loads}


def test_traffic_is_a_total_or_stated_by_kind() -> None:
    """200/s of a city is 80 http, 80 keep-alive, 20 messages on 4 streams, 20 UDP."""
    steps = "steps: [{at: 1s, kill: a}]\n"
    total = parse_scenario(HEAD + steps + "traffic: {rate: 200/s}\n", "x.yaml")
    assert rates_of(total.traffic) == {"http": 80, "keepalive": 80, "stream": 20, "udp": 20}
    assert parse_scenario(HEAD + steps, "x.yaml").traffic == total.traffic
    single = parse_scenario(HEAD + steps + "traffic: {udp: 30/min}\n", "x.yaml")
    assert rates_of(single.traffic) == {"http": 0, "keepalive": 0, "stream": 0, "udp": 0.5}


def test_the_topology_is_found_beside_the_scenario() -> None:
    """Its path is relative to the scenario file, not to where netemu was started."""
    scenario = parse_scenario(HEAD + "steps: []\n", "some/where/x.yaml")
    assert scenario.topology_file == "some/where/sub/lab.yaml"
