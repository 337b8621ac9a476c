"""Steps that last a while, follow each other, or wait: at their times, and never left behind."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from emulator.clock import NS_PER_S
from emulator.controller.lab import Lab
from emulator.controller.paths import change_paths, clear_paths
from emulator.controller.runner import Recorded, run_scenario
from emulator.errors import UsageError
from emulator.events import Generation, Wait
from emulator.impairment import Trace
from emulator.scenario.model import (
    ClearPath,
    Condition,
    Heal,
    Kill,
    Load,
    Scenario,
    SetPath,
    Step,
    Traffic,
    WaitUntil,
)
from tests.controller.world import World

EAST, WEST = ("us-east",), ("eu-west",)
SLOW = {"delay_s": 0.05}
DOWN = Condition("us-east down", "down", "us-east")
SCENARIO = Scenario(
    name="steps",
    topology_file="two-region.yaml",
    traffic=Traffic((Load("http", 5.0), Load("udp", 5.0))),
    steps=(),
    end_s=20.0,
)
POLLING_S = 0.25  # a wait looks every 0.2 s


@pytest.fixture
def play(world: World, lab: Lab, tmp_path: Path) -> Callable[..., Recorded]:
    def run(*steps: Step, **changes: object) -> Recorded:
        scenario = replace(SCENARIO, steps=steps, **changes)  # type: ignore[arg-type]
        return run_scenario(scenario, lab, tmp_path / "run", 7, world.listen)

    return run


def times(world: World, *phases: str) -> list[tuple[str, str, float]]:
    """What was marked of faults, in seconds after the start of the traffic."""
    zero = next(e["t"] for e in world.said("note") if e["text"] == "traffic")
    return [
        (f"{e['how']} {e['target'][0]}", e["phase"], round((e["t"] - zero) / NS_PER_S, 3))
        for e in world.said("fault")
        if e["phase"] in (phases or ("inject_began", "healed"))
    ]


def ended_s(world: World) -> float:
    notes = {e["text"]: e["t"] for e in world.said("note")}
    return round(int(notes["end"] - notes["traffic"]) / NS_PER_S, 3)


def waits(world: World) -> list[Wait]:
    return [Wait.from_json(event) for event in world.said("wait")]


def all_say_down(world: World) -> Callable[[], None]:
    """Every name server stops naming us-east."""

    def say() -> None:
        for server in ("ns1", "ns2"):
            news = Generation(t=world.clock.now_ns(), server=server, service="www", number=2,
                              up=["eu-west"], down=["us-east"])  # fmt: skip
            world.wan.lab.push(news.to_json())

    return say


def test_a_fault_for_a_while_is_healed_alone_and_in_time(world, play):
    """Others, and others on the same target, go on to the end."""
    play(
        Kill(5.0, EAST, "brownout", settings=SLOW, for_s=4.0),
        Kill(6.0, EAST, "partition", ("paris",)),
        Kill(7.0, WEST, "brownout", settings=SLOW),
    )
    assert times(world, "healed") == [
        ("brownout us-east", "healed", 9.0),
        ("brownout eu-west", "healed", 20.0),
        ("partition us-east", "healed", 20.0),
    ]


def test_faults_for_a_while_overlap_in_any_order(world, play):
    """Each counts from its own injection."""
    play(
        Kill(5.0, EAST, "brownout", settings=SLOW, for_s=8.0),
        Kill(6.0, WEST, "brownout", settings=SLOW, for_s=1.5),
        Kill(9.0, WEST, "brownout", settings=SLOW, for_s=0.3),
    )
    healed = [(what, s) for what, _, s in times(world, "healed")]
    assert healed == [
        ("brownout eu-west", 7.5),
        ("brownout eu-west", 9.3),
        ("brownout us-east", 13.0),
    ]


@pytest.mark.parametrize(("second", "healed"), [(2.0, 10.0), (8.0, 14.0), (None, 20.0)])
def test_a_fault_that_is_injected_again_lasts_until_the_later_end(world, play, second, healed):
    """It is one fault, whose end is not taken back."""
    play(
        Kill(5.0, EAST, "brownout", settings=SLOW, for_s=5.0),
        Kill(6.0, EAST, "brownout", settings=SLOW, for_s=second),
    )
    assert times(world, "healed") == [("brownout us-east", "healed", healed)]


def test_a_heal_before_its_time_is_the_only_one(world, play):
    """And a later fault of the same kind is another one, with an end of its own."""
    play(
        Kill(5.0, EAST, "brownout", settings=SLOW, for_s=5.0),
        Heal(7.0, EAST),
        Kill(8.0, EAST, "brownout", settings=SLOW, for_s=5.0),
    )
    assert [s for *_, s in times(world, "healed")] == [7.0, 13.0]


def test_a_step_may_follow_the_one_above(world, play):
    """So long after it ended; the run's end after the last one."""
    play(
        Kill(5.0, EAST, "brownout", settings=SLOW),
        Heal(3.0, EAST, is_after=True),
        Kill(2.0, WEST, "brownout", settings=SLOW, is_after=True),
        end_s=4.0,
        end_is_after=True,
    )
    assert [s for *_, s in times(world)] == [5.0, 8.0, 10.0, 14.0]
    assert ended_s(world) == 14.0


def test_a_wait_ends_when_its_condition_is_met(world, play):
    """The steps after it count from there; the history says what was waited for and how long."""
    world.on_time.append((7.4, all_say_down(world)))
    play(
        Kill(5.0, EAST, "brownout", settings=SLOW),
        WaitUntil(0.0, DOWN, within_s=10.0),
        Heal(1.0, EAST, is_after=True),
    )
    (wait,) = waits(world)
    zero = next(e["t"] for e in world.said("note") if e["text"] == "traffic")
    assert (wait.text, wait.met, wait.within_s, wait.detail) == ("us-east down", True, 10.0, "")
    assert (wait.began - zero) / NS_PER_S == 5.0
    assert 7.4 <= (wait.t - zero) / NS_PER_S <= 7.4 + POLLING_S
    ((*_, healed),) = times(world, "healed")
    assert healed == pytest.approx((wait.t - zero) / NS_PER_S + 1.0, abs=1e-3)
    assert ended_s(world) == 20.0


def test_a_wait_in_vain_ends_the_run(world, play):
    """At its deadline: later steps are not taken, everything is healed, and the run is whole."""
    before = world.snapshot()
    recorded = play(
        Kill(5.0, EAST, "brownout", settings=SLOW),
        WaitUntil(0.0, DOWN, within_s=3.0),
        Kill(1.0, WEST, "brownout", settings=SLOW, is_after=True),
    )
    (wait,) = waits(world)
    assert not wait.met
    assert wait.detail == "ns1 does not hold us-east DOWN; ns2 does not hold us-east DOWN"
    assert times(world) == [
        ("brownout us-east", "inject_began", 5.0),
        ("brownout us-east", "healed", 8.0),
    ]
    assert ended_s(world) == 8.0
    assert recorded.history.waits == [wait]
    assert world.snapshot() == before


def test_a_fault_is_healed_in_time_while_a_wait_goes_on(world, play):
    """A long wait does not prolong it."""
    play(
        Kill(5.0, EAST, "brownout", settings=SLOW, for_s=1.3),
        WaitUntil(0.0, DOWN, within_s=3.0),
    )
    assert times(world, "healed") == [("brownout us-east", "healed", 6.3)]


def test_a_step_whose_time_passed_during_a_wait_comes_at_once(world, play):
    """Steps keep their order."""
    world.on_time.append((9.0, all_say_down(world)))
    play(
        Kill(5.0, EAST, "brownout", settings=SLOW),
        WaitUntil(0.0, DOWN, within_s=10.0),
        Heal(6.0, EAST),
    )
    ((*_, healed),) = times(world, "healed")
    assert 9.0 <= healed <= 9.0 + POLLING_S


def test_a_condition_that_is_met_already_costs_no_time(world, play):
    """The first look is at once."""
    play(WaitUntil(2.0, Condition("us-east up", "up", "us-east"), 5.0, is_after=False))
    (wait,) = waits(world)
    assert wait.met
    assert wait.t == wait.began


def test_a_wait_may_come_before_the_first_fault(world, play):
    """And where it is in vain nothing is injected."""
    play(WaitUntil(0.0, DOWN, 1.0), Kill(5.0, EAST, "brownout", settings=SLOW))
    assert world.phases() == []
    assert [wait.met for wait in waits(world)] == [False]


def changes(world: World) -> list[tuple[str, dict[str, object], str, float]]:
    """Every change of a path, in seconds after the start of the traffic."""
    zero = next(e["t"] for e in world.said("note") if e["text"] == "traffic")
    return [
        (f"{e['source']}->{e['target']}", e["values"], e["by"], (e["t"] - zero) / NS_PER_S)
        for e in world.said("path")
    ]


def test_a_path_is_set_for_a_while_and_as_the_file_says_again(world, play):
    """Both directions at once; what is not cleared by a step is cleared at the end."""
    slow, lossy = {"delay_ns": 90_000_000}, {"loss": 0.02}
    play(
        SetPath(5.0, "us-east..paris", slow, for_s=3.0),
        SetPath(6.0, "paris->ns1", lossy),
        SetPath(7.0, "us-east->ns1", lossy),
        ClearPath(9.0, "us-east->ns1"),
    )
    assert changes(world) == [
        ("us-east->paris", slow, "hand", 5.0),
        ("paris->us-east", slow, "hand", 5.0),
        ("paris->ns1", lossy, "hand", 6.0),
        ("us-east->ns1", lossy, "hand", 7.0),
        ("us-east->paris", {}, "clear", 8.0),
        ("paris->us-east", {}, "clear", 8.0),
        ("us-east->ns1", {}, "clear", 9.0),
        ("paris->ns1", {}, "clear", 20.0),
    ]


def test_a_trace_plays_from_a_steps_moment_until_it_is_cleared(world, play):
    """The lab plays it, so nothing of it is done here."""
    trace = Trace(((0, {"delay_ns": 40_000_000}), (NS_PER_S, {"delay_ns": 80_000_000})))
    play(SetPath(5.0, "us-east->paris", {"loss": 0.01}, trace), ClearPath(8.0))
    assert [(values, by) for _, values, by, _ in changes(world)] == [
        ({"loss": 0.01}, "hand"), ({"delay_ns": 40_000_000}, "trace"), ({}, "clear"),
    ]  # fmt: skip
    assert world.wan.lab.playing == {}


def test_the_lab_ends_a_flap_by_itself(world, play):
    """No step heals it; where the run ends before it does, the run heals it."""
    rhythm = {"every_s": 2.0, "for_s": 6.0}
    play(Kill(5.0, EAST, "flap", settings=rhythm, for_s=6.0))
    assert times(world, "healed") == [("flap us-east", "healed", 20.0)]


def test_a_run_begins_with_paths_as_the_file_says(world, lab, play):
    """Else its header would tell of other paths than its clients met."""
    change_paths(lab, "us-east..paris", {"loss": 0.02})
    with pytest.raises(UsageError, match=r"us-east->paris, paris->us-east of lab .* --clear"):
        play(Kill(5.0, EAST))
    clear_paths(lab)
    play(Kill(5.0, EAST))
