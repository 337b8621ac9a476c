"""The netem driver keeps what every WAN and every path promises. Needs root and a kernel with
netem, so it is not collected by itself: `test_netem.py` runs it in a kernel that has it, and

    .venv/bin/pytest tests/drivers/on_netem.py

where the machine's own has.
"""

from __future__ import annotations

import os
import signal

import pytest

from emulator.errors import WanError
from tests.contracts.paths import MS, THERE, PathContract, Tolerance, transfer, until, within
from tests.contracts.wan import WanContract, name
from tests.docker.test_wan_remote import TestHosts, TestLanPorts
from tests.docker.wan_world import FAR, ROUTER
from tests.drivers.world import another, process_world, silence, wan

__all__ = ["TestHosts", "TestLanPorts", "another", "name", "silence", "wan"]

pytestmark = pytest.mark.netns


@pytest.fixture(scope="module")
def world():
    with process_world("netem") as world:
        yield world


class TestNetemWan(WanContract):
    @pytest.fixture(autouse=True)
    def _remember(self, world):
        self._world = world

    def pid_of(self, host):
        return self._world.pids[host]


class TestNetemPaths(PathContract):
    def test_a_host_that_returns_finds_its_paths_as_they_were(self, world, wan):
        """Its port is new to the kernel: delay, duplicates and the rate are told again."""
        wanted = {"delay_ns": 30 * MS, "duplicate": 1.0, "rate_bps": 10_000_000}
        wan.change([THERE], wanted)
        for host in (ROUTER, FAR):
            world.engine.kill(world.lab, host)
            wan.wire([world.restart(host)])
        with self.between(world, ROUTER, FAR) as path:
            arrivals = path.send(20, 0.004)
        assert len(arrivals) == 40
        assert 30 * MS <= min(a.delay for a in arrivals) < 33 * MS + Tolerance.LEAST_DELAY_NS

    def test_what_netem_cannot_do_is_refused_by_name(self, wan):
        """And changes nothing."""
        with pytest.raises(WanError, match="netem cannot limit the mtu"):
            wan.change([THERE], {"mtu": 1400, "delay_ns": 1})
        path = wan.paths()["east->west"]
        assert (path["changed"], path["now"]) == ({}, path["file"])


def test_a_witness_that_dies_is_told_and_replaced(world, wan):
    """Packets move all the same; what is seen from then on is told again."""
    reader = wan.events()
    os.kill(wan.stats()["wire"]["pid"], signal.SIGKILL)
    assert "witness ended" in until(reader, kind="lost")["where"]
    for _ in range(20):  # it starts, and opens its ports
        transfer(world, ROUTER, FAR, 5000)
        if (seen := within(0.5, reader, kind="packet", what="syn")) is not None:
            break
    assert seen is not None
    assert wan.stats()["wire"]["alive"]


def test_stats_say_which_driver_it_is(wan):
    """So that a report can."""
    assert wan.stats()["wire"]["driver"] == "netem"
