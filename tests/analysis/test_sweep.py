"""One setting's values side by side: what each gains, what each costs, how it is told."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from xml.etree import ElementTree as ET

import pytest
from rich.console import Console

from emulator.analysis.sweep import Sweep, Tried, sweep_exit_code, trade
from emulator.errors import Exit
from emulator.report.junit import junit_xml, suite_of_error, suite_of_runs
from emulator.report.sweep import render_sweep
from emulator.report.sweep_json import sweep_json
from tests.analysis.test_repeated import NEVER, PREDICTED, losing_events, result, story


def asking(took: float, every: float, *objectives: str):
    """As `story`, with two resolvers that ask so often."""
    told = story(took, *objectives, predicted=PREDICTED)
    for city in ("new-york", "paris"):
        for index in range(int(39 / every)):
            told.answer(0.5 + index * every, "eu-west", city=city)
    return told


def tried(value: str, *stories, error: str = "") -> Tried:
    results = tuple(result(told, f"runs/ttl-{value}/run-{i}") for i, told in enumerate(stories))
    return Tried(value, f"runs/ttl-{value}", results, 60.0, error)


def sweep(*values: Tried) -> Sweep:
    return Sweep("ttl", "runs", "dns.ttl", values)


QUICK = tried("1s", asking(4.5, 1, "recovery_s <= 9 s"), asking(3.5, 1, "recovery_s <= 9 s"))
SLOW = tried("5s", asking(8.5, 5, "recovery_s <= 9 s"), asking(6.5, 5, "recovery_s <= 9 s"))
BROKEN = tried("30s", error="no lab of that size fits")


def test_a_line_says_what_a_value_gains_and_costs():
    """Recovery of the clients that felt the fault, queries of all, requests lost."""
    found = trade(sweep(QUICK, SLOW))
    assert (found.fault, found.kind, found.cities) == ("power us-east", "http", ("new-york",))
    quick, slow = found.lines
    assert (quick.runs, quick.clear) == (2, 2)
    assert quick.seconds == pytest.approx((3.5, 4.5))
    assert (quick.measured(0), quick.measured(0.5), quick.measured(1)) == pytest.approx(
        (3.5, 3.5, 4.5)
    )
    assert slow.predicted == (5, 5, 6, 6, 7, 7, 9, 9)[::2]
    assert (quick.queries_per_s, slow.queries_per_s) == pytest.approx((2.0, 0.4))
    assert quick.lost == pytest.approx((4.5 + 3.5) * 5 / (2 * 2 * 40 * 5))


def test_who_never_recovers_is_slower_than_any():
    """And shown so."""
    (line,) = trade(sweep(tried("1s", asking(NEVER, 5), asking(4.5, 5)))).lines
    assert (line.measured(0.5), line.measured(1)) == (4.5, float("inf"))
    assert "never" in printed(sweep(tried("1s", asking(NEVER, 5), asking(4.5, 5))))


def test_runs_that_prove_nothing_are_in_no_recovery():
    """The line says how many of the runs it speaks of; whose recovery is missing, too."""
    (line,) = trade(sweep(tried("1s", losing_events(4.5), asking(5.5, 5)))).lines
    assert (line.runs, line.clear) == (2, 1)
    assert line.seconds == pytest.approx((5.5,))
    (none,) = trade(sweep(tried("1s", losing_events(4.5)))).lines
    assert (none.clear, none.seconds, none.measured(0.5)) == (0, (), None)


@pytest.mark.parametrize(
    ("values", "code"),
    [
        ((QUICK, SLOW), Exit.PASSED),
        ((QUICK, tried("5s", losing_events(4.5))), Exit.INCONCLUSIVE),
        ((tried("1s", asking(9.5, 5, "recovery_s <= 9 s")), SLOW), Exit.MISSED),
        ((QUICK, BROKEN), Exit.ENVIRONMENT),
        ((replace(QUICK, error="stopped half way"),), Exit.ENVIRONMENT),
    ],
)
def test_the_worst_value_decides(values, code):
    """One that could not be run is worse than any that could."""
    assert sweep_exit_code(sweep(*values)) is code


def printed(of: Sweep) -> str:
    out = io.StringIO()
    render_sweep(of, Console(file=out, width=200))
    return out.getvalue()


def test_the_report_is_a_table_under_every_values_verdicts():
    """100 columns, a line a value, and nothing for what was not run but why."""
    said = printed(sweep(QUICK, SLOW, BROKEN))
    assert max(map(len, said.splitlines())) <= 100
    assert "dns.ttl = 5s, 2 runs: ttl-5s" in said
    assert said.count("passed: recovery_s <= 9 s") == 2
    assert "could not be run: no lab of that size fits" in said
    rows = [
        line.split() for line in said.splitlines() if line.startswith(("  1s", "  5s", "  30s"))
    ]
    assert rows[0][:3] == ["1s", "2", "3.50"]
    assert rows[1][-1] == "0.4/s"
    assert rows[2] == ["30s", "0", *["-"] * 9]


def test_programs_read_the_same():
    """Valid JSON, null for what nobody knows, each value's own report in it."""
    read = json.loads(json.dumps(sweep_json(sweep(QUICK, SLOW, BROKEN)), allow_nan=False))
    assert (read["setting"], read["outcome"]) == ("dns.ttl", "error")
    assert read["recovery_of"] == {
        "fault": "power us-east", "client": "http", "cities": ["new-york"],
    }  # fmt: skip
    quick, _, broken = read["values"]
    assert quick["measured"]["max"] == pytest.approx(4.5)
    assert quick["dns_queries_per_s"] == pytest.approx(2.0)
    assert len(quick["report"]["runs"]) == 2
    assert (broken["measured"], broken["report"], broken["error"]) == (None, None, BROKEN.error)


def test_ci_sees_a_suite_a_value():
    """One that could not be run is an error, not a hole."""
    suites = [
        suite_of_runs(QUICK.together, 60.0, "ttl, dns.ttl = 1s"),
        suite_of_error("ttl, dns.ttl = 30s", BROKEN.error, 2.0),
    ]
    root = ET.fromstring(junit_xml(suites))  # noqa: S314 - we wrote it
    assert [one.attrib["name"] for one in root] == ["ttl, dns.ttl = 1s", "ttl, dns.ttl = 30s"]
    assert (root.attrib["failures"], root.attrib["errors"]) == ("0", "1")
