"""Events leave over a pipe that may be slow, full or gone, and never hold the sender up."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator

import pytest

from emulator.analysis.lines import typed
from emulator.events import Lost, Note
from emulator.node.client import sink as sink_module
from emulator.node.client.sink import Sink


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    ends = os.pipe()
    os.set_blocking(ends[0], False)
    yield ends
    for end in ends:
        os.close(end)


def read_all(fd: int) -> bytes:
    data = b""
    try:
        while part := os.read(fd, 1 << 20):
            data += part
    except BlockingIOError:
        pass
    return data


def notes(lines: bytes) -> list[str]:
    return [json.loads(line).get("text", "") for line in lines.splitlines()]


def test_events_leave_in_order_and_only_when_flushed(pipe):
    """`put` writes nothing: the loop flushes when it has time."""
    sink = Sink(pipe[1], "paris/client")
    for k in range(3):
        sink.put(Note(t=k, text=str(k)))
    assert read_all(pipe[0]) == b""
    sink.flush()
    assert notes(read_all(pipe[0])) == ["0", "1", "2"]


def test_a_full_pipe_delays_lines_and_tears_none(pipe):
    """Whatever the pipe takes in one go, the reader sees whole lines in order."""
    sink = Sink(pipe[1], "paris/client")
    sent = [f"{k:05}" + "x" * 700 for k in range(3000)]
    got = b""
    for k, text in enumerate(sent):
        sink.put(Note(t=k, text=text))
    for _ in range(200):
        sink.flush()
        if len(got) < 1 << 20:
            got += os.read(pipe[0], 70_001)
        else:
            got += read_all(pipe[0])
    assert notes(got) == sent


def test_what_does_not_fit_is_counted_and_confessed(pipe, monkeypatch):
    """Beyond the bounded backlog events are lost; a Lost event says how many and where."""
    monkeypatch.setattr(sink_module, "BACKLOG_BYTES", 10_000)
    sink = Sink(pipe[1], "paris/client")
    for k in range(300):
        sink.put(Note(t=k, text="y" * 60))
    for _ in range(10):
        sink.flush()
    events = [typed(json.loads(line)) for line in read_all(pipe[0]).splitlines()]
    lost = [event for event in events if isinstance(event, Lost)]
    assert len(lost) == 1
    assert lost[0].count == 300 - (len(events) - 1)
    assert lost[0].where == "paris/client"


def test_draining_waits_for_the_reader(pipe):
    """At the end of the process everything is written."""
    sink = Sink(pipe[1], "paris/client")
    sink.put(Note(t=0, text="last"))
    sink.drain()
    assert notes(read_all(pipe[0])) == ["last"]
