"""Traffic with a history: on disk from its first line, measured while it grows and afterwards."""

from __future__ import annotations

import random
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path

from emulator.analysis.measurements import Measurements
from emulator.analysis.recovery import measure
from emulator.analysis.repeated import RunResult
from emulator.analysis.timeline import History
from emulator.analysis.verdict import verdicts
from emulator.clock import NS_PER_S
from emulator.controller.conditions import Scene
from emulator.controller.header import make_header
from emulator.controller.lab import Lab, begin_traces
from emulator.controller.own_lines import OwnLines, stop_own_clients
from emulator.controller.recorder import Listener, Recorder
from emulator.controller.signals import undisturbed
from emulator.controller.traffic import flush_caches, start_traffic, stop_traffic, wait_until_idle
from emulator.errors import Inconclusive, NetemuError
from emulator.events import Note, Wait, encode
from emulator.harness.result import Result
from emulator.harness.script import Script
from emulator.harness.waiting import hold_until
from emulator.scenario.model import Condition, Objective, Step
from emulator.wan.base import Event

STEADY_WITHIN_S = 8.0  # longer than a request can take, so that one bad moment is forgiven
PHASE_MAX_S = 6.0  # no test waits longer than that for its moment
MakeStep = Callable[[float, bool], Step]


class Recording:
    """One span of traffic. Beside `history.jsonl` lie the topology and, as `scenario.yaml`, what
    was done so far."""

    def __init__(self, lab: Lab, directory: Path, script: Script, say: Listener) -> None:
        self.directory = directory
        self.history = History()
        self.script = script
        self.faults: list[str] = []  # ids of what was injected
        self.has_begun = False
        self._lab = lab
        self._say = say
        self._growing = threading.Lock()  # the history grows in the recorder's thread
        self._recorder: Recorder | None = None
        self._zero_ns = self._ended_ns = 0
        self._measured: Measurements | None = None

    @property
    def is_running(self) -> bool:
        """Whether traffic still flows and events still come."""
        return self._recorder is not None

    @contextmanager
    def running(self) -> Iterator[None]:
        """Clean caches, traffic, every event on disk; then the end of the traffic."""
        lab = self._lab
        (self.directory / "topology.yaml").write_text(lab.plan.topology.source)
        stop_traffic(lab)
        stop_own_clients(lab)
        wait_until_idle(lab)
        flush_caches(lab)
        self._write_header()
        since = int(lab.wan.stats()["seq"]) + 1
        recorder = Recorder(lab.wan, self.directory / "history.jsonl", self._take, since)
        with recorder, OwnLines(lab, recorder.take) as own:
            self._recorder = recorder
            try:
                self._begin(own)
                yield
            finally:
                self._end()
                self._recorder = None
            wait_until_idle(lab)
        recorder.check()
        own.check()

    def check(self) -> None:
        """Raises what stopped the recording, if anything did."""
        if self._recorder is not None:
            self._recorder.check()

    def add(self, event: Event) -> None:
        """One more event, which the lab does not know of."""
        if self._recorder is not None:
            self._recorder.take(event)

    @contextmanager
    def step(self, make: MakeStep) -> Iterator[None]:
        """A step that happens now; `make` is told when that is, as a scenario says it."""
        now = self._lab.clock.now_ns()
        is_after = bool(self.script.steps)
        since = self._ended_ns if is_after else self._zero_ns
        self.script.steps.append(make((now - since) / NS_PER_S, is_after))
        self._write_script()
        try:
            yield
        finally:
            self._ended_ns = self._lab.clock.now_ns()

    @contextmanager
    def held(self) -> Iterator[History]:
        """The history, which does not grow meanwhile."""
        self.check()
        with self._growing:
            yield self.history

    def measured(self) -> Measurements:
        """All figures of what is known by now."""
        if self._measured is not None:
            return self._measured
        with self.held() as history:
            if not self.is_running:
                self._measured = measure(history)
                return self._measured
            history.notes.append(Note(t=history.last_ns, text="end"))  # as if it ended here
            try:
                return measure(history)
            finally:
                history.notes.pop()

    def must(self, objective: Objective) -> None:
        """An objective that the report tells of, and whoever does this again holds it against."""
        if objective.text in self.script.objectives:
            return
        self.script.objectives.append(objective.text)
        self._write_script()
        with self.held() as history:
            assert history.run is not None  # noqa: S101 - every recording begins with its header
            known = [*history.run.objectives, asdict(objective)]
            history.run = replace(history.run, objectives=known)

    def result(self) -> Result:
        """Measured and judged, by what was asked with `check`."""
        measured = self.measured()
        with self.held() as history:
            judged = verdicts(measured, history)
            run = RunResult(str(self.directory), history.run, measured, judged)
        scenario = self.directory / "scenario.yaml"
        return Result(scenario, self.script.seed, self.directory, (run,), history)

    def scene(self) -> Scene:
        """What conditions are judged by."""
        scenario = self.script.scenario()
        return Scene(self._lab, scenario, self.history, self._growing, self.faults)

    def wait_until(self, condition: Condition, within_s: float) -> tuple[str, ...]:
        """Wait for a condition; what is still missing in the end. The history tells of it."""
        wan = self._lab.wan
        began = wan.now_ns()
        lacking = hold_until(condition, self.scene(), within_s, self.check)
        wait = Wait(
            t=wan.now_ns(),
            text=condition.text,
            began=began,
            within_s=within_s,
            met=not lacking,
            detail="; ".join(lacking),
        )
        wan.mark(wait.to_json())
        return lacking

    def wait_until_steady(self) -> None:
        """Wait for the steady state, at a moment that nobody chose: a kill is as likely early as
        late in the life of a cached answer. Raises Inconclusive if it does not come."""
        scene = self.scene()
        ttl_s = max(service.ttl_s for service in self._lab.plan.services)
        phase_s = random.Random(self.script.seed).uniform(0, min(ttl_s, PHASE_MAX_S))
        self._lab.clock.sleep(scene.scenario.steady_state.over_s + phase_s)
        steady = Condition("steady", "steady")
        if lacking := hold_until(steady, scene, STEADY_WITHIN_S, self.check):
            raise Inconclusive(f"the lab was not steady, so nothing was broken: {lacking[0]}")

    def _take(self, event: Event) -> None:
        with self._growing:
            self.history.feed(event)
        self._say(event)

    def _write_header(self) -> None:
        self._write_script()
        scenario = self.script.scenario()
        command = f"test {self.script.name}"
        header = make_header(self._lab, self.script.seed, scenario, command, scenario.traffic)
        (self.directory / "history.jsonl").write_bytes(encode(header.to_json()))
        self.history.feed(header)

    def _write_script(self) -> None:
        (self.directory / "scenario.yaml").write_text(self.script.render("topology.yaml"))

    def _begin(self, own: OwnLines) -> None:
        begin_traces(self._lab)  # second 0 of a trace is second 0 of the traffic
        start_traffic(self._lab, self.script.traffic)
        own.start()
        self._mark("traffic")
        self.has_begun = True
        self._zero_ns = self._ended_ns = self._lab.clock.now_ns()

    def _end(self) -> None:
        with undisturbed():
            self.script.end_s = (self._lab.clock.now_ns() - self._ended_ns) / NS_PER_S
            self._write_script()
            try:
                self._mark("end")
            finally:
                stop_traffic(self._lab)

    def _mark(self, text: str) -> None:
        self._lab.wan.mark(Note(t=self._lab.wan.now_ns(), text=text).to_json())


def new_directory(root: Path, name: str) -> Path:
    """`root/<name>/<UTC time>`, made now; one of many in the same second gets a number."""
    stamp = datetime.now(UTC).strftime("%Y-%m-%dT%H-%M-%S")
    for suffix in ("", *(f".{n}" for n in range(2, 1000))):
        directory = root / re.sub(r"[^\w.-]+", "-", name).strip("-") / f"{stamp}{suffix}"
        try:
            directory.mkdir(parents=True)
        except FileExistsError:
            continue
        except OSError as error:
            raise NetemuError(f"cannot write the run directory {directory}: {error}") from error
        return directory
    raise NetemuError(f"cannot find a free name in {root / name}")


def random_seed() -> int:
    """A seed to be recorded."""
    return random.SystemRandom().randrange(2**31)
