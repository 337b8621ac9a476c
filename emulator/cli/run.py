"""run: scenarios, each in a lab of its own or in one that runs; once, or at many phases."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import click

from emulator.analysis.repeated import RunResult
from emulator.cli.common import attached, console, progress_bar, when_stopped
from emulator.cli.files import refuse_topology
from emulator.cli.outputs import (
    Finished,
    Outputs,
    exit_of,
    one_line,
    report_text,
    show,
    show_overview,
    worst,
    write_file,
)  # fmt: skip
from emulator.cli.report import history_of
from emulator.controller.lab import Lab, bring_up, remove_lab
from emulator.controller.phase import Phase
from emulator.controller.prepare import prepare
from emulator.controller.ready import wait_until_ready
from emulator.controller.repeat import run_once, run_repeatedly
from emulator.controller.runner import default_directory
from emulator.controller.signals import undisturbed
from emulator.engine.docker import DockerEngine
from emulator.engine.image import ensure_node_image
from emulator.errors import UsageError
from emulator.plan import make_plan
from emulator.report.live import Narrator
from emulator.scenario.model import Scenario, WaitUntil
from emulator.topology.model import Topology
from emulator.wan.base import Event
from emulator.wan.remote import RemoteWan

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

    The exit code says how it went: 0 passed, 1 an objective was missed, 3 inconclusive. Of several
    scenarios the worst counts: missed, then inconclusive.
    """
    for file in files:
        refuse_topology(file)
    outputs = Outputs(json_file, html_file, junit_file)
    outputs.check(len(files))
    prepared = [prepare(file) for file in files]
    wanted = _Wanted(name, root, seed, runs, _phase(phase_of, runs, seed))
    finished: list[Finished] = []
    try:
        for scenario, topology in prepared:
            done = _run(scenario, topology, wanted)
            write_file(done.directory / "report.json", report_text(done))
            outputs.write(done)
            show(done, console())
            finished.append(replace(done, history=None))  # many scenarios, one in memory
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


def _run(scenario: Scenario, topology: Topology, wanted: _Wanted) -> Finished:
    chosen = next(
        seed
        for seed in (wanted.seed, scenario.seed, random.SystemRandom().randrange(2**31))
        if seed is not None
    )
    with _the_lab(topology, wanted.lab) as lab:
        directory = default_directory(scenario, wanted.root)
        runs = 1 if wanted.phase else wanted.runs or scenario.runs
        how_long = f"{'at most ' if _waits(scenario) else ''}{scenario.longest_s:.0f} s"
        times = f"{runs} runs of {how_long}" if runs > 1 else how_long
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
    return any(isinstance(step, WaitUntil) for step in scenario.steps)


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
    own = f"{topology.name}-{random.SystemRandom().randrange(16**4):04x}"
    engine = DockerEngine()
    when_stopped("stopping: the lab is removed, what was recorded is kept")
    try:
        with progress_bar() as progress:
            image = ensure_node_image(progress)
            lab = bring_up(make_plan(topology, own), engine, RemoteWan, image, progress)
        yield lab
    finally:
        with undisturbed():
            remove_lab(engine, own)


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
