"""graph, compare: pictures of a file, and two runs side by side. They need no Docker."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import click

from emulator.analysis.compare import Comparison, RunSeen, Side
from emulator.analysis.compare import compare as compare_sides
from emulator.analysis.recovery import measure
from emulator.analysis.timeline import Client, History
from emulator.cli.common import console, echo_json, json_option
from emulator.cli.files import file_argument, refuse_scenario
from emulator.cli.report import history_of
from emulator.controller.sweep import value_names, vary_in
from emulator.errors import Exit, UsageError
from emulator.plan import make_plan
from emulator.plan.model import Plan
from emulator.report.compare import compare_json, render_compare
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


@click.command()
@click.argument("run_a", type=click.Path(path_type=Path))
@click.argument("run_b", type=click.Path(path_type=Path))
@json_option
@click.option("--fail-if-worse", is_flag=True, help="Exit 1 where a recovery got worse.")
def compare(run_a: Path, run_b: Path, as_json: bool, fail_if_worse: bool) -> int:  # noqa: FBT001
    """What got better or worse from RUN_A to RUN_B, and is it more than noise? Needs no Docker.

    Each is the directory of a run, or of repeated runs (--runs) with run-01, run-02 in it.
    Several runs on both sides are compared by a rank-sum test; one run each by what the phase
    of health checks and caches does, as RUN_A's header predicts it. Exit 0, unless
    --fail-if-worse: 1 when a recovery got worse by more than noise, 3 when one is unclear.

    \b
    netemu compare runs/region-loss/2026-01-31T12-00-00 runs/region-loss/2026-02-01T12-00-00
    netemu compare runs/base runs/new --fail-if-worse

    --json: emulator/report/compare.py documents it.
    """
    try:
        found = compare_sides(_side(run_a), _side(run_b))
    except ValueError as error:
        raise UsageError(f"cannot compare: {error}") from error
    echo_json(compare_json(found)) if as_json else render_compare(found, console())
    return _code(found) if fail_if_worse else Exit.PASSED


def _code(found: Comparison) -> Exit:
    codes = {"worse": Exit.MISSED, "unclear": Exit.INCONCLUSIVE}
    return codes.get(found.outcome(), Exit.PASSED)


def _side(directory: Path) -> Side:
    """One run after the other, so that only one history is in memory."""
    several = sorted(directory.glob("run-*/history.jsonl"))
    alone = (directory / "history.jsonl").exists() or not several
    if alone and (vary := vary_in(directory)):
        names = value_names(vary)
        raise UsageError(
            f"{directory} holds a run for each {vary.setting}; compare two of them, as"
            f" {directory / names[0]} and {directory / names[1]}"
        )
    places = [directory] if alone else [path.parent for path in several]
    return Side(str(directory), tuple(_seen(place) for place in places))


def _seen(place: Path) -> RunSeen:
    history = history_of(place)
    if history.run is None:
        raise UsageError(f"{place} has no header: which lab and scenario it was is not known")
    p99_ms = {client: _p99_ms(history, client) for client in history.clients()}
    known = {client: value for client, value in p99_ms.items() if value is not None}
    return RunSeen(history.run, measure(history), known)


def _p99_ms(history: History, client: Client) -> float | None:
    requests = history.requests[client]
    took = sorted(r.end - r.t for r in requests if r.outcome == "ok" and r.end is not None)
    return took[math.ceil(0.99 * len(took)) - 1] / 1e6 if took else None
