"""plan, validate, schema, doctor, image, report: commands that need no running lab."""

from __future__ import annotations

from pathlib import Path

import click

from emulator.cli.common import console, echo_json, json_option, progress_bar
from emulator.controller.doctor import examine
from emulator.controller.prepare import prepare
from emulator.engine.image import ensure_node_image, image_report
from emulator.errors import Exit, FileProblems, UsageError
from emulator.examples import found
from emulator.plan import make_plan, plan_to_json
from emulator.report.plan import render_plan
from emulator.report.status import render_doctor
from emulator.scenario.schema import scenario_schema
from emulator.topology.parse import load_topology
from emulator.topology.schema import topology_schema

file_argument = click.argument("file", type=click.Path(path_type=Path))


@click.command()
@file_argument
@json_option
def plan(file: Path, as_json: bool) -> None:  # noqa: FBT001
    """What FILE would become: hosts, addresses, delays, predicted bounds. Needs no Docker.

    \b
    netemu plan topologies/two-region.yaml
    netemu plan topologies/two-region.yaml --json

    --json: the whole plan, in the words of emulator/plan/model.py.
    """
    refuse_scenario(file)
    topology = load_topology(file)
    planned = make_plan(topology, topology.name)
    echo_json(plan_to_json(planned)) if as_json else render_plan(planned, console())


@click.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@json_option
def validate(files: tuple[Path, ...], as_json: bool) -> int:  # noqa: FBT001
    """Check topology and scenario files; every problem at once. Exit 0 or 2.

    \b
    netemu validate topologies/two-region.yaml topologies/scenarios/*.yaml

    --json: for each file the list of its problems; an empty list is a good file.
    """
    problems = {str(file): _problems(file) for file in files}
    if as_json:
        echo_json(problems)
    for file, said in problems.items():
        if not as_json:
            click.echo("\n".join(said) if said else f"{file}: fine", err=bool(said))
    return Exit.USAGE if any(problems.values()) else Exit.PASSED


def _problems(file: Path) -> list[str]:
    try:
        if is_scenario(file):
            prepare(file)
        else:
            make_plan(load_topology(file), "validate")
    except (FileProblems, UsageError) as error:
        return str(error).splitlines()
    return []


def is_scenario(file: Path) -> bool:
    """Whether FILE looks like a scenario: it has steps or names a topology."""
    return _has_key(file, "steps:", "topology:")


def _has_key(file: Path, *keys: str) -> bool:
    try:
        text = found(file).read_text()
    except (OSError, UnicodeDecodeError):
        return False
    return any(line.startswith(keys) for line in text.splitlines())


def refuse_scenario(file: Path) -> None:
    """Raises UsageError where a scenario was given instead of a topology."""
    if is_scenario(file):
        raise UsageError(f"{file} is a scenario, not a topology; netemu run {file}")


def refuse_topology(file: Path) -> None:
    """Raises UsageError where a topology was given instead of a scenario."""
    if _has_key(file, "regions:") and not is_scenario(file):
        raise UsageError(
            f"{file} is a topology, not a scenario; netemu up {file}, "
            "or run one of topologies/scenarios/"
        )


@click.command()
@click.option("--scenario", "of_scenario", is_flag=True, help="Of the scenario file.")
def schema(of_scenario: bool) -> None:  # noqa: FBT001
    """The JSON Schema of the topology file or the scenario file, for editors.

    \b
    netemu schema > netemu.schema.json
    netemu schema --scenario > netemu.scenario.schema.json
    """
    echo_json(scenario_schema() if of_scenario else topology_schema())


@click.command()
@json_option
def doctor(as_json: bool) -> int:  # noqa: FBT001
    """Can this machine run a lab? What is missing, and what to do about it. Exit 0 or 4.

    \b
    netemu doctor
    netemu doctor --json

    --json: a list of findings: what, ok, needed, found, remedy.
    """
    findings = examine()
    echo_json(findings) if as_json else render_doctor(findings, console())
    return Exit.PASSED if all(f["ok"] or not f["needed"] for f in findings) else Exit.ENVIRONMENT


@click.group()
def image() -> None:
    """The one image that every host runs.

    \b
    netemu image build
    """


@image.command()
def build() -> None:
    """Build it now; `netemu up` does the same at first use.

    \b
    netemu image build
    """
    with progress_bar() as progress:
        tag = ensure_node_image(progress)
    found = image_report()
    click.echo(f"{tag}: {found.size_mb:.0f} MB")
