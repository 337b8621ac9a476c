"""The wire ends, stands still, ends again and again: its driver starts it anew, and says so."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest

from emulator.impairment import Impairment
from emulator.node.children import Children
from emulator.node.loop import Future, Loop
from emulator.node.wan.compiled import CHOICE
from emulator.node.wan.userspace import UserspaceDriver
from tests.netns import Namespace, core_choice, inside

pytestmark = pytest.mark.netns
PATIENCE_S = 20.0


class Keeper:
    """What a driver needs around it, and what it said."""

    def __init__(self) -> None:
        self.loop = Loop()
        self.told: list[str] = []
        self.driver = UserspaceDriver(
            self.loop, Children(self.loop), lambda _: None,
            lambda code: self.told.append(f"ended {code}"),
            lambda state, _: self.told.append(state),
        )  # fmt: skip

    def until(self, condition: Callable[[], object], what: str) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while not condition():
            assert time.monotonic() < deadline, f"not within {PATIENCE_S} s: {what}; {self.told}"
            self.loop.turn(0.05)

    def finish(self, coroutine: Coroutine[Future, None, Any]) -> Any:
        end = self.loop.start(coroutine)
        self.until(lambda: end.done, "a task ends")
        return end.result()

    def kill(self, number: int = signal.SIGKILL) -> None:
        """Signal the wire that there is, or wait for one."""
        self.until(lambda: self.driver.pid, "there is a wire")
        os.kill(self.driver.pid, number)

    def end(self) -> None:
        """The next end is the last."""
        self.driver._lives._ends.extend([time.monotonic_ns()] * 5)
        if "given up" not in self.told:
            self.kill()
        self.until(lambda: "given up" in self.told, "it is given up")

    def calm(self) -> None:
        self.until(lambda: not self.driver.trouble, "the wire moves")


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


@pytest.fixture
def keeper(monkeypatch, tmp_path) -> Iterator[Keeper]:
    """In a namespace of its own with two links, and its wire started."""
    monkeypatch.setenv("NETEMU_CAPTURE", str(tmp_path / "capture"))
    monkeypatch.setenv(CHOICE, core_choice("compiled"))
    old, namespace = signal.getsignal(signal.SIGCHLD), Namespace()
    for name in ("w1", "w2"):
        namespace.run(*f"ip link add {name} type veth peer name far-{name}".split())
        namespace.run("ip", "link", "set", name, "up")
    with inside(namespace.path):
        keeper = Keeper()
        keeper.finish(keeper.driver.start({"02:00:00:00:01:01": 1, "02:00:00:00:02:01": 2}))
        yield keeper
        keeper.end()
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, old)
    namespace.end()


def test_a_killed_wire_is_started_anew_with_settings_and_counters_and_without_a_leak(keeper):
    """Five times; and each time it says so, with who moves the frames."""
    keeper.finish(keeper.driver.add_port(1, "w1"))
    keeper.driver.set_path((1, 2), Impairment(delay_ns=7, cut=True))
    before = descriptors()
    for number in range(5):
        pid = keeper.driver.pid
        keeper.kill()
        keeper.until(lambda n=number: len(keeper.told) > 2 * n + 1, "it is told")
        assert "is being started" in keeper.driver.trouble
        keeper.calm()
        assert keeper.driver.pid not in {0, pid}
    assert keeper.told == ["started"] + ["ended -9", "started"] * 5
    assert descriptors() == before
    assert keeper.driver._table.words[16 + 40 * 66 + 15] == 1, "the cut is there still"


def test_ports_that_come_and_go_while_it_is_down_are_as_they_must_be(keeper):
    """Whoever wires a host just then waits for the next wire, and nothing fails."""
    keeper.finish(keeper.driver.add_port(1, "w1"))
    keeper.kill()
    keeper.until(lambda: not keeper.driver.alive or keeper.driver.trouble, "it has ended")
    added = keeper.loop.start(keeper.driver.add_port(2, "w2"))
    dropped = keeper.loop.start(keeper.driver.drop_port(1))
    keeper.until(lambda: added.done and dropped.done, "both are done")
    assert (added.result(), dropped.result()) == (None, None)
    assert list(keeper.driver._wire._ports) == [2]


def test_one_that_is_asked_while_it_dies_is_asked_again(keeper):
    """Killed with the request in its hands: stopped first, so that it cannot have answered."""
    keeper.kill(signal.SIGSTOP)
    added = keeper.loop.start(keeper.driver.add_port(2, "w2"))
    keeper.kill()
    keeper.until(lambda: added.done, "the next one has it")
    assert added.result() is None
    assert list(keeper.driver._wire._ports) == [2]


def test_a_wire_that_stands_still_is_told_ended_and_started_anew(keeper):
    """After a second it is known, after five it is ended."""
    keeper.kill(signal.SIGSTOP)
    keeper.until(lambda: "stuck" in keeper.told, "it is known")
    assert "has stood still for 1." in keeper.driver.trouble
    keeper.until(lambda: "ended -9" in keeper.told, "it is ended")
    keeper.calm()
    assert keeper.told == ["started", "stuck", "ended -9", "started"]


def test_a_wire_that_stood_still_for_a_while_moves_on(keeper):
    keeper.kill(signal.SIGSTOP)
    keeper.until(lambda: "stuck" in keeper.told, "it is known")
    keeper.kill(signal.SIGCONT)
    keeper.until(lambda: "moving" in keeper.told, "it moves")
    assert keeper.told == ["started", "stuck", "moving"]
    assert keeper.driver.trouble == ""


def test_a_wire_that_ends_again_and_again_is_given_up(keeper):
    """It says so, and so does whoever asks it for something from then on."""
    while not keeper.driver.trouble.startswith("ended"):
        keeper.kill()
        count = len(keeper.told)
        keeper.until(lambda n=count: len(keeper.told) > n, "it is told")
    assert keeper.told.count("ended -9") == 6
    assert keeper.told[-1] == "given up"
    assert keeper.driver.trouble == (
        "ended 6 times within 10 s, the last time by signal 9; it is not started again:"
        " make the lab anew"
    )
    with pytest.raises(ValueError, match="the WAN's wire ended 6 times within 10 s"):
        keeper.finish(keeper.driver.add_port(1, "w1"))
    keeper.finish(keeper.driver.drop_port(1))
