"""What has ended is named at once: nothing restarts it, so nobody waits for it."""

from __future__ import annotations

import signal

import pytest

from emulator.controller.lab import bring_up
from emulator.controller.ready import decided_s, missing_generations, refuse_what_ended
from emulator.controller.signals import undisturbed
from emulator.errors import NotReady
from emulator.events import Daemon, Generation, Health
from tests.controller.test_phase import VANTAGES
from tests.controller.world import IMAGE, World
from tests.plan.worlds import plan_of, two_region


def up_while(world: World, stage: str, host: str, name: str, detail: str) -> None:
    """Brings the world up; when it comes to `stage` a daemon of a host ends."""

    def progress(now: str, done: float | None) -> None:
        if now == stage:
            ended = Daemon(
                t=world.clock.now_ns(), host=host, name=name, state="ended", detail=detail
            )
            world.wan.mark(ended.to_json())

    bring_up(world.plan, world.engine, lambda *_: world.wan, IMAGE, progress, world.clock)


@pytest.mark.parametrize("stage", ["balancers", "name servers", "clients"])
def test_a_daemon_that_ended_is_named_with_its_reason(world, stage):
    """Whatever was waited for: it is the daemon that the message is about."""
    began = world.clock.now_ns()
    with pytest.raises(NotReady, match="haproxy on us-east/edge ended: exit 1"):
        up_while(world, stage, "us-east/edge", "haproxy", "exit 1")
    assert world.engine.containers(world.plan.lab) == ()
    assert world.clock.now_ns() - began < 20e9  # the patience for what may still come


def test_a_dead_host_is_named_before_its_daemons(world):
    """The container is the cause."""
    with pytest.raises(NotReady, match="us-east/www-1 is dead: its container has ended"):
        up_while(world, "balancers", "us-east/www-1", "init", "its end of the connection closed")


def turn_of_the_wire(world: World, state: str, detail: str) -> None:
    turn = Daemon(t=world.clock.now_ns(), host="wan", name="wire", state=state, detail=detail)
    world.wan.mark(turn.to_json())


def test_a_wire_that_ended_is_no_reason_to_stop_waiting_until_it_is_given_up(world):
    """It is started anew, unless it says that it is not."""
    turn_of_the_wire(world, "ended", "signal 9")
    refuse_what_ended(world.wan)
    turn_of_the_wire(world, "given up", "ended 6 times within 10 s")
    with pytest.raises(NotReady, match="the WAN's wire ended 6 times within 10 s; the lab must"):
        refuse_what_ended(world.wan)


def test_undisturbed_work_is_finished_before_a_stop_takes_effect():
    """Ctrl-C while a lab is removed: removed first, then interrupted."""
    done = []
    with pytest.raises(KeyboardInterrupt), undisturbed():
        signal.raise_signal(signal.SIGINT)
        done.append("removed")
    assert done == ["removed"]


def test_a_region_that_stays_down_is_named_with_what_its_checks_say(world, lab):
    """A check may be too short for its way: then the message says so."""
    down = Generation(t=0, server="ns1", service="www", number=2, up=["us-east"], down=["eu-west"])
    told = Health(t=0, server="ns1", service="www", region="eu-west", state="DOWN",
                  reason="first check: timed out waiting for the answer")  # fmt: skip
    for event in (told, down):
        world.wan.mark(event.to_json())
    [said] = missing_generations(lab.plan, lab.wan)
    assert said.startswith("ns1 does not hold every region of www UP ")
    assert said.endswith("(eu-west: first check: timed out waiting for the answer)")


def test_vantages_and_hold_downs_are_waited_for():
    """Name servers wait for every vantage's first word, as long as it could be fresh."""
    assert decided_s(two_region()) == 0
    assert decided_s(plan_of(VANTAGES)) == 2 * 2.0 + 1.0
