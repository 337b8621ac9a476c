"""A history is the same however it is read."""

from __future__ import annotations

import pytest

from emulator.analysis.recovery import measure
from emulator.analysis.timeline import History, read_history
from tests.builders import Story, ns


def test_a_file_gives_the_same_measurements_as_the_events(tmp_path):
    """Live and afterwards: one code, one result."""
    story = Story().fault(10).down(13.4).answer(12, "us-east").answer(18, "eu-west")
    story.requests(0, 10, rate=10).dead(10, 18, rate=10).requests(18, 30, region="eu-west")
    path = tmp_path / "history.jsonl"
    path.write_text(story.lines())
    live = History()
    for event in story.ordered():
        live.feed(event)
    assert measure(read_history(path)) == measure(live)


def test_a_torn_last_line_is_left_out(tmp_path):
    """The recorder died while it wrote."""
    path = tmp_path / "history.jsonl"
    path.write_text(Story().requests(0, 1).lines() + '{"kind":"request","t":12')
    assert len(next(iter(read_history(path).requests.values()))) == 20


def test_a_line_torn_in_the_middle_is_an_error(tmp_path):
    """It is named; nothing is guessed."""
    path = tmp_path / "history.jsonl"
    path.write_text('{"kind":"note","t":1\n{"kind":"note","t":2,"text":"end"}\n')
    with pytest.raises(ValueError, match=r"history\.jsonl:1: not an event"):
        read_history(path)


def test_unknown_kinds_and_fields_are_skipped():
    """A later version may have written more."""
    history = History()
    history.feed({"kind": "comet", "t": 5})
    history.feed({"kind": "note", "t": 6, "text": "end", "colour": "red"})
    assert [note.text for note in history.notes] == ["end"]


def test_a_fault_folds_its_phases():
    """Each instant where it belongs; a repeated heal changes nothing."""
    history = Story().fault(10, healed=40).fault(10, healed=50).history()
    (life,) = history.injected()
    assert (life.inject_began, life.healed, life.sites) == (ns(10), ns(40), ("us-east",))


def test_a_fault_that_was_not_injected_is_not_measured():
    """It failed before its first effect."""
    history = History()
    history.feed(
        {"kind": "fault", "t": 1, "id": "f", "how": "power", "phase": "failed", "target": ["x"],
         "sites": [], "hosts": [], "detail": "no such container"}
    )  # fmt: skip
    assert history.injected() == []
    assert history.faults["f"].failed == "no such container"
    assert measure(history).faults == ()
