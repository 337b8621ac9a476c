"""Many runs as one: distributions, verdicts over all of them, and their reports."""

from __future__ import annotations

import io
import json
import math
from dataclasses import asdict
from typing import Any

import pytest
from rich.console import Console

from emulator.analysis.recovery import measure
from emulator.analysis.repeated import (
    Distribution,
    Repeated,
    RunResult,
    gather,
    quantile,
    repeated_exit_code,
)
from emulator.analysis.timeline import Client
from emulator.analysis.verdict import Verdict, verdicts
from emulator.errors import Exit
from emulator.events import Lost, Wait
from emulator.report.repeated import covered_sentence, render_repeated
from emulator.report.repeated_json import repeated_json
from emulator.scenario.objectives import parse_objective
from tests.builders import Story, ns

NEVER = 30.0  # the run ends before
NEW_YORK, PARIS = Client("new-york", "http"), Client("paris", "http")
PREDICTED = {
    "power us-east": [{"city": "new-york", "client": "http", "seconds": [7.0, 5.0, 9.0, 6.0]}]
}


def story(took: float, *objectives: str, **header: Any) -> Story:
    """us-east dies at 10 s; new-york fails for so long, to the end of the run if NEVER."""
    wanted = [asdict(parse_objective(text)) for text in objectives]
    told = Story(objectives=wanted, **header).fault(10).requests(0, 10, rate=5)
    told.dead(10, 10 + took, rate=5).requests(10 + took, 40, rate=5, region="eu-west")
    return told.requests(0, 40, rate=5, city="paris", region="eu-west")


def losing_events(took: float, *objectives: str) -> Story:
    """A run from which nothing may be claimed."""
    told = story(took, *objectives)
    told.events.append(Lost(t=ns(2), count=1, where="keeper"))
    return told


def result(told: Story, directory: str = "runs/1") -> RunResult:
    history = told.history()
    measured = measure(history)
    return RunResult(directory, history.run, measured, verdicts(measured, history))


def together(*stories: Story) -> Repeated:
    return gather([result(told, f"runs/{i}") for i, told in enumerate(stories, 1)])


def decide(text: str, *took: float) -> Verdict:
    (verdict,) = together(*(story(seconds, text) for seconds in took)).verdicts
    return verdict


def test_a_distribution_holds_every_run_of_a_fault_and_client():
    """In order of size; unaffected clients took 0 s; never is longer than any."""
    seen = together(*(story(took, predicted=PREDICTED) for took in (8.5, 6.5, NEVER, 7.5)))
    york, paris = seen.distributions
    assert (york.fault, york.client, paris.client) == ("power us-east", NEW_YORK, PARIS)
    assert york.seconds == pytest.approx((6.5, 7.5, 8.5))
    assert (york.never, york.runs, york.unclear, york.unaffected) == (1, 4, 0, 0)
    assert [york.quantile(share) for share in (0, 0.5, 0.75, 0.9)] == [6.5, 7.5, 8.5, math.inf]
    assert (york.predicted, york.bound_s) == ((5.0, 6.0, 7.0, 9.0), 10.3)
    assert (paris.seconds, paris.unaffected, paris.predicted) == ((0, 0, 0, 0), 4, ())


def test_a_run_that_proves_nothing_is_in_no_figure():
    """Nor is one in which the fault was never injected."""
    seen = together(story(8), losing_events(3), Story().requests(0, 20), story(7))
    york = seen.distributions[0]
    assert york.seconds == pytest.approx((7, 8))
    assert (york.runs, york.unclear) == (2, 2)
    doubted = together(losing_events(3)).distributions[0]
    assert (doubted.runs, doubted.bound_s) == (0, 10.3)


def test_faults_of_one_name_are_matched_by_their_order():
    """The second kill of a run is held against the second kills."""

    def twice(first: float, second: float) -> Story:
        told = Story().fault(10, healed=20).fault(40, healed=50, name="f2")
        told.requests(0, 10).dead(10, 10 + first).requests(10 + first, 40)
        return told.dead(40, 40 + second).requests(40 + second, 70)

    first, second = together(twice(3, 5), twice(4, 6)).distributions
    assert (first.fault, second.fault) == ("power us-east", "power us-east (2)")
    assert first.seconds == pytest.approx((3, 4))
    assert second.seconds == pytest.approx((5, 6))


def test_a_quantile_is_one_of_the_values():
    """The smallest that the share does not exceed, whatever floats make of the share."""
    values = [float(n) for n in range(1, 101)]
    assert [quantile(values, s) for s in (0, 0.55, 0.9, 0.999, 1)] == [1, 55, 90, 100, 100]
    assert quantile([float(n) for n in range(1, 1001)], 99.9 / 100) == 999
    with pytest.raises(ValueError, match="no values"):
        quantile([], 0.5)


def test_what_runs_cover_needs_no_assumption_on_the_distribution():
    """(1 - 0.95) ** (1/20): 86 % with 20 runs."""
    york = Distribution("power us-east", NEW_YORK, tuple(float(n) for n in range(20)))
    assert york.covered() == pytest.approx(0.8609, abs=1e-4)
    assert Distribution("power us-east", NEW_YORK, ()).covered() == 0


@pytest.mark.parametrize(
    ("text", "outcome", "measured"),
    [
        ("recovery_s.p100 <= 8 s", "failed", 9.0),
        ("recovery_s.p75 <= 8 s from new-york", "passed", 8.0),
        ("recovery_s.median <= 1 s", "passed", 0.0),
        ("recovery_s.min >= 7 s from new-york", "failed", 6.0),
        ("requests_lost <= 44", "failed", 45),
        ("requests_lost <= 45", "passed", 45),
        ("availability >= 89 %", "failed", 355 / 400),
        ("availability >= 88 % from paris", "passed", 1.0),
        ("p99_ms <= 250", "passed", 30.0),
    ],
)
def test_statistics_are_of_all_runs_and_the_rest_of_the_worst(text, outcome, measured):
    """Four runs, in which new-york takes 6, 9, 7 and 8 s."""
    verdict = decide(text, 6, 9, 7, 8)
    assert verdict.outcome == outcome
    assert verdict.measured == pytest.approx(measured)


def test_the_reason_names_the_run():
    """Of a statistic the run that it is of, of everything else the worst."""
    assert decide("recovery_s <= 8 s", 6, 9, 7, 8).reason == "it is that of run 2 of 4"
    assert (
        decide("requests_lost <= 34", 6, 9, 7, 8).reason == "missed in 3 of 4 runs, most in run 2"
    )
    assert decide("availability >= 5 %", 6, 9, 7, 8).reason == "the worst of 4 runs is run 2"


def test_one_run_without_a_recovery_misses_whatever_the_statistic():
    """A client that never came back is not a slow one."""
    verdict = decide("recovery_s.p50 <= 9 s", 6, 7, NEVER)
    assert (verdict.outcome, verdict.measured) == ("failed", 0.0)
    assert "run 3: new-york, http, new connections: not recovered" in verdict.reason


def test_unclear_runs_decide_nothing_unless_they_could():
    """One unclear run of four cannot move the median; it could move the maximum."""
    outcomes = {
        "recovery_s.p50 <= 8 s from new-york": "passed",
        "recovery_s.p100 <= 8 s from new-york": "inconclusive",
        "recovery_s.p100 <= 7 s from new-york": "failed",
        "requests_lost <= 50": "inconclusive",
        "requests_lost <= 35": "failed",
    }
    clear = [story(took, *outcomes) for took in (6, 7, 8)]
    seen = together(*clear, losing_events(9, *outcomes)).verdicts
    assert {verdict.text: verdict.outcome for verdict in seen} == outcomes
    assert seen[1].reason == "unclear in 1 of 4 runs"


def test_a_wait_has_to_be_met_in_every_run():
    """The steps behind one that was not met are not taken, so nothing is said of later waits."""

    def waiting(*met: bool) -> Story:
        told = story(6)
        for index, is_met in enumerate(met):
            text = ("recovered", "steady")[index]
            told.events.append(
                Wait(t=ns(20 + index), text=text, began=ns(10), within_s=30.0, met=is_met)
            )
        return told

    recovered, steady = together(waiting(True, True), waiting(False)).verdicts
    assert (recovered.outcome, steady.outcome) == ("failed", "inconclusive")
    assert recovered.reason.startswith("missed in 1 of 2 runs, most in run 2: not met")
    assert steady.reason == "nothing is said of it in 1 of 2 runs"


def test_a_run_without_its_fault_is_unclear():
    """It was not steady before, so nothing was injected."""
    text = "recovery_s.p100 <= 9 s"
    calm = Story(objectives=[asdict(parse_objective(text))]).requests(0, 20)
    verdict = together(story(6, text), calm).verdicts[0]
    assert verdict.outcome == "inconclusive"
    assert together(calm).verdicts[0].outcome == "inconclusive"


def test_exit_codes_of_many_runs():
    """A missed objective first; verdicts decide how many unclear runs are too many."""
    good, bad = "recovery_s.p50 <= 9 s", "recovery_s.p50 <= 5 s from new-york"

    def code(text: str) -> Exit:
        clear = [story(took, *([text] if text else [])) for took in (6, 7, 8)]
        unclear = losing_events(9, *([text] if text else []))
        return repeated_exit_code(together(*clear, unclear))

    assert (code(good), code(bad), code("")) == (Exit.PASSED, Exit.MISSED, Exit.INCONCLUSIVE)
    assert repeated_exit_code(together(story(6))) == Exit.PASSED


def printed(repeated: Repeated) -> str:
    console = Console(file=io.StringIO(), width=100)
    render_repeated(repeated, console, "runs/region-loss")
    assert isinstance(console.file, io.StringIO)
    return "".join(line.rstrip() + "\n" for line in console.file.getvalue().splitlines())


def test_the_report_of_many_runs():
    """Word by word."""
    text = "recovery_s.p90 <= 9 s"
    runs = [story(took, text, predicted=PREDICTED) for took in (6, 9, 7, 8)]
    assert (
        printed(together(*runs, losing_events(5, text)))
        == """\
recovery from power us-east in 5 runs
                               measured                      predicted                 worst
                          runs      min median    p90    max    median    p90    max   bound
new-york
  http, new connections 4 of 5   6.00 s 7.00 s 9.00 s 9.00 s    6.00 s 9.00 s 9.00 s 10.30 s
  unaffected in every run: paris over http
  with 95 % confidence at least 47 % of kills recover within 9.00 s (the slowest of 4)

inconclusive: 1 of 5 runs proves nothing; run 5: 1 events were lost at keeper
inconclusive: recovery_s.p90 <= 9 s (9.00 s): unclear in 1 of 5 runs
runs: runs/region-loss
"""
    )


def test_what_is_covered_speaks_of_whole_kills():
    """The slowest client of all; a client that never recovered leaves nothing to claim."""

    def of(*seconds: float, **more: Any) -> Distribution:
        return Distribution("power us-east", NEW_YORK, seconds, **more)

    twenty = tuple(float(n) for n in range(20))
    assert covered_sentence([of(*twenty), of(*twenty[:-1], 19.31)]) == (
        "with 95 % confidence at least 86 % of kills recover within 19.31 s (the slowest of 20)"
    )
    assert covered_sentence([of(*twenty), of(1.0, never=2)]) == (
        "new-york, http, new connections never recovered in 2 of 3 runs"
    )
    assert covered_sentence([of(unclear=3)]).startswith("no run tells")


def test_json_of_many_runs_has_no_infinite_numbers():
    """What never happened is null."""
    text = "recovery_s.p90 <= 9 s"
    runs = [story(took, text, predicted=PREDICTED) for took in (6, NEVER)]
    report = json.loads(json.dumps(repeated_json(together(*runs)), allow_nan=False))
    assert (report["schema"], report["outcome"], len(report["runs"])) == (1, "failed", 2)
    york = report["distributions"][0]
    assert york["measured"] == {"min": 6.0, "median": 6.0, "p90": None, "max": None}
    assert york["predicted"] == {"min": 5.0, "median": 6.0, "p90": 9.0, "max": 9.0}
    assert (york["runs"], york["never"]) == (2, 1)
    assert [o["outcome"] for o in report["objectives"]] == ["failed"]


def test_json_of_many_runs_documents_every_key():
    """Each name that the report has is told of in the module's docstring."""
    report = repeated_json(together(story(6, "recovery_s <= 9 s", predicted=PREDICTED)))
    one = report["distributions"][0]
    keys = {*report, *report["runs"][0], *one, *one["measured"], *report["objectives"][0]}
    told = repeated_json.__globals__["__doc__"]
    assert sorted(key for key in keys if key not in told) == []
