"""The history is whole: every event up to the stop, on disk before anyone hears of it."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import pytest

from emulator.analysis.timeline import read_history
from emulator.clock import MonotonicClock
from emulator.controller.recorder import Recorder
from emulator.errors import NetemuError, WanError
from emulator.events import Lost, Note
from emulator.wan.base import Event
from emulator.wan.fake import FakeWan

PATIENCE_S = 5


@pytest.fixture
def wan() -> FakeWan:
    return FakeWan(MonotonicClock())


def note(text: str) -> Event:
    return Note(t=1, text=text).to_json()


def numbers(path: Path) -> list[int]:
    return [json.loads(line)["seq"] for line in path.read_text().splitlines()]


class Ear:
    """A listener that can be waited for."""

    def __init__(self) -> None:
        self.heard: list[Event] = []
        self._news = threading.Condition()

    def __call__(self, event: Event) -> None:
        with self._news:
            self.heard.append(event)
            self._news.notify_all()

    def wait_for(self, count: int) -> None:
        with self._news:
            assert self._news.wait_for(lambda: len(self.heard) >= count, PATIENCE_S)


def test_every_event_from_since_to_the_stop_is_kept(wan, tmp_path):
    """Also those that were there before the recorder, and the last before its end."""
    path = tmp_path / "history.jsonl"
    for n in range(5):
        wan.mark(note(f"before {n}"))
    ear = Ear()
    with Recorder(wan, path, ear, since=2) as recorder:
        for n in range(500):
            wan.mark(note(f"during {n}"))
    recorder.check()
    assert numbers(path) == list(range(2, 505))
    assert [event["seq"] for event in ear.heard] == numbers(path)


def test_a_stream_of_events_that_never_pauses_ends_at_the_stop(wan, tmp_path, monkeypatch):
    """The newest event at the stop is the last that is waited for."""
    path = tmp_path / "history.jsonl"

    def without_end(since):
        for seq in range(since, 10**9):
            if seq > wan.stats()["seq"]:
                wan.mark(note("more"))
            yield wan.lab.history[seq]

    monkeypatch.setattr(wan, "events", without_end)
    ear = Ear()
    with Recorder(wan, path, ear, since=0) as recorder:
        ear.wait_for(100)
        last = wan.mark(note("the last one")) and wan.stats()["seq"]
    recorder.check()
    assert numbers(path)[:last] == list(range(last))


def test_an_event_is_on_disk_before_it_is_heard(wan, tmp_path):
    """Whole lines, without waiting for the end: what a killed run leaves can be read."""
    path = tmp_path / "history.jsonl"
    on_disk = []
    ear = Ear()

    def listen(event):
        on_disk.append(numbers(path)[-1] == event["seq"])
        ear(event)

    with Recorder(wan, path, listen, since=0):
        for n in range(3):
            wan.mark(note(str(n)))
            ear.wait_for(n + 1)
    assert on_disk == [True, True, True]


def test_a_line_torn_by_a_kill_leaves_a_history(wan, tmp_path):
    """All before it is read; a line torn anywhere else is an error with its number."""
    path = tmp_path / "history.jsonl"
    with Recorder(wan, path, Ear(), since=0):
        for n in range(3):
            wan.mark(note(str(n)))
    whole = path.read_bytes()
    path.write_bytes(whole[:-9])
    assert [n.text for n in read_history(path).notes] == ["0", "1"]
    path.write_bytes(whole[:-9] + b"\n" + whole)
    with pytest.raises(ValueError, match=r"history.jsonl:3"):
        read_history(path)


def test_it_appends_to_what_is_there(wan, tmp_path):
    """The header, which was written first."""
    path = tmp_path / "history.jsonl"
    path.write_text('{"header": 1}\n')
    with Recorder(wan, path, Ear(), since=0):
        wan.mark(note("x"))
    header, line = path.read_text().splitlines()
    assert (header, json.loads(line)["text"]) == ('{"header": 1}', "x")


def test_lost_events_are_kept(wan, tmp_path):
    """From then on nothing may be claimed, and the history says so."""
    path = tmp_path / "history.jsonl"
    with Recorder(wan, path, Ear(), since=0) as recorder:
        wan.lab.push(Lost(t=5, count=7, where="the keeper's ring").to_json())
    recorder.check()
    assert [(lost.count, lost.where) for lost in read_history(path).lost] == [
        (7, "the keeper's ring")
    ]


def test_a_disk_that_is_full_is_told(wan):
    """`check` raises it, during the run and after it."""
    with Recorder(wan, Path("/dev/full"), Ear(), since=0) as recorder:
        wan.mark(note("x"))
        recorder._thread.join(PATIENCE_S)
        with pytest.raises(NetemuError, match=r"history failed: .*No space left"):
            recorder.check()
    with pytest.raises(NetemuError, match="No space left"):
        recorder.check()


@pytest.mark.parametrize("error", [OSError("gone"), KeyError("city"), WanError("no WAN")])
def test_whatever_ends_the_recording_is_told(wan, tmp_path, error):
    """A listener's mistake too: a history with a hole must not look whole."""

    def listen(event):
        raise error

    with Recorder(wan, tmp_path / "history.jsonl", listen, since=0) as recorder:
        wan.mark(note("x"))
    with pytest.raises(NetemuError, match="recording the history failed"):
        recorder.check()


def test_a_wan_that_is_gone_at_the_stop_is_told(wan, tmp_path, monkeypatch):
    """Then nobody knows whether the last event was seen."""

    def refuse():
        raise WanError("the WAN container is gone")

    with Recorder(wan, tmp_path / "history.jsonl", Ear(), since=0) as recorder:
        monkeypatch.setattr(wan, "stats", refuse)
    with pytest.raises(NetemuError, match="the WAN container is gone"):
        recorder.check()


def test_a_recorder_that_cannot_catch_up_is_told(wan, tmp_path, monkeypatch):
    """It is waited for, but not for ever."""
    monkeypatch.setattr("emulator.controller.recorder.CATCH_UP_S", 0.05)
    let_go = threading.Event()

    def linger(event: Event) -> None:
        let_go.wait(PATIENCE_S)

    with Recorder(wan, tmp_path / "history.jsonl", linger, since=0) as recorder:
        wan.mark(note("x"))
    with pytest.raises(NetemuError, match=r"not caught up after 0.05 s"):
        recorder.check()
    let_go.set()
    recorder._thread.join(PATIENCE_S)


def test_without_a_file_it_only_listens(wan):
    """As for a kill by hand."""
    ear = Ear()
    with Recorder(wan, None, ear, since=0) as recorder:
        wan.mark(note("x"))
    recorder.check()
    assert [event["text"] for event in ear.heard] == ["x"]
