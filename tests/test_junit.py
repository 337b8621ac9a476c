"""JUnit files: what GitHub, GitLab and Jenkins make of a run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from emulator.analysis.recovery import measure
from emulator.analysis.repeated import RunResult, gather
from emulator.analysis.verdict import Verdict, verdicts
from emulator.report.junit import junit_xml, suite, suite_of_run, suite_of_runs
from tests.analysis.sides import killed
from tests.analysis.stories import OBJECTIVES, region_loss

PASSED = Verdict("requests_lost <= 50", "requests_lost", "passed", 17)
FAILED = Verdict("recovery_s.p100 <= 15 s", "recovery_s", "failed", 31.2, "DNS TTL 30 s")
UNCLEAR = Verdict("availability >= 99 %", "availability", "inconclusive", None, "requests late")

# What each element may hold, in order, and must and may say of itself: the intersection of the
# Jenkins schema (junit-10.xsd of its xUnit plugin) and of what GitLab and GitHub actions read.
CHILDREN = {
    "testsuites": ["testsuite"],
    "testsuite": ["properties", "testcase", "system-out"],
    "properties": ["property"],
    "testcase": ["failure", "error"],
}
REQUIRED = {
    "testsuites": {"name", "tests", "failures", "errors", "time"},
    "testsuite": {"name", "tests", "failures", "errors", "skipped", "time"},
    "property": {"name", "value"},
    "testcase": {"name", "classname", "time"},
    "failure": {"message", "type"},
    "error": {"message", "type"},
}


def made(decided: Sequence[Verdict], doubts: Sequence[str] = (), **more: Any) -> ET.Element:
    text = junit_xml(
        [suite("region-loss", decided, doubts, 60.0, more.pop("properties", {}), **more)]
    )
    root = ET.fromstring(text.encode())  # noqa: S314 - we wrote it
    check(root)
    found = root.find("testsuite")
    assert found is not None
    return found


def check(element: ET.Element) -> None:
    """Every element has what it must have, in the order in which schemas want it."""
    assert {*element.attrib} == REQUIRED.get(element.tag, set())
    order = [CHILDREN.get(element.tag, []).index(child.tag) for child in element]
    assert order == sorted(order)
    for child in element:
        check(child)


def cases(found: ET.Element) -> dict[str, str]:
    """Each case with what it holds: passed is nothing."""
    return {case.get("name", ""): "".join(c.tag for c in case) for case in found.iter("testcase")}


def test_each_objective_is_a_case_of_its_scenario():
    """Passed, missed and inconclusive are three different things, and are counted so."""
    found = made([PASSED, FAILED, UNCLEAR])
    assert cases(found) == {PASSED.text: "", FAILED.text: "failure", UNCLEAR.text: "error"}
    counts = [found.get(name) for name in ("tests", "failures", "errors", "skipped")]
    assert counts == ["3", "1", "1", "0"]
    assert {case.get("classname") for case in found.iter("testcase")} == {"region-loss"}


def test_a_miss_says_what_was_measured_and_why():
    """In the attribute and in the text: consumers differ in which they show."""
    failure = made([FAILED]).find("testcase/failure")
    assert failure is not None
    assert failure.get("message") == failure.text == "measured 31.20 s; DNS TTL 30 s"


def test_an_inconclusive_objective_says_so():
    """The first word a reader sees."""
    error = made([UNCLEAR]).find("testcase/error")
    assert error is not None
    assert error.get("message") == "inconclusive: requests late"


@pytest.mark.parametrize("decided", [[], [PASSED], [PASSED, UNCLEAR]])
def test_nothing_passes_in_a_run_that_proves_nothing(decided):
    """Whatever a verdict says: a failed measurement is never a pass."""
    found = made(decided, ["12 requests late"])
    assert set(cases(found).values()) == {"error"}


def test_a_run_without_objectives_is_still_a_test():
    """CI shows that it ran."""
    assert cases(made([])) == {"runs through": ""}


def test_the_times_add_up():
    """Consumers that add cases up arrive at the run's own time."""
    found = made([PASSED, FAILED, UNCLEAR])
    assert sum(float(case.get("time", 0)) for case in found.iter("testcase")) == 60.0
    assert found.get("time") == "60.000"


def test_two_objectives_alike_are_two_cases():
    """A consumer keeps one of two cases of one name."""
    assert cases(made([PASSED, PASSED])).keys() == {PASSED.text, f"{PASSED.text} (2)"}


def test_properties_hold_what_was_given_and_what_was_measured():
    """Seed and versions to run it again; figures to plot."""
    found = made([PASSED, FAILED, UNCLEAR], properties={"seed": "7"})
    assert {p.get("name"): p.get("value") for p in found.iter("property")} == {
        "seed": "7",
        "measured requests_lost <= 50": "17",
        "measured recovery_s.p100 <= 15 s": "31.20 s",
    }


def test_what_xml_cannot_hold_is_left_out():
    """Control characters and half surrogates are illegal even escaped; the rest is kept."""
    odd = Verdict('a < b & "c" \x00\x1b[31m\ud800', "", "failed", None, "x\x0by\nz é \U0001f600")
    found = made([odd], explanation="bell \x07, tab\t")
    assert [*cases(found)] == ['a < b & "c" [31m']
    failure = found.find("testcase/failure")
    assert failure is not None
    assert failure.get("message") == "xy\nz é \U0001f600"
    assert found.findtext("system-out") == "bell , tab\t"


def test_a_run_becomes_a_file():
    """Verdicts, seed, lab, versions, and the explanation in plain words."""
    history = region_loss().history()
    text = junit_xml([suite_of_run(measure(history), history)])
    root = ET.fromstring(text.encode())  # noqa: S314 - we wrote it
    check(root)
    assert {p.get("name") for p in root.iter("property")} >= {"seed", "lab", "kernel"}
    assert "lost power" in (root.findtext("testsuite/system-out") or "")
    assert next(case.get("name") for case in root.iter("testcase")) == "recovery_s.p100 <= 15 s"


def test_many_runs_become_one_suite():
    """The verdicts over all runs; how recovery spread; an unclear run does not spoil the rest."""
    results = []
    for recovery_s in (4.0, 5.0, 6.0):
        history = killed(recovery_s, objectives=OBJECTIVES).history()
        measured = measure(history)
        found = verdicts(measured, history)
        results.append(RunResult("", history.run, measured, found))
    repeated = gather(results)
    root = ET.fromstring(junit_xml([suite_of_runs(repeated, 90.0)]).encode())  # noqa: S314 - we wrote it
    check(root)
    titles = [case.get("name") for case in root.iter("testcase")]
    assert titles == [verdict.text for verdict in repeated.verdicts]
    assert {p.get("name"): p.get("value") for p in root.iter("property")}["runs"] == "3"
    said = root.findtext("testsuite/system-out") or ""
    assert "new-york, http, new connections: median 5.00 s, p90 6.00 s, longest 6.00 s" in said
