"""A history is the same however it is read."""

from __future__ import annotations

import pytest

from emulator.analysis.recovery import measure
from emulator.analysis.timeline import History, read_history
from emulator.events import Check, Forced, Generation, Packet, encode
from tests.builders import Story, ns


def compact(story: Story) -> str:
    """The story as a recorder writes it."""
    return "".join(encode(event.to_json()).decode() for event in story.ordered())


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


def test_a_line_torn_among_requests_is_named(tmp_path):
    """Though many lines are read at once, the error tells which."""
    path = tmp_path / "history.jsonl"
    whole = compact(Story().requests(0, 5)).splitlines()
    path.write_text("\n".join([*whole[:70], whole[70][:90], *whole[71:]]))
    with pytest.raises(ValueError, match=r"history\.jsonl:71: not an event"):
        read_history(path)


def test_a_field_of_the_wrong_type_is_an_error(tmp_path):
    """An instant that is a text is none."""
    path = tmp_path / "history.jsonl"
    path.write_text('{"kind":"note","t":"noon","text":"end"}\n{"kind":"note","t":2,"text":"end"}\n')
    with pytest.raises(ValueError, match=r"history\.jsonl:1: not an event: .*`int`"):
        read_history(path)


def test_how_a_writer_spaces_its_lines_changes_nothing(tmp_path):
    """Compact lines are read many at a time, others one by one."""
    story = Story().fault(10).requests(0, 10).dead(10, 18).requests(18, 25).handshakes()
    spaced, packed = tmp_path / "spaced.jsonl", tmp_path / "packed.jsonl"
    spaced.write_text(story.lines())
    packed.write_text(compact(story))
    one, other = read_history(spaced), read_history(packed)
    assert one.requests == other.requests
    assert list(one.packets) == list(other.packets)
    assert measure(one) == measure(other)
    assert (one.first_ns, one.last_ns) == (other.first_ns, other.last_ns)


def test_packets_are_given_as_they_came_without_first_data():
    """Kept in columns, made anew when asked for; nothing is measured by first data."""
    here, there = "10.1.0.2:7", "198.18.2.1:80"
    told = [
        Packet(t=5, what="syn", source="paris", target="eu-west", src=here, dst=there),
        Packet(t=9, what="data", source="paris", target="eu-west", src=here, dst=there),
        Packet(t=7, what="rst", source="eu-west", target="paris", src=there, dst=here, out=8),
    ]
    history = History()
    for packet in told:
        history.feed(packet)
    assert list(history.packets) == [told[0], told[2]]
    assert history.packets.of("rst", "fin") == [told[2]]
    assert len(history.packets) == 2


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


def test_what_name_servers_say_of_forced_states_is_kept(tmp_path):
    """Forced states, the vantage of a check, a generation's new fields: typed, from a file."""
    said = [
        Forced(t=5, server="ns1", service="www", region="us-east", state="drain", until=9),
        Check(t=6, server="ns1", service="www", region="us-east", ok=True, end=7, checker="paris"),
        Generation(t=8, server="ns1", service="www", number=2, up=["eu-west"], down=["us-east"],
                   forced={"us-east": "drain"}, real={"us-east": "UP"}, ramping={"eu-west": 0.5},
                   ttl=5, serial=12),
    ]  # fmt: skip
    path = tmp_path / "history.jsonl"
    path.write_bytes(b"".join(encode(event.to_json()) for event in said))
    history = read_history(path)
    assert [*history.forced, *history.checks, *history.generations] == said


def test_histories_of_before_forced_states_are_still_read(tmp_path):
    """Their checks are the servers' own, their generations know of nothing forced."""
    path = tmp_path / "history.jsonl"
    path.write_text(
        '{"kind":"check","t":1,"server":"ns1","service":"www","region":"a","ok":true,"end":2}\n'
        '{"kind":"generation","t":3,"server":"ns1","service":"www","number":1,"up":["a"],"down":[]}\n'
    )
    history = read_history(path)
    assert history.checks[0].checker == ""
    assert (history.generations[0].forced, history.generations[0].ramping) == ({}, {})
