"""Periods: which part of a run `during us-east-down` and its like are."""

from __future__ import annotations

import pytest

from emulator.analysis.periods import intervals
from emulator.events import Note
from emulator.scenario.model import Period
from tests.builders import Story, ns


def seconds(story: Story, kind: str, target: str = "") -> list[tuple[float, float]]:
    found = intervals(story.history(), Period(kind, target))  # type: ignore[arg-type]
    return [(round(a / 1e9 - 1000, 2), round(b / 1e9 - 1000, 2)) for a, b in found]


def two_faults() -> Story:
    """us-east from 10 s to 20 s, a server of eu-west from 15 s to 30 s; the run ends at 40 s."""
    story = Story().requests(0, 40.05).fault(10, healed=20)
    return story.fault(15, "eu-west/www-1", "freeze", healed=30, hosts=("eu-west/www-1",), name="2")


@pytest.mark.parametrize(
    ("kind", "target", "spans"),
    [
        ("run", "", [(0, 40)]),
        ("before", "", [(0, 10)]),
        ("faults", "", [(10, 30)]),
        ("outside", "", [(0, 10), (30, 40)]),
        ("down", "us-east", [(10, 20)]),
        ("down", "us-east/www-2", [(10, 20)]),
        ("down", "eu-west/www-1", [(15, 30)]),
        ("down", "eu-west", []),
        ("after", "", [(30, 40)]),
    ],
)
def test_each_period_is_told_by_the_faults(kind, target, spans):
    """Faults that overlap are one stretch; a host is down with its site, a site not with a host."""
    assert seconds(two_faults(), kind, target) == spans


def test_a_fault_that_no_step_healed_lasts_to_the_end():
    """The clean-up after the end is no heal, and no part of the run."""
    story = Story().requests(0, 30).fault(10, healed=40)
    story.events.append(Note(t=ns(29.96), text="end"))
    assert seconds(story, "faults") == [(10, 29.96)]
    assert seconds(story, "after") == []
    assert seconds(story, "outside") == [(0, 10)]


def test_a_run_without_faults_is_all_before_them():
    """Nothing was down, nothing healed."""
    story = Story().requests(0, 10.05)
    assert seconds(story, "before") == seconds(story, "outside") == [(0, 10)]
    assert seconds(story, "down", "us-east") == seconds(story, "after") == []
