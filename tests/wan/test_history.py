"""The ring keeps the newest events in bounded memory, and says what it lost."""

from __future__ import annotations

import json
import tracemalloc
from typing import Any

import pytest

from emulator.node.wan.keeper_history import History


@pytest.fixture
def history() -> History:
    return History(limit=1000)


def read(
    history: History, since: int = 0, limit: int = 1 << 20
) -> tuple[int, list[dict[str, Any]]]:
    lost, lines = history.since(since, limit)
    return lost, [json.loads(line) for line in lines]


def test_events_get_numbers_and_a_time(history):
    """From 0 on, one more each; `t` is now unless given."""
    history.add({"kind": "note", "text": "a"})
    history.add({"kind": "note", "text": "b", "t": 5})
    _, (first, second) = read(history)
    assert (first["seq"], second["seq"], second["t"]) == (0, 1, 5)
    assert first["t"] > 0


def test_lines_are_kept_as_they_came(history):
    """A program's line gets its number at the end and is not encoded anew."""
    history.add_line(b'{"kind": "note",  "t": 1, "text": "a"}', "ns1")
    assert history.since(0, 100)[1] == [b'{"kind": "note",  "t": 1, "text": "a","seq":0}']


def test_a_number_that_a_program_gave_is_replaced(history):
    """Numbers are the keeper's."""
    history.add_line(b'{"kind":"note","t":1,"seq":-1}', "ns1")
    assert read(history) == (0, [{"kind": "note", "t": 1, "seq": 0}])


@pytest.mark.parametrize("line", [b"", b"oops", b"[]", b"7", b'{"kind":"note"}', b'{"t":1}'])
def test_what_is_no_event_counts_as_lost(history, line):
    """The history stays readable, and says who broke the rule."""
    history.add_line(line, "paris/client")
    _, (event,) = read(history)
    assert (event["kind"], event["count"]) == ("lost", 1)
    assert "paris/client" in event["where"]


def test_the_oldest_go_first(history):
    """Memory is bounded; a reader from before is told how many it missed."""
    for n in range(100):
        history.add({"kind": "note", "t": n})
    lost, events = read(history)
    assert lost == 100 - len(events) > 0
    assert [event["seq"] for event in events] == list(range(lost, 100))
    assert read(history, since=98)[1] == events[-2:]
    assert read(history, since=100) == (0, [])


def test_a_reader_is_given_bites(history):
    """About `limit` bytes at once, and at least one line."""
    for n in range(10):
        history.add({"kind": "note", "t": n})
    assert len(read(history, since=3, limit=1)[1]) == 1


def test_latest_is_by_thing_not_by_time(history):
    """The last event of each state, also when the ring has dropped it."""
    for state in ("DOWN", "UP"):
        history.add({"kind": "health", "server": "ns1", "service": "www", "region": "a",
                     "state": state})  # fmt: skip
    history.add({"kind": "health", "server": "ns2", "service": "www", "region": "a",
                 "state": "DOWN"})  # fmt: skip
    for n in range(100):
        history.add({"kind": "note", "t": n})
    states = [(event["server"], event["state"]) for event in history.latest()]
    assert states == [("ns1", "UP"), ("ns2", "DOWN")]


def test_a_full_ring_takes_no_more_memory_for_a_moment():
    """What an allocator was once given it keeps: a step of 5 MB was seen in a soak."""
    history = History(limit=4 << 20)
    tracemalloc.start()
    try:
        for n in range(60_000):  # six times around
            if n == 20_000:
                tracemalloc.reset_peak()
            history.add_line(b'{"kind":"note","t":%d,"text":"%s"}' % (n, b"x" * 400), "ns1")
        now, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak <= 1.05 * now  # 1.02; a dict by number 1.11, whenever its table is made anew
