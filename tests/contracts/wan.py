"""What every WAN promises; run on the fake without Docker and on a real keeper with it.

A module that runs the suite provides the fixtures `wan` (set up and wired as
`tests/docker/wan_world.py` says), `another` (a function that attaches one more client) and
`silence` (a context manager that makes a host answer nothing). The lab may be shared between
tests: each uses names of its own and leaves no overlay behind.
"""

from __future__ import annotations

import itertools
import uuid
from collections.abc import Iterator

import pytest

from emulator.drivers import DRIVERS
from emulator.errors import HostSilent, WanError
from emulator.impairment import Overlay, Trace
from emulator.wan.base import Event, FaultRecord
from tests.docker.wan_world import EAST, FAR, ROUTER, SERVER, WEST, setup, wiring

_CUT = Overlay(cut=True)


@pytest.fixture
def name() -> str:
    """A name that no other test uses."""
    return f"id-{uuid.uuid4().hex[:8]}"


def note(text: str, **more: object) -> dict[str, object]:
    return {"kind": "note", "text": text, **more}


def next_event(reader: Iterator[Event | None]) -> Event:
    """The next event, over silences."""
    return next(event for event in itertools.islice(reader, 100) if event is not None)


def until_text(reader: Iterator[Event | None], text: str) -> list[Event]:
    """The notes up to and with the one that says `text`."""
    seen: list[Event] = []
    while not seen or seen[-1]["text"] != text:
        event = next_event(reader)
        if event["kind"] == "note":
            seen.append(event)
    return seen


class WanContract:
    """Collected by subclassing it in a test module."""

    def test_a_wan_is_set_up_once(self, wan):
        """A second setup is refused and changes nothing."""
        with pytest.raises(WanError, match="set up already"):
            wan.setup(setup())
        assert wan.plan()["lab"] == "by-hand"

    def test_whoever_attaches_later_reads_the_plan(self, wan, another):
        """`plan` is what `setup` was told, for every client."""
        assert dict(another().plan()) == dict(setup().plan) == dict(wan.plan())

    def test_every_wired_host_is_connected(self, wan):
        """`stats` names the hosts whose inits are connected."""
        assert wan.stats()["hosts"] == {ROUTER: True, SERVER: True, FAR: True}

    def test_stats_name_every_path_and_the_newest_event(self, wan):
        """Counters by "a->b", and the number that the last event got."""
        assert set(wan.stats()["paths"]) == {"east->west", "west->east"}
        assert wan.stats()["wire"]["driver"] in DRIVERS
        before = wan.stats()["seq"]
        wan.mark(note("one more"))
        assert wan.stats()["seq"] > before

    def test_a_host_that_was_never_wired_is_named(self, wan):
        """Asking it is an error, at once."""
        with pytest.raises(WanError, match="mars is not connected"):
            wan.host("mars", "status")

    def test_a_silent_host_is_given_up_on_time(self, wan, silence):
        """HostSilent after the deadline; the others answer meanwhile."""
        with silence(SERVER):
            began = wan.now_ns()
            with pytest.raises(HostSilent, match=SERVER):
                wan.host(SERVER, "status", timeout_s=0.2)
            assert 0.2 <= (wan.now_ns() - began) / 1e9 < 1.0
            answers = wan.hosts(
                {SERVER: ("status", {}), FAR: ("status", {}), "mars": ("status", {})}, 0.2
            )
        assert answers[SERVER] == {"silent": True}
        assert "error" not in answers[FAR]
        assert "mars" in answers["mars"]["error"]
        assert wan.host(SERVER, "status") is not None

    def test_an_overlay_is_laid_replaced_and_lifted(self, wan, name):
        """Each returns an instant of the lab's clock; unknown ids are fine to lift, twice too."""
        before = wan.now_ns()
        laid = wan.lay(name, [(EAST, WEST)], _CUT, [SERVER])
        assert name in wan.stats()["overlays"]
        again = wan.lay(name, [(WEST, EAST)], Overlay(delay_ns=1))
        lifted = wan.lift(name)
        assert before <= laid <= again <= lifted <= wan.lift(name)
        assert name not in wan.stats()["overlays"]

    def test_an_overlay_on_nothing_known_is_refused(self, wan, name):
        """A path that there is not, or the LAN port of a host that has none."""
        with pytest.raises(WanError, match="no path 1->9"):
            wan.lay(name, [(EAST, 9)], _CUT)
        with pytest.raises(WanError, match=f"{FAR} has no LAN port"):
            wan.lay(name, [], _CUT, [FAR])
        assert name not in wan.stats()["overlays"]

    def test_a_change_is_of_what_is_named_until_it_is_cleared(self, wan):
        """Only that value of only that path, beside what was changed before; `clear` restores
        what the file says, twice too."""
        file = wan.paths()["east->west"]["file"]
        wan.change([(EAST, WEST)], {"loss": 0.02})
        wan.change([(EAST, WEST)], {"delay_ns": 30_000_000})
        told = wan.paths()
        assert told["east->west"]["now"] == {**file, "loss": 0.02, "delay_ns": 30_000_000}
        assert told["east->west"]["changed"] == {"loss": 0.02, "delay_ns": 30_000_000}
        assert told["west->east"]["now"] == told["west->east"]["file"]
        for _ in range(2):
            wan.clear([(EAST, WEST), (WEST, EAST)])
            assert wan.paths()["east->west"]["now"] == file

    def test_a_change_stays_below_the_overlays_of_faults(self, wan, name):
        """A fault's delay comes on top of a change that comes after it, and its end leaves it."""
        wan.lay(name, [(EAST, WEST)], Overlay(delay_ns=5_000_000))
        wan.change([(EAST, WEST)], {"delay_ns": 20_000_000})
        assert wan.paths()["east->west"]["now"]["delay_ns"] == 25_000_000
        assert wan.paths()["east->west"]["overlays"] == [name]
        wan.lift(name)
        assert wan.paths()["east->west"]["now"]["delay_ns"] == 20_000_000
        wan.clear([(EAST, WEST)])

    def test_a_change_that_cannot_be_is_refused_whole(self, wan):
        """A value that no path has, a jitter above the delay, a path that there is not."""
        for values, why in (
            ({"latency": 1}, "no path has latency"),
            ({"loss": 1.5}, "no share"),
            ({"jitter_ns": 10**9}, "exceeds the delay"),
        ):
            with pytest.raises(WanError, match=why):
                wan.change([(EAST, WEST)], values)
        with pytest.raises(WanError, match="no path 1->9"):
            wan.change([(EAST, WEST), (EAST, 9)], {"loss": 0.5})
        with pytest.raises(WanError, match="no share"):
            wan.play([(EAST, WEST)], Trace(((0, {"loss": 0.5}), (10**9, {"loss": 2.0}))))
        assert wan.paths()["east->west"]["now"] == wan.paths()["east->west"]["file"]

    def test_the_history_tells_of_changes(self, wan, another):
        """Which path, which values, by whom; also of the first step of a trace."""
        reader = another().events()
        wan.change([(EAST, WEST)], {"loss": 0.25})
        wan.play([(EAST, WEST)], Trace(((0, {"loss": 0.5}), (3600 * 10**9, {"loss": 0.0}))))
        assert wan.paths()["east->west"]["plays"]
        wan.clear([(EAST, WEST)])
        assert not wan.paths()["east->west"]["plays"]
        told: list[tuple[Event, str]] = []
        while len(told) < 3:
            event = next_event(reader)
            told += [(event["values"], event["by"])] if event["kind"] == "path" else []
        assert told == [({"loss": 0.25}, "hand"), ({"loss": 0.5}, "trace"), ({}, "clear")]

    def test_a_files_trace_is_below_what_is_changed_by_hand(self, wan):
        """`clear` leaves it; a trace without steps ends it, and the file's value is back."""
        path = [(EAST, WEST)]
        wan.play(path, Trace(((0, {"loss": 0.5}), (3600 * 10**9, {"loss": 0.0}))), is_of_file=True)
        wan.change(path, {"loss": 0.1})
        assert wan.paths()["east->west"]["now"]["loss"] == 0.1
        wan.clear(path)
        assert wan.paths()["east->west"]["now"]["loss"] == 0.5
        wan.play(path, Trace(), is_of_file=True)
        assert wan.paths()["east->west"]["now"] == wan.paths()["east->west"]["file"]

    def test_the_journal_holds_active_faults_in_order(self, wan, another, name):
        """The same id replaces in place, `forget` removes, another client sees the same."""
        first = FaultRecord(f"{name}-1", "power", ("east",), sites=("east",), hosts=(SERVER,))
        second = FaultRecord(f"{name}-2", "brownout", ("west",), settings={"loss": 0.1})
        changed = FaultRecord(f"{name}-1", "power", ("east",), peers=("west",))
        for fault in (first, second, changed):
            wan.record(fault)
        assert [f for f in another().journal() if f.id.startswith(name)] == [changed, second]
        for fault in (first, second, second):
            wan.forget(fault.id)
        assert not [f for f in wan.journal() if f.id.startswith(name)]

    def test_the_lock_is_one_clients_at_a_time(self, wan, another):
        """The second is told who holds it; `unlock` gives it on."""
        rival = another()
        wan.lock("netemu kill, process 1")
        with pytest.raises(WanError, match="netemu kill, process 1"):
            rival.lock("netemu heal")
        rival.unlock()  # not its own: no effect
        with pytest.raises(WanError, match="netemu kill"):
            rival.lock("netemu heal")
        wan.unlock()
        rival.lock("netemu heal")
        rival.unlock()

    def test_the_lock_ends_with_its_client(self, wan, another):
        """Who closes, or dies, holds nothing."""
        rival = another()
        rival.lock("a netemu that dies")
        rival.close()
        for _ in range(200):
            try:
                wan.lock("the next")
                break
            except WanError:
                wan.now_ns()
        wan.unlock()

    def test_mark_stamps_unless_told(self, wan, name):
        """`t` is now on the lab's clock, or what was given; the answer is `t`."""
        before = wan.now_ns()
        assert before <= wan.mark(note(name)) <= wan.now_ns()
        assert wan.mark(note(name, t=42)) == 42

    def test_readers_get_every_event_in_order(self, wan, another, name):
        """From now on, or from a number on; each has `seq`, one more than the one before."""
        reader = another().events()
        texts = [f"{name}-{i}" for i in range(50)]
        for text in texts:
            wan.mark(note(text))
        seen = until_text(reader, texts[-1])
        assert [event["text"] for event in seen] == texts
        later = another().events(since=seen[10]["seq"])
        assert until_text(later, texts[-1]) == seen[10:]
        numbers = [next_event(wan.events(since=n))["seq"] for n in (0, 1, 2)]
        assert numbers == [0, 1, 2]

    def test_a_quiet_lab_lets_its_reader_go(self, wan):
        """None comes about every 100 ms of silence."""
        reader = wan.events()
        assert None in itertools.islice(reader, 50)

    def test_latest_is_the_last_of_each_state(self, wan, name):
        """One event for each thing that has a state; history does not count."""
        for state in ("DOWN", "UP"):
            wan.mark({"kind": "health", "server": name, "service": "www", "region": "east",
                      "state": state})  # fmt: skip
        mine = [event for event in wan.latest() if event.get("server") == name]
        assert [event["state"] for event in mine] == ["UP"]
        inits = {event["host"] for event in wan.latest() if event.get("name") == "init"}
        assert inits == {ROUTER, SERVER, FAR}

    def test_a_host_can_be_unwired_and_wired_again(self, wan):
        """`unwire` forgets it; wiring it anew joins it, also without having unwired it."""
        pid = self.pid_of(SERVER)
        wan.unwire([SERVER])
        assert SERVER not in wan.stats()["hosts"]
        with pytest.raises(WanError, match="not connected"):
            wan.host(SERVER, "status")
        for _ in range(2):
            wan.wire([(wiring(SERVER), pid)])
            assert wan.host(SERVER, "status") is not None

    def pid_of(self, host: str) -> int:
        """The process id of a host's init, as the engine tells it."""
        raise NotImplementedError
