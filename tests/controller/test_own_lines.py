"""What clients of the user's say becomes part of a run's history."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from emulator.analysis.timeline import read_history
from emulator.clock import NS_PER_S
from emulator.controller.own_lines import LONGEST, MOST, OwnLines
from emulator.controller.runner import Recorded, run_scenario
from emulator.engine.base import LogLine
from emulator.scenario.model import Load, Scenario, Traffic
from emulator.wan.base import Event
from tests.controller.test_own import OWN
from tests.controller.world import WALL_NS, World
from tests.plan.worlds import plan_of

CLIENT = "paris/client:image"
QUIET = Scenario(
    "quiet", "x.yaml", Traffic((Load("http", 5.0),)), steps=(), end_s=5.0, source="x\n"
)


@pytest.fixture
def own() -> World:
    world = World()
    world.plan = plan_of(OWN, "two-region")
    return world


class Clerk:
    """Runs a scenario, and writes for the client of the user's at seconds of it."""

    def __init__(self, world: World, directory: Path) -> None:
        self.world, self.directory = world, directory
        self.lab = world.up()
        self.log = world.engine.logs["two-region", CLIENT] = []

    def writes(self, second: float, *lines: str) -> None:
        def write() -> None:
            wall = self.world.clock.now_ns() + WALL_NS
            self.log.extend(LogLine(wall + n, line) for n, line in enumerate(lines))

        self.world.on_time.append((second, write))

    def ends(self, second: float, how: str) -> None:
        engine = self.world.engine
        self.world.on_time.append((second, lambda: engine.ends("two-region", CLIENT, how)))

    def run(self) -> Recorded:
        return run_scenario(QUIET, self.lab, self.directory, 7, self.world.listen)


@pytest.fixture
def clerk(own: World, tmp_path: Path) -> Clerk:
    return Clerk(own, tmp_path / "run")


def test_its_json_lines_are_in_the_history_at_the_instants_at_which_it_wrote_them(clerk):
    clerk.writes(2.0, '{"ok": true, "ms": 12.5}', "not for us", '{"broken": ', "[1]", '{"n": 2}')
    recorded = clerk.run()
    kept = read_history(recorded.directory / "history.jsonl")
    zero = next(note.t for note in kept.notes if note.text == "traffic")
    assert [own.told for own in kept.own["paris"]] == [{"ok": True, "ms": 12.5}, {"n": 2}]
    assert [own.told for own in recorded.history.own["paris"]] == [
        o.told for o in kept.own["paris"]
    ]
    assert kept.own["paris"][0].t - zero == 2 * NS_PER_S


def test_a_line_that_says_when_it_was_written_counts_then(clerk):
    """Many programs gather their output; what comes at once did not happen at once. A time of
    another clock is not believed."""
    wall_s = (clerk.world.clock.now_ns() + WALL_NS) / NS_PER_S

    def said(t: object) -> str:
        return json.dumps({"t": t})

    clerk.writes(3.0, said(wall_s), said(wall_s + 1e6), said(17), said("noon"), said(True))
    history = clerk.run().history
    zero = next(note.t for note in history.notes if note.text == "traffic")
    first, *others = (own.t for own in history.own["paris"])
    assert abs(first - clerk.world.clock.now_ns()) > 3 * NS_PER_S
    assert first < zero
    assert [round((t - zero) / NS_PER_S, 3) for t in others] == [3.0] * 4


def test_it_begins_anew_with_the_run_and_its_end_is_told(clerk):
    clerk.ends(2.0, "exit 3")
    history = clerk.run().history
    assert [(d.host, d.name, d.state, d.detail) for d in history.daemons if d.name == "image"] == [
        ("paris/client", "image", "ended", "exit 3")
    ]
    verbs = [verb for verb, _, host in clerk.world.engine.calls if host == CLIENT]
    assert [verb for verb in verbs if verb in {"start", "kill"}] == ["start", "kill", "start"]


def test_that_it_runs_again_is_told_too(clerk):
    """After a heal, or by hand: what ended it does not count any more."""
    told: list[Event] = []
    engine = clerk.world.engine
    with OwnLines(clerk.lab, told.append) as own:
        own.start()
        engine.ends("two-region", CLIENT, "exit 137")
        own.look()
        own.look()
        engine.start("two-region", CLIENT)
    assert [(e["state"], e["detail"]) for e in told] == [("ended", "exit 137"), ("started", "")]


@pytest.mark.parametrize(
    "line",
    ['{"ms": NaN}', '{"ms": -Infinity}', '{"ms": 1e999}', '{"a": "\\ud800"}', '{"a":' * 3000],
)
def test_a_line_that_would_spoil_the_history_is_left_out(clerk, line):
    """Python's own reader takes some of these; whoever reads the history does not."""
    clerk.writes(2.0, line, '{"n": 2}')
    kept = read_history(clerk.run().directory / "history.jsonl")
    assert [own.told for own in kept.own["paris"]] == [{"n": 2}]


def test_what_was_said_before_the_run_is_not_of_it(clerk):
    wall = clerk.world.clock.now_ns() + WALL_NS
    clerk.log.append(LogLine(wall, '{"old": 1}'))
    assert clerk.run().history.own == {}


def test_a_flood_of_lines_is_cut_and_counted(clerk):
    """Nothing may be claimed from a run of which a part is missing."""
    clerk.writes(2.0, *['{"n": 1}'] * (MOST + 5), json.dumps({"long": "x" * LONGEST}))
    history = clerk.run().history
    assert len(history.own["paris"]) == MOST
    assert [lost.count for lost in history.lost] == [5]
