"""Run a scenario on a lab: clean slate, steady traffic, the steps at their times, the end.

The history is on disk before anything is concluded from it. Faults never stay behind.
"""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from emulator.analysis.timeline import Client, History
from emulator.clock import NS_PER_S, Clock
from emulator.controller.header import make_header
from emulator.controller.inject import heal, heal_everything, inject
from emulator.controller.lab import Lab
from emulator.controller.recorder import Recorder
from emulator.controller.signals import undisturbed
from emulator.controller.traffic import (
    cities,
    flush_caches,
    start_traffic,
    stop_traffic,
    wait_until_idle,
)
from emulator.errors import Inconclusive, NetemuError, UsageError
from emulator.events import Note, encode
from emulator.scenario.model import Heal, Kill, Scenario, Step
from emulator.wan.base import Event

Say = Callable[[Event], None]
STEADY_S = 2.0  # the last seconds before the first fault must be without a failure


@dataclass(frozen=True, slots=True)
class Recorded:
    """A finished run: where it is, and its history."""

    directory: Path
    history: History


def run_scenario(scenario: Scenario, lab: Lab, directory: Path, seed: int, say: Say) -> Recorded:
    """Raises Inconclusive when the world was not steady before the first fault; the lab is left
    healed in every case."""
    if broken := [" ".join(fault.target) for fault in lab.wan.journal()]:
        raise UsageError(
            f"{', '.join(broken)} of lab {lab.name} is broken already; a run begins with a whole"
            " lab: netemu heal --all"
        )
    _prepare_directory(directory, scenario, lab)
    _clean_slate(lab, seed)
    header = make_header(
        lab, seed, scenario.name, f"netemu run {scenario.name}", _rates(scenario),
        scenario.objectives,
    )  # fmt: skip
    history = History()
    path = directory / "history.jsonl"
    path.write_bytes(encode(header.to_json()))
    history.feed(header)

    def listen(event: Event) -> None:
        history.feed(event)
        say(event)

    since = int(lab.wan.stats()["seq"]) + 1
    with Recorder(lab.wan, path, listen, since) as recorder:
        try:
            _play(scenario, lab, history, recorder)
        finally:
            with undisturbed():
                _leave_behind_nothing(lab)
        wait_until_idle(lab)
    recorder.check()
    return Recorded(directory, history)


def _rates(scenario: Scenario) -> dict[str, float]:
    return {load.kind: load.rate for load in scenario.traffic.loads}


def _leave_behind_nothing(lab: Lab) -> None:
    try:
        heal_everything(lab)
    finally:
        stop_traffic(lab)


def default_directory(scenario: Scenario, root: Path) -> Path:
    """`runs/<scenario>/<UTC time>`; a second run in the same second gets a number."""
    stamp = datetime.now(UTC).strftime("%Y-%m-%dT%H-%M-%S")
    base = root / scenario.name
    names = [stamp, *(f"{stamp}.{n}" for n in range(2, 100))]
    return next(base / name for name in names if not (base / name).exists())


def _prepare_directory(directory: Path, scenario: Scenario, lab: Lab) -> None:
    try:
        directory.mkdir(parents=True)
        (directory / "scenario.yaml").write_text(scenario.source)
        (directory / "topology.yaml").write_text(lab.plan.topology.source)
        free = shutil.disk_usage(directory).free
    except OSError as error:
        raise NetemuError(f"cannot write the run directory {directory}: {error}") from error
    if free < 200 * 2**20:  # a run of 10 minutes at 200/s in 4 cities writes about 150 MB
        raise NetemuError(f"{directory} has only {free >> 20} MB left; a run needs 200 MB")


def _clean_slate(lab: Lab, seed: int) -> None:
    stop_traffic(lab)
    wait_until_idle(lab)
    flush_caches(lab)
    cycle_s = max(s.ttl_s + 1 for s in lab.plan.services)
    lab.clock.sleep(random.Random(seed).uniform(0, min(cycle_s, 6.0)))


def _play(scenario: Scenario, lab: Lab, history: History, recorder: Recorder) -> None:
    start_traffic(lab, _rates(scenario))
    began = lab.wan.now_ns()
    lab.wan.mark(Note(t=began, text="traffic").to_json())
    zero = lab.clock.now_ns()
    broken = False
    for step in scenario.steps:
        _wait_until(zero + round(step.at_s * NS_PER_S), recorder, lab.clock)
        if not broken and isinstance(step, Kill):
            _check_steady(history, lab, _rates(scenario))
            broken = True
        _take(step, lab)
    _wait_until(zero + round(scenario.end_s * NS_PER_S), recorder, lab.clock)
    lab.wan.mark(Note(t=lab.wan.now_ns(), text="end").to_json())


def _take(step: Step, lab: Lab) -> None:
    if isinstance(step, Kill):
        inject(lab, step.target, step.how, step.peers, step.settings)
    elif isinstance(step, Heal):
        heal(lab, step.target)


def _wait_until(moment_ns: int, recorder: Recorder, clock: Clock) -> None:
    while (left := moment_ns - clock.now_ns()) > 0:
        clock.sleep(min(left / NS_PER_S, 0.5))
        recorder.check()


def _check_steady(history: History, lab: Lab, rates: Mapping[str, float]) -> None:
    """The two classic mistakes of failover tests: nothing ran, or it was broken before."""
    now = lab.wan.now_ns()
    senders = [(c, kind, rate) for c in cities(lab) for kind, rate in rates.items() if rate]
    for city, kind, rate in senders:
        window_s = max(STEADY_S, 3 / rate)
        requests = history.requests.get(Client(city, kind), [])
        recent = [r for r in requests if r.t > now - window_s * NS_PER_S]
        failed = [r for r in recent if r.outcome != "ok"]
        if not recent or failed:
            what = f"{len(failed)} of {len(recent)} requests failed" if recent else "no requests"
            raise Inconclusive(
                f"the lab was not steady before the first fault, so nothing was injected: "
                f"{city} over {kind}: {what} in the last {window_s:.0f} s"
            )
