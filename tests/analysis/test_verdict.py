"""Objectives: passed, failed, or nobody can tell."""

from __future__ import annotations

from typing import Any

import pytest

from emulator.analysis.recovery import measure
from emulator.analysis.verdict import Verdict, exit_code, verdicts
from emulator.errors import Exit
from emulator.events import Lost
from emulator.scenario.model import Objective
from tests.builders import Story, ns


def objective(figure: str = "recovery_s", bound: float = 15, **fields: Any) -> Objective:
    counts = ("requests_lost", "resets", "availability")
    known = {
        "text": figure,
        "statistic": "" if figure in counts else "p100",
        "comparison": "<=",
    } | fields
    return Objective(figure=figure, bound=bound, **known)


def decide(story: Story, wanted: Objective) -> Verdict:
    (verdict,) = verdicts(measure(story.history()), [wanted])
    return verdict


def recovered() -> Story:
    """http in new-york after 8.5 s, in paris unaffected."""
    story = Story().fault(10, healed=40).requests(0, 10).dead(10, 18.5)
    story.requests(18.5, 46, region="eu-west").requests(46, 60)
    return story.requests(0, 60, city="paris", region="eu-west")


@pytest.mark.parametrize(
    ("wanted", "outcome", "figure"),
    [
        (objective(), "passed", 8.5),
        (objective(bound=8), "failed", 8.5),
        (objective(statistic="p50", bound=1), "passed", 0.0),
        (objective(city="paris", bound=0), "passed", 0.0),
        (objective("outage_s", 9), "passed", 8.45),
        (objective("reversion_s", 5), "failed", 6.0),
        (objective("requests_lost", 169), "failed", 170),
        (objective("resets", 0, comparison="=="), "passed", 0),
        (objective("availability", 0.9, comparison=">=", client="http"), "passed", 2230 / 2400),
    ],
)
def test_a_figure_is_held_against_its_bound(wanted, outcome, figure):
    """Over the rows that the objective speaks of; p100 is the worst, unaffected counts as 0 s."""
    verdict = decide(recovered(), wanted)
    assert [verdict.outcome, verdict.figure] == [outcome, pytest.approx(figure)]


def test_not_recovered_fails_and_has_no_number():
    """Whatever the statistic."""
    story = Story().fault(10).requests(0, 10).dead(10, 40)
    verdict = decide(story.requests(0, 40, city="paris"), objective(statistic="p50"))
    assert (verdict.outcome, verdict.figure) == ("failed", 0.0)
    assert "new-york, http, new connections: not recovered" in verdict.reason


def test_what_cannot_be_told_is_inconclusive():
    """A row without enough requests might be anything."""
    verdict = decide(Story().fault(10).requests(0, 10).dead(10, 11), objective())
    assert verdict.outcome == "inconclusive"
    assert "new-york" in verdict.reason


def test_what_cannot_be_told_does_not_save_a_certain_miss():
    """One row is past the bound: the other cannot mend it."""
    story = recovered().requests(0, 10, kind="udp").dead(10, 11, kind="udp")
    assert decide(story, objective(bound=8)).outcome == "failed"


def test_clients_that_stay_elsewhere_never_revert():
    """An objective on their return is missed, and says who stays where."""
    story = Story().fault(10, healed=20).requests(0, 10, kind="stream")
    story.dead(10, 12, kind="stream").requests(12, 40, kind="stream", region="eu-west")
    verdict = decide(story, objective("reversion_s", 60))
    assert (verdict.outcome, verdict.figure) == ("failed", None)
    assert "stays on eu-west" in verdict.reason


def test_an_objective_that_speaks_of_nobody_is_inconclusive():
    """A typing error must not pass."""
    verdict = decide(recovered(), objective(city="atlantis"))
    assert verdict.outcome == "inconclusive"
    assert decide(Story().requests(0, 5), objective()).outcome == "inconclusive"


def test_a_run_that_lost_events_proves_nothing():
    """Not even what looks like a miss."""
    story = recovered()
    story.events.append(Lost(t=ns(2), count=1, where="keeper"))
    measured = measure(story.history())
    decided = verdicts(measured, [objective(bound=8)])
    assert [v.outcome for v in decided] == ["inconclusive"]
    assert exit_code(measured, decided) == Exit.INCONCLUSIVE
    assert exit_code(measured, []) == Exit.INCONCLUSIVE


def test_exit_codes():
    """A missed objective first, then what is inconclusive."""
    measured = measure(recovered().history())
    good, bad, unclear = objective(), objective(bound=8), objective(city="atlantis")

    def code(*wanted: Objective) -> Exit:
        return exit_code(measured, verdicts(measured, wanted))

    assert (code(), code(good)) == (Exit.PASSED, Exit.PASSED)
    assert code(good, unclear) == Exit.INCONCLUSIVE
    assert code(unclear, bad) == Exit.MISSED
