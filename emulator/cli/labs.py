"""up, down, status."""

from __future__ import annotations

import time
from pathlib import Path

import click

from emulator.cli.common import (
    attached,
    console,
    echo_json,
    json_option,
    progress_bar,
    the_name,
)
from emulator.controller.lab import Lab, attach, bring_up, lab_names, remove_lab
from emulator.controller.status import lab_status, world
from emulator.engine.base import Engine
from emulator.engine.docker import DockerEngine
from emulator.engine.image import ensure_node_image
from emulator.errors import UsageError
from emulator.plan import make_plan
from emulator.plan.model import Plan
from emulator.report.status import render_labs, render_status, render_world
from emulator.topology.parse import load_topology
from emulator.wan.remote import RemoteWan


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--name", help="The lab's name; the file's by default. Two labs of one file: fine.")
@click.option("--replace", "is_replacing", is_flag=True, help="Remove a lab of this name first.")
@json_option
def up(file: Path, name: str | None, is_replacing: bool, as_json: bool) -> None:  # noqa: FBT001
    """Bring up the world of FILE and return when it is ready.

    \b
    netemu up topologies/two-region.yaml
    netemu up topologies/two-region.yaml --name second
    """
    topology = load_topology(file)
    wanted = make_plan(topology, name or topology.name)
    engine = DockerEngine()
    if is_replacing:
        remove_lab(engine, wanted.lab)
    began = time.monotonic()
    lab = running_twin(engine, wanted) or fresh_lab(engine, wanted)
    description = world(lab) | {"ready_s": round(time.monotonic() - began, 2)}
    if as_json:
        echo_json(description)
    else:
        render_world(description, console())
    lab.wan.close()


def fresh_lab(engine: Engine, plan: Plan) -> Lab:
    """Image at first use, then the lab, with a progress bar over both."""
    with progress_bar() as progress:
        image = ensure_node_image(progress)
        return bring_up(plan, engine, RemoteWan, image, progress)


def running_twin(engine: Engine, plan: Plan) -> Lab | None:
    """The lab of this name if it runs with this very plan; UsageError if it runs with another."""
    if plan.lab not in lab_names(engine):
        return None
    advice = f"netemu up ... --replace, or another --name, or: netemu down {plan.lab}"
    lab = attach(plan.lab, engine, RemoteWan)
    if lab.plan.digest != plan.digest:
        lab.wan.close()
        raise UsageError(f"a lab {plan.lab!r} with another plan runs already; {advice}")
    return lab


@click.command()
@click.argument("name", required=False, metavar="[LAB]")
@click.option("--all", "is_all", is_flag=True, help="Every lab on this machine.")
def down(name: str | None, is_all: bool) -> None:  # noqa: FBT001
    """Remove a lab: every container with its label, and nothing else.

    \b
    netemu down
    netemu down --all
    """
    engine = DockerEngine()
    names = lab_names(engine) if is_all or not name else (name,)
    if not is_all and not name and len(names) > 1:
        names = (the_name(engine, None),)
    for each in names:
        began = time.monotonic()
        removed = remove_lab(engine, each)
        took = time.monotonic() - began
        click.echo(f"{each}: {removed} containers removed in {took:.1f} s")
    if not names:
        click.echo("no lab runs here; nothing to remove")


@click.command()
@click.argument("name", required=False, metavar="[LAB]")
@json_option
def status(name: str | None, as_json: bool) -> None:  # noqa: FBT001
    """What runs, what is broken, what everyone thinks of it.

    \b
    netemu status
    netemu status --json
    """
    engine = DockerEngine()
    names = lab_names(engine)
    if not name and len(names) != 1:
        labs = {each: len(engine.containers(each)) for each in names}
        echo_json({"labs": labs}) if as_json else render_labs(labs, console())
        return
    with attached(name) as lab:
        found = lab_status(lab)
        echo_json(found) if as_json else render_status(found, console())
