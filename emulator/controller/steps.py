"""The steps of a scenario at their times, and what falls due between them.

Times count on netemu's own clock from the start of the traffic. Whatever a step waits for, faults
that were injected for a while are healed when their time is over.
"""

from __future__ import annotations

import math

from emulator.clock import NS_PER_S
from emulator.controller.commands import run_command
from emulator.controller.conditions import Scene, missing, steady_problems
from emulator.controller.inject import heal, heal_fault, inject
from emulator.controller.lab import begin_traces
from emulator.controller.own_lines import OwnLines
from emulator.controller.paths import change_paths, clear_paths
from emulator.controller.phase import Phase, begin_ttl, checked_region, place
from emulator.controller.recorder import Recorder
from emulator.controller.traffic import start_traffic
from emulator.errors import Inconclusive
from emulator.events import CACHES_EMPTIED, PROVES_NOTHING, Note, Wait
from emulator.scenario.model import (
    ClearPath,
    Count,
    Exec,
    Heal,
    Kill,
    SetPath,
    Step,
    WaitUntil,
)

LOOK_S = 0.5  # at the recording, at least so often
POLL_S = 0.2  # a wait looks so often, and
REST = 4  # rests this many times as long as its look took: looking must not starve the lab
# The steady state is looked at so long before the first fault: the look must not delay it.
BEFORE_FAULT_S = 0.1
TOLD_MOST = 3  # things that are wrong, in one message


class Play:
    """One run of the steps. `scene.faults` are the faults that it has injected."""

    def __init__(self, scene: Scene, recorder: Recorder, own: OwnLines) -> None:
        self._scene = scene
        self._lab = scene.lab
        self._clock = scene.lab.clock
        self._recorder = recorder
        self._own = own
        self._heal_at: dict[str, float] = {}  # fault id -> ns; infinite: not by itself
        self._clear_at: dict[str, float] = {}  # path -> ns
        self._flush_at = math.inf  # ns: when the resolvers' caches are emptied

    def run(self, phase: Phase | None) -> None:
        """Traffic, every step, the end; or no more steps once a wait was in vain or a command
        failed."""
        scenario = self._scene.scenario
        zero = ended = self._start(phase)
        for step in scenario.steps:
            self._take_time(step, (ended if step.is_after else zero) + _ns(step.at_s))
            if not self._take(step):
                break
            ended = self._clock.now_ns()
        else:
            self._pass_until((ended if scenario.end_is_after else zero) + _ns(scenario.end_s))
        self._lab.wan.mark(Note(t=self._lab.wan.now_ns(), text="end").to_json())

    def _start(self, phase: Phase | None) -> int:
        """Start the traffic; the instant that steps count from."""
        start = self._place(phase) if phase else self._clock.now_ns()
        self._pass_until(start)
        begin_traces(self._lab)  # second 0 of a trace is second 0 of the run
        start_traffic(self._lab, self._scene.scenario.traffic)
        self._own.start()
        self._lab.wan.mark(Note(t=self._lab.wan.now_ns(), text="traffic").to_json())
        return start

    def _place(self, phase: Phase) -> int:
        first = next(step for step in self._scene.scenario.steps if isinstance(step, Kill))
        region = checked_region(self._lab.plan, first.target)
        placed = place(self._lab, phase, first.at_s, region)
        self._flush_at = placed.flush_ns
        return placed.start_ns

    def _take_time(self, step: Step, moment_ns: int) -> None:
        """Wait for a step's time. The first fault needs a steady world."""
        if isinstance(step, Kill) and not self._scene.faults:
            self._pass_until(moment_ns - _ns(BEFORE_FAULT_S))
            self._check_steady()
        self._pass_until(moment_ns)

    def _check_steady(self) -> None:
        """The two classic mistakes of failover tests: nothing ran, or it was broken before."""
        if wrong := steady_problems(self._scene):
            why = "the lab was not steady before the first fault, so nothing was injected: "
            why += _told(wrong)
            now = self._lab.wan.now_ns()
            self._lab.wan.mark(Note(t=now, text=PROVES_NOTHING + why).to_json())
            raise Inconclusive(why)

    def _take(self, step: Step) -> bool:
        """False: a wait in vain, a command that failed."""
        if isinstance(step, WaitUntil):
            return self._wait(step)
        if isinstance(step, Exec):
            return self._run(step)
        if isinstance(step, Kill):
            self._inject(step)
        elif isinstance(step, Heal):
            for healed in heal(self._lab, step.target):
                self._heal_at.pop(healed.id, None)
        elif isinstance(step, SetPath):
            self._set_path(step)
        else:
            self._clear_path(step)
        return True

    def _set_path(self, step: SetPath) -> None:
        began = self._clock.now_ns()
        change_paths(self._lab, step.path, step.values, step.trace)
        self._clear_at.pop(step.path, None)
        if step.for_s is not None:
            self._clear_at[step.path] = began + _ns(step.for_s)

    def _clear_path(self, step: ClearPath) -> None:
        clear_paths(self._lab, step.path or None)
        for path in [step.path] if step.path else [*self._clear_at]:
            self._clear_at.pop(path, None)

    def _inject(self, step: Kill) -> None:
        """A fault that is active already goes on, and lasts until the later of its ends."""
        began = self._clock.now_ns()
        fault = inject(self._lab, step.target, step.how, step.peers, step.settings)
        if fault.id not in self._scene.faults:
            self._scene.faults.append(fault.id)
        is_self_healing = step.for_s is None or step.how == "flap"  # the keeper ends a flap
        until = math.inf if is_self_healing else began + _ns(step.for_s or 0.0)
        self._heal_at[fault.id] = max(until, self._heal_at.get(fault.id, 0))

    def _wait(self, step: WaitUntil) -> bool:
        """Look until the condition is met or the time for it is over, and say which."""
        clock, wan = self._clock, self._lab.wan
        began, deadline = wan.now_ns(), clock.now_ns() + _ns(step.within_s)
        while True:
            looked = clock.now_ns()
            lacking = missing(step.condition, self._scene, began)
            now = clock.now_ns()
            if not lacking or now >= deadline:
                break
            self._pass_until(min(deadline, now + max(_ns(POLL_S), REST * (now - looked))))
        wan.mark(
            Wait(
                t=wan.now_ns(), text=step.condition.text, began=began, within_s=step.within_s,
                met=not lacking, detail=_told(lacking),
            ).to_json()
        )  # fmt: skip
        return not lacking

    def _run(self, step: Exec) -> bool:
        """Run a program to its end; what a count found goes around the lab, which would have to
        keep it."""
        verb = "count" if isinstance(step, Count) else "exec"
        ran = run_command(self._lab, verb, step.host, step.argv, step.within_s, self._pass_until)
        if verb == "count" and ran.is_good:
            self._recorder.take(ran.held().to_json())
        self._lab.wan.mark(ran.told.to_json())
        return ran.is_good

    def _pass_until(self, moment_ns: int) -> None:
        """Let the time pass, and do what falls due in it."""
        while True:
            self._recorder.check()
            self._do_what_is_due()
            now = self._clock.now_ns()
            if now >= moment_ns:
                return
            due = min(self._flush_at, *self._heal_at.values(), *self._clear_at.values(), moment_ns)
            self._clock.sleep(min(LOOK_S, (due - now) / NS_PER_S))

    def _do_what_is_due(self) -> None:
        now = self._clock.now_ns()
        if now >= self._flush_at:
            self._flush_at = math.inf
            self._lab.wan.mark(Note(t=self._lab.wan.now_ns(), text=CACHES_EMPTIED).to_json())
            begin_ttl(self._lab)
        for fault_id in [known for known, at in self._heal_at.items() if now >= at]:
            del self._heal_at[fault_id]
            heal_fault(self._lab, fault_id)
        for path in [known for known, at in self._clear_at.items() if now >= at]:
            del self._clear_at[path]
            clear_paths(self._lab, path)


def _told(problems: tuple[str, ...]) -> str:
    more = len(problems) - TOLD_MOST
    return "; ".join(problems[:TOLD_MOST]) + (f"; and {more} more" if more > 0 else "")


def _ns(seconds: float) -> int:
    return round(seconds * NS_PER_S)
