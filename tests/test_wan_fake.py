"""The fake WAN keeps the contract of every WAN, and lets a test script what it wants."""

from __future__ import annotations

from contextlib import contextmanager

import pytest

from emulator.clock import ManualClock
from emulator.errors import WanError
from emulator.impairment import Overlay
from emulator.wan.fake import FakeWan
from tests.contracts.wan import WanContract, name
from tests.docker.wan_world import EAST, FAR, ROUTER, SERVER, WEST, setup, wiring

__all__ = ["name"]

_PIDS = {ROUTER: 1001, SERVER: 1002, FAR: 1003}


@pytest.fixture
def wan() -> FakeWan:
    wan = FakeWan(ManualClock(1000))
    wan.setup(setup())
    wan.wire([(wiring(host), pid) for host, pid in _PIDS.items()])
    return wan


@pytest.fixture
def another(wan):
    return wan.attach


@pytest.fixture
def silence(wan):
    @contextmanager
    def silenced(host):
        wan.lab.silent.add(host)
        yield
        wan.lab.silent.remove(host)

    return silenced


class TestFakeWan(WanContract):
    def pid_of(self, host):
        return _PIDS[host]


def test_hosts_answer_as_scripted():
    """`respond` is asked for each operation; its errors are the host's; calls are kept."""

    def respond(host, op, arguments):
        if op == "kill":
            return {"t": 5}
        raise ValueError(f"no daemon {arguments['daemon']!r} here")

    wan = FakeWan(ManualClock(), respond)
    wan.setup(setup())
    wan.wire([(wiring(FAR), 7)])
    assert wan.host(FAR, "kill") == {"t": 5}
    with pytest.raises(WanError, match="west: signal: no daemon 'x' here"):
        wan.host(FAR, "signal", daemon="x")
    assert wan.lab.calls == [(FAR, "kill", {}), (FAR, "signal", {"daemon": "x"})]


def test_what_is_laid_can_be_read_back(wan):
    """The fold of base and overlays, and the cut ports."""
    wan.lay("slow", [(EAST, WEST)], Overlay(delay_ns=5))
    wan.lay("dead", [(EAST, WEST)], Overlay(cut=True), [SERVER])
    path = wan.lab.overlays.effective((EAST, WEST))
    assert (path.delay_ns, path.cut) == (10_000_005, True)
    assert wan.lab.overlays.is_port_cut(SERVER)


def test_a_host_that_died_is_seen(wan):
    """Its event comes, `stats` says so, asking it is an error."""
    reader = wan.events()
    wan.lab.host_died(SERVER)
    event = next(reader)
    assert (event["host"], event["name"], event["state"]) == (SERVER, "init", "ended")
    assert wan.stats()["hosts"][SERVER] is False
    with pytest.raises(WanError, match="not connected"):
        wan.host(SERVER, "status")
