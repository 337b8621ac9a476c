"""What a test runs inside a lab of the user's images, and what it finds out about data."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from emulator.engine.base import LogLine
from emulator.errors import Inconclusive, NetemuError, UsageError
from emulator.harness import LabUnderTest, Missed
from emulator.scenario.model import Count, Exec
from emulator.scenario.parse import load_scenario
from tests.controller.test_commands import Program
from tests.controller.test_own import CLIENT, OURS, OWN
from tests.controller.world import WALL_NS, World
from tests.plan.worlds import plan_of


@pytest.fixture(autouse=True)
def _short_silences(monkeypatch: pytest.MonkeyPatch) -> None:
    """A reader of events looks up at once when there are none."""
    monkeypatch.setattr("emulator.wan.fake._SILENCE_S", 0.005)


@pytest.fixture
def world() -> World:
    world = World()
    world.plan = plan_of(OWN, "two-region")
    return world


@pytest.fixture
def lab(world: World, tmp_path: Path) -> LabUnderTest:
    return LabUnderTest(world.up(), tmp_path, "data", world.listen)


@pytest.fixture
def says(world: World, lab: LabUnderTest, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """From now on every program in a container of the user's says this and ends so."""

    def direct(out: str, code: int = 0, err: str = "", after_s: float = 0.0) -> None:
        def start(name: str, host: str, argv: tuple[str, ...]) -> Program:
            return Program(world, out.encode(), code=code, err=err, after_s=after_s)

        monkeypatch.setattr(world.engine, "stream", start)

    return direct


def wrote(world: World, *ids: str) -> None:
    """The client of the user's in Paris was told of these, now."""
    log = world.engine.logs.setdefault(("two-region", CLIENT), [])
    wall = world.clock.now_ns() + WALL_NS
    log.extend(LogLine(wall + n, json.dumps({"wrote": name})) for n, name in enumerate(ids))


def test_a_program_in_a_container_of_yours_answers(lab, says):
    """Its exit code, both of its streams; with traffic and without."""
    says("three\nrows\n", code=3, err="a warning")
    done = lab.exec(OURS, "psql", "-c", "TABLE items")
    assert (done.returncode, done.stdout, done.stderr) == (3, "three\nrows\n", "a warning")


def test_one_that_does_not_end_is_an_error(lab, says):
    """With what was tried."""
    says("", after_s=60)
    with pytest.raises(NetemuError, match=r"cannot run sleep 60 in .*:image: it did not end in"):
        lab.exec(OURS, "sleep", "60", timeout="2s")


def test_lost_writes_are_a_figure(lab, world, says):
    """Of what clients were told before the count; known when all they said was read."""
    says("a\nc\n")
    with lab.traffic():
        wrote(world, "a", "b")
        world.clock.sleep(0.5)
        lab.kill("us-east")
        world.clock.sleep(1)
        assert lab.count(OURS, "psql") == {"a", "c"}
        with pytest.raises(UsageError, match="ask for it after"):
            lab.writes_lost()
    assert lab.writes_lost() == lab.writes_lost("paris") == 1
    assert lab.rpo() == pytest.approx(0.5, abs=0.01)
    assert lab.rpo().story == "rpo_s was 0.50 s"
    lab.check("writes_lost <= 1")
    with pytest.raises(Missed, match="writes_lost == 0: 1"):
        lab.check("writes_lost == 0")


def test_without_a_count_nobody_can_tell_what_was_lost(lab, world):
    """Rather than nothing."""
    with lab.traffic():
        wrote(world, "a")
    for ask in (lab.writes_lost, lab.rpo):
        with pytest.raises(Inconclusive, match="nothing was counted"):
            ask()


def test_a_count_that_fails_is_an_error(lab, says):
    """What it printed up to then is not what the service holds."""
    says("a\n", code=1, err="connection refused")
    with lab.traffic():
        with pytest.raises(NetemuError, match=r"cannot count .*: psql -c x: connection refused"):
            lab.count(OURS, "psql", "-c", "x")
        with pytest.raises(UsageError, match="names no container"):
            lab.count("us-east/www-1:img", "psql")


def test_what_was_run_is_done_again_by_the_scenario(lab, says):
    """In containers of the user's; whoever only looks around from ours changes nothing."""
    says("a\n")
    with lab.traffic():
        lab.exec(OURS, "sh", "-c", "echo 'a b' > x; date", timeout=40)
        lab.exec("paris", "true")
        lab.count(OURS, "cat", "x")
    written = load_scenario(lab.recording.directory / "scenario.yaml")
    run, count = written.steps
    assert isinstance(run, Exec)
    assert not isinstance(run, Count)
    assert (run.host, run.argv) == (OURS, ("sh", "-c", "echo 'a b' > x; date"))
    assert run.within_s == 40
    assert isinstance(count, Count)
    assert (count.host, count.argv) == (OURS, ("cat", "x"))
