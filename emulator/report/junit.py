"""The verdicts of a run as JUnit XML, as GitHub, GitLab and Jenkins read it.

There is no standard; what all of them take is: `testsuites` around `testsuite`, in which
`properties` come first, then every `testcase`, then `system-out`; a case with `failure` missed its
objective, one with `error` is inconclusive. Nothing is `skipped`: consumers count that as success.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from xml.etree import ElementTree as ET

from emulator.analysis.explain import explain
from emulator.analysis.figures import show_figure
from emulator.analysis.lateness import lateness
from emulator.analysis.measurements import Measurements
from emulator.analysis.repeated import Distribution, Repeated
from emulator.analysis.timeline import History
from emulator.analysis.verdict import Verdict, verdicts
from emulator.analysis.words import client_name, plural
from emulator.analysis.writes import runs_sentence, writes_of_runs, writes_sentence
from emulator.clock import NS_PER_S
from emulator.events import Run

RUNS_THROUGH = "runs through"
# What XML 1.0, 2.2 does not allow in a document, not even as a character reference.
_ILLEGAL = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def junit_xml(suites: Sequence[ET.Element]) -> str:
    """The whole file: a suite a scenario, as `suite_of_run` and `suite_of_runs` make them."""
    totals = {
        name: str(sum(int(suite.attrib[name]) for suite in suites))
        for name in ("tests", "failures", "errors")
    }
    seconds = sum(float(suite.attrib["time"]) for suite in suites)
    root = ET.Element("testsuites", {"name": "netemu", **totals, "time": f"{seconds:.3f}"})
    root.extend(suites)
    ET.indent(root)
    body = ET.tostring(root, encoding="unicode")
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{body}\n'


def suite_of_run(measured: Measurements, history: History) -> ET.Element:
    """One run: its verdicts, what is known of it, the explanation."""
    run = history.run
    seconds = (history.last_ns - (history.first_ns or history.last_ns)) / NS_PER_S
    decided = verdicts(measured, history)
    writes = map(writes_sentence, measured.writes)
    return suite(
        (run.scenario or run.lab) if run else "run",
        decided,
        measured.inconclusive or (() if decided else measured.late),
        seconds,
        run_properties(run) if run else {},
        "\n\n".join(filter(None, (*explain(measured, history), *writes, lateness(measured)))),
    )


def suite_of_error(name: str, error: str, seconds: float) -> ET.Element:
    """A scenario that could not be run."""
    verdict = Verdict(RUNS_THROUGH, "", "inconclusive", reason=error)
    return suite(name, (verdict,), (), seconds, {})


def suite_of_runs(repeated: Repeated, seconds: float, name: str = "") -> ET.Element:
    """Many runs of one scenario as one suite: the verdicts over all of them. `seconds`: all took;
    `name`: the suite's, else the scenario's. Raises ValueError without a run."""
    if not repeated.results:
        raise ValueError("no runs")
    run = next((result.run for result in repeated.results if result.run), None)
    doubts = [
        f"run {number}: {'; '.join(reasons)}"
        for number, result in enumerate(repeated.results, 1)
        if (reasons := (*result.measured.inconclusive, *result.measured.late))
    ]
    return suite(
        name or ((run.scenario or run.lab) if run else "runs"),
        repeated.verdicts,
        () if repeated.verdicts else doubts,  # the verdicts know of them
        seconds,
        (run_properties(run) if run else {}) | {"runs": str(len(repeated.results))},
        "\n".join([*map(_spread, repeated.distributions), *_writes(repeated), *doubts]),
    )


def _writes(repeated: Repeated) -> list[str]:
    found = writes_of_runs(result.measured for result in repeated.results)
    return [runs_sentence(found)] if found else []


def _spread(one: Distribution) -> str:
    """`power us-east, new-york, udp: median 4.10 s, p90 8.20 s, longest 9.30 s of 20 runs`."""
    name = f"{one.fault}, {client_name(one.client)}"
    if not one.runs:
        return f"{name}: unclear in every run"
    shares = (("median", 0.5), ("p90", 0.9), ("longest", 1.0))
    told = (f"{word} {show_figure('recovery_s', one.quantile(share))}" for word, share in shares)
    unclear = f", {one.unclear} unclear" if one.unclear else ""
    return f"{name}: {', '.join(told)} of {plural(one.runs, 'run')}{unclear}"


def run_properties(run: Run) -> dict[str, str]:
    """What is needed to run it again, and what it ran on."""
    known = {"seed": str(run.seed), "lab": run.lab, "wall": run.wall, "command": run.command}
    return known | run.environment


def suite(
    name: str,
    decided: Sequence[Verdict],
    doubts: Sequence[str],
    seconds: float,
    properties: Mapping[str, str],
    explanation: str = "",
) -> ET.Element:
    """The scenario `name`, a case for each verdict; without one, a case that it ran through.
    `doubts`: why nothing may be claimed from it; then no case passes. `seconds` is what all of it
    took: no case has a time of its own, so each is given an equal share."""
    cases = _cases(name, decided, doubts)
    for case in cases:
        case.set("time", f"{seconds / len(cases):.3f}")
    totals = {
        "name": _legal(name),
        "tests": str(len(cases)),
        "failures": str(sum(case.find("failure") is not None for case in cases)),
        "errors": str(sum(case.find("error") is not None for case in cases)),
        "skipped": "0",
        "time": f"{seconds:.3f}",
    }
    made = ET.Element("testsuite", totals)
    _properties(made, {**properties, **_figures(decided)})
    made.extend(cases)
    if explanation:
        ET.SubElement(made, "system-out").text = _legal(explanation)
    return made


def _cases(name: str, decided: Sequence[Verdict], doubts: Sequence[str]) -> list[ET.Element]:
    verdicts_ = decided or [Verdict(RUNS_THROUGH, "", "passed")]
    cases = []
    seen: Counter[str] = Counter()
    for verdict in verdicts_:
        seen[verdict.text] += 1
        again = f" ({seen[verdict.text]})" if seen[verdict.text] > 1 else ""
        title = {"classname": _legal(name), "name": _legal(verdict.text) + again}
        case = ET.Element("testcase", title)
        if verdict.outcome == "failed":
            _told(case, "failure", "objective missed", _message(verdict))
        elif verdict.outcome == "inconclusive" or doubts:
            reason = verdict.reason or "; ".join(doubts) or "nobody can tell"
            _told(case, "error", "inconclusive", f"inconclusive: {reason}")
        cases.append(case)
    return cases


def _told(case: ET.Element, tag: str, kind: str, message: str) -> None:
    """As the attribute and as text: some consumers show the one, some the other."""
    said = _legal(message)
    ET.SubElement(case, tag, {"type": kind, "message": said}).text = said


def _message(verdict: Verdict) -> str:
    shown = _shown(verdict)
    measured = f"measured {shown}" if shown else ""
    return "; ".join(part for part in (measured, verdict.reason) if part) or "missed"


def _figures(decided: Sequence[Verdict]) -> dict[str, str]:
    return {f"measured {v.text}": shown for v in decided if (shown := _shown(v))}


def _shown(verdict: Verdict) -> str:
    return "" if verdict.measured is None else show_figure(verdict.figure, verdict.measured)


def _properties(suite: ET.Element, known: Mapping[str, str]) -> None:
    if not known:
        return
    properties = ET.SubElement(suite, "properties")
    for name, value in known.items():
        ET.SubElement(properties, "property", {"name": _legal(name), "value": _legal(value)})


def _legal(text: str) -> str:
    return _ILLEGAL.sub("", text)
