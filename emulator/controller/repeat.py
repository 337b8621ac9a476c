"""One scenario many times on one lab, with the first fault at another phase each time."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from emulator.analysis.recovery import measure
from emulator.analysis.repeated import RunResult
from emulator.analysis.timeline import History, read_history
from emulator.analysis.verdict import verdicts
from emulator.controller.lab import Lab
from emulator.controller.phase import Phase, spread_phases
from emulator.controller.ready import wait_until_ready
from emulator.controller.runner import Say, run_scenario
from emulator.controller.traffic import flush_caches
from emulator.errors import Inconclusive
from emulator.scenario.model import Scenario

Told = Callable[[RunResult], None]


def run_repeatedly(
    scenario: Scenario, lab: Lab, directory: Path, seed: int, runs: int, say: Say, told: Told
) -> list[RunResult]:
    """Runs in `directory/run-01`, `directory/run-02` ...; `seed` chooses their phases, which cover
    the cycles evenly. Where no fault's time is known beforehand only a random delay differs.

    An inconclusive run is one of the results, with its reason; none is repeated. `told` gets each
    result at once: an error ends the runs, and what was told stays true. Histories are not kept
    in memory.
    """
    chosen: list[Phase | None] = [None] * runs
    if scenario.first_fault_s is not None:
        chosen = [*spread_phases(lab.plan, runs, seed)]
    return run_at_phases(scenario, lab, directory, seed, chosen, say, told)


def run_at_phases(
    scenario: Scenario,
    lab: Lab,
    directory: Path,
    seed: int,
    phases: list[Phase | None],
    say: Say,
    told: Told,
) -> list[RunResult]:
    """As `run_repeatedly`, one run at each of these phases."""
    results: list[RunResult] = []
    digits = max(2, len(str(len(phases))))
    for number, phase in enumerate(phases, start=1):
        if results:
            flush_caches(lab)  # a resolver does not go on avoiding a name server of the run before
            lab.measured_ns = wait_until_ready(lab.plan, lab.wan, lab.clock)
        place = directory / f"run-{number:0{digits}}"
        own_seed = seed if phase else seed + number
        results.append(_run(scenario, lab, place, own_seed, say, phase))
        told(results[-1])
    return results


def _run(
    scenario: Scenario, lab: Lab, directory: Path, seed: int, say: Say, phase: Phase | None
) -> RunResult:
    return run_once(scenario, lab, directory, seed, say, phase)[0]


def run_once(
    scenario: Scenario,
    lab: Lab,
    directory: Path,
    seed: int,
    say: Say,
    phase: Phase | None = None,
) -> tuple[RunResult, History]:
    """One run, measured and judged; where it was not steady before the first fault, what there is
    of it, with that reason."""
    try:
        history = run_scenario(scenario, lab, directory, seed, say, phase).history
    except Inconclusive:  # the history says why
        history = read_history(directory / "history.jsonl")
    measured = measure(history)
    decided = verdicts(measured, history)
    return RunResult(str(directory), history.run, measured, decided), history
