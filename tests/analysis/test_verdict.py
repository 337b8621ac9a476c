"""Objectives: passed, failed, or nobody can tell."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Any

import pytest

from emulator.analysis.recovery import measure
from emulator.analysis.verdict import Verdict, exit_code, verdicts
from emulator.errors import Exit
from emulator.events import Lost, Run, Wait
from emulator.scenario.model import Objective
from emulator.scenario.objectives import parse_objective
from tests.builders import Story, ns


def objective(figure: str = "recovery_s", bound: float = 15, **fields: Any) -> Objective:
    counts = ("requests_lost", "resets", "availability")
    known = {
        "text": figure,
        "statistic": "" if figure in counts else "p100",
        "comparison": "<=",
    } | fields
    return Objective(figure=figure, bound=bound, **known)


def decide_all(story: Story, *wanted: Objective) -> tuple[Verdict, ...]:
    header, *rest = story.events
    assert isinstance(header, Run)
    story.events = [replace(header, objectives=[asdict(each) for each in wanted]), *rest]
    history = story.history()
    return verdicts(measure(history), history)


def decide(story: Story, wanted: Objective | str) -> Verdict:
    each = parse_objective(wanted) if isinstance(wanted, str) else wanted
    (verdict,) = decide_all(story, each)
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
    assert [verdict.outcome, verdict.measured] == [outcome, pytest.approx(figure)]


def test_not_recovered_fails_and_has_no_number():
    """Whatever the statistic."""
    story = Story().fault(10).requests(0, 10).dead(10, 40)
    verdict = decide(story.requests(0, 40, city="paris"), objective(statistic="p50"))
    assert (verdict.outcome, verdict.measured) == ("failed", 0.0)
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
    assert (verdict.outcome, verdict.measured) == ("failed", None)
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
    decided = decide_all(story, objective(bound=8))
    measured = measure(story.history())
    assert [v.outcome for v in decided] == ["inconclusive"]
    assert exit_code(measured, decided) == Exit.INCONCLUSIVE
    assert exit_code(measured, []) == Exit.INCONCLUSIVE


def test_exit_codes():
    """A missed objective first, then what is inconclusive."""
    measured = measure(recovered().history())
    good, bad, unclear = objective(), objective(bound=8), objective(city="atlantis")

    def code(*wanted: Objective) -> Exit:
        return exit_code(measured, decide_all(recovered(), *wanted))

    assert (code(), code(good)) == (Exit.PASSED, Exit.PASSED)
    assert code(good, unclear) == Exit.INCONCLUSIVE
    assert code(unclear, bad) == Exit.MISSED


@pytest.mark.parametrize(
    ("text", "outcome", "measured"),
    [
        ("availability >= 99.9 % outside faults", "passed", 1.0),
        ("availability >= 90 % during us-east-down from new-york", "failed", 430 / 600),
        ("requests_lost <= 170 during faults", "passed", 170),
        ("requests_lost == 0 before faults", "passed", 0),
        ("region_share(eu-west) >= 99 % during us-east-down", "passed", 1.0),
        ("region_share(us-east) >= 50 % after heal from new-york", "passed", 280 / 400),
        ("p99_ms <= 250", "passed", 30.0),
        ("p50_ms < 30 outside faults", "failed", 30.0),
        ("resets == 0 during faults", "passed", 0),
        ("relapses == 0", "passed", 0),
        ("recovery_s <= 9 s during us-east-down", "passed", 8.5),
        ("recovery_s.min <= 0 s", "passed", 0.0),
        ("resume_s >= 8 s from new-york", "failed", 0.0),
        ("client_s <= 1 s from paris", "passed", 0.0),
    ],
)
def test_a_figure_of_a_period_is_of_the_requests_that_started_in_it(text, outcome, measured):
    """Shares, counts and latencies; times of faults are of those that the period names."""
    verdict = decide(recovered(), text)
    assert [verdict.outcome, verdict.measured] == [outcome, pytest.approx(measured)]


def test_what_was_in_flight_when_the_fault_struck_is_the_faults():
    """It had started before it, and would have been answered."""
    story = Story().fault(10.01, healed=20).requests(0, 9.95).dead(9.95, 20).requests(20, 40)
    assert decide(story, "requests_lost == 0 before faults").outcome == "passed"
    assert decide(story, "requests_lost == 0 outside faults").outcome == "passed"
    assert decide(story, "requests_lost <= 200 during faults").measured == 201


def test_a_share_that_is_met_exactly_passes():
    """999 of 1000 are 99.9 %."""
    story = Story().requests(0, 49.95).dead(49.95, 50)
    assert decide(story, "availability >= 99.9 %").outcome == "passed"


def test_requests_without_an_outcome_decide_nothing():
    """As long as the verdict is the same whatever became of them."""
    story = Story().requests(0, 10).requests(10, 10.5, outcome="unknown").requests(10.5, 50)
    assert decide(story, "availability >= 98 %").outcome == "passed"
    told = decide(story, "availability >= 99.9 %")
    assert (told.outcome, told.measured) == ("inconclusive", 1.0)
    assert told.reason == "10 of 1000 requests have no known outcome"
    assert decide(story, "p98_ms <= 100").outcome == "passed"
    assert decide(story, "p100_ms <= 100").outcome == "inconclusive"
    assert decide(story, "requests_lost == 0 before faults").outcome == "inconclusive"


def test_a_period_that_never_was_is_inconclusive():
    """Nothing was healed, so nothing came after it."""
    story = Story().fault(10).requests(0, 40)
    told = decide(story, "availability >= 99 % after heal")
    assert (told.outcome, told.reason) == (
        "inconclusive",
        "no request in its period is what it speaks of",
    )


def test_a_part_of_a_recovery_that_never_came_is_unclear():
    """There is no telling what it would have been."""
    story = Story().fault(10).requests(0, 10).dead(10, 40)
    assert decide(story, "detection_s <= 5 s").outcome == "inconclusive"


def predicting(**predicted: list[float]) -> Story:
    """As `recovered`, with predictions for new-york by client kind."""
    entries = [
        {"city": "new-york", "client": kind, "seconds": seconds}
        for kind, seconds in predicted.items()
    ]
    story = recovered()
    header, *rest = story.events
    assert isinstance(header, Run)
    others = {"power eu-west": [{"city": "new-york", "client": "http", "seconds": [90.0]}]}
    foreseen = replace(header, predicted={"power us-east": entries, **others})
    story.events = [foreseen, *rest]
    return story


def test_objectives_can_speak_of_the_prediction():
    """Of the faults of the run, for the clients that they speak of."""
    story = predicting(http=[6.0, 7.0, 8.0, 9.0], udp=[20.0])
    told = decide(story, "predicted recovery_s.p50 <= 7 s from new-york over http")
    assert (told.outcome, told.measured) == ("passed", 7.0)
    assert decide(story, "predicted recovery_s <= 10 s").outcome == "failed"
    assert decide(story, "predicted recovery_s <= 10 s from paris").outcome == "inconclusive"


def test_a_prediction_does_not_depend_on_the_run():
    """It stands where the run proves nothing."""
    story = predicting(http=[6.0])
    story.events.append(Lost(t=ns(2), count=1, where="keeper"))
    assert decide(story, "predicted recovery_s <= 10 s").outcome == "passed"
    assert decide(story, "recovery_s <= predicted.p100").outcome == "inconclusive"


def test_before_a_fault_is_injected_every_prediction_counts():
    """The header foresees what the scenario is going to break."""
    told = predicting(http=[6.0])
    calm = Story().requests(0, 10)
    calm.events[0] = told.events[0]
    assert decide(calm, "predicted recovery_s <= 10 s").measured == 90.0


def test_the_prediction_can_be_the_bound():
    """Of the same clients; the bound is told."""
    story = predicting(http=[6.0, 9.0])
    told = decide(story, "recovery_s <= predicted.p100 over http")
    assert (told.outcome, told.reason) == ("passed", "predicted is 9.00 s")
    assert decide(story, "recovery_s <= predicted.p50 over http").outcome == "failed"
    assert decide(recovered(), "recovery_s <= predicted.p100").outcome == "inconclusive"


def test_the_promise_is_a_verdict():
    """Beside the objectives, in its own words."""
    story = Story(
        expect={"kind": "recovery", "within_s": 15.0},
        loads={"new-york": {"http": {"rate": 20}}},
    )
    story.fault(10).requests(0, 10).dead(10, 18.5).requests(18.5, 60)
    (told,) = decide_all(story)
    assert (told.text, told.outcome) == ("expect recovery within 15 s", "passed")
    assert told.measured == pytest.approx(8.5)


def test_each_wait_is_a_verdict():
    """One that was not met is a missed objective, and says what was missing."""
    story = recovered()
    for t, is_met, detail in ((19.0, True, ""), (49.0, False, "paris over http")):
        story.events.append(
            Wait(t=ns(t), text="recovered", began=ns(10), within_s=30.0, met=is_met, detail=detail)
        )
    met, unmet = decide_all(story)
    assert (met.text, met.outcome) == ("wait_until recovered within 30 s", "passed")
    assert met.measured == pytest.approx(9.0)
    assert (unmet.outcome, unmet.measured) == ("failed", None)
    assert unmet.reason.endswith("were not taken: paris over http")
