"""One line why: the largest part of a recovery in plain words."""

from __future__ import annotations

import pytest

from emulator.analysis.headline import headline, headline_of
from emulator.analysis.recovery import measure
from emulator.analysis.timeline import Client
from emulator.analysis.words import own_cache
from tests.analysis.stories import region_loss
from tests.builders import Story


def lines(story: Story) -> dict[Client, str]:
    history = story.history()
    return {row.client: headline(row, history) for row in measure(history).rows()}


def slowest(story: Story) -> str:
    history = story.history()
    return headline_of(measure(history).rows(), history)


def moved(down: float, answer: float, ttl: int = 5, recovered: float = 0.0) -> Story:
    """Power at 10 s; ns1 DOWN, the new answer, and http in new-york back, each at its time."""
    back = recovered or answer
    story = Story(ttl=ttl).fault(10.0).down(down).answer(8.0, "us-east").answer(answer, "eu-west")
    return story.requests(0, 10).dead(10, back).requests(back, back + 20, region="eu-west")


@pytest.mark.parametrize(
    ("story", "line"),
    [
        (
            moved(13.4, 38.25, ttl=30),
            "new-york recovered after 28.25 s: DNS TTL 30 s held the old answer for 24.84 s",
        ),
        (
            moved(13.4, 15.0),
            "new-york recovered after 5.00 s: ns1 needed 3 checks (3.40 s) to notice",
        ),
        (
            moved(11.0, 12.0, recovered=16.0),
            "new-york recovered after 6.00 s: its own attempts to the dead address took 4.00 s",
        ),
    ],
)
def test_the_largest_part_is_the_reason(story, line):
    """With its number."""
    assert lines(story) == {("new-york", "http"): line}


def test_a_resolver_that_heard_nothing_is_not_blamed_on_the_ttl():
    """No name server answered it for far longer than the TTL."""
    (line,) = lines(moved(13.4, 38.25)).values()
    assert "new-york's resolver got no answer from any name server for 24.84 s" in line


def test_every_state_has_its_line():
    """Unaffected, not recovered, unclear, recovered with the heal, never moved."""
    story = Story().fault(10, healed=30).requests(0, 60, city="paris", region="eu-west")
    story.requests(0, 10).dead(10, 30).requests(30, 60)
    story.requests(0, 10, kind="udp").dead(10, 60, kind="udp")
    story.requests(0, 10, kind="stream").dead(10, 11, kind="stream")
    story.requests(0, 10, kind="keepalive").dead(10, 12, kind="keepalive")
    said = lines(story.requests(12, 60, kind="keepalive"))
    assert said[Client("paris", "http")] == "paris unaffected"
    assert said[Client("new-york", "http")] == (
        "new-york recovered after 20.00 s: only once the fault was healed"
    )
    assert said[Client("new-york", "udp")].startswith(
        "new-york over udp not recovered: no 3 s without"
    )
    assert said[Client("new-york", "stream")].startswith(
        "new-york over stream: nobody can tell: only 20"
    )
    assert said[Client("new-york", "keepalive")] == (
        "new-york over keepalive recovered after 2.00 s:"
        " it stayed on us-east and was without an answer for 1.95 s"
    )


def test_the_slowest_client_speaks_for_all():
    """One that never recovered before any that did."""
    assert slowest(region_loss()) == (
        "new-york over stream recovered after 11.10 s: DNS TTL 5 s held the old answer for 4.79 s"
    )
    story = region_loss().requests(0, 10, city="paris", kind="tcp").dead(
        10, 60, city="paris", kind="tcp"
    )  # fmt: skip
    assert slowest(story).startswith("paris over tcp not recovered")
    assert headline_of((), story.history()) == ""


def test_a_client_with_a_cache_of_its_own_is_told_so():
    """Not its connections, not the resolver: what it kept itself."""
    for cache_s, words in ((30, "of 30 s"), (None, "for ever"), (-1, "of the answer's TTL")):
        loads = {"new-york": {"http": {"rate": 80, "cache_s": cache_s}}}
        run = Story(loads=loads).history().run
        assert own_cache(run, Client("new-york", "http")) == f"its own DNS cache {words}"
        assert own_cache(run, Client("paris", "http")) == ""
