"""graph, compare: pictures of a file, and two runs side by side. They need no Docker."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import click

from emulator.cli.files import file_argument, refuse_scenario
from emulator.errors import UsageError
from emulator.plan import make_plan
from emulator.plan.model import Plan
from emulator.report.graph_mermaid import graph_mermaid
from emulator.report.graph_svg import graph_svg
from emulator.topology.parse import load_topology

_DRAWINGS: dict[str, Callable[[Plan], str]] = {"svg": graph_svg, "mermaid": graph_mermaid}


@click.command()
@file_argument
@click.option(
    "--format",
    "form",
    type=click.Choice([*_DRAWINGS]),
    help="svg, or mermaid where OUT ends in .mmd.",
)
@click.option(
    "-o",
    "--output",
    "out",
    type=click.Path(path_type=Path),
    metavar="OUT",
    help="Write to this file.",
)
def graph(file: Path, form: str | None, out: Path | None) -> None:
    """Draw the topology FILE: regions, cities, name servers, round trips. Needs no Docker.

    \b
    netemu graph topologies/two-region.yaml -o two-region.svg
    netemu graph topologies/two-region.yaml --format mermaid
    """
    refuse_scenario(file)
    topology = load_topology(file)
    drawn = _DRAWINGS[form or _form_of(out)](make_plan(topology, topology.name))
    if out is None:
        click.echo(drawn, nl=False)
        return
    try:
        out.write_text(drawn, encoding="utf-8")
    except OSError as error:
        raise UsageError(f"cannot write {out}: {error.strerror}") from error


def _form_of(out: Path | None) -> str:
    return "mermaid" if out and out.suffix in {".mmd", ".mermaid"} else "svg"
