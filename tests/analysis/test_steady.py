"""The steady state: what of it does not hold, and the promises about it."""

from __future__ import annotations

from typing import Any

import pytest

from emulator.analysis.series import columns_of
from emulator.analysis.steady import Kept, expectation_of, kept, problems, steady_state_of
from emulator.scenario.model import Expectation, SteadyState
from emulator.scenario.objectives import parse_objective
from tests.builders import Story, ns

ISOLATION = Expectation("isolation")


def steady(*hold: str, over_s: float = 2.0) -> SteadyState:
    return SteadyState(over_s, tuple(parse_objective(text) for text in hold))


def story(**header: Any) -> Story:
    """Traffic only in new-york, over http, unless the header says more."""
    known: dict[str, Any] = {"loads": {"new-york": {"http": {"rate": 20}}}}
    return Story(**(known | header))


def broken(told: Story, at: float, wanted: SteadyState | None = None) -> tuple[str, ...]:
    return problems(told.history(), wanted or SteadyState(), ns(at))


def promised(told: Story, expected: Expectation, *hold: str) -> Kept:
    history = told.history()
    return kept(history, steady(*hold), expected, columns_of(history))


def recovering() -> Story:
    """Fails from 10 s to 18.5 s; the run ends at 60 s."""
    return story().fault(10).requests(0, 10).dead(10, 18.5).requests(18.5, 60, region="eu-west")


def test_nothing_is_wrong_where_every_request_was_answered():
    """The default: no request of any client fails."""
    assert broken(story().requests(0, 10), 10) == ()


def test_failures_are_counted_by_client():
    """Only those of the window."""
    told = story().requests(0, 5).dead(5, 5.5, takes=0.1).requests(5.5, 9).dead(9, 9.15, takes=0.1)
    assert broken(told.requests(9.15, 10), 10) == ("new-york over http: 3 of 40 requests failed",)


def test_a_client_that_sends_nothing_is_a_problem():
    """The classic mistake: nothing ran, so nothing failed."""
    told = Story(loads={"new-york": {"http": {"rate": 20}}, "paris": {"udp": {"rate": 5}}})
    assert broken(told.requests(0, 10), 10) == ("paris over udp: no requests",)


def test_without_loads_every_city_sends_every_kind():
    """Headers of histories that are older than loads."""
    told = Story(rates={"http": 20.0}).requests(0, 10)
    assert broken(told, 10) == ("paris over http: no requests",)


def test_a_slow_client_is_given_the_time_of_three_requests():
    """One request in 4 s makes no window of 2 s empty."""
    told = story(loads={"new-york": {"http": {"rate": 0.25}}})
    assert broken(told.requests(0, 20, rate=0.25), 19) == ()


def test_a_request_that_is_without_an_answer_is_a_problem():
    """Half of the servers are silent: the other half's answers alone would look well."""
    told = story().requests(0, 8)
    for index in range(20):
        told.requests(8 + index / 10, 8.05 + index / 10).skip(1)
    (said,) = broken(told, 10)
    assert said == "new-york over http: 9 requests are without an answer"


def test_a_client_that_fell_silent_is_a_problem():
    """Before its requests time out nothing of them is told."""
    assert broken(story().requests(0, 8.5), 10) == (
        "new-york over http: no request was answered in the last 1.1 s",
    )


def test_objectives_of_the_steady_state_speak_of_the_window():
    """What it is instead stands behind the objective."""
    told = story().requests(0, 9).dead(9, 9.2, takes=0.1).requests(9.2, 10, takes=0.3)
    assert broken(told, 10, steady("availability >= 85 %", "p50_ms <= 250")) == ()
    wanted = steady("availability >= 99 % from new-york", "p90_ms <= 250")
    assert broken(told, 10, wanted) == (
        "availability >= 99 % from new-york: it is 90.000%",
        "p90_ms <= 250: it is 300.0 ms",
    )


def test_isolation_is_kept_by_a_run_in_which_nothing_breaks():
    """From the first fault on; what failed before it is not its doing."""
    told = story().fault(10).requests(0, 5).dead(5, 6).requests(6, 40)
    assert promised(told, ISOLATION) == Kept("passed")


def test_isolation_is_broken_by_one_window():
    """The first one is told, with its instant."""
    told = promised(recovering(), ISOLATION)
    assert told.outcome == "failed"
    assert told.reason == (
        "at 10.0 s, 0.0 s after power us-east: new-york over http: 40 of 40 requests failed"
    )


@pytest.mark.parametrize(("within_s", "outcome"), [(8.5, "passed"), (8, "failed")])
def test_recovery_holds_again_within_its_time(within_s, outcome):
    """The first window that is judged begins exactly then."""
    told = promised(recovering(), Expectation("recovery", within_s))
    assert told.outcome == outcome
    assert told.steady_s == pytest.approx(8.5)


def test_recovery_that_does_not_stay_is_none():
    """Also when it is the heal that breaks it again."""
    told = story().fault(10, healed=40).requests(0, 10).dead(10, 15).requests(15, 42)
    said = promised(told.dead(42, 42.5).requests(42.5, 60), Expectation("recovery", 10))
    assert said.outcome == "failed"
    assert said.reason.startswith("at 40.5 s, 30.5 s after power us-east")
    assert said.steady_s == pytest.approx(32.5)


def test_each_fault_is_judged_until_the_next():
    """The second one's failures are not the first one's relapse."""
    told = story().fault(10, healed=20).fault(30, name="f2").requests(0, 10).dead(10, 15)
    told.requests(15, 30).dead(30, 34).requests(34, 60)
    assert promised(told, Expectation("recovery", 6)).outcome == "passed"
    assert promised(told, Expectation("recovery", 4.5)).outcome == "failed"


def test_what_the_next_fault_broke_in_flight_is_not_the_first_ones():
    """The request had started before it."""
    told = story().fault(10, healed=20).fault(30, name="f2").requests(0, 10).dead(10, 15)
    told.requests(15, 29.95).dead(29.95, 34).requests(34, 60)
    assert promised(told, Expectation("recovery", 6)).outcome == "passed"


def test_a_promise_that_cannot_be_judged_is_not_kept():
    """No fault; a run that ends too soon; requests whose outcome nobody knows."""
    assert promised(story().requests(0, 20), ISOLATION).outcome == "inconclusive"
    told = promised(recovering(), Expectation("recovery", 60))
    assert (told.outcome, told.reason) == (
        "inconclusive",
        "the run ends too soon after power us-east to tell",
    )
    lost = story().fault(10).requests(0, 20).skip(30).requests(20, 40)
    assert promised(lost, ISOLATION).outcome == "inconclusive"


def test_the_header_holds_what_was_promised():
    """As the model has it; the default without it."""
    hold = {"text": "requests_lost == 0", "figure": "requests_lost", "statistic": "",
            "comparison": "==", "bound": 0.0}  # fmt: skip
    run = Story(
        steady_state={"over_s": 3.0, "hold": [hold]}, expect={"kind": "recovery", "within_s": 9.0}
    ).history().run  # fmt: skip
    assert run is not None
    assert steady_state_of(run).over_s == 3
    assert steady_state_of(run).hold[0].text == "requests_lost == 0"
    assert expectation_of(run) == Expectation("recovery", 9.0)
    plain = Story().history().run
    assert plain is not None
    assert (steady_state_of(plain), expectation_of(plain)) == (SteadyState(), None)
