"""After a kill by hand the lab is watched until everyone has recovered or given up."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from emulator.analysis.timeline import Client
from emulator.controller.follow import GIVE_UP_S, follow_fault
from emulator.controller.inject import inject
from emulator.controller.lab import Lab
from emulator.controller.recorder import Recorder
from emulator.engine.base import LogLine
from emulator.errors import EngineError, NetemuError
from emulator.topology.model import CLIENT_KINDS
from tests.controller.test_own import OWN
from tests.controller.world import WALL_NS, World
from tests.plan.worlds import plan_of

LIGHT = dict.fromkeys(CLIENT_KINDS, 5.0)


def under_way(world: World, lab: Lab, how: str = "brownout") -> Callable[[], str]:
    """Light traffic runs; breaking begins when the recorder is there."""
    world.rates = dict(LIGHT)

    def break_it() -> str:
        world.is_recorded = True
        return inject(lab, ["us-east"], how).id

    return break_it


def test_a_fault_that_harms_nobody_is_followed_until_that_is_proved(world, lab):
    """Long before the time to give up; the history has traffic from before the fault."""
    history = follow_fault(lab, under_way(world, lab), world.listen, "netemu kill us-east")
    (life,) = history.injected()
    assert lab.wan.now_ns() - life.began < 30e9 < GIVE_UP_S * 1e9
    assert history.run is not None
    assert (history.run.command, history.run.rates) == ("netemu kill us-east", LIGHT)
    times = [r.t for requests in history.requests.values() for r in requests]
    assert min(times) < life.began < max(times)
    assert [f.kind for f in lab.wan.journal()] == ["brownout"]


def test_clients_that_never_recover_end_it_too(world, lab):
    """Each is waited for as long as twice its bound, and all together no longer than that."""
    break_it = under_way(world, lab, "power")

    def break_all():
        world.broken = True
        return break_it()

    history = follow_fault(lab, break_all, world.listen, "netemu kill us-east")
    (life,) = history.injected()
    assert 10e9 < lab.wan.now_ns() - life.began <= (GIVE_UP_S + 1) * 1e9


def test_a_kill_that_fails_is_raised(world, lab):
    """After the recorder has ended."""
    world.engine.fail("kill", "us-east/edge", EngineError("no kill"))
    with pytest.raises(EngineError, match="no kill"):
        follow_fault(lab, under_way(world, lab, "power"), world.listen, "netemu kill us-east")
    assert lab.wan.journal() == ()


def test_paths_are_measured_only_where_nothing_is_broken(world, lab):
    """With a fault active, not every path can be as it was set."""
    inject(lab, ["paris"], "partition")
    lab.measured_ns = {}
    follow_fault(lab, under_way(world, lab), world.listen, "netemu kill us-east")
    assert lab.measured_ns == {}


def test_a_recording_that_failed_is_raised(world, lab, monkeypatch):
    """Nothing may be concluded from it."""

    def refuse(recorder):
        raise NetemuError("recording the history failed")

    monkeypatch.setattr(Recorder, "check", refuse)
    with pytest.raises(NetemuError, match="recording the history failed"):
        follow_fault(lab, under_way(world, lab), world.listen, "netemu kill us-east")


def test_what_a_client_of_the_users_says_meanwhile_is_told():
    """It goes on as it is: nothing starts it anew for a kill by hand."""
    world = World()
    world.plan = plan_of(OWN, "two-region")
    lab = world.up()
    log = world.engine.logs["two-region", "paris/client:image"] = []
    break_it = under_way(world, lab)

    def break_while_it_speaks() -> str:
        wall = world.clock.now_ns() + WALL_NS
        log.append(LogLine(wall, '{"ok": true, "ms": 5}'))
        return break_it()

    starts = world.engine.calls.count(("start", "two-region", "paris/client:image"))
    history = follow_fault(lab, break_while_it_speaks, world.listen, "netemu kill us-east")
    assert [r.outcome for r in history.requests[Client("paris", "own")]] == ["ok"]
    assert world.engine.calls.count(("start", "two-region", "paris/client:image")) == starts
