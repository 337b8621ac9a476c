"""Run a scenario on a lab: clean slate, steady traffic, the steps at their times, the end.

The history is on disk before anything is concluded from it. Faults never stay behind.
"""

from __future__ import annotations

import random
import re
import shutil
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from emulator.analysis.timeline import History
from emulator.controller.conditions import Scene
from emulator.controller.header import make_header
from emulator.controller.inject import heal_everything
from emulator.controller.lab import Lab
from emulator.controller.own_lines import OwnLines, stop_own_clients
from emulator.controller.paths import changed_by_hand, clear_paths
from emulator.controller.phase import Phase, random_phase
from emulator.controller.recorder import Recorder
from emulator.controller.signals import undisturbed
from emulator.controller.steps import Play
from emulator.controller.traffic import flush_caches, seed_answers, stop_traffic, wait_until_idle
from emulator.errors import NetemuError, UsageError
from emulator.events import encode
from emulator.scenario.model import Scenario
from emulator.topology.model import Topology
from emulator.wan.base import Event

Say = Callable[[Event], None]
SCENARIO, TOPOLOGY = "scenario.yaml", "topology.yaml"  # the copies in a run's directory
DELAY_S_MAX = 6.0  # of a run whose phase is not placed; a cycle that is longer is not covered


@dataclass(frozen=True, slots=True)
class Recorded:
    """A finished run: where it is, and its history."""

    directory: Path
    history: History


def run_scenario(
    scenario: Scenario,
    lab: Lab,
    directory: Path,
    seed: int,
    say: Say,
    phase: Phase | None = None,
) -> Recorded:
    """Play the scenario with its first fault at `phase`, or else at one that `seed` chooses; where
    no fault's time is known beforehand there is only a delay, which `seed` chooses too. A wait
    that lasts beyond the fault's time delays it, out of its phase.

    Raises Inconclusive when the world was not steady before the first fault. The lab is left
    healed in every case. A wait in vain or a command that fails ends the run early: its `Wait` or
    `Command` event says so.
    """
    if broken := [" ".join(fault.target) for fault in lab.wan.journal()]:
        raise UsageError(
            f"{', '.join(broken)} of lab {lab.name} is broken already; a run begins with a whole"
            " lab: netemu heal --all"
        )
    if changed := changed_by_hand(lab):
        raise UsageError(
            f"{', '.join(changed[:3])} of lab {lab.name} are not as its file says; a run begins"
            " with paths that are: netemu path --clear"
        )
    _prepare_directory(directory, scenario, lab)
    _clean_slate(lab)
    seed_answers(lab, seed)
    chosen = _choose_phase(scenario, lab, random.Random(seed), phase)
    again = f"--phase-of {directory}" if phase else f"--seed {seed}"
    command = f"netemu run {directory / SCENARIO} {again}"
    shown = chosen.to_json() if chosen else {}
    header = make_header(lab, seed, scenario, command, scenario.traffic, shown)
    history = History()
    path = directory / "history.jsonl"
    path.write_bytes(encode(header.to_json()))
    history.feed(header)
    _record(Scene(lab, scenario, history, threading.Lock(), []), path, say, chosen)
    return Recorded(directory, history)


def _record(scene: Scene, path: Path, say: Say, phase: Phase | None) -> None:
    lab = scene.lab

    def listen(event: Event) -> None:
        with scene.lock:
            scene.history.feed(event)
        say(event)

    since = int(lab.wan.stats()["seq"]) + 1
    recorder = Recorder(lab.wan, path, listen, since)
    with recorder, OwnLines(lab, recorder.take) as own:
        try:
            Play(scene, recorder, own).run(phase)
        finally:
            with undisturbed():
                _leave_behind_nothing(lab)
        wait_until_idle(lab)
    recorder.check()
    own.check()


def _choose_phase(
    scenario: Scenario, lab: Lab, rng: random.Random, phase: Phase | None
) -> Phase | None:
    if scenario.first_fault_s is not None:
        return phase or random_phase(lab.plan, rng)
    cycle_s = max(service.ttl_s + 1 for service in lab.plan.services)
    lab.clock.sleep(rng.uniform(0, min(cycle_s, DELAY_S_MAX)))
    return None


def _clean_slate(lab: Lab) -> None:
    stop_traffic(lab)
    stop_own_clients(lab)
    wait_until_idle(lab)
    flush_caches(lab)


def _leave_behind_nothing(lab: Lab) -> None:
    try:
        heal_everything(lab)
        clear_paths(lab)
    finally:
        stop_traffic(lab)


def default_directory(scenario: Scenario, root: Path) -> Path:
    """`runs/<scenario>/<UTC time>`; a second run in the same second gets a number."""
    stamp = datetime.now(UTC).strftime("%Y-%m-%dT%H-%M-%S")
    base = root / scenario.name
    names = [stamp, *(f"{stamp}.{n}" for n in range(2, 100))]
    return next(base / name for name in names if not (base / name).exists())


def _beside(source: str) -> str:
    """The scenario with the copy of its topology, so that it can be run from where it lies."""
    return re.sub(r"^topology:\s*\S+", f"topology: {TOPOLOGY}", source, count=1, flags=re.MULTILINE)


def keep_files(directory: Path, scenario: Scenario, topology: Topology) -> None:
    """Make a directory that can be run again: the scenario, and its topology beside it."""
    try:
        directory.mkdir(parents=True)
        (directory / SCENARIO).write_text(_beside(scenario.source))
        (directory / TOPOLOGY).write_text(topology.source)
    except OSError as error:
        raise NetemuError(f"cannot write the run directory {directory}: {error}") from error


def _prepare_directory(directory: Path, scenario: Scenario, lab: Lab) -> None:
    keep_files(directory, scenario, lab.plan.topology)
    free = shutil.disk_usage(directory).free
    if free < 200 * 2**20:  # a run of 10 minutes at 200/s in 4 cities writes about 150 MB
        raise NetemuError(f"{directory} has only {free >> 20} MB left; a run needs 200 MB")
