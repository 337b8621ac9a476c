"""up, down, status."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import click

from emulator.cli.common import (
    Stopwatch,
    attached,
    console,
    echo_json,
    json_option,
    progress_bar,
    the_name,
    when_stopped,
)
from emulator.cli.files import refuse_scenario
from emulator.controller.lab import Lab, attach, bring_up, lab_names, left_names, remove_lab
from emulator.controller.probing import Delays
from emulator.controller.ready import wait_until_ready
from emulator.controller.status import lab_status, world
from emulator.engine.base import Engine
from emulator.engine.build import ensure_images
from emulator.engine.docker import DockerEngine
from emulator.errors import NetemuError, NotReady, UsageError
from emulator.plan import make_plan
from emulator.plan.model import Plan
from emulator.plan.own import builds
from emulator.report.status import render_labs, render_status, render_world
from emulator.scalars import label
from emulator.topology.parse import load_topology
from emulator.wan.remote import RemoteWan


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--name", help="The lab's name, instead of the file's: two labs of one file.")
@click.option("--replace", "is_replacing", is_flag=True, help="Remove a lab of this name first.")
@json_option
def up(file: Path, name: str | None, is_replacing: bool, as_json: bool) -> None:  # noqa: FBT001
    """Bring up the world of FILE and return when it is ready.

    A lab of this name that runs with the same plan is left as it is.

    \b
    netemu up topologies/two-region.yaml
    netemu up topologies/two-region.yaml --name second
    netemu up topologies/two-region.yaml --replace

    \b
    --json: lab, containers, regions, cities, name_servers, hosts (host, role, addresses, image),
    services (name, port, balance, protocol, addresses), root (what https is trusted by, in PEM),
    paths (rtt_set_ms, rtt_measured_ms), sent_to, light_traffic, ready_s, timings (ms by stage),
    already_up.
    """
    refuse_scenario(file)
    topology = load_topology(file)
    wanted = make_plan(topology, lab_name(name or topology.name))
    engine = DockerEngine()
    if is_replacing:
        remove_lab(engine, wanted.lab)
    began = time.monotonic()
    lab = running_twin(engine, wanted)
    description: dict[str, Any] = {"already_up": lab is not None, "timings": {}}
    if lab is None:
        lab, description["timings"] = fresh_lab(engine, wanted)
    description |= world(lab) | {"ready_s": round(time.monotonic() - began, 2)}
    echo_json(description) if as_json else render_world(description, console())
    lab.wan.close()


def lab_name(name: str) -> str:
    """A name that the engine takes for containers. Raises UsageError."""
    try:
        return label(name)
    except ValueError as error:
        raise UsageError(f"--name: {error}") from error


def fresh_lab(engine: Engine, plan: Plan) -> tuple[Lab, dict[str, int]]:
    """Image at first use, then the lab, with a progress bar over both; ms by stage."""
    when_stopped("stopping: what was made so far is removed, this takes some seconds")
    with progress_bar() as progress:
        watch = Stopwatch(progress)
        image = ensure_images(builds(plan), progress)
        watch.lap("image")
        return bring_up(plan, engine, RemoteWan, image, watch), watch.timings


def running_twin(engine: Engine, plan: Plan) -> Lab | None:
    """The lab of this name if it runs with this very plan; UsageError if it runs with another.

    Raises NotReady if it is not as its plan says, by no fault of netemu's.
    """
    if plan.lab not in lab_names(engine):
        return None
    lab = attach(plan.lab, engine, RemoteWan)
    if lab.plan.digest != plan.digest:
        lab.wan.close()
        raise UsageError(
            f"a lab {plan.lab!r} with another plan runs already; to replace it: "
            f"netemu up FILE --replace; to run both: --name ANOTHER"
        )
    if not lab.wan.journal():
        lab.measured_ns = _still_ready(lab)
    return lab


def _still_ready(lab: Lab) -> Delays:
    try:
        return wait_until_ready(lab.plan, lab.wan)
    except NetemuError as error:
        lab.wan.close()
        advice = f"make it anew: netemu up FILE --name {lab.name} --replace"
        raise NotReady(f"lab {lab.name!r} runs but is not whole: {error}; {advice}") from error


@click.command()
@click.argument("name", required=False, metavar="[LAB]")
@click.option("--all", "is_all", is_flag=True, help="Every lab on this machine.")
def down(name: str | None, is_all: bool) -> None:  # noqa: FBT001
    """Remove a lab: every container and volume with its label, and nothing else.

    What is not there needs no removing: that is said, and is no error.

    \b
    netemu down
    netemu down two-region
    netemu down --all
    """
    if name and is_all:
        raise UsageError("name a lab or say --all, not both")
    engine = DockerEngine()
    there = left_names(engine)
    if not there:
        click.echo("no lab runs here; nothing to remove")
    elif name and name not in there:
        click.echo(f"there is no lab {name!r}, nothing to remove; there are: {', '.join(there)}")
    else:
        for each in there if is_all or len(there) == 1 else (the_name(engine, name),):
            _remove(engine, each)


def _remove(engine: Engine, name: str) -> None:
    began = time.monotonic()
    removed = remove_lab(engine, name)
    click.echo(f"{name}: {removed} containers removed in {time.monotonic() - began:.1f} s")


@click.command()
@click.argument("name", required=False, metavar="[LAB]")
@json_option
def status(name: str | None, as_json: bool) -> None:  # noqa: FBT001
    """What runs, what is broken, what everyone thinks of it.

    \b
    netemu status
    netemu status two-region --json

    \b
    --json, of one lab: lab, services (as of up), hosts (container, daemons), faults, balancers,
    routing, name_servers (services as each holds them; asked: what it counted), now_ns, traffic,
    wire, paths. Where none or several run and none was named: labs, with their number of
    containers.
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
