"""run: scenarios, each in a lab of its own or in one that runs; once, or at many phases."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import click

from emulator.analysis.repeated import RunResult
from emulator.analysis.sweep import Sweep
from emulator.cli.common import attached, console, own_lab, when_stopped
from emulator.cli.files import refuse_topology
from emulator.cli.outputs import (
    Done,
    Finished,
    Outputs,
    exit_of,
    one_line,
    report_text,
    show,
    show_overview,
    without_history,
    worst,
    write_file,
)  # fmt: skip
from emulator.cli.report import history_of
from emulator.controller.lab import Lab
from emulator.controller.phase import Phase
from emulator.controller.prepare import Variant, prepare, variants
from emulator.controller.ready import wait_until_ready
from emulator.controller.repeat import Told, run_once, run_repeatedly
from emulator.controller.runner import default_directory
from emulator.controller.sweep import run_sweep
from emulator.errors import UsageError
from emulator.report.live import Narrator
from emulator.scenario.model import Scenario, patience_s
from emulator.topology.model import Topology
from emulator.wan.base import Event

_path = click.Path(path_type=Path)


@dataclass(frozen=True, slots=True)
class _Wanted:
    """How the scenarios are to be run."""

    lab: str | None
    root: Path
    seed: int | None
    runs: int | None
    phase: Phase | None


@click.command()
@click.argument("files", metavar="SCENARIO...", nargs=-1, required=True, type=_path)
@click.option("--runs", type=click.IntRange(1, 1000), metavar="N",
              help="So often, each time at another phase of health checks and caches.")  # fmt: skip
@click.option("--lab", "name", metavar="LAB", help="Use a running lab and leave it running.")
@click.option("--json", "json_file", type=_path, metavar="FILE", help="The report for programs.")
@click.option("--html", "html_file", type=_path, metavar="FILE", help="The report for people.")
@click.option("--junit", "junit_file", type=_path, metavar="FILE", help="Verdicts for CI systems.")
@click.option("--seed", type=int, help="Repeat a run's phases; printed by every run.")
@click.option("--phase-of", "phase_of", type=_path, metavar="RUN",
              help="Strike at the phase at which that run's fault was planned.")  # fmt: skip
@click.option("--directory", "root", type=_path, default=Path("runs"), show_default=True,
              help="Where run directories are made.")  # fmt: skip
def run(  # noqa: PLR0913, PLR0917 - click hands over one argument an option
    files: tuple[Path, ...],
    runs: int | None,
    name: str | None,
    json_file: Path | None,
    html_file: Path | None,
    junit_file: Path | None,
    seed: int | None,
    phase_of: Path | None,
    root: Path,
) -> int:
    """Run each SCENARIO: traffic, faults, heal; then say what happened and why it took that long.

    \b
    netemu run topologies/scenarios/region-loss.yaml
    netemu run topologies/scenarios/region-loss.yaml --html report.html --junit report.xml
    netemu run topologies/scenarios/region-loss.yaml --runs 20
    netemu run topologies/scenarios/region-loss.yaml --lab two-region --seed 7
    netemu run topologies/scenarios/region-loss.yaml --phase-of runs/nightly/run-07
    netemu run topologies/scenarios/*.yaml --junit report.xml

    With `vary:` in it, once for each value, and all of them in one table.

    The exit code says how it went: 0 passed, 1 an objective was missed, 3 inconclusive. Of several
    scenarios the worst counts: missed, then inconclusive.
    """
    for file in files:
        refuse_topology(file)
    outputs = Outputs(json_file, html_file, junit_file)
    outputs.check(len(files))
    prepared = [prepare(file) for file in files]
    wanted = _Wanted(name, root, seed, runs, _phase(phase_of, runs, seed))
    _check_sweeps(prepared, wanted)
    finished: list[Done] = []
    try:
        for file, (scenario, topology) in zip(files, prepared, strict=True):
            done = _done(file, scenario, topology, wanted)
            write_file(Path(done.directory) / "report.json", report_text(done))
            outputs.write(done)
            show(done, console())
            outputs.say_pages(done, console())
            finished.append(without_history(done))  # many scenarios, one in memory
    finally:
        outputs.write_junit(finished)  # also of those before one that could not be run
    if len(finished) > 1:
        show_overview(finished, console())
    return worst([exit_of(done) for done in finished])


def _phase(run: Path | None, runs: int | None, seed: int | None) -> Phase | None:
    """Of a recorded run. Raises UsageError where that has none."""
    if run is None:
        return None
    if runs is not None or seed is not None:
        raise UsageError("--phase-of is one run at a known phase: leave --runs and --seed out")
    header = history_of(run).run
    try:
        return Phase.from_json(header.phase if header else {})
    except ValueError as error:
        raise UsageError(f"{run} has no phase to strike at again: {error}") from error


def _done(file: Path, scenario: Scenario, topology: Topology, wanted: _Wanted) -> Done:
    if chosen := variants(scenario, topology, file):
        return _sweep(scenario, topology, chosen, wanted)
    return _run(scenario, topology, wanted)


def _check_sweeps(prepared: Sequence[tuple[Scenario, Topology]], wanted: _Wanted) -> None:
    """A sweep needs labs of its own, and phases in cycles that differ. Raises UsageError."""
    for scenario, vary in ((scenario, scenario.vary) for scenario, _ in prepared):
        if vary and wanted.lab:
            what = f"{scenario.name} varies {vary.setting}, each value in a lab of its own"
            raise UsageError(f"{what}: leave --lab out")
        if vary and wanted.phase:
            what = f"{scenario.name} varies {vary.setting}, and a phase is of one run"
            raise UsageError(f"{what}: take the scenario.yaml of a run of the value that is meant")


def _seed(scenario: Scenario, wanted: _Wanted) -> int:
    known = (wanted.seed, scenario.seed, random.SystemRandom().randrange(2**31))
    return next(seed for seed in known if seed is not None)


def _sweep(
    scenario: Scenario, topology: Topology, chosen: Sequence[Variant], wanted: _Wanted
) -> Sweep:
    """Every value at the same phases, since they come from the same seed."""
    seed, runs = _seed(scenario, wanted), wanted.runs or scenario.runs
    directory = default_directory(scenario, wanted.root)
    setting = scenario.vary.setting if scenario.vary else ""
    out = console()

    def run_value(variant: Variant, place: Path, told: Told) -> None:
        out.print(f"{scenario.name}, {setting} = {variant.value}, {_times(scenario, runs)},"
                  f" seed {seed}: {place}", soft_wrap=True)  # fmt: skip

        def tell(result: RunResult) -> None:
            out.print(one_line(result), soft_wrap=True)
            told(result)

        with own_lab(variant.topology) as lab:
            run_repeatedly(variant.scenario, lab, place, seed, runs, _in_silence, tell)

    try:
        return run_sweep(scenario, topology, chosen, directory, run_value)
    except BaseException:
        if directory.exists():
            click.echo(f"values so far: {directory}; see: netemu report {directory}", err=True)
        raise


def _times(scenario: Scenario, runs: int) -> str:
    how_long = f"{'at most ' if _waits(scenario) else ''}{scenario.longest_s:.0f} s"
    return f"{runs} runs of {how_long}" if runs > 1 else how_long


def _run(scenario: Scenario, topology: Topology, wanted: _Wanted) -> Finished:
    chosen = _seed(scenario, wanted)
    with _the_lab(topology, wanted.lab) as lab:
        directory = default_directory(scenario, wanted.root)
        runs = 1 if wanted.phase else wanted.runs or scenario.runs
        times = _times(scenario, runs)
        console().print(f"{scenario.name} on {lab.name}, {times}, seed {chosen}: {directory}")
        try:
            if runs == 1:
                return _once(scenario, lab, directory, chosen, wanted.phase)
            return _repeatedly(scenario, lab, directory, chosen, runs)
        except BaseException:
            if directory.exists():
                click.echo(_history_so_far(directory), err=True)
            raise


def _waits(scenario: Scenario) -> bool:
    return any(patience_s(step) for step in scenario.steps)


def _history_so_far(directory: Path) -> str:
    first = directory if (directory / "history.jsonl").exists() else directory / "run-01"
    return f"history so far: {directory}; see: netemu report {first}"


@contextmanager
def _the_lab(topology: Topology, name: str | None) -> Iterator[Lab]:
    """The running lab that was named, or one of this run's own, removed however the run ends."""
    if name:
        with attached(name) as lab:
            when_stopped("stopping: faults are healed, what was recorded is kept")
            lab.measured_ns = wait_until_ready(lab.plan, lab.wan)
            yield lab
        return
    with own_lab(topology) as lab:
        yield lab


def _once(
    scenario: Scenario, lab: Lab, directory: Path, seed: int, phase: Phase | None
) -> Finished:
    began = time.monotonic()
    tell = Narrator(console(), lab.plan).feed
    result, history = run_once(scenario, lab, directory, seed, tell, phase)
    return Finished(scenario.name, directory, (result,), time.monotonic() - began, history)


def _repeatedly(scenario: Scenario, lab: Lab, directory: Path, seed: int, runs: int) -> Finished:
    out, began = console(), time.monotonic()

    def tell(result: RunResult) -> None:
        out.print(one_line(result), soft_wrap=True)

    results = run_repeatedly(scenario, lab, directory, seed, runs, _in_silence, tell)
    return Finished(scenario.name, directory, tuple(results), time.monotonic() - began)


def _in_silence(event: Event) -> None:
    """The moments of one run of many are in its report."""
