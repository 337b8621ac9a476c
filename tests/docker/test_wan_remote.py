"""The real WAN keeps the contract of every WAN, and its links do what they are told."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager

import pytest

from emulator.drivers import DriverName
from emulator.engine.base import Engine
from emulator.errors import WanError
from emulator.impairment import Overlay
from emulator.wan.base import Event, Wan
from tests.contracts.wan import WanContract, name, next_event
from tests.docker.wan_world import (
    EAST,
    FAR,
    ONE_WAY_NS,
    ROUTER,
    SERVER,
    WEST,
    World,
    setup,
    wiring,
)

__all__ = ["name"]

pytestmark = pytest.mark.docker

_CUT = Overlay(cut=True)
_NEAR_WAN, _FAR_WAN, _SERVER_LAN = "100.64.0.1", "100.64.0.2", "10.1.0.11"


def _world(engine: Engine, image: str, driver: DriverName = "userspace") -> World:
    return World(engine, f"test-{uuid.uuid4().hex[:8]}", image, driver)


@pytest.fixture(scope="module")
def world(engine, image):
    world = _world(engine, image)
    try:
        world.start()
        yield world
    finally:
        world.remove()


@pytest.fixture
def own_world(engine, image):
    """One that a test may destroy."""
    world = _world(engine, image)
    try:
        world.start()
        yield world
    finally:
        world.remove()


@pytest.fixture
def wan(world):
    return world.clients[0]


@pytest.fixture
def another(world):
    return world.client


@pytest.fixture
def silence(world):
    @contextmanager
    def paused(host):
        world.engine.pause(world.lab, host)
        yield
        world.engine.resume(world.lab, host)

    return paused


class TestRemoteWan(WanContract):
    @pytest.fixture(autouse=True)
    def _remember(self, world):
        self._world = world

    def pid_of(self, host):
        return self._world.pids[host]


def ping(wan: Wan, host: str, target: str, count: int = 3) -> list[float]:
    """Round-trip times in ms of the answers that came."""
    argv = ["ping", "-n", "-c", str(count), "-i", "0.05", "-W", "0.3", target]
    return [
        float(ms) for ms in re.findall(r"time=([\d.]+)", wan.host(host, "run", argv=argv)["out"])
    ]


def until(reader: Iterator[Event | None], **fields: object) -> Event:
    """The next event with these values."""
    while True:
        event = next_event(reader)
        if all(event.get(key) == value for key, value in fields.items()):
            return event


def ended(wan: Wan, reader: Iterator[Event | None], host: str) -> None:
    """Wait until the keeper has let go of a host whose container was killed."""
    until(reader, kind="daemon", host=host, name="init", state="ended")
    assert wan.stats()["hosts"][host] is False


class TestPaths:
    def test_a_round_trip_takes_both_delays(self, wan):
        """10 ms there and 15 ms back, over a router and without one, and little more."""
        rtt_ms = sum(ONE_WAY_NS.values()) / 1e6
        for host, target in ((ROUTER, _FAR_WAN), (SERVER, _FAR_WAN), (FAR, _SERVER_LAN)):
            assert rtt_ms <= min(ping(wan, host, target)) < rtt_ms + 2

    def test_probes_measure_each_direction(self, wan):
        """The least one-way delay of a few datagrams is within 0.5 ms of what was set."""
        ends = {ROUTER: (EAST, _NEAR_WAN), FAR: (WEST, _FAR_WAN)}
        wan.hosts({host: ("probe_listen", {}) for host in ends})
        wan.hosts(
            {
                ROUTER: ("probe_send", {"targets": [_FAR_WAN], "count": 8}),
                FAR: ("probe_send", {"targets": [_NEAR_WAN], "count": 8}),
            }
        )
        reports = wan.hosts({host: ("probe_report", {}) for host in ends})
        for host, source in ((ROUTER, FAR), (FAR, ROUTER)):
            site, address = ends[source]
            measured = reports[host]["minimum_ns"][address]
            wanted = ONE_WAY_NS[site, ends[host][0]]
            assert wanted <= measured < wanted + 500_000

    def test_a_cut_path_is_silent_one_way(self, wan, name):
        """What enters is dropped and counted; the other direction passes; lifting heals."""
        before = wan.stats()["paths"]
        wan.lay(name, [(EAST, WEST)], _CUT)
        assert not ping(wan, FAR, _NEAR_WAN)
        wan.lift(name)
        assert ping(wan, FAR, _NEAR_WAN)
        after = wan.stats()["paths"]
        assert after["east->west"]["drops"]["cut"] > before["east->west"]["drops"]["cut"]
        assert after["west->east"]["drops"] == before["west->east"]["drops"]

    def test_overlays_stack_and_heal_in_any_order(self, wan, name):
        """Delays add; what one overlay does stays when another goes."""
        wan.lay(f"{name}-a", [(EAST, WEST)], Overlay(delay_ns=20_000_000))
        wan.lay(f"{name}-b", [(WEST, EAST)], Overlay(delay_ns=30_000_000))
        assert 75 <= min(ping(wan, FAR, _NEAR_WAN)) < 77
        wan.lift(f"{name}-a")
        assert 55 <= min(ping(wan, FAR, _NEAR_WAN)) < 57
        wan.lift(f"{name}-b")
        assert 25 <= min(ping(wan, FAR, _NEAR_WAN)) < 27


class TestLanPorts:
    def test_a_cut_port_is_silent_and_keeps_its_carrier(self, wan, name):
        """The host notices nothing but silence; the cut ends with the last overlay on it."""
        assert ping(wan, ROUTER, _SERVER_LAN)
        wan.lay(f"{name}-a", [], _CUT, [SERVER])
        wan.lay(f"{name}-b", [], _CUT, [SERVER])
        assert not ping(wan, ROUTER, _SERVER_LAN)
        carrier = wan.host(SERVER, "run", argv=["cat", "/sys/class/net/lan0/carrier"])
        assert carrier["out"] == "1\n"
        wan.lift(f"{name}-a")
        assert not ping(wan, ROUTER, _SERVER_LAN)
        wan.lift(f"{name}-b")
        assert ping(wan, ROUTER, _SERVER_LAN)

    def test_a_host_that_returns_under_a_cut_comes_up_cut(self, world, wan, name):
        """Power loss: cut, killed, started, wired: silent until the overlay is lifted."""
        reader = wan.events()
        wan.lay(name, [], _CUT, [SERVER])
        world.engine.kill(world.lab, SERVER)
        ended(wan, reader, SERVER)
        wan.wire([world.restart(SERVER)])
        assert not ping(wan, ROUTER, _SERVER_LAN)
        wan.lift(name)
        assert ping(wan, ROUTER, _SERVER_LAN)

    def test_a_host_can_be_cut_while_it_is_dead(self, world, wan, name):
        """The overlay waits for it."""
        reader = wan.events()
        world.engine.kill(world.lab, SERVER)
        ended(wan, reader, SERVER)
        wan.lay(name, [], _CUT, [SERVER])
        wan.wire([world.restart(SERVER)])
        assert not ping(wan, ROUTER, _SERVER_LAN)
        wan.lift(name)
        assert ping(wan, ROUTER, _SERVER_LAN)


class TestHosts:
    def test_a_killed_host_is_seen_and_can_return(self, world, wan):
        """Its init's end is an event; asking it fails at once; after a restart it is as before."""
        reader = wan.events()
        for host in (ROUTER, FAR):
            world.engine.kill(world.lab, host)
            ended(wan, reader, host)
        began = wan.now_ns()
        with pytest.raises(WanError, match="not connected"):
            wan.host(FAR, "status")
        assert wan.now_ns() - began < 500_000_000
        wan.wire([world.restart(ROUTER), world.restart(FAR)])
        assert wan.stats()["hosts"] == {ROUTER: True, SERVER: True, FAR: True}
        assert 25 <= min(ping(wan, SERVER, _FAR_WAN)) < 27

    def test_who_cannot_be_wired_is_named(self, world, wan):
        """A process that has ended: the others are joined all the same."""
        with pytest.raises(WanError, match="west: "):
            wan.wire([(wiring(FAR), 4_000_000), (wiring(SERVER), world.pids[SERVER])])
        assert ping(wan, ROUTER, _SERVER_LAN)
        wan.wire([(wiring(FAR), world.pids[FAR])])
        assert ping(wan, SERVER, _FAR_WAN)

    def test_a_command_has_the_deadline_of_its_request(self, wan):
        """A late one is killed and the host says so: it is not silent."""
        with pytest.raises(WanError, match=r"sleep did not end within 0\.1 s"):
            wan.host(SERVER, "run", timeout_s=0.1, argv=["sleep", "9"])
        answer = wan.hosts({SERVER: ("run", {"argv": ["sleep", "9"]})}, timeout_s=0.1)
        assert "did not end" in answer[SERVER]["error"]

    def test_daemons_speak_listen_and_die(self, wan, name):
        """Event lines reach the history, commands their stdin, output their log; `kill` takes all
        that a daemon started, and says when."""
        script = (
            "echo started; sleep 1000 & while read line; do "
            'echo "{\\"kind\\":\\"note\\",\\"t\\":1,\\"text\\":\\"$line\\"}" >&$NETEMU_EVENTS; done'
        )
        reader = wan.events()
        path = f"/run/netemu/{name}.sh"
        daemon = {"name": name, "argv": ["sh", path], "waits_for": ""}
        wan.host(SERVER, "configure", files={path: script}, daemons=[daemon])
        assert wan.host(SERVER, "start") == {"started": [name], "waiting": []}
        until(reader, kind="daemon", name=name, state="started", host=SERVER)
        wan.host(SERVER, "send", daemon=name, line=f"said {name}")
        assert until(reader, kind="note")["text"] == f"said {name}"
        assert wan.host(SERVER, "logs", daemon=name)["text"] == "started\n"
        before = wan.now_ns()
        killed = wan.host(SERVER, "kill")["t"]
        event = until(reader, kind="daemon", name=name, state="ended")
        assert before <= killed <= event["t"]
        assert event["detail"] == "SIGKILL"
        assert "sleep" not in wan.host(SERVER, "run", argv=["cat", "/proc/2/cmdline"])["out"]
        assert wan.host(SERVER, "status") == {"daemons": {name: "ended SIGKILL"}}


def test_a_kernel_without_netem_says_so_and_what_to_do(engine, image):
    """Where it has netem it is the WAN; where not, setting up fails before anything is wired."""
    world = _world(engine, image, "netem")
    try:
        wan = world.start()
    except WanError as error:
        assert re.search(
            r"this kernel cannot be the WAN .*sch_netem.*sch_htb.*leave `wan:", str(error)
        )
    else:
        assert wan.stats()["wire"]["driver"] == "netem"
    finally:
        world.remove()


def test_when_the_wan_container_dies_everyone_hears(own_world):
    """Calls and readers of events raise WanError; every link is gone."""
    wan = own_world.clients[0]
    reader = wan.events()
    own_world.engine.kill(own_world.lab, "wan")
    with pytest.raises(WanError, match=f"WAN container of lab {own_world.lab} is gone"):
        while True:
            next(reader)
    with pytest.raises(WanError, match="is gone"):
        wan.stats()


def test_the_end_of_the_wire_is_told_and_another_one_takes_its_place(own_world):
    """Events of its end and of the next one's start; `stats` counts ends; still no second setup."""
    wan = own_world.clients[0]
    assert wan.stats()["wire"]["alive"]
    reader = wan.events()
    kill = ("sh", "-c", f"kill -9 {wan.stats()['wire']['pid']}")
    with closing(own_world.engine.stream(own_world.lab, "wan", kill)) as program:
        assert program.read(100) == b""
    for state in ("ended", "started"):
        until(reader, kind="daemon", host="wan", name="wire", state=state)
    assert wan.stats()["wire"]["ended"] == 1
    with pytest.raises(WanError, match="set up already"):
        wan.setup(setup())
    assert ping(wan, ROUTER, _FAR_WAN)
