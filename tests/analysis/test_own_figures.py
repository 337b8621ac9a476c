"""How a client of the user's ended, and figures of its own, judged and shown."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from rich.console import Console

from emulator.analysis.measurements import Measurements
from emulator.analysis.own_figures import FIGURES_MOST, OwnFigure, own_seen
from emulator.analysis.recovery import measure
from emulator.analysis.timeline import History
from emulator.analysis.verdict import Verdict, verdicts
from emulator.events import Daemon
from emulator.report.html import render_html
from emulator.report.json import report_json
from emulator.report.terminal import render_report
from tests.builders import Story, ns


def told(story: Story) -> tuple[Measurements, History]:
    history = story.history()
    return measure(history), history


def ended(story: Story, at: float, detail: str, state: str = "ended", city: str = "paris") -> Story:
    host = f"{city}/client"
    story.events.append(Daemon(t=ns(at), host=host, name="image", state=state, detail=detail))
    return story


def one(*ends: tuple[float, str, str], city: str | None = "paris") -> Verdict:
    """`exit_code == 0` of a run in which paris's own client ended so."""
    objective = {
        "text": "exit_code == 0", "figure": "exit_code", "statistic": "", "comparison": "==",
        "bound": 0.0, "city": city,
    }  # fmt: skip
    story = Story(own_clients={"paris": "my/client"}, objectives=[objective]).requests(0, 9)
    for at, detail, state in ends:
        ended(story, at, detail, state)
    return verdicts(*told(story))[0]


@pytest.mark.parametrize(
    ("ends", "outcome", "measured", "reason"),
    [
        ([(5, "exit 0", "ended")], "passed", 0, ""),
        ([(5, "exit 3", "ended")], "failed", 3, ""),
        ([(5, "out of memory", "ended")], "failed", 137, "paris's own client ran out of memory"),
        ([(5, "no such program", "ended")], "inconclusive", None, "ended: no such program"),
        ([], "inconclusive", None, "paris's own client still runs"),
        ([(5, "exit 0", "ended"), (6, "", "started")], "inconclusive", None, "still runs"),
        ([(5, "exit 137", "ended"), (6, "", "started"), (7, "exit 0", "ended")], "passed", 0, ""),
    ],
)
def test_an_exit_code_is_that_of_the_last_end(ends, outcome, measured, reason):
    verdict = one(*ends)
    assert (verdict.outcome, verdict.measured) == (outcome, measured)
    assert reason in verdict.reason


def test_where_there_is_none_nothing_is_said():
    verdict = one((5, "exit 0", "ended"), city="new-york")
    assert verdict.outcome == "inconclusive"
    assert verdict.reason == "no client of yours is what it speaks of"


def test_of_several_the_worst_counts():
    """And one that still runs may end in anything."""
    objective = {
        "text": "x", "figure": "exit_code", "statistic": "", "comparison": "<=", "bound": 2.0
    }  # fmt: skip
    both = {"new-york": "a", "paris": "b"}
    story = ended(Story(own_clients=both, objectives=[objective]), 5, "exit 0")
    assert verdicts(*told(story.requests(0, 9)))[0].outcome == "inconclusive"
    ended(story, 6, "exit 3", city="new-york")
    [verdict] = verdicts(*told(story))
    assert (verdict.outcome, verdict.measured) == ("failed", 3)


def busy() -> Story:
    """A queue of 2 before the fault, 9 while it lasts, 3 after it; one text, one truth."""
    story = Story(own_clients={"new-york": "my/client:1"}).fault(10, healed=20).requests(0, 30)
    for second in range(30):
        queue = 2 if second < 10 else 9 if second < 20 else 3
        story.own(second + 0.5, ok=second != 12, ms=3, port=7, queue=queue, note="x", is_new=True)
    return story


def test_figures_of_its_own_are_told_by_their_medians_around_the_fault():
    """Numbers under other names than those that mean something."""
    [seen] = own_seen(busy().history())
    assert (seen.image, seen.end, seen.attempts, seen.failed) == ("my/client:1", "", 30, 1)
    assert seen.figures == (OwnFigure("queue", 30, 2, 9, 3),)


def test_the_first_names_are_shown_and_no_flood_of_them():
    """A program that writes another name each time has no figures, but a mistake."""
    story = Story()
    for n in range(2 * FIGURES_MOST):
        figures: dict[str, Any] = {f"f{n}": 1, "f0": 1}
        story.own(n, **figures)
    [seen] = own_seen(story.history())
    assert len(seen.figures) == FIGURES_MOST
    assert seen.figures[0].count == 2 * FIGURES_MOST


def test_every_report_shows_them():
    """On the terminal, on the page, for programs."""
    measured, history = told(ended(busy(), 29, "exit 0", city="new-york"))
    out = io.StringIO()
    render_report(measured, history, Console(file=out, width=100))
    lines = [line.split() for line in out.getvalue().splitlines()]
    assert ["new-york", "my/client:1", "exit", "0", "30", "1"] in lines
    assert ["new-york:", "queue", "30", "2", "9", "3"] in lines
    page = render_html(measured, history)
    assert 'id="own"' in page
    assert "new-york: queue" in page
    assert json.loads(json.dumps(report_json(measured, history)["own_clients"])) == [
        {
            "city": "new-york", "image": "my/client:1", "end": "exit 0", "attempts": 30,
            "failed": 1,
            "figures": [{"name": "queue", "count": 30, "before": 2, "during": 9, "after": 3}],
        }
    ]  # fmt: skip


def test_a_lab_without_one_has_no_such_part():
    measured, history = told(Story().requests(0, 9))
    out = io.StringIO()
    render_report(measured, history, Console(file=out, width=100))
    assert "own client" not in out.getvalue()
    assert 'id="own"' not in render_html(measured, history)
