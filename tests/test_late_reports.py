"""What every kind of report says of a run whose requests started late."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from io import StringIO
from xml.etree import ElementTree as ET

import pytest
from rich.console import Console

from emulator.analysis.recovery import measure
from emulator.analysis.repeated import RunResult, gather
from emulator.analysis.timeline import Client, History
from emulator.analysis.verdict import verdicts
from emulator.errors import Inconclusive
from emulator.harness.figures import Count, Recovery, Seconds, Share
from emulator.harness.result import Result
from emulator.report.json import report_json
from emulator.report.junit import suite_of_run
from emulator.report.page.sheet import Sheet
from emulator.report.page.summary import banner
from emulator.report.repeated import render_repeated
from emulator.report.terminal import render_report
from tests.analysis.test_lateness import asked, late_recovery

SAID = "Its delays may have moved a time by 0.35 s"


def history_of(*texts: str) -> History:
    return asked(late_recovery(), *texts).history()


def printed(render: Callable[[Console], None]) -> str:
    text = StringIO()
    render(Console(file=text, width=100, no_color=True))
    return " ".join(text.getvalue().split())


def test_the_terminal_says_what_is_open_once_and_then_each_verdict():
    """A bound that is far enough away is held, another is not, and both are to be understood."""
    history = history_of("recovery_s <= 9 s", "recovery_s <= 8.8 s")
    text = printed(lambda console: render_report(measure(history), history, console))
    assert text.count(SAID) == 1
    assert "passed: recovery_s <= 9 s (8.50 s)" in text
    assert "inconclusive: recovery_s <= 8.8 s (8.50 s): this machine was too busy to tell" in text


def test_many_runs_name_the_worst_of_the_late_ones():
    """How many, and how much the worst leaves open."""
    history = history_of("recovery_s <= 9 s")
    measured = measure(history)
    result = RunResult("run", history.run, measured, verdicts(measured, history))
    text = printed(lambda console: render_repeated(gather([result] * 3), console))
    assert "late: 3 of 3 runs started requests late; run 1: new-york started only" in text
    assert SAID in text


@pytest.mark.parametrize(
    ("texts", "word"),
    [(["recovery_s <= 9 s"], "Passed"), (["recovery_s <= 8.8 s"], "Inconclusive"),
     ([], "This run proves nothing")],
)  # fmt: skip
def test_the_page_has_it_beside_the_verdict(texts, word):
    """Whoever reads the one word reads what it leaves open."""
    history = history_of(*texts)
    measured = measure(history)
    text = banner(Sheet(measured, history, None, "", verdicts(measured, history)))
    assert word in text
    assert SAID in text


def test_junit_has_it_in_what_was_printed():
    """A case is an error only where nothing could be decided."""
    history = history_of("recovery_s <= 9 s", "recovery_s <= 8.8 s")
    cases = [*suite_of_run(measure(history), history).iter("testcase")]
    assert [case.find("error") is not None for case in cases] == [False, True]
    found = suite_of_run(measure(history), history).find("system-out")
    assert found is not None and SAID in str(found.text)
    plain = history_of()
    (case,) = suite_of_run(measure(plain), plain).iter("testcase")
    assert "within 2 ms of plan" in ET.tostring(case, encoding="unicode")


def test_programs_are_told_too():
    """The cities and the seconds."""
    history = history_of("recovery_s <= 9 s")
    found = report_json(measure(history), history)
    assert (found["outcome"], found["inconclusive"]) == ("passed", [])
    assert len(found["late"]) == 1
    assert found["off_by_s"] == pytest.approx(0.35)


def test_a_scenario_as_a_test_says_why_nobody_can_tell(tmp_path):
    """Of its objectives; without any, of the run."""
    for texts, said in ((["recovery_s <= 8.8 s"], "too busy to tell"), ([], SAID)):
        history = history_of(*texts)
        measured = measure(history)
        run = RunResult("run", history.run, measured, verdicts(measured, history))
        result = Result(tmp_path / "scenario.yaml", 1, tmp_path, (run,), history)
        (line,) = result.said()
        assert said in line


@pytest.mark.parametrize(
    ("compare", "bound", "holds"),
    [
        (operator.lt, 9, True), (operator.lt, 8, False), (operator.le, 8.6, None),
        (operator.gt, 8, True), (operator.ge, 9, False), (operator.gt, 8.4, None),
        (operator.lt, math.inf, True), (operator.lt, Seconds(9.1, "", 0.2), True),
        (operator.lt, Seconds(8.9, "", 0.2), None),
    ],
)  # fmt: skip
def test_a_comparison_that_lateness_could_turn_is_refused(compare, bound, holds):
    """8.5 s, give or take 0.35 s."""
    found = Seconds(8.5, "", 0.35)
    if holds is not None:
        assert compare(found, bound) is holds
        return
    with pytest.raises(Inconclusive, match=r"^8.50 s may be 8.15 s to 8.85 s: too many requests"):
        compare(found, bound)


def test_a_count_that_may_be_another_is_not_compared():
    """As long as it is the same for all that it may be, it is; a share likewise."""
    count = Count(17, "", (12, 20))
    assert count <= 20
    assert count > 11
    assert count != 21
    assert Count(0, "") == 0
    assert (Count(0, "") != 0) is False
    assert hash(Count(3, "")) == hash(3)
    for compare, bound in ((operator.eq, 17), (operator.ne, 12), (operator.lt, 20)):
        with pytest.raises(Inconclusive, match=r"^17 may be 12 to 20: "):
            compare(count, bound)
    assert Share(0.99, "", (0.98, 1.0)) > 0.97
    with pytest.raises(Inconclusive, match=r"^99.000% may be 98.000% to 100.000%: "):
        assert Share(0.99, "", (0.98, 1.0)) > 0.985


def test_a_recovery_hands_on_by_how_much_it_may_be_off():
    """Its percentiles and each client's."""
    recovery = Recovery(measure(history_of()).rows(), "story", 0.35)
    assert recovery.p100 < 9
    for figure in (recovery.p50, recovery.clients[Client("new-york", "http")]):
        with pytest.raises(Inconclusive):
            assert figure < 8.6
