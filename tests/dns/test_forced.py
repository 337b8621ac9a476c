"""Forced states: what an operator says outlives checks and restarts, and ends on time."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from emulator.clock import NS_PER_S, ManualClock
from emulator.events import Event, Forced, Generation, Health
from emulator.node.dns.config import Config
from emulator.node.dns.forced import UNTIL_MAX_S, Forcing, load, store
from emulator.node.dns.routing import LiveRouting
from emulator.node.dns.values import Checked
from tests.dns.examples import config_json, service_json

BOOT = "a-boot"
SERVICES = Config.from_json(config_json(service_json(), service_json("api.shop.test"))).services


class Forcible:
    """Two services in two regions, all UP after a first check; the events since then."""

    def __init__(self, file: Path, clock: ManualClock | None = None) -> None:
        self.clock = clock or ManualClock(100 * NS_PER_S)
        self.events: list[Event] = []
        self.live = LiveRouting("ns1", SERVICES, self.clock, self.events.append)
        self.live.restore(file, BOOT)
        self.restored = list(self.events)
        for service in SERVICES:
            for region in service.regions:
                self.live.take(service, region, self.checked("+"))
        self.events.clear()

    def checked(self, sign: str) -> Checked:
        now = self.clock.now_ns()
        return Checked(now, now, sign == "+", "said so")

    def now_ns(self, ahead_s: float = 0) -> int:
        return self.clock.now_ns() + round(ahead_s * NS_PER_S)

    def up(self, service: str = "www") -> list[str]:
        regions = self.live.routing.services[service].regions
        return [name for name, state in regions.items() if state.is_offered]

    def of(self, kind: type[Event]) -> list[Event]:
        return [event for event in self.events if isinstance(event, kind)]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "made" / "forced.json"


@pytest.fixture
def scene(file: Path) -> Forcible:
    return Forcible(file)


def test_forced_down_is_one_generation_of_each_service_that_has_it(scene: Forcible) -> None:
    """With what the checks say beside what overrides it."""
    serial = scene.live.routing.serial
    scene.live.force("us-east", None, "down")
    told = [
        (e.service, e.region, e.state, e.reason) for e in scene.of(Forced) if isinstance(e, Forced)
    ]
    assert told == [("www", "us-east", "down", "told"), ("api", "us-east", "down", "told")]
    www, api = (e for e in scene.of(Generation) if isinstance(e, Generation))
    assert (www.up, www.down) == (["eu-west"], ["us-east"])
    assert (www.forced, www.real) == ({"us-east": "down"}, {"us-east": "UP", "eu-west": "UP"})
    assert serial < www.serial < api.serial == scene.live.routing.serial


def test_one_service_alone_can_be_forced(scene: Forcible) -> None:
    """The other's answers stay."""
    scene.live.force("us-east", "api", "down")
    assert (scene.up("www"), scene.up("api")) == (["us-east", "eu-west"], ["eu-west"])


def test_checks_go_on_below_a_forced_state(scene: Forcible) -> None:
    """Health events and `real` tell the truth while answers follow the operator."""
    scene.live.force("us-east", "www", "up")
    for _ in range(3):
        scene.live.take(SERVICES[0], "us-east", scene.checked("-"))
    assert [(e.region, e.state) for e in scene.of(Health) if isinstance(e, Health)] == [
        ("us-east", "DOWN")
    ]
    last = scene.events[-1]
    assert isinstance(last, Generation)
    assert (last.up, last.real["us-east"]) == (["us-east", "eu-west"], "DOWN")
    scene.live.force("us-east", "www", None)
    assert scene.up() == ["eu-west"]


def test_drained_counts_as_avoided(scene: Forcible) -> None:
    """Answers pass it over while there is another; so it is not `up`."""
    scene.live.force("us-east", "www", "drain")
    last = scene.events[-1]
    assert isinstance(last, Generation)
    assert (last.up, last.down, last.forced) == (["eu-west"], ["us-east"], {"us-east": "drain"})


def test_a_forced_state_ends_by_the_clock(scene: Forcible) -> None:
    """At its end, not before; and the event says that nobody told it to."""
    scene.live.force("us-east", None, "down", scene.now_ns(10))
    assert scene.live.next_change_ns() == scene.now_ns(10)
    scene.clock.sleep(9.999)
    scene.live.advance()
    assert scene.up() == ["eu-west"]
    scene.clock.sleep(0.001)
    scene.live.advance()
    assert scene.up() == scene.up("api") == ["us-east", "eu-west"]
    ended = [e for e in scene.of(Forced) if isinstance(e, Forced)][-2:]
    assert {(e.state, e.reason) for e in ended} == {("auto", "expired")}
    assert scene.live.next_change_ns() is None


def test_saying_it_again_moves_the_end(scene: Forcible) -> None:
    """The latest word counts."""
    scene.live.force("us-east", "www", "down", scene.now_ns(10))
    scene.live.force("us-east", "www", "drain", scene.now_ns(20))
    scene.clock.sleep(15)
    scene.live.advance()
    assert scene.live.view()["services"]["www"]["regions"]["us-east"]["forced"] == "drain"


@pytest.mark.parametrize(
    ("region", "service", "words"),
    [
        ("mars", None, "no service has a region mars; there are us-east, eu-west"),
        ("mars", "www", "www has no region mars; there are us-east, eu-west"),
        ("us-east", "ftp", "no service is called ftp; there are www, api"),
    ],
)
def test_what_is_not_there_is_refused_in_words(
    scene: Forcible, region: str, service: str | None, words: str
) -> None:
    """And changes nothing."""
    with pytest.raises(ValueError, match=words):
        scene.live.force(region, service, "down")
    assert scene.events == []


@pytest.mark.parametrize("ahead_s", [-1, 0, UNTIL_MAX_S + 1])
def test_an_end_that_cannot_be_is_refused(scene: Forcible, ahead_s: float) -> None:
    """Past, or farther than any maintenance."""
    with pytest.raises(ValueError, match="ends in the future"):
        scene.live.force("us-east", None, "down", scene.now_ns(ahead_s))
    assert scene.events == []


def test_forced_states_outlive_a_restart(scene: Forcible, file: Path) -> None:
    """With their ends, from the first answer on; what was taken back stays so."""
    scene.live.force("us-east", "www", "down", scene.now_ns(10))
    scene.live.force("eu-west", "api", "drain")
    scene.live.force("us-east", "api", "up")
    scene.live.force("us-east", "api", None)
    scene.clock.sleep(5)
    again = Forcible(file, scene.clock)
    told = {
        (e.service, e.region, e.state, e.reason) for e in again.restored if isinstance(e, Forced)
    }
    assert told == {
        ("www", "us-east", "down", "restored after a restart"),
        ("api", "eu-west", "drain", "restored after a restart"),
    }
    assert (again.up("www"), again.up("api")) == (["eu-west"], ["us-east"])
    again.clock.sleep(5)
    again.live.advance()
    assert again.up("www") == ["us-east", "eu-west"]


def test_what_ended_meanwhile_is_not_held_again(scene: Forcible, file: Path) -> None:
    """And the history learns of its end."""
    scene.live.force("us-east", "www", "down", scene.now_ns(10))
    scene.clock.sleep(60)
    again = Forcible(file, scene.clock)
    assert again.up() == ["us-east", "eu-west"]
    assert [(e.state, e.reason) for e in again.restored if isinstance(e, Forced)] == [
        ("auto", "expired")
    ]
    assert json.loads(file.read_text())["forced"] == []


def test_a_region_that_is_no_longer_there_is_forgotten(file: Path) -> None:
    """The configuration may have changed between."""
    store(file, {("www", "mars"): Forcing("down"), ("ftp", "us-east"): Forcing("down")}, BOOT)
    scene = Forcible(file)
    assert scene.restored == []
    assert json.loads(file.read_text())["forced"] == []


def test_an_end_of_another_boot_or_too_far_ahead_is_not_believed(file: Path) -> None:
    """Monotonic instants mean nothing to another kernel; what has no end still holds."""
    far = (UNTIL_MAX_S + 60) * NS_PER_S
    forced = {("www", "us-east"): Forcing("down", 50 * NS_PER_S), ("www", "eu-west"): Forcing("up")}
    store(file, forced, BOOT)
    assert load(file, BOOT, 0) == forced
    assert load(file, "another", 0) == {("www", "eu-west"): Forcing("up")}
    store(file, {("www", "us-east"): Forcing("down", far)}, BOOT)
    assert load(file, BOOT, 0) == {}


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", '{"boot": "a-boot"}', '{"boot": "a-boot", "forced": [{"service": "www"}]}'],
)
def test_a_damaged_file_forces_nothing(file: Path, text: str) -> None:
    """The server starts all the same, and its next word replaces the file."""
    file.parent.mkdir()
    file.write_text(text)
    scene = Forcible(file)
    assert scene.up() == ["us-east", "eu-west"]
    scene.live.force("us-east", "www", "down")
    assert load(file, BOOT, 0) == {("www", "us-east"): Forcing("down")}


def test_a_disk_that_takes_nothing_does_not_stop_the_server(tmp_path: Path) -> None:
    """The state holds, only not beyond a restart."""
    (tmp_path / "in-the-way").touch()
    scene = Forcible(tmp_path / "in-the-way" / "forced.json")
    scene.live.force("us-east", "www", "down")
    assert scene.up() == ["eu-west"]
