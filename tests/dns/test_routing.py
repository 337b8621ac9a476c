"""From checks to events and to the routing that answers follow."""

from __future__ import annotations

import json
from typing import Any

import pytest

from emulator.clock import NS_PER_S, ManualClock
from emulator.events import Check, Event, Generation, Health
from emulator.node.dns.config import Config, Service
from emulator.node.dns.ramp import share
from emulator.node.dns.routing import LiveRouting
from emulator.node.dns.values import Checked, ServiceState
from tests.dns.examples import config_json, service_json


class Scene:
    """A live routing whose clock moves 1 s a check, and all it emitted."""

    def __init__(self, **changes: Any) -> None:
        self.service: Service = Config.from_json(config_json(service_json(**changes))).services[0]
        self.clock = ManualClock(100 * NS_PER_S)
        self.events: list[Event] = []
        self.live = LiveRouting("ns1", [self.service], self.clock, self.events.append)

    def check(self, region: str, checks: str, checker: str = "") -> None:
        for check in checks:
            self.wait(1.0)
            now = self.clock.now_ns()
            checked = Checked(now - 5, now, check == "+", "said so")
            self.live.take(self.service, region, checked, checker)

    def wait(self, seconds: float) -> None:
        """The clock moves; what is due on the way happens at its time."""
        until = self.clock.now_ns() + round(seconds * NS_PER_S)
        while (due := self.live.next_change_ns()) is not None and due <= until:
            self.clock.sleep((due - self.clock.now_ns()) / NS_PER_S)
            self.live.advance()
        self.clock.sleep((until - self.clock.now_ns()) / NS_PER_S)

    def state(self) -> ServiceState:
        return self.live.routing.services["www"]

    def last(self) -> Generation:
        return [e for e in self.events if isinstance(e, Generation)][-1]

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


def both_up(**changes: Any) -> Scene:
    """fall 3, rise 2; every region UP by its first check."""
    scene = Scene(**changes)
    scene.check("us-east", "+")
    scene.check("eu-west", "+")
    return scene


def test_what_changes_nothing_makes_no_generation() -> None:
    """Not even a new routing: answers that were encoded stay true."""
    scene = both_up()
    routing, count = scene.live.routing, len(scene.generations())
    scene.check("us-east", "+--+--+")
    scene.live.advance()
    assert scene.live.routing is routing
    assert len(scene.generations()) == count


def test_a_generation_says_all_that_answers_follow() -> None:
    """And the serial that the SOA has from then on."""
    scene = both_up()
    scene.check("us-east", "---")
    last = scene.last()
    assert last.real == {"us-east": "DOWN", "eu-west": "UP"}
    assert (last.forced, last.ramping, last.ttl) == ({}, {}, 5)
    assert last.serial == scene.live.routing.serial


def test_a_region_that_comes_back_ramps_up_in_ten_steps() -> None:
    """Each step is a routing of its own, on time; then all of it, and the clock is not needed."""
    scene = both_up(ramp_s=20)
    scene.check("us-east", "---++")
    scene.events.clear()
    shares = [scene.state().regions["us-east"].share]
    for _ in range(10):
        scene.wait(2.0)
        shares.append(scene.state().regions["us-east"].share)
    assert shares == [0.05, 0.15, 0.25, 0.35, 0.45, 0.55, 0.65, 0.75, 0.85, 0.95, 1.0]
    ramping = [e.ramping for e in scene.events if isinstance(e, Generation)]
    assert ramping == [*({"us-east": share} for share in shares[1:-1]), {}]
    assert scene.live.next_change_ns() is None


def test_the_first_verdict_does_not_ramp() -> None:
    """A server that starts must not think that every region just came back."""
    assert {state.share for state in both_up(ramp_s=20).state().regions.values()} == {1.0}


def test_going_down_again_ends_a_ramp() -> None:
    """The next return begins at the first step."""
    scene = both_up(ramp_s=20)
    scene.check("us-east", "---++")
    scene.wait(10)
    scene.check("us-east", "---")
    assert scene.state().regions["us-east"].share == 1.0
    assert scene.live.next_change_ns() is None
    scene.check("us-east", "++")
    assert scene.state().regions["us-east"].share == share(0, 20, 0)


@pytest.mark.parametrize("ramp_s", [0.5, 3, 60])
def test_a_ramp_gives_half_of_what_none_would_have_given(ramp_s: float) -> None:
    """The steps stand for a straight line from nothing to all."""
    steps = [share(0, ramp_s, round(ramp_s * NS_PER_S * n / 10)) for n in range(10)]
    assert sum(steps) == pytest.approx(5)


def test_the_ttl_is_short_while_anything_is_not_well() -> None:
    """From the first failed check until all is over, and it says why."""
    scene = both_up(degraded_ttl_s=2, ramp_s=10)

    def ttl() -> tuple[int, str]:
        return scene.state().ttl_s, scene.state().ttl_because

    assert ttl() == (5, "")
    scene.check("us-east", "-")
    assert ttl() == (2, "while degraded: us-east failed its latest check")
    scene.check("us-east", "+")
    assert ttl() == (5, "")
    scene.check("us-east", "---")
    assert ttl() == (2, "while degraded: us-east is DOWN")
    scene.check("us-east", "++")
    assert ttl() == (2, "while degraded: us-east is ramping up")
    scene.live.force("eu-west", None, "drain")
    assert ttl() == (2, "while degraded: us-east is ramping up, eu-west is being drained")
    scene.live.force("eu-west", None, None)
    scene.wait(10)
    assert ttl() == (5, "")
    ttls = [e.ttl for e in scene.events if isinstance(e, Generation)]
    assert ttls[:4] == [5, 2, 5, 2]
    assert ttls[-1] == 5


def test_serials_rise_strictly_through_everything() -> None:
    """Every generation has its own, in order, whatever made it."""
    scene = both_up(degraded_ttl_s=2, ramp_s=1, hold_down_s=3)
    scene.check("us-east", "-+---+++++++")
    scene.live.force("eu-west", None, "drain", scene.clock.now_ns() + NS_PER_S // 2)
    scene.wait(5)
    serials = [e.serial for e in scene.events if isinstance(e, Generation)]
    assert len(serials) > 15
    assert serials == sorted(set(serials))
    numbers = [number for number, *_ in scene.generations()]
    assert numbers == list(range(1, len(numbers) + 1))


def test_a_hold_down_ends_by_the_timer() -> None:
    """No check brings it: the routing itself knows when."""
    scene = both_up(hold_down_s=10)
    scene.check("us-east", "---++")
    assert scene.up() == {"eu-west"}
    scene.wait(8)
    assert scene.up() == {"us-east", "eu-west"}
    *_, health, _ = scene.events
    assert isinstance(health, Health)
    assert health.reason == "2 good checks in a row, after a hold-down of 10 s, the last: said so"


def test_a_late_timer_is_made_up_for_before_the_next_check() -> None:
    """The order of what happened is by time, also on a machine too busy for its timers."""
    scene = both_up(hold_down_s=10)
    scene.check("us-east", "---++")
    scene.clock.sleep(60)
    now = scene.clock.now_ns()
    scene.live.take(scene.service, "us-east", Checked(now, now, False, "refused"))
    assert scene.up() == {"us-east", "eu-west"}


def test_vantages_vote_and_their_checks_are_named() -> None:
    """The check's event says who made it; the verdict's says how they voted."""
    scene = Scene(checkers=["paris", "ns2"], fall=1)
    for region in ("eu-west", "us-east"):
        for checker in ("paris", "ns2"):
            scene.check(region, "+", checker)
    scene.check("us-east", "-", "paris")
    check, health, _ = scene.events[-3:]
    assert isinstance(check, Check)
    assert isinstance(health, Health)
    assert check.checker == "paris"
    assert health.reason == "1 of 2 vantages says DOWN: paris; ns2 says UP"
    with pytest.raises(KeyError):
        scene.check("us-east", "+", "mars")


def test_the_view_shows_what_is_real_beside_what_is_forced() -> None:
    """Plain JSON, for a page that people read."""
    scene = both_up(degraded_ttl_s=2)
    scene.check("us-east", "---")
    until = scene.clock.now_ns() + NS_PER_S
    scene.live.force("us-east", "www", "up", until)
    view = json.loads(json.dumps(scene.live.view()))
    www = view["services"]["www"]
    assert (view["server"], view["serial"], www["serial"]) == ("ns1", *[scene.last().serial] * 2)
    assert (www["ttl"], www["ttl_because"]) == (2, "while degraded: us-east is forced up")
    east = www["regions"]["us-east"]
    assert (east["health"], east["forced"], east["until"]) == ("DOWN", "up", until)
    assert (east["flaps"], east["share"]) == (1, 1.0)
    assert east["last_check"]["detail"] == "said so"
    assert east["opinions"][""]["health"] == "DOWN"
    assert www["regions"]["eu-west"]["since"] == 102 * NS_PER_S
