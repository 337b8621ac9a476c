"""Whoever asks for a city: its answers are found, and what they cost is told of the right one."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from emulator.analysis.measurements import Row
from emulator.analysis.recovery import measure
from emulator.events import Answer, Run
from tests.builders import Story


def lost_and_found(asked: dict[str, Any], **answers: Any) -> Story:
    """new-york is dead from 10 s and on eu-west from 18.5 s; who asks is told so at 18.22 s."""
    story = Story().fault(10).down(13.42)
    story.answer(12.6, "us-east", **answers).answer(18.22, "eu-west", **answers)
    story.requests(0, 10).dead(10, 18.5).requests(18.5, 40, region="eu-west")
    header = story.events[0]
    assert isinstance(header, Run)
    story.events[0] = replace(header, resolvers={"new-york": asked})
    return story


def row_of(story: Story) -> Row:
    return measure(story.history()).faults[0].rows[0]


@pytest.mark.parametrize(
    ("asked", "at"),
    [({"site": "new-york"}, "new-york"), ({"site": "paris"}, "paris"), ({"site": ""}, "new-york")],
)
def test_answers_are_looked_for_at_who_asks(asked: dict[str, Any], at: str) -> None:
    """The city's own resolver, another city's, or the clients themselves."""
    row = row_of(lost_and_found(asked, city=at))
    assert row.parts()["cache_s"] == pytest.approx(4.79, abs=0.01)


def test_answers_to_others_are_not_ours() -> None:
    """Whose resolver is in Paris hears nothing in New York."""
    assert row_of(lost_and_found({"site": "paris"})).milestones.answer is None


def test_an_answer_for_one_network_is_for_its_city_alone() -> None:
    """With ECS one resolver is told one thing for Paris and another for New York."""
    story = lost_and_found({"site": "paris", "ecs": True}, city="paris")
    header = story.events[0]
    assert isinstance(header, Run)
    lans = {"new-york": ["10.3.0.0/24"]}
    sites = [site | {"prefixes": lans.get(site["name"], [])} for site in header.sites]
    story.events[0] = replace(header, sites=sites)
    for subnet, answer in (("10.3.0.0/24", 18.22), ("10.4.0.0/24", None)):
        story.events[:] = [
            replace(e, subnet=subnet) if isinstance(e, Answer) else e for e in story.events
        ]
        told = row_of(story).milestones.answer
        assert (told is None) == (answer is None)


def test_a_raised_ttl_is_no_back_off() -> None:
    """What a resolver holds longer than the answer says, as it was told to."""
    settings = {"cache-min-ttl": "6", "cache-max-ttl": "300"}
    row = row_of(lost_and_found({"site": "new-york", "settings": settings}))
    assert row.milestones.held is not None
    assert row.milestones.held.ttl == 6
