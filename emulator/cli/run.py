"""run: a scenario from nothing to a verdict."""

from __future__ import annotations

import json
import random
from pathlib import Path

import click

from emulator.analysis.recovery import measure
from emulator.cli.common import attached, console, progress_bar, when_stopped
from emulator.cli.files import refuse_topology, verdict_code
from emulator.controller.lab import Lab, bring_up, remove_lab
from emulator.controller.prepare import prepare
from emulator.controller.ready import wait_until_ready
from emulator.controller.runner import Recorded, default_directory, run_scenario
from emulator.controller.signals import undisturbed
from emulator.engine.docker import DockerEngine
from emulator.engine.image import ensure_node_image
from emulator.errors import UsageError
from emulator.plan import make_plan
from emulator.report.json import report_json
from emulator.report.live import Narrator
from emulator.report.terminal import render_report
from emulator.scenario.model import Scenario
from emulator.topology.model import Topology
from emulator.wan.remote import RemoteWan


@click.command()
@click.argument("file", metavar="SCENARIO", type=click.Path(path_type=Path))
@click.option("--lab", "name", metavar="LAB", help="Use a running lab and leave it running.")
@click.option("--json", "json_file", type=click.Path(path_type=Path), help="Write the report here.")
@click.option("--seed", type=int, help="Repeat a run's random phase; printed by every run.")
@click.option("--directory", "root", type=click.Path(path_type=Path), default=Path("runs"),
              help="Where run directories are made.", show_default=True)  # fmt: skip
def run(file: Path, name: str | None, json_file: Path | None, seed: int | None, root: Path) -> int:
    """Run SCENARIO: traffic, faults, heal; then say what happened and why it took that long.

    \b
    netemu run topologies/scenarios/region-loss.yaml
    netemu run topologies/scenarios/region-loss.yaml --json report.json
    netemu run topologies/scenarios/region-loss.yaml --lab two-region --seed 7

    The exit code says how it went: 0 passed, 1 an objective was missed, 3 inconclusive.
    """
    refuse_topology(file)
    scenario, topology = prepare(file)
    if json_file:
        _check_writable(json_file)
    if name:
        with attached(name) as lab:
            when_stopped("stopping: faults are healed, what was recorded is kept")
            lab.measured_ns = wait_until_ready(lab.plan, lab.wan)
            recorded = _play(scenario, lab, root, seed)
    else:
        recorded = _play_alone(scenario, topology, root, seed)
    return _conclude(recorded, json_file)


def _check_writable(file: Path) -> None:
    """Now, rather than after a minute of traffic."""
    if file.is_dir() or not file.parent.is_dir():
        raise UsageError(f"cannot write {file}: give a file in a directory that exists")


def _play_alone(scenario: Scenario, topology: Topology, root: Path, seed: int | None) -> Recorded:
    """A lab of this run's own, removed however the run ends."""
    lab_name = f"{topology.name}-{random.SystemRandom().randrange(16**4):04x}"
    engine = DockerEngine()
    when_stopped("stopping: the lab is removed, what was recorded is kept")
    try:
        with progress_bar() as progress:
            image = ensure_node_image(progress)
            lab = bring_up(make_plan(topology, lab_name), engine, RemoteWan, image, progress)
        return _play(scenario, lab, root, seed)
    finally:
        with undisturbed():
            remove_lab(engine, lab_name)


def _play(scenario: Scenario, lab: Lab, root: Path, seed: int | None) -> Recorded:
    chosen = next(s for s in (seed, scenario.seed, random.SystemRandom().randrange(2**31))
                  if s is not None)  # fmt: skip
    out = console()
    directory = default_directory(scenario, root)
    out.print(f"{scenario.name} on {lab.name}, {scenario.end_s:.0f} s, seed {chosen}: {directory}")
    narrator = Narrator(out, lab.plan)
    try:
        return run_scenario(scenario, lab, directory, chosen, narrator.feed)
    except BaseException:
        if (directory / "history.jsonl").exists():
            click.echo(f"history so far: {directory}; see: netemu report {directory}", err=True)
        raise


def _conclude(recorded: Recorded, json_file: Path | None) -> int:
    measured = measure(recorded.history)
    text = json.dumps(report_json(measured, recorded.history), indent=2)
    (recorded.directory / "report.json").write_text(text)
    if json_file:
        json_file.write_text(text)
    out = console()
    out.print()
    render_report(measured, recorded.history, out, saved=str(recorded.directory))
    return verdict_code(measured, recorded.history)
