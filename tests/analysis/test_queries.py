"""What name servers are asked: whole cycles only, pooled over runs, counted over periods."""

from __future__ import annotations

from dataclasses import asdict

import pytest

from emulator.analysis.queries import asked, queries_per_s
from emulator.analysis.recovery import measure
from emulator.analysis.verdict import verdicts
from emulator.events import CACHES_EMPTIED, Note
from emulator.scenario.objectives import parse_objective
from tests.builders import Story, ns


def story(*instants: float, city: str = "paris", emptied: float | None = None, **header) -> Story:
    """A resolver that was answered at these seconds, in a run of 20 s."""
    made = Story(**header).requests(0, 20, city=city, region="eu-west")
    for at in instants:
        made.answer(at, "eu-west", city=city)
    if emptied is not None:
        made.events.append(Note(t=ns(emptied), text=CACHES_EMPTIED))
    return made


def rate_of(*stories: Story) -> float | None:
    return queries_per_s(measure(one.history()) for one in stories)


def test_a_periodic_resolver_is_exact_wherever_the_run_begins_and_ends():
    """Every 5 s: 0.2/s, though 20 s may hold 3 answers or 5."""
    assert rate_of(story(1, 6, 11, 16)) == pytest.approx(0.2)
    assert rate_of(story(0, 5, 10, 15, 20)) == pytest.approx(0.2)


def test_a_cycle_cut_short_for_the_phase_is_left_out():
    """The resolver asked at 7 s because netemu emptied its cache."""
    assert rate_of(story(1, 6, 7, 12, 17, emptied=6.99)) == pytest.approx(0.2)
    one = asked(story(1, 6, 7, 12, 17, emptied=6.99).history())["paris"]
    assert (one.cycles, one.seconds) == (3, 15)


def test_runs_are_pooled_before_cities_are_added():
    """A run in which a city asked once tells nothing and takes nothing away."""
    both = story(1, 6, 11).requests(0, 20)
    for at in (0.5, 2.5, 4.5):
        both.answer(at, "us-east")
    assert rate_of(both, story(3)) == pytest.approx(0.2 + 0.5)


def test_one_question_has_no_rate():
    """Nor does silence: nobody asked."""
    assert rate_of(story(3)) is None
    assert rate_of(story()) is None


def test_only_name_servers_and_the_service_count():
    """Not what one resolver answers another, not other names."""
    made = story(1, 6, 11)
    made.answer(3, "eu-west", server="new-york", city="paris")
    assert rate_of(made) == pytest.approx(0.2)


@pytest.mark.parametrize(
    ("text", "outcome", "measured"),
    [
        ("dns_queries_per_s <= 0.3", "passed", 0.25),
        ("dns_queries_per_s < 0.2 from paris", "failed", 0.25),
        ("dns_queries_per_s == 0 from new-york", "passed", 0.0),
        ("dns_queries_per_s >= 0.4/s during us-east-down", "passed", 0.5),
    ],
)
def test_an_objective_counts_over_its_period(text, outcome, measured):
    """Five answers in 20 s, two of them in the 4 s of the fault."""
    made = story(1, 6, 11, 12, 16, objectives=[asdict(parse_objective(text))])
    made.fault(10, healed=14).events.append(Note(t=ns(20), text="end"))
    history = made.history()
    (verdict,) = verdicts(measure(history), history)
    assert verdict.outcome == outcome
    assert verdict.measured == pytest.approx(measured, rel=0.01)
