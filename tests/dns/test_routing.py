"""From checks to events and to the routing that answers follow."""

from __future__ import annotations

from emulator.clock import NS_PER_S, ManualClock
from emulator.events import Check, Event, Generation, Health
from emulator.node.dns.config import Config, Service
from emulator.node.dns.routing import LiveRouting
from emulator.node.dns.values import Checked
from tests.dns.examples import config_json, service_json


class Scene:
    """A live routing whose clock moves 1 s a check, and all it emitted."""

    def __init__(self) -> None:
        self.service: Service = Config.from_json(config_json(service_json())).services[0]
        self.clock = ManualClock(100 * NS_PER_S)
        self.events: list[Event] = []
        self.live = LiveRouting("ns1", [self.service], self.clock, self.events.append)

    def check(self, region: str, checks: str) -> None:
        for check in checks:
            self.clock.sleep(1.0)
            now = self.clock.now_ns()
            ok = check == "+"
            self.live.take(self.service, region, Checked(now - 5, now, ok, "said so"))

    def up(self) -> set[str]:
        regions = self.live.routing.services["www"].regions
        return {name for name, state in regions.items() if state.is_offered}

    def generations(self) -> list[tuple[int, list[str], list[str]]]:
        return [(e.number, e.up, e.down) for e in self.events if isinstance(e, Generation)]


def test_every_check_is_an_event_stamped_with_its_start() -> None:
    """Also the checks that change nothing."""
    scene = Scene()
    scene.check("us-east", "++")
    checks = [e for e in scene.events if isinstance(e, Check)]
    assert [(e.server, e.service, e.region, e.ok) for e in checks] == [
        ("ns1", "www", "us-east", True)
    ] * 2
    assert [e.end - e.t for e in checks] == [5, 5]


def test_first_generation_waits_for_every_regions_first_check() -> None:
    """So generation 1 says that the server is ready; until then no state is claimed."""
    scene = Scene()
    scene.check("us-east", "++")
    assert scene.generations() == []
    scene.check("eu-west", "-")
    assert scene.generations() == [(1, ["us-east"], ["eu-west"])]


def test_unknown_regions_are_answered_as_if_up() -> None:
    """But a first failed check counts at once."""
    scene = Scene()
    assert scene.up() == {"us-east", "eu-west"}
    scene.check("us-east", "-")
    assert scene.up() == {"eu-west"}


def test_state_change_emits_health_then_the_generation_that_is_live() -> None:
    """When the generation is emitted, the routing already follows it."""
    scene = Scene()
    live_at_emit: list[set[str]] = []
    scene.check("us-east", "+")
    scene.check("eu-west", "+")
    emit = scene.events.append

    def spy(event: Event) -> None:
        emit(event)
        if isinstance(event, Generation):
            live_at_emit.append(scene.up())

    scene.live._emit = spy
    scene.check("us-east", "---")
    *_, check, health, generation = scene.events
    assert isinstance(check, Check)
    assert isinstance(health, Health)
    assert (health.state, health.reason) == ("DOWN", "3 failed checks in a row, the last: said so")
    assert scene.generations()[-1] == (2, ["eu-west"], ["us-east"])
    assert live_at_emit == [{"eu-west"}]
    assert check.t < health.t <= generation.t


def test_serial_rises_with_each_routing_change_and_after_a_restart() -> None:
    """RFC 1982 order: a server that starts again later is never behind its former self."""
    scene = Scene()
    serials = [scene.live.routing.serial]
    scene.check("us-east", "+")
    scene.check("eu-west", "+")
    for checks in ("---", "++", "---"):
        scene.check("us-east", checks)
        serials.append(scene.live.routing.serial)
    assert serials == sorted(set(serials))
    scene.clock.sleep(1.0)
    restarted = LiveRouting("ns1", [scene.service], scene.clock, scene.events.append)
    assert restarted.routing.serial > serials[-1]


def test_serial_rises_within_one_second() -> None:
    """Two changes at the same instant are two serials."""
    scene = Scene()
    before = scene.live.routing.serial
    for region in ("us-east", "eu-west"):
        scene.live.take(scene.service, region, Checked(0, 0, False, ""))
    assert scene.live.routing.serial == before + 2


def test_emit_live_repeats_the_generation_with_its_own_stamp() -> None:
    """Whoever attaches late learns when the routing went live, not when it asked."""
    scene = Scene()
    scene.check("us-east", "+")
    scene.check("eu-west", "+")
    first = scene.events[-1]
    scene.clock.sleep(9.0)
    scene.live.emit_live()
    assert scene.events[-1] == first
