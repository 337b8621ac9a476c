"""Programs that a scenario runs in a lab: seen to their end, and told of."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from emulator.analysis.timeline import read_history
from emulator.clock import NS_PER_S
from emulator.controller.commands import MOST_BYTES
from emulator.controller.lab import Lab
from emulator.controller.runner import Recorded, run_scenario
from emulator.errors import EngineError
from emulator.events import Command
from emulator.scenario.model import Count, Exec, Kill, Scenario, Step
from tests.controller.test_own import OURS, OWN, SERVER
from tests.controller.test_steps import SCENARIO, ended_s, times
from tests.controller.world import World
from tests.plan.worlds import plan_of

EAST = ("us-east",)
SLOW = {"delay_s": 0.05}
MANY = 100_000  # IDs


class Program:
    """Says these things one by one, and ends so long after its start with this code."""

    def __init__(
        self, world: World, *said: bytes, after_s: float = 0.0, code: int = 0, err: str = ""
    ) -> None:
        self._clock = world.clock
        self._said = list(said)
        self._ends = world.clock.now_ns() + round(after_s * NS_PER_S)
        self._code, self._err = code, err
        self.told: list[str] = []

    def read(self, size: int) -> bytes:
        raise NotImplementedError

    def take(self) -> bytes | None:
        if self._said:
            return self._said.pop(0)
        if self._clock.now_ns() < self._ends:
            return b""
        if self._code and self._err == "unheard":
            raise EngineError("cannot run it: it ended with 2: no such table")
        return None

    def fileno(self) -> int:
        return -1

    def write(self, data: bytes) -> None:
        raise NotImplementedError

    def finish(self) -> None:
        self.told.append("finish")

    def exit_code(self) -> int | None:
        """A while after the end of what it said, as a real engine does."""
        return self._code if self._clock.now_ns() >= self._ends + NS_PER_S // 10 else None

    def stderr(self) -> str:
        return "" if self._err == "unheard" else self._err

    def close(self) -> None:
        self.told.append("close")


Starts = Callable[[], Program]


class Director:
    """Plays steps in a lab with containers of the user's whose programs do as is said."""

    def __init__(self, world: World, directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.world, self.directory = world, directory
        self.lab: Lab = world.up()
        self.ran: list[tuple[str, tuple[str, ...]]] = []
        self.starts: Starts = lambda: Program(world)
        self.programs: list[Program] = []
        monkeypatch.setattr(world.engine, "stream", self._stream)

    def _stream(self, lab: str, host: str, argv: tuple[str, ...]) -> Program:
        self.ran.append((host, argv))
        self.programs.append(self.starts())
        return self.programs[-1]

    def play(self, *steps: Step, scenario: Scenario = SCENARIO) -> Recorded:
        played = replace(scenario, steps=steps, source="x\n")
        return run_scenario(played, self.lab, self.directory, 7, self.world.listen)

    def command(self) -> Command:
        (event,) = self.world.said("command")
        return Command.from_json(event)


@pytest.fixture
def director(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Director:
    world = World()
    world.plan = plan_of(OWN, "two-region")
    return Director(world, tmp_path / "run", monkeypatch)


def run(host: str, argv: Sequence[str] = ("date",), within_s: float = 30.0) -> Exec:
    return Exec(5.0, host, tuple(argv), within_s)


@pytest.mark.parametrize(
    ("host", "container"),
    [(OURS, OURS), (SERVER, SERVER), ("paris", "paris/client"), ("us-east", "us-east/edge")],
)
def test_a_program_runs_where_it_is_said(director, host, container):
    """In the user's container or in ours; a city's client, a site's first host. Nothing is typed
    to it, and it is let go of."""
    director.play(run(host, ["pg_ctl", "promote"]))
    assert director.ran == [(container, ("pg_ctl", "promote"))]
    assert director.programs[0].told == ["finish", "close"]


def test_what_follows_counts_from_its_end(director):
    """And the history says what was run, how long it took and how it ended."""
    director.starts = lambda: Program(director.world, b"promoted\n", after_s=2.0)
    recorded = director.play(run(OURS), Kill(1.0, EAST, "brownout", settings=SLOW, is_after=True))
    (struck,) = [s for _, phase, s in times(director.world) if phase == "inject_began"]
    assert struck == pytest.approx(8.1, abs=0.15)
    told = director.command()
    assert (told.verb, told.host, told.argv, told.code) == ("exec", OURS, ["date"], 0)
    assert told.said == "promoted"
    assert (told.t - told.began) / NS_PER_S == pytest.approx(2.1, abs=0.05)
    assert recorded.history.commands == [told]


@pytest.mark.parametrize(
    ("err", "said"),
    [
        ("line 1\n\nno such\ttable \n", "line 1; no such\ttable"),
        ("unheard", "cannot run it: it ended with 2: no such table"),
        ("x" * 1000, "x" * 300),
    ],
)
def test_one_that_fails_is_the_last_step(director, err, said):
    """Its last lines are told, whether or not it wrote anything else."""
    director.starts = lambda: Program(director.world, code=2, err=err)
    director.play(run(OURS), Kill(1.0, EAST, is_after=True))
    assert (director.command().code, director.command().said) == (2, said)
    assert times(director.world) == []
    assert ended_s(director.world) < 6


def test_one_that_does_not_end_in_time_is_the_last_step(director):
    """As a wait in vain."""
    director.starts = lambda: Program(director.world, b"working\n", after_s=60.0)
    director.play(run(OURS, within_s=3.0), Kill(1.0, EAST, is_after=True))
    assert (director.command().code, director.command().said) == (None, "it did not end in time")
    assert ended_s(director.world) == pytest.approx(8.0, abs=0.1)
    assert director.programs[0].told == ["finish", "close"]


def test_one_that_cannot_be_started_is_told_of(director):
    """A host without power runs nothing."""

    def refuse() -> Program:
        raise EngineError("cannot run date in us-east/www-1:image: it is down")

    director.starts = refuse
    director.play(run(OURS))
    assert director.command().code is None
    assert director.command().said == "cannot run date in us-east/www-1:image: it is down"


def test_what_falls_due_meanwhile_is_done(director):
    """A fault for a while is healed in time, however long a program takes."""
    director.starts = lambda: Program(director.world, after_s=6.0)
    director.play(Kill(4.0, EAST, "brownout", settings=SLOW, for_s=3.0), run(OURS))
    assert times(director.world, "healed") == [("brownout us-east", "healed", 7.0)]


def test_a_count_keeps_all_that_the_service_holds(director):
    """However much that is and however it comes; the lab itself has to hold none of it."""
    text = "".join(f" write-{n} \n\n" for n in range(MANY)).encode()
    parts = [text[at : at + 100_001] for at in range(0, len(text), 100_001)]
    director.starts = lambda: Program(director.world, *parts)
    recorded = director.play(Count(5.0, OURS, ("psql",), 30.0))
    kept = read_history(recorded.directory / "history.jsonl")
    for history in (recorded.history, kept):
        (held,) = history.held
        assert (held.host, len(held.ids)) == (OURS, MANY)
        assert held.ids[:2] == ["write-0", "write-1"]
        assert held.t == director.command().began
    assert director.world.said("held") == []
    assert len(str(director.command())) < 2000


def test_a_count_that_fails_counts_nothing(director):
    """Half of what a service holds would be taken for a loss."""
    director.starts = lambda: Program(director.world, b"write-1\n", code=1, err="gone")
    recorded = director.play(Count(5.0, OURS, ("psql",), 30.0))
    assert recorded.history.held == []
    assert (director.command().verb, director.command().code) == ("count", 1)


def test_a_program_that_floods_is_given_up_on(director):
    """Nothing is concluded from a part."""
    part = b"x" * (MOST_BYTES // 2 + 1)
    director.starts = lambda: Program(director.world, part, part, part)
    recorded = director.play(Count(5.0, OURS, ("yes",), 30.0))
    assert recorded.history.held == []
    assert director.command().said == "it wrote more than 64 MB"
