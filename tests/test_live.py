"""What a person is told while it happens: each turn once, in words."""

from __future__ import annotations

import io
from typing import Any

from rich.console import Console

from emulator.plan import make_plan
from emulator.report.live import Narrator
from emulator.topology.parse import parse_topology

TOPOLOGY = """
netemu: 1
name: two
regions:
  us-east: {location: aws:us-east-1}
  eu-west: {location: aws:eu-west-1}
clients:
  new-york: {location: city:New York}
"""
S = 1_000_000_000


def told(events: list[dict[str, Any]], topology: str = TOPOLOGY) -> list[str]:
    out = io.StringIO()
    plan = make_plan(parse_topology(topology, "two.yaml"), "two")
    narrator = Narrator(Console(file=out, width=100), plan)
    for event in events:
        narrator.feed(event)
    return [line.strip() for line in out.getvalue().splitlines()]


def request(start_s: float, outcome: str = "ok", ends_s: float = 0.01) -> dict[str, Any]:
    t = round(start_s * S)
    return {
        "kind": "request",
        "t": t,
        "end": t + round(ends_s * S),
        "city": "new-york",
        "client": "http",
        "outcome": outcome,
        "detail": "" if outcome == "ok" else "connect",
        "region": "eu-west" if outcome == "ok" else "",
    }


def test_a_recovery_is_told_once_though_requests_end_out_of_order():
    """Time-outs of before the recovery arrive after it; they are old news."""
    events = [request(1), request(2, "timeout", 3), request(5.5), request(4, "timeout", 3)]
    events += [request(5.2, "timeout", 3), *[request(5.5 + n / 2) for n in range(1, 6)]]
    assert told(events) == [
        "4.0 s  new-york, http: first failure, timeout connect",
        "4.5 s  new-york, http: answered again, by eu-west",
    ]


def test_one_answer_between_failures_is_no_recovery():
    """It takes a second of answers."""
    lines = told([request(1, "timeout"), request(1.5), request(2, "timeout"), request(2.5)])
    assert len(lines) == 1


def test_a_resolver_that_is_sent_elsewhere_is_told_by_region():
    """Addresses mean nothing to a newcomer; the same answer again is no news."""
    answer = {"kind": "answer", "target": "new-york", "source": "ns1"}
    here, there = "198.18.1.1", "198.18.2.1"
    events = [
        answer | {"t": n * S, "addresses": a} for n, a in enumerate([[here], [there], [there]])
    ]
    assert told(events) == ["1.0 s  new-york's resolver is given eu-west by ns1"]


def test_forced_states_are_told_in_words():
    """Who holds what for how long, and who follows the checks again; checks are told nothing of."""
    forced: dict[str, Any] = {
        "kind": "forced",
        "server": "ns1",
        "service": "www",
        "region": "us-east",
    }
    events: list[dict[str, Any]] = [
        {"kind": "check", "t": 0, "server": "ns1", "region": "us-east", "ok": False},
        forced | {"t": S, "state": "drain", "until": 601 * S, "reason": "told"},
        forced | {"t": 3 * S, "state": "auto", "until": None, "reason": "expired"},
    ]
    assert told(events) == [
        "1.0 s  ns1 holds us-east drained for 10 min",
        "3.0 s  ns1 follows the checks of us-east again (its time is over)",
    ]


def test_the_wires_life_and_an_overload_are_told_once_each():
    """Other daemons' ends show in what they did."""
    turns = [("ended", "signal 9"), ("started", "compiled"), ("stuck", "no sign of life for 1.2 s"),
             ("moving", "")]  # fmt: skip
    events: list[dict[str, Any]] = [
        {"kind": "daemon", "t": 0, "host": "wan", "name": "wire", "state": s, "detail": d}
        for s, d in turns
    ]
    events.append({**events[0], "host": "us-east/www-1", "name": "app"})
    events += [{"kind": "wire", "t": 0, "packets": 9, "dropped": n} for n in (0, 1200, 7, 0, 0)]
    assert told(events) == [
        "0.0 s  the WAN's wire ended (signal 9): nothing moves until it is started anew",
        "0.0 s  the WAN's wire moves packets (compiled)",
        "0.0 s  the WAN's wire stands still: no sign of life for 1.2 s",
        "0.0 s  the WAN's wire moves again",
        "0.0 s  the WAN is overloaded: 1,200 packets dropped",
        "0.0 s  the WAN keeps up again",
    ]


def test_changes_of_paths_are_told_as_they_come_and_a_trace_once():
    """Both directions in one line."""
    slow = {"kind": "path", "by": "hand", "values": {"delay_ns": 100_000_000}}
    there = {"source": "us-east", "target": "new-york"}
    back = {"source": "new-york", "target": "us-east"}
    events: list[dict[str, Any]] = [
        slow | there | {"t": S},
        slow | back | {"t": S},
        *[slow | there | {"by": "trace", "t": n * S} for n in range(2, 6)],
        slow | there | {"values": {}, "by": "clear", "t": 7 * S},
        {"kind": "note", "t": 8 * S, "text": "end"},
    ]
    assert told(events) == [
        "0.0 s  new-york..us-east: 100 ms",
        "1.0 s  us-east->new-york: 100 ms (by its trace)",
        "6.0 s  us-east->new-york: as the file says again",
        "7.0 s  end of the scenario",
    ]


def test_a_client_of_the_users_is_told_of_by_its_lines():
    """Those that tell of attempts; by nobody, where they do not say who answered."""

    def line(at_s: float, **said: Any) -> dict[str, Any]:
        return {"kind": "own", "t": round(at_s * S), "city": "new-york", "told": said}

    events = [line(1, ok=True), line(2, queue=7), line(3, ok=False, error="refused")]
    events += [line(4 + n / 2, ok=True) for n in range(5)]
    assert told(events) == [
        "2.0 s  new-york, own client: first failure, refused",
        "3.0 s  new-york, own client: answered again",
    ]


def test_a_region_that_is_given_up_for_several_services_is_told_with_their_names():
    """Each has checks of its own; where there is one, its name says nothing."""

    def down(service: str) -> dict[str, Any]:
        return {"kind": "health", "t": S, "server": "ns1", "service": service, "region": "us-east",
                "state": "DOWN", "reason": "refused"}  # fmt: skip

    both = TOPOLOGY + "services: {www: {port: 80}, api: {port: 81}}\n"
    assert told([down("www"), down("api")], both) == [
        "0.0 s  ns1 marks us-east DOWN for www (refused)",
        "0.0 s  ns1 marks us-east DOWN for api (refused)",
    ]
    assert told([down("www")]) == ["0.0 s  ns1 marks us-east DOWN (refused)"]
