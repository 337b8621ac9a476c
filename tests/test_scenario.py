"""Objectives are read with their units, and a scenario's names must be in the lab."""

from __future__ import annotations

import json
from dataclasses import asdict

import pytest

from emulator.errors import FileProblems
from emulator.scenario.model import Kill, Objective, Period, Scenario, Traffic
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


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("recovery_s.min <= 1s", {"figure": "recovery_s", "statistic": "p0"}),
        ("cache_s.median <= 1s", {"figure": "cache_s", "statistic": "p50"}),
        ("resume_s.max <= 1s", {"figure": "resume_s", "statistic": "p100"}),
        ("recovery_s.p99.90 <= 1s", {"statistic": "p99.9"}),
        ("relapses == 0", {"figure": "relapses", "statistic": ""}),
        ("p99_ms <= 250", {"figure": "latency_ms", "statistic": "p99", "bound": 250.0}),
        ("p99.9_ms <= 0.25 s", {"figure": "latency_ms", "statistic": "p99.9", "bound": 250.0}),
        ("max_ms <= 8.1ms", {"figure": "latency_ms", "statistic": "p100", "bound": 8.1}),
        ("region_share(eu-west) >= 99 %", {"figure": "region_share", "region": "eu-west"}),
        ("region_share( b ) >= 99 %", {"region": "b", "bound": 0.99}),
        ("resets == 0 during a-down", {"period": Period("down", "a")}),
        ("resets == 0 during a/b-1-down", {"period": Period("down", "a/b-1")}),
        ("resets == 0 during a-down-down", {"period": Period("down", "a-down")}),
        ("resets == 0 during faults", {"period": Period("faults")}),
        ("resets == 0 outside faults", {"period": Period("outside")}),
        ("resets == 0 before faults", {"period": Period("before")}),
        ("resets == 0 after heal over udp", {"period": Period("after"), "client": "udp"}),
        ("recovery_s <= 1s during a-down from b", {"period": Period("down", "a"), "city": "b"}),
        ("predicted recovery_s <= 1 s", {"is_predicted": True, "statistic": "p100"}),
        ("dns_queries_per_s <= 2.5 from a", {"bound": 2.5, "statistic": "", "city": "a"}),
        ("dns_queries_per_s > 1/s during faults", {"bound": 1.0, "period": Period("faults")}),
        ("recovery_s.p90 <= predicted.p99", {"bound_predicted": "p99", "bound": 0.0}),
        ("recovery_s <= predicted", {"bound_predicted": "p100", "is_predicted": False}),
    ],
)
def test_an_objective_is_read_in_all_its_parts(text: str, expected: dict[str, object]) -> None:
    """Statistics by their shares, latencies in ms, the region, the period, the prediction."""
    read = asdict(parse_objective(text))
    wanted = {key: asdict(x) if isinstance(x, Period) else x for key, x in expected.items()}
    assert {key: read[key] for key in wanted} == wanted
    json.dumps(read, allow_nan=False)


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


@pytest.mark.parametrize(
    ("cache", "held"),
    [
        ("none", (0.0, 0.0)),
        ("ttl", (-1.0, 0.0)),
        ("honours-ttl", (-1.0, 0.0)),
        ("browser-60s", (60.0, 0.0)),
        ("jvm-30s", (30.0, 10.0)),
        ("jvm-forever", (None, 10.0)),
        ("resolve-once", (None, None)),
        ("forever", (None, 0.0)),
        ("45s", (45.0, 0.0)),
    ],
)
def test_clients_hold_answers_as_those_of_the_field_do(
    cache: str, held: tuple[float | None, float | None]
) -> None:
    """And believe failures: a JVM for 10 s. JSON says for ever as null."""
    text = f"{HEAD}steps: []\ntraffic: [{{over: http, rate: 5/s, cache: {cache}}}]\n"
    told = parse_scenario(text, "a.yaml").traffic.loads[0].to_json()
    assert (told["cache_s"], told["negative_s"]) == held


def test_only_a_pools_connections_have_a_lifetime() -> None:
    """A stream lives for ever, and the others close at once."""
    text = HEAD + "steps: []\ntraffic: [{over: keepalive, rate: 5/s, lifetime: 30s}]\n"
    assert parse_scenario(text, "a.yaml").traffic.loads[0].lifetime_s == 30.0
    for over in ("over: http, ", ""):
        with pytest.raises(FileProblems, match="lifetime"):
            parse_scenario(text.replace("over: keepalive, ", over), "a.yaml")


def test_the_topology_is_found_beside_the_scenario() -> None:
    """Its path is relative to the scenario file, not to where netemu was started."""
    scenario = parse_scenario(HEAD + "steps: []\n", "some/where/x.yaml")
    assert scenario.topology_file == "some/where/sub/lab.yaml"


def steps(text: str) -> Scenario:
    """A scenario with these steps."""
    return parse_scenario(HEAD.replace("60s", "+5s") + f"steps:\n{text}", "x.yaml")


def test_what_repeats_is_written_out_until_its_span_ends() -> None:
    """Each for as long as it says; the end of the span is not one of them."""
    kills = steps("  - {at: 10s..60s, kill: a, every: 10s, for: 3s}\n").steps
    assert [step.at_s for step in kills] == [10, 20, 30, 40, 50]
    assert {step.for_s for step in kills if isinstance(step, Kill)} == {3}
    tenths = steps("  - {at: 0s..60s, kill: a, every: 200ms, for: 100ms}\n").steps
    assert len(tenths) == 300


def test_other_steps_stand_between_repetitions() -> None:
    """In the order of time, whatever repeats longest; at one time, in the order of the file."""
    read = steps(
        "  - {at: 10s..40s, kill: a, every: 10s, for: 3s}\n"
        "  - {at: 15s..60s, kill: b, every: 15s, for: 3s}\n"
        "  - {at: 35s, kill: c}\n"
    )
    said = [(step.at_s, step.target) for step in read.steps if isinstance(step, Kill)]
    assert said == [
        (10, ("a",)),
        (15, ("b",)),
        (20, ("a",)),
        (30, ("a",)),
        (30, ("b",)),
        (35, ("c",)),
        (45, ("b",)),
    ]


def test_a_run_lasts_as_long_as_its_waits_may() -> None:
    """Steps after a wait are at most its patience later."""
    read = steps(
        "  - {at: 10s, kill: a}\n"
        "  - {wait_until: recovered, within: 20s}\n"
        "  - {at: +5s, heal: a}\n"
        "  - {at: 40s, wait_until: steady, within: 10s}\n"
    )
    assert read.first_fault_s == 10
    assert read.longest_s == 55


@pytest.mark.parametrize("end", ["60s", "+50s"])
def test_the_end_comes_after_the_last_heal(end: str) -> None:
    """Also of a fault that heals by itself; a kill is over when it is injected."""
    text = f"{HEAD}steps: [{{at: 10s..60s, kill: a}}]\n".replace("end: 60s", f"end: {end}")
    with pytest.raises(FileProblems, match=r"at 60 s, before its last fault is healed \(60 s\)"):
        parse_scenario(text, "x.yaml")
    assert parse_scenario(text.replace(f"end: {end}", "end: +51s"), "x.yaml").longest_s == 61


def test_queries_are_of_no_kind_of_client():
    """A resolver asks for all of them."""
    with pytest.raises(ValueError, match="not of a kind of client; leave over out"):
        parse_objective("dns_queries_per_s <= 1 over http")
    with pytest.raises(FileProblems, match="is of a run, not of a window"):
        parse_scenario(HEAD + "steps: []\nsteady_state: [dns_queries_per_s <= 1]\n", "x.yaml")


def test_a_client_of_the_users_is_a_kind_for_objectives_and_not_for_traffic():
    """It asks as it likes, and tells of failures, not of resets."""
    assert parse_objective("recovery_s <= 40 s from paris over own").client == "own"
    assert parse_objective("exit_code == 3 from paris").bound == 3.0
    with pytest.raises(ValueError, match="not of resets; write requests_lost"):
        parse_objective("resets == 0 over own")
    text = HEAD + "steps: []\ntraffic: [{over: own, rate: 5/s}]\n"
    with pytest.raises(FileProblems, match="a client of yours makes its own requests"):
        parse_scenario(text, "x.yaml")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("exit_code == 0 over http", "is of a client of yours; leave over http out"),
        ("exit_code == 0 after heal", "is of the end of the run; leave the period out"),
        ("exit_code == 256", "write 0 to 255"),
        ("exit_code.p50 == 0", "is one number"),
    ],
)
def test_an_exit_code_is_of_a_whole_run_of_a_client_of_the_users(text: str, words: str):
    with pytest.raises(ValueError, match=words):
        parse_objective(text)
    with pytest.raises(FileProblems, match="is of a run, not of a window"):
        parse_scenario(HEAD + "steps: []\nsteady_state: [exit_code == 0]\n", "x.yaml")
