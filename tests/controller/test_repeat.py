"""One scenario many times: every run kept, each at another phase, nothing broken between them."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from emulator.analysis.measurements import Measurements
from emulator.analysis.recovery import measure
from emulator.analysis.repeated import RunResult
from emulator.analysis.timeline import History
from emulator.clock import NS_PER_S
from emulator.controller.lab import Lab
from emulator.controller.phase import spread_phases
from emulator.controller.repeat import run_at_phases, run_repeatedly
from emulator.errors import EngineError, NotReady
from emulator.events import Generation
from emulator.scenario.model import Kill, Load, Scenario, Traffic
from tests.controller.world import World

SEED = 11
SCENARIO = Scenario(
    name="repeat",
    topology_file="two-region.yaml",
    traffic=Traffic((Load("http", 5.0),)),
    steps=(Kill(4.0, ("us-east",), "brownout", settings={"delay_s": 0.05}),),
    end_s=5.0,
)


@pytest.fixture
def told() -> list[RunResult]:
    return []


@pytest.fixture
def play(
    world: World, lab: Lab, tmp_path: Path, told: list[RunResult]
) -> Callable[..., list[RunResult]]:
    def run(runs: int = 3, scenario: Scenario = SCENARIO) -> list[RunResult]:
        return run_repeatedly(scenario, lab, tmp_path, SEED, runs, world.listen, told.append)

    return run


def names(results: list[RunResult]) -> list[str]:
    return [Path(result.directory).name for result in results]


def test_every_run_has_a_directory_and_a_phase_of_its_own(lab, play, told):
    """Those of the seed; each result is told at once, and all are given back."""
    results = play(3)
    assert results == told
    assert names(results) == ["run-01", "run-02", "run-03"]
    phases = [phase.to_json() for phase in spread_phases(lab.plan, 3, SEED)]
    assert [result.run.phase for result in results] == phases
    assert all(result.run.seed == SEED for result in results)
    assert all((Path(result.directory) / "history.jsonl").exists() for result in results)
    assert [len(result.measured.faults) for result in results] == [1, 1, 1]


def test_memory_holds_no_history_of_an_earlier_run(play, monkeypatch):
    """20 runs take the memory of one; what was measured stays."""
    seen: list[weakref.ref[History]] = []

    def look(history: History) -> Measurements:
        seen.append(weakref.ref(history))
        return measure(history)

    monkeypatch.setattr("emulator.controller.repeat.measure", look)
    results = play(3)
    gc.collect()
    assert [ref() for ref in seen] == [None, None, None]
    assert all(result.measured.rows() for result in results)


def test_runs_may_share_a_phase(world, lab, tmp_path, told):
    """To see how repeatable they are."""
    (phase,) = spread_phases(lab.plan, 1, SEED)
    run_at_phases(SCENARIO, lab, tmp_path, SEED, [phase, phase], world.listen, told.append)
    assert [result.run.phase for result in told] == [phase.to_json()] * 2


def test_where_no_phase_can_be_placed_delays_differ(play, told):
    """The first fault's time is not known beforehand."""
    step = replace(SCENARIO.steps[0], is_after=True)
    play(2, replace(SCENARIO, steps=(step,)))
    assert [result.run.phase for result in told] == [{}, {}]
    assert told[0].run.seed != told[1].run.seed


def test_an_inconclusive_run_is_kept_and_not_repeated(world, play):
    """With its reason first; the runs after it are as they would have been."""
    world.on_time.append((3.0, lambda: setattr(world, "broken", True)))
    world.on_time.append((3.5, lambda: setattr(world, "broken", False)))
    results = play(3)
    assert names(results) == ["run-01", "run-02", "run-03"]
    first, *others = results
    assert first.measured.inconclusive[0].startswith("the lab was not steady")
    assert first.measured.faults == ()
    assert all(len(result.measured.faults) == 1 for result in others)


def test_an_error_ends_the_runs_and_what_was_told_stays(world, play, told):
    """A lab that fails is not run on."""
    frozen = replace(SCENARIO, steps=(Kill(4.0, ("us-east",), "freeze"),))
    error = EngineError("no pause")
    world.on_time.append((4.5, lambda: world.engine.fail("pause", "us-east/www-1", error)))
    with pytest.raises(EngineError, match="no pause"):
        play(3, frozen)
    assert names(told) == ["run-01"]


def test_the_world_is_whole_again_before_the_next_run(world, play, told):
    """A region that is still DOWN when a run ends is waited for, and a lab that stays broken is
    said so."""

    def go_down() -> None:
        news = Generation(t=world.clock.now_ns(), server="ns1", service="www", number=2,
                          up=["eu-west"], down=["us-east"])  # fmt: skip
        world.wan.lab.push(news.to_json())

    world.on_time.append((4.5, go_down))
    began = world.clock.now_ns()
    with pytest.raises(NotReady, match="ns1 does not hold every region of www UP"):
        play(2)
    assert names(told) == ["run-01"]
    assert world.clock.now_ns() - began > 20 * NS_PER_S
